#!/usr/bin/env python3
"""How fast an edge brings an outage's backlog to its hub: two real processes on loopback, TLS and fsync and all.

    bench/uplink/catch_up.py [--rows 6000000] [--runs 3] [--json]

Each run: the hub is down, the edge takes the rows by line protocol (400 things x 10 points in turn, two decimals, a random walk),
the hub comes back, and the time counts from its first answer until everything is durable there. A row is 24 bytes as raw columns
(point and quality 8, time 8, value 8); what went over the wire is told beside it.
"""

import argparse
import json
import os
import pathlib
import statistics
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/hub")]

import numpy  # noqa: E402

from hub_site import Edge, Hub  # noqa: E402
from node_process import eventually, now_us, number, thing  # noqa: E402

THINGS, FIELDS, LINES = 400, 10, 8000
RAW_BYTES = 24


def cpu_s(process):
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def bodies(rows, seed):
    """Bodies of line protocol, LINES lines of FIELDS values each, until there are so many rows."""
    chance = numpy.random.default_rng(seed)
    level = numpy.full((THINGS, FIELDS), 50.0)
    at, done = now_us() - 3_600_000_000, 0
    while done < rows:
        lines = []
        for _ in range(LINES // THINGS):
            level += chance.normal(0, 0.3, level.shape)
            at += 1_000_000
            for i, row in enumerate(level.round(2).tolist()):
                values = ",".join(f"u{f}={value}" for f, value in enumerate(row))
                lines.append(f"host-{i:03} {values} {at}")
        done += LINES * FIELDS
        yield "\n".join(lines)


def run_once(folder, rows, seed):
    hub = Hub(folder / "hub")
    hub.start()
    edge = Edge(folder / "edge", f"https://127.0.0.1:{hub.fixed_port}",
                [thing(f"host-{i:03}", {f"u{f}": number() for f in range(FIELDS)}) for i in range(THINGS)])
    try:
        edge.enroll(hub.invite("edge-7"))
        edge.start()
        edge.caught_up()
        last = f"edge-7_host-{THINGS - 1:03}/u0"
        eventually(lambda: hub.ask("GET", f"/api/v1/samples?point={last}").status == 200, 120, "the hub to know the things")
        hub.stop()
        sent = 0
        for body in bodies(rows, seed):
            answer = edge.write(body)
            assert answer.status == 204, answer.text
            sent += LINES * FIELDS
        before, edge_cpu = edge.uplink(), cpu_s(edge.process)
        hub.start()
        hub_cpu = cpu_s(hub.process)
        eventually(lambda: edge.uplink()["connected"], 60)
        began = time.monotonic()
        edge.caught_up(600)
        took = time.monotonic() - began
        after = edge.uplink()
        assert hub.edge("edge-7")["epochs"][0]["rows"] >= sent
        wire = after["bytes"] - before["bytes"]
        return {"rows": sent, "seconds": round(took, 3), "rows_per_s": round(sent / took),
                "raw_mb_per_s": round(sent * RAW_BYTES / took / 1e6, 1), "wire_mb_per_s": round(wire / took / 1e6, 2),
                "wire_bytes_per_row": round(wire / sent, 2), "edge_cpu_s": round(cpu_s(edge.process) - edge_cpu, 2),
                "hub_cpu_s": round(cpu_s(hub.process) - hub_cpu, 2)}
    finally:
        edge.close()
        hub.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=6_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    runs = []
    for seed in range(options.runs):
        with tempfile.TemporaryDirectory() as folder:
            runs.append(run_once(pathlib.Path(folder), options.rows, seed))
        if not options.json:
            print(runs[-1])
    median = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
    if options.json:
        print(json.dumps({"catch_up": median, "runs": runs}))
        return
    print(f"\n{'median of ' + str(len(runs)):<24}")
    for key, value in median.items():
        print(f"  {key:<20} {value:>14}")


if __name__ == "__main__":
    main()
