"""A bad world around the program: a full disk, a port that is taken, a folder that has a node. It says what, where and what
to do, and what runs goes on running.
"""

import json
import os
import random
import subprocess

import pytest

from node_process import eventually, now_us, number, run, thing, write_site

POINT = "probe/a"


def site_of_one_point(folder):
    return write_site(folder, thing("probe", {"a": number()}))


# A full disk.
@pytest.fixture
def small_disk(tmp_path):
    """A file system of 48 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(folder)], capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"needs the right to mount a tmpfs: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder):
    with open(folder / "filler", "wb", buffering=0) as filler:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    filler.write(b"x" * size)
            except OSError:
                continue


class Source:
    """Writes samples and remembers what was acknowledged."""

    def __init__(self, node):
        self.node, self.random = node, random.Random(1)
        self.time_us, self.acknowledged = now_us() - 3_600_000_000 * 10, 0

    def write(self, count=2000):
        lines = []
        for _ in range(count):
            self.time_us += 1000
            lines.append(f"probe a={self.random.random()} {self.time_us}")
        answer = self.node.write("\n".join(lines))
        self.acknowledged += count if answer.status == 204 else 0
        return answer


def stored(node):
    return len(node.samples(POINT))


def test_a_full_disk_is_told_and_survived(small_disk, tmp_path, nodes):
    node = nodes(site_of_one_point(tmp_path / "site"), data=small_disk / "data")
    source = Source(node)
    assert source.write().status == 204
    assert node.ask("GET", "/healthz").status == 200

    fill(small_disk)
    refused = eventually(lambda: next((a for a in [source.write()] if a.status != 204), None), 60, "a refusal")
    assert refused.status in (503, 507, 429), refused.text
    problem = refused.json()
    assert "space" in problem["detail"].lower() or "full" in problem["detail"].lower(), problem
    health = node.ask("GET", "/healthz")
    assert (health.status, "log" in health.text) == (503, True)
    assert node.get("/api/v1/overview")["log_failing"] is True
    assert stored(node) == source.acknowledged  # It can still be asked.
    assert source.write().status != 204

    (small_disk / "filler").unlink()
    eventually(lambda: source.write().status == 204, 20, "an acknowledgement after room was made")
    eventually(lambda: node.ask("GET", "/healthz").status == 200, 10, "health")
    eventually(lambda: stored(node) == source.acknowledged, 10, "the samples")
    assert node.get("/api/v1/ledger")["gap"] == 0

    node.kill()
    node.start()
    assert stored(node) == source.acknowledged  # What was refused did not slip in.


def test_a_start_on_a_full_disk_says_so(small_disk, tmp_path):
    site = site_of_one_point(tmp_path / "site")
    fill(small_disk)
    failed = run("up", "--site", site, "--data", small_disk / "data")
    assert failed.returncode == 2
    assert str(small_disk / "data") in failed.stderr and "space" in failed.stderr.lower(), failed.stderr


# Ports and folders.
@pytest.mark.parametrize("listener", ["http", "mqtt"])
def test_a_port_in_use_is_named_with_what_to_do(tmp_path, nodes, listener):
    node = nodes(site_of_one_point(tmp_path / "first"))
    taken = f"127.0.0.1:{node.port if listener == 'http' else node.mqtt_port}"
    other = site_of_one_point(tmp_path / "second")
    failed = run("up", "--site", other, f"--{listener}", taken)
    assert failed.returncode == 2
    assert taken in failed.stderr and "in use" in failed.stderr and "fix:" in failed.stderr, failed.stderr
    as_json = run("up", "--site", other, f"--{listener}", taken, "--json")
    assert as_json.returncode == 2
    error = json.loads(as_json.stdout)["error"]
    assert taken in error["message"] + error["where"] and error["fix"], error
    assert node.ask("GET", "/healthz").status == 200


def test_a_second_node_on_a_folder_is_turned_away(tmp_path, nodes):
    node = nodes(site_of_one_point(tmp_path / "site"))
    failed = run("up", "--site", node.site)
    assert failed.returncode == 2
    assert str(node.data) in failed.stderr and "another node" in failed.stderr and "fix:" in failed.stderr, failed.stderr
    # The first goes on as if nothing had been, and commands still reach it.
    assert node.write(f"probe a=1 {now_us()}").status == 204
    assert run("audit", "list", "--site", node.site).returncode == 0
    assert node.stop() == 0
    # A folder whose node was killed is free again.
    node.start()
    node.kill()
    node.start()
    eventually(lambda: stored(node) == 1)


def test_without_the_right_to_write_the_folder_is_named(tmp_path):
    if os.geteuid() == 0:
        data = tmp_path / "a-file"
        data.write_text("not a folder")
    else:
        data = tmp_path / "locked"
        data.mkdir(mode=0o500)
    failed = run("up", "--site", site_of_one_point(tmp_path / "site"), "--data", data)
    assert failed.returncode == 2
    assert str(data) in failed.stderr, failed.stderr
