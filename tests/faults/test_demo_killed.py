"""kill -9 of the demo: its plant goes with it, and the next start goes on with the same data, later in the same time."""

import os
from datetime import datetime

import pytest

from node_process import ROOT, eventually, run


@pytest.fixture
def models(tmp_path):
    """A few runs are enough for models that this test does not judge."""
    done = run("learn", "train", "--plant-seeds", "1001..1012", "--hours", "8", "--out", tmp_path / "models", timeout=120)
    assert done.returncode == 0, done.stderr
    return tmp_path / "models"


def plants_of(node):
    """Process ids of the plants whose node this is."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().decode().split("\0")
        except OSError:
            continue
        if "plant" in words and node.ready["url"] in words:
            found.append(int(pid))
    return found


def times(node, point="pump-7/discharge_pressure"):
    return [datetime.fromisoformat(row["time"]) for row in node.samples(point)]


def test_the_plant_goes_with_the_node_and_time_goes_on(tmp_path, nodes, models):
    node = nodes(ROOT / "examples/bottling", data=tmp_path / "data", arguments=("--demo", "--free-ports", "--models", str(models)))
    eventually(lambda: len(times(node)) > 5, 60, "samples of the plant")
    assert len(plants_of(node)) == 1
    before = times(node)
    node.kill()
    eventually(lambda: not plants_of(node), what="the plant to go with its node")

    node.start()
    kept = times(node)
    assert kept[:len(before)] == before
    eventually(lambda: len(times(node)) > len(kept) + 2, 60, "samples of the plant again")
    after = times(node)
    assert after == sorted(set(after)), "time went back"
    assert after[len(kept)] > kept[-1]
    assert node.get("/api/v1/ledger")["gap"] == 0
    assert node.stop() == 0
    assert not plants_of(node)
