"""The gap ledger over HTTP: it adds up, over kill and restart, and a certificate can be checked by anybody with SHA-256."""

import hashlib
import json
import shutil

from node_process import now_us, number, run, thing, write_site


def site_of(folder):
    return write_site(folder, thing("pump-7", {"flow": number(), "count": number()}))


def lines(first, count, at):
    return "".join(f"pump-7 flow={first + i},count={i} {(at + i) * 1000}\n" for i in range(count))


def node_hash(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of_path(leaf_hash, leaf, size, path):
    """RFC 6962 section 2.1.1, as RFC 9162 section 2.1.3.2 writes its check."""
    fn, sn, root = leaf, size - 1, leaf_hash
    for step in path:
        assert sn > 0
        if fn & 1 or fn == sn:
            root = node_hash(step, root)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            root = node_hash(root, step)
        fn, sn = fn >> 1, sn >> 1
    assert sn == 0
    return root


def test_the_ledger_goes_on_over_a_kill(nodes, tmp_path):
    site = site_of(tmp_path / "site")
    node = nodes(site)
    at = now_us() - 60_000_000
    assert node.ask("POST", "/write", lines(0, 100, at)).status == 204
    assert node.ask("POST", "/write", lines(0, 100, at)).status == 204  # Sent again: all of it is known.
    before = node.get("/api/v1/ledger")
    assert before["gap"] == 0 and before["stored"] == 200 and before["duplicates"] == 200 and before["points_with_gap"] == 0
    node.kill()
    node.start()
    after = node.get("/api/v1/ledger")
    # What was never stored and not yet written down is forgotten on both sides.
    assert after["gap"] == 0 and after["stored"] == 200 and after["produced"] == 200 + after["duplicates"]
    assert after["epoch"] == before["epoch"] and after["next_sequence"] == 200
    node.stop()
    node.start()
    assert node.get("/api/v1/ledger") | {"log_durable_ms": 0} == after | {"log_durable_ms": 0}
    points = {p["path"]: p for p in node.get("/api/v1/points")["items"]}
    assert points["pump-7/flow"]["value"] == 99 and points["pump-7/flow"]["quality"] == "Good"
    doctor = json.loads(run("doctor", "--site", site, "--json").stdout)
    text = next(c for c in doctor["checks"] if c["check"] == "ledger")
    assert text["ok"] and "gap 0" in text["text"] and "2 points, 0 of them" in text["text"]


def test_a_certificate_is_what_it_says(nodes, tmp_path):
    node = nodes(site_of(tmp_path / "site"))
    assert node.ask("POST", "/write", lines(0, 50, now_us() - 60_000_000)).status == 204
    answer = node.ask("GET", "/api/v1/ledger/certificate")
    assert answer.status == 200
    document = answer.json()
    certificate = document["certificate"]
    text = json.dumps(certificate, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert hashlib.sha256(text.encode()).hexdigest() == document["sha256"]
    assert certificate["total"]["produced"] == 100 and certificate["total"]["gap"] == 0
    points = {p["point"]: p for p in certificate["points"]}
    assert points["pump-7/flow"]["durable"] == 50 and points["pump-7/flow"]["gap"] == 0
    interval = certificate["intervals"][0]
    assert (interval["first_sequence"], interval["end_sequence"]) == (0, 100)
    audit = document["audit"]
    path = [bytes.fromhex(step) for step in audit["path"]]
    assert root_of_path(bytes.fromhex(audit["leaf_hash"]), audit["leaf"], audit["size"], path).hex() == audit["root"]
    leaf = next(e for e in node.get("/api/v1/audit?limit=1000")["items"] if e["leaf"] == audit["leaf"])
    assert leaf["action"] == "ledger.certificate" and leaf["subject"] == document["sha256"]
    empty = node.get("/api/v1/ledger?from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z")
    assert empty["points"] == [] and empty["total"]["produced"] == 0


def test_a_copied_folder_has_an_epoch_of_its_own(nodes, tmp_path):
    site = site_of(tmp_path / "site")
    node = nodes(site)
    assert node.ask("POST", "/write", lines(0, 10, now_us() - 60_000_000)).status == 204
    node.stop()
    shutil.copytree(site / "data", tmp_path / "copy")
    copy = nodes(site, data=tmp_path / "copy")
    ledger = copy.get("/api/v1/ledger")
    copy.stop()
    node.start()
    assert node.get("/api/v1/ledger")["epoch"] < ledger["epoch"]
    assert ledger["gap"] == 0 and ledger["stored"] == 20
