"""The history's copy in S3 storage, against a real S3 server."""

import json
import os
import subprocess

import pytest

from node_process import eventually, now_us, number, run, thing, write_site
from servers import S3_SERVER, S3Server, run_tests

pytestmark = pytest.mark.skipif(not S3_SERVER.exists(), reason="no S3 server here (tools/setup test builds it)")


@pytest.fixture
def s3(tmp_path):
    server = S3Server(tmp_path / "s3")
    yield server
    server.end()


def test_blobs_are_kept(s3):
    run_tests("storage_tests", "BlobsTest.*", {**s3.env, "PENSTOCK_TEST_S3": s3.address("/some/prefix")})
    uploads = [p for p in (s3.folder / "root/plant").rglob("*") if ".sgwtmp" in str(p) and p.is_file()]
    assert not uploads, "parts of finished uploads are left"


def test_a_certificate_is_verified(tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
                   check=True, capture_output=True)
    server = S3Server(tmp_path / "s3", certificate, key)
    try:
        site = write_site(tmp_path / "site")
        for options, code in ((f"ca={certificate}", 0), ("region=us-east-1", 2)):
            (site / "site.yaml").write_text(f"site: acme/cologne\nblobs: \"{server.address('/tls', options)}\"\n")
            answer = run("archive", "list", "--site", site, "--json", env={**os.environ, **server.env})
            assert answer.returncode == code, answer.stderr
        assert "certificate" in answer.stderr + answer.stdout
    finally:
        server.end()


def test_a_new_node_is_restored_from_the_archive(tmp_path, s3, nodes):
    site = write_site(tmp_path / "site", thing("pump-7", {"flow": number()}))
    settings = site / "site.yaml"
    settings.write_text(settings.read_text() + f'blobs: {{to: "{s3.address("/cologne")}", every: 1s}}\n')
    node = nodes(site, env=s3.env)
    base = now_us() - 5_000_000
    lines = "\n".join(f"pump-7 flow={i} {base + i * 1000}" for i in range(1000))
    assert node.write(lines).status == 204
    assert node.stop() == 0  # Flushes the history.
    node.start()

    def archived():
        listed = run("archive", "list", "--site", site, "--json", env={**os.environ, **s3.env})
        assert listed.returncode == 0, listed.stderr
        return json.loads(listed.stdout)["files"]

    eventually(archived, 20, "the node to copy its history")
    node.close()

    fresh = tmp_path / "fresh"
    pulled = run("archive", "pull", "--site", site, "--data", fresh, "--json", env={**os.environ, **s3.env})
    assert pulled.returncode == 0, pulled.stderr
    second = nodes(site, data=fresh, env=s3.env)
    assert [row["value"] for row in second.samples("pump-7/flow")] == list(range(1000))
    again = run("archive", "pull", "--site", site, "--data", fresh, "--json", env={**os.environ, **s3.env})
    assert again.returncode == 2
    # The new node goes on where the old one ended.
    assert second.write(f"pump-7 flow=1000 {base + 1_000_000}").status == 204
    eventually(lambda: len(second.samples("pump-7/flow")) == 1001)


def test_old_files_leave_the_disk_and_come_back_for_a_question(tmp_path, s3, nodes):
    site = write_site(tmp_path / "site", thing("pump-7", {"flow": number()}))
    settings = site / "site.yaml"
    settings.write_text(settings.read_text() + f'blobs: {{to: "{s3.address("/old")}", every: 1s, keep-local: 1d, cache_mib: 16}}\n')
    node = nodes(site, env=s3.env)
    old, new = now_us() - 5 * 86_400_000_000, now_us() - 5_000_000
    for base in (old, new):
        assert node.write("\n".join(f"pump-7 flow={i} {base + i * 1000}" for i in range(500))).status == 204
    assert node.stop() == 0  # Flushes the history.
    files = {p.parent.name: p for p in (site / "data/history").glob("*/20*/*.parquet")}
    assert len(files) == 2
    node.start()
    eventually(lambda: not files[min(files)].exists(), 20, "the old file to leave the disk")
    assert files[max(files)].exists()
    both = [str(i) for i in range(500)] * 2
    assert [f"{row['value']:g}" for row in node.samples("pump-7/flow")] == both
    product = node.get("/api/v1/products")["items"][0]["name"]
    sql = {"sql": f'SELECT count(*) AS n FROM "{product}"'}
    assert "1000" in node.ask("POST", "/api/v1/sql", sql).text
    # Away: what is here is answered, what is not says so.
    assert node.stop() == 0
    s3.end()
    node.start()  # Its cache begins empty.
    def rows_since(day):
        return node.ask("GET", f"/api/v1/samples?point=pump-7/flow&from={day}T00:00:00Z&to=2100-01-01T00:00:00Z&limit=10000")

    today = rows_since(max(files))
    assert today.status == 200 and len(today.json()["items"]) == 500
    away = rows_since("2020-01-01")
    assert away.status == 503 and "archive" in away.text, away.text[:300]
    s3.start()
    eventually(lambda: rows_since("2020-01-01").status == 200, 40, "the archive to be asked again")
    assert len(node.samples("pump-7/flow")) == 1000


def test_a_store_that_is_away_does_not_hold_up_the_node(tmp_path, s3, nodes):
    site = write_site(tmp_path / "site", thing("pump-7", {"flow": number()}))
    settings = site / "site.yaml"
    settings.write_text(settings.read_text() + f'blobs: {{to: "{s3.address("/away")}", every: 1s}}\n')
    s3.end()
    node = nodes(site, env=s3.env)
    assert node.write(f"pump-7 flow=1 {now_us()}").status == 204
    assert node.stop() == 0
    s3.start()
    node.start()
    eventually(lambda: (s3.folder / "root/plant/away/manifest").exists(), 20, "the copy after the store is back")


def test_mistakes_in_the_settings_are_explained(tmp_path):
    site = write_site(tmp_path / "site")
    env = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    for line, word in (("blobs: ftp://x", "blob store"), ("blobs: s3://plant@s3.example?tls=off", "loopback"),
                       ("blobs: s3://plant@s3.example", "AWS_ACCESS_KEY_ID"), ("", "no blob store")):
        (site / "site.yaml").write_text(f"site: acme/cologne\n{line}\n")
        answer = run("archive", "push", "--site", site, env=env)
        assert answer.returncode == 2 and word in answer.stderr, (line, answer.stderr)
