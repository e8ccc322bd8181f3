#!/usr/bin/env python3
"""Samples per second from an edge's durable log through JetStream to a hub's durable log.

Three nats-servers (replicas 3, file storage), one edge and one hub as processes of their own, all on this machine and on
loopback. The clock starts with the first row that is durable at the hub and stops with the last one. CPU seconds are those of
each process over its whole life.

    ./dev build penstock stream_load && python3 bench/jetstream/jetstream.py [--rows 20000000] [--history] [--json]
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/cluster")]

from servers import NatsCluster  # noqa: E402  (the path comes first)

LOAD = pathlib.Path(os.environ.get("PENSTOCK_STREAM_LOAD", ROOT / "build/dev/stream_load"))


def cpu_seconds(process):
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(options, edge_folder, folder):
    nats = NatsCluster(folder / "nats", servers=options.replicas)
    try:
        common = [nats.address(), str(options.partitions), str(options.replicas)]
        hub = subprocess.Popen([LOAD, "hub", folder / "hub", *common, str(options.rows), "history" if options.history else "log", "hub-a"],
                               stdout=subprocess.PIPE, text=True)
        edge = subprocess.Popen([LOAD, "edge", edge_folder, *common, str(options.message_bytes)], stdout=subprocess.PIPE, text=True)
        hub_report = json.loads(hub.stdout.readline())
        edge_report = json.loads(edge.communicate(timeout=600)[0].splitlines()[-1])
        stream_cpu = sum(cpu_seconds(server.process) for server in nats.servers)
        hub.wait(60)
    finally:
        nats.end()
    rows = hub_report["rows"]
    return {"samples_per_s": rows / hub_report["seconds"], "confirmed_per_s": rows / edge_report["seconds"],
            "edge_cpu_ns": edge_report["cpu_s"] / rows * 1e9, "hub_cpu_ns": hub_report["cpu_s"] / rows * 1e9,
            "stream_cpu_ns": stream_cpu / rows * 1e9, "messages_per_s": edge_report["messages"] / hub_report["seconds"],
            "message_bytes": edge_report["bytes"] / edge_report["messages"], "bytes_per_sample": edge_report["bytes"] / rows,
            "resent": edge_report["resent"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--things", type=int, default=1000, help="of ten points each")
    parser.add_argument("--partitions", type=int, default=16)
    parser.add_argument("--replicas", type=int, default=3)
    parser.add_argument("--message-bytes", type=int, default=7000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--history", action="store_true", help="the hub writes Parquet, too")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="penstock-jetstream-"))
    results = []
    try:
        filled = subprocess.run([LOAD, "fill", folder / "edge", str(options.rows), str(options.things)], check=True,
                                stdout=subprocess.PIPE, text=True)
        options.rows = json.loads(filled.stdout)["rows"]
        for run in range(options.runs):
            shutil.copytree(folder / "edge", folder / f"edge-{run}")
            results.append(measure(options, folder / f"edge-{run}", folder / f"run-{run}"))
            print(f"run {run + 1}: {results[-1]['samples_per_s'] / 1e6:.2f} M samples/s", file=sys.stderr)
            shutil.rmtree(folder / f"run-{run}", ignore_errors=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    median = {key: statistics.median(result[key] for result in results) for key in results[0]}
    median |= {"rows": options.rows, "points": options.things * 10, "partitions": options.partitions, "replicas": options.replicas,
               "runs": options.runs, "history": options.history, "cores": os.cpu_count()}
    if options.json:
        print(json.dumps(median))
        return
    print(f"{options.rows:,} samples of {options.things * 10:,} points, {options.partitions} partitions, {options.replicas} replicas, "
          f"{os.cpu_count()} cores, medians of {options.runs}")
    for key, unit, scale in (("samples_per_s", "M samples/s, edge's log to hub's log", 1e6), ("confirmed_per_s", "M samples/s, to the edge's word", 1e6),
                             ("messages_per_s", "messages/s", 1), ("message_bytes", "bytes a message", 1),
                             ("bytes_per_sample", "bytes a sample in the stream", 1), ("edge_cpu_ns", "ns of CPU a sample, edge", 1),
                             ("stream_cpu_ns", "ns of CPU a sample, all servers of the stream", 1), ("hub_cpu_ns", "ns of CPU a sample, hub", 1)):
        print(f"{median[key] / scale:12,.2f}  {unit}")


if __name__ == "__main__":
    main()
