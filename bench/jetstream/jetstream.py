#!/usr/bin/env python3
"""Samples per second from an edge's durable log through JetStream to a hub's durable log.

Three nats-servers (replicas 3, file storage), one edge and one hub, all real, on this machine and on loopback. The edge's log is filled
first, by line protocol; then the clock starts when the hub has the first rows and stops when all are durable there. CPU is that of each process in
that time. With more than two million rows the hub's Parquet files are in it, for it writes them meanwhile.

    ./dev build penstock && python3 bench/jetstream/jetstream.py [--rows 20000000] [--things 1000] [--json]
"""

import argparse
import json
import os
import pathlib
import random
import re
import shutil
import statistics
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/cluster")]

from node_process import Node, eventually, now_us, number, thing, write_site  # noqa: E402  (the path comes first)
from servers import NatsCluster  # noqa: E402

VALUES = 10  # Of each thing.


def cpu_seconds(process):
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def requests(options):
    """Line protocol, one request a second of plant time: each value a walk of two decimals."""
    source = random.Random(7)
    values = [[50.0] * VALUES for _ in range(options.things)]
    start = now_us() - 6 * 3600 * 1_000_000
    for second in range(options.rows // (options.things * VALUES)):
        lines = []
        for name, of_thing in enumerate(values):
            for i in range(VALUES):
                of_thing[i] += source.randrange(-10, 11) * 0.01
            fields = ",".join(f"v{i}={value:.2f}" for i, value in enumerate(of_thing))
            lines.append(f"host-{name} {fields} {start + second * 1_000_000}")
        yield "\n".join(lines)


def join(site, nats, role, name, options):
    settings = site / "site.yaml"
    settings.write_text(settings.read_text() + f'stream: {{to: "{nats.address()}", as: {role}, name: {name}, '
                        f"partitions: {options.partitions}, replicas: {options.replicas}}}\n")


def metric(node, name):
    found = re.search(rf"^{name} (\d+)", node.ask("GET", "/metrics").text, re.MULTILINE)
    return int(found.group(1)) if found else 0


def fill(options, folder):
    """An edge's data folder with all rows in its log."""
    site = write_site(folder, *(thing(f"host-{i}", {f"v{j}": number() for j in range(VALUES)}) for i in range(options.things)))
    edge = Node(site)
    try:
        edge.start()
        connection = edge.connect(60)
        for body in requests(options):
            answer = edge.write(body, connection)
            assert answer.status == 204, answer.text
        connection.close()
        assert edge.stop() == 0
    finally:
        edge.close()


class Busy:
    """CPU seconds of each process at one moment, and what the hub had then."""

    def __init__(self, edge, hub, servers):
        self.at = time.monotonic()
        self.rows = metric(hub, "penstock_hub_rows_total")
        self.edge, self.hub, self.stream = cpu_seconds(edge.process), cpu_seconds(hub.process), sum(map(cpu_seconds, servers))


def measure(options, filled, folder):
    edge_site, hub_site = folder / "edge", write_site(folder / "hub")
    shutil.copytree(filled, edge_site)
    edge, hub, nats = Node(edge_site), Node(hub_site), NatsCluster(folder / "nats", servers=options.replicas)
    servers = [server.process for server in nats.servers]
    try:
        join(edge_site, nats, "edge", "bench-edge", options)
        join(hub_site, nats, "hub", "bench-hub", options)
        hub.start()
        eventually(lambda: "connected as hub" in hub.log(), 30, "the hub on the stream")
        edge.start()
        eventually(lambda: metric(hub, "penstock_hub_rows_total") > 0, 60, "the first rows at the hub")
        begun = Busy(edge, hub, servers)
        eventually(lambda: metric(hub, "penstock_hub_rows_total") >= options.rows, 600, "all rows at the hub")
        ended = Busy(edge, hub, servers)
        rows = ended.rows - begun.rows
        nanoseconds = {f"{name}_ns": (getattr(ended, name) - getattr(begun, name)) / rows * 1e9 for name in ("edge", "stream", "hub")}
        return {"samples_per_s": rows / (ended.at - begun.at), **nanoseconds, "cpu_ns": sum(nanoseconds.values()),
                "messages": metric(hub, "penstock_stream_messages_total"),
                "bytes_per_sample": metric(hub, "penstock_hub_bytes_total") / ended.rows}
    finally:
        edge.close()
        hub.close()
        nats.end()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--things", type=int, default=1000, help="of ten points each")
    parser.add_argument("--partitions", type=int, default=16)
    parser.add_argument("--replicas", type=int, default=3)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.rows -= options.rows % (options.things * VALUES)
    folder, results = pathlib.Path(tempfile.mkdtemp(prefix="penstock-jetstream-")), []
    try:
        fill(options, folder / "filled")
        for run in range(options.runs):
            results.append(measure(options, folder / "filled", folder / f"run-{run}"))
            shutil.rmtree(folder / f"run-{run}")
            print(f"run {run + 1}: {results[-1]['samples_per_s'] / 1e6:.2f} M samples/s, {results[-1]['cpu_ns']:.0f} ns of CPU each", file=sys.stderr)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    median = {key: statistics.median(result[key] for result in results) for key in results[0]}
    median |= {"rows": options.rows, "points": options.things * VALUES, "partitions": options.partitions, "replicas": options.replicas,
               "runs": options.runs, "cores": os.cpu_count(), "load": os.getloadavg()[0]}
    if options.json:
        print(json.dumps(median))
        return
    print(f"{options.rows:,} samples of {options.things * VALUES:,} points, {options.partitions} partitions, {options.replicas} replicas, "
          f"{os.cpu_count()} cores (load {median['load']:.1f}), medians of {options.runs}")
    for key, unit, scale in (("samples_per_s", "M samples/s, edge's log to hub's log", 1e6), ("messages", "messages", 1),
                             ("bytes_per_sample", "bytes a sample in the stream", 1), ("edge_ns", "ns of CPU a sample, edge", 1),
                             ("stream_ns", "ns of CPU a sample, the stream's servers together", 1), ("hub_ns", "ns of CPU a sample, hub", 1),
                             ("cpu_ns", "ns of CPU a sample, all of them", 1)):
        print(f"{median[key] / scale:12,.2f}  {unit}")


if __name__ == "__main__":
    main()
