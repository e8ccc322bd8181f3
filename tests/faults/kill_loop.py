#!/usr/bin/env python3
"""kill -9 many times over one data folder, and what DuckDB then reads out of the Parquet files.

  tests/faults/kill_loop.py --kills 300 --seed 7        what CI does
  tests/faults/kill_loop.py --long                      10,000 kills

Most of the kills meet fault_probe: log, pipeline, history and records in a process that starts in milliseconds. The others
(--node-kills, a tenth but at most 200) meet `penstock up` under HTTP writers. Each keeps a client's ledger of what was
acknowledged. In the end the files are read by another reader than the one that wrote them: every acknowledged sample is there
once, in the order in which it was sent. The same seed draws the same batches and the same moments.
"""

import argparse
import json
import os
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time

import duckdb

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from node_process import PROGRAM, Node, eventually, number, thing, write_site  # noqa: E402
from test_kill import WRITERS, Writer, play_round  # noqa: E402

PROBE = os.environ.get("PENSTOCK_FAULT_PROBE") or str(pathlib.Path(PROGRAM).parent / "tests/fault_probe")
POINTS = 64  # Of fault_probe's fabric.


def probe_kills(folder, kills, seed):
    """Runs fault_probe kill; its report. Its own checks read through the history's code."""
    done = subprocess.run([PROBE, "kill", "--folder", str(folder), "--kills", str(kills), "--seed", str(seed)],
                          capture_output=True, text=True, check=False)
    if not done.stdout.strip():
        raise AssertionError(f"fault_probe ended with {done.returncode}: {done.stderr[-2000:]}")
    return json.loads(done.stdout)


def files_of(folder):
    """The Parquet files that count: those of the manifest."""
    named = []
    for line in (folder / "history" / "manifest").read_text().splitlines():
        words = line.split(" ")
        if words[0] == "file":
            named.append(f"{folder}/history/{words[1]}/{words[2]}/{int(words[3]):012d}-{int(words[4]):012d}.parquet")
    assert all(pathlib.Path(name).is_file() for name in named), "the manifest names files that are not there"
    return named


def complaint_of_probe(folder):
    """Compares the ledger of fault_probe with its Parquet files; "" when all is well."""
    acknowledged = struct.unpack(f"<{POINTS}Q", (folder / "ledger").read_bytes()[:8 * POINTS])
    rows = duckdb.connect().execute(f"""
        WITH samples AS (SELECT point, value, value - lag(value) OVER (PARTITION BY point ORDER BY sequence) AS step
                         FROM read_parquet({files_of(folder)!r}))
        SELECT point, count(*), count(DISTINCT value), min(value), max(value), count(*) FILTER (WHERE step <> 1)
        FROM samples GROUP BY point""").fetchall()
    stored = {int(row[0].split("/")[0].split("-")[1]): row[1:] for row in rows}
    for point, expected in enumerate(acknowledged):
        count, distinct, low, high, out_of_order = stored.get(point, (0, 0, 0, -1, 0))
        if count != expected or distinct != expected or (expected and (low, high) != (0, expected - 1)) or out_of_order:
            return (f"machine-{point}/flow: {expected} acknowledged, {count} stored, {distinct} of them different, "
                    f"from {low} to {high}, {out_of_order} out of order")
    return ""


def node_kills(folder, kills, seed):
    """Kills a whole node under HTTP writers; its report."""
    chance = random.Random(seed)
    writers = [Writer(index, seed, (1, 60)) for index in range(WRITERS)]
    site = write_site(folder / "site", thing("probe", {writer.point: number() for writer in writers}))
    node = Node(site, data=folder / "data").start()
    complaint = ""
    try:
        for kill in range(kills):
            play_round(node, writers, chance)
            node.start()
            for writer in writers:
                if complaint := complaint or writer.complaint(node):
                    complaint = f"after kill {kill + 1}: {complaint}"
                if writer.on_the_way:
                    writer.send(node, None, writer.on_the_way)
                    writer.on_the_way = {}
            if complaint:
                break
        if not complaint:
            eventually(lambda: node.get("/api/v1/ledger")["pending"] == 0, what="the pipeline to be done")
            gap = node.get("/api/v1/ledger")["gap"]
            complaint = f"the ledger's gap is {gap}" if gap else ""
            node.stop()
            complaint = complaint or complaint_of_node(folder / "data", writers)
    finally:
        node.close()
    return {"kills": kills, "samples": sum(len(writer.acknowledged) for writer in writers), "complaint": complaint}


def complaint_of_node(data, writers):
    """What DuckDB reads of a stopped node against what its writers were told."""
    for writer in writers:
        rows = duckdb.connect().execute(
            f"SELECT epoch_us(time), value FROM read_parquet({files_of(data)!r}) WHERE point = ? ORDER BY sequence",
            [f"probe/{writer.point}"]).fetchall()
        if rows != sorted(writer.acknowledged.items()):
            return (f"probe/{writer.point}: {len(writer.acknowledged)} acknowledged, {len(rows)} stored, "
                    f"{len(set(rows))} of them different; not the same or not in order")
    return ""


def run(kills, seed, node_share, folder):
    begin = time.monotonic()
    probe = probe_kills(folder / "probe", kills - node_share, seed)
    probe["complaint"] = probe["complaint"] or complaint_of_probe(folder / "probe")
    node = node_kills(folder / "node", node_share, seed) if node_share else {"kills": 0, "samples": 0, "complaint": ""}
    return {"kills": probe["kills"] + node["kills"], "node_kills": node["kills"], "during_start": probe["during_start"],
            "seed": seed, "samples": probe["samples"] + node["samples"], "seconds": round(time.monotonic() - begin, 1),
            "complaint": probe["complaint"] or node["complaint"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--long", action="store_true", help="10,000 kills")
    parser.add_argument("--node-kills", type=int, help="how many of them meet a whole node")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--folder", type=pathlib.Path, help="kept afterwards")
    arguments = parser.parse_args()
    kills = 10_000 if arguments.long else arguments.kills
    share = min(200, kills // 10) if arguments.node_kills is None else arguments.node_kills
    print(f"{kills} kills, {share} of them of a whole node, --seed {arguments.seed}", file=sys.stderr)
    folder = arguments.folder or pathlib.Path(tempfile.mkdtemp(prefix="penstock-kill-"))
    report = run(kills, arguments.seed, share, folder)
    print(json.dumps(report))
    if report["complaint"]:
        print(f"{report['complaint']}\nthe folder is kept: {folder}", file=sys.stderr)
        return 1
    if not arguments.folder:
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
