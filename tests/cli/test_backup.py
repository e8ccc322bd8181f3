"""`penstock backup` of a node that goes on writing, `penstock restore`, and a node on what came back."""

import json
import threading

from node_process import now_us, number, run, thing, write_site


def flows(node):
    return [(row["time"], row["value"]) for row in node.samples("pump-7/flow")]


def test_a_backup_under_load_has_all_that_was_acknowledged_before(nodes, tmp_path):
    site = write_site(tmp_path / "plant", thing("pump-7", {"flow": number()}))
    node = nodes(site)
    begin = now_us() - 60_000_000
    acknowledged, stop = [0], threading.Event()

    def write():
        number = 0
        while not stop.is_set():
            lines = "\n".join(f"pump-7 flow={number + i} {begin + number + i}" for i in range(20))
            assert node.write(lines).status == 204
            number += 20
            acknowledged[0] = number

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while acknowledged[0] < 400:
            pass
        before = acknowledged[0]
        done = run("backup", tmp_path / "backup", "--site", site, "--json")
    finally:
        stop.set()
        writer.join()
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["files"] > 3 and not list((site / "data/backups").iterdir())
    assert (tmp_path / "backup/site/things/pump-7.td.json").exists()
    epoch = (site / "data/epoch").read_bytes()
    node.stop()

    restored = tmp_path / "restored"
    done = run("restore", tmp_path / "backup", "--site", site, "--data", restored)
    assert done.returncode == 0, done.stderr
    again = nodes(site, data=restored)
    rows = again.samples("pump-7/flow")
    assert len(rows) >= before
    assert [row["value"] for row in rows] == list(range(len(rows))), "a prefix of what was written, each once"
    assert (restored / "epoch").read_bytes() != epoch
    assert again.get("/api/v1/ledger")["gap"] == 0


def test_a_stopped_nodes_folder_is_backed_up_too_and_damage_is_told(nodes, tmp_path):
    site = write_site(tmp_path / "plant", thing("pump-7", {"flow": number()}))
    node = nodes(site)
    assert node.write(f"pump-7 flow=1.5 {now_us()}").status == 204
    node.stop()
    done = run("backup", tmp_path / "backup", "--site", site)
    assert done.returncode == 0, done.stderr
    assert run("backup", tmp_path / "backup", "--site", site).returncode == 2
    log = next((tmp_path / "backup").rglob("*.db"))
    damaged = bytearray(log.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    log.write_bytes(damaged)
    done = run("restore", tmp_path / "backup", "--site", site, "--data", tmp_path / "new")
    assert done.returncode == 2 and "records.db" in done.stderr
