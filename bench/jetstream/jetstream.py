#!/usr/bin/env python3
"""Samples per second from an edge's durable log through JetStream to a hub's durable log.

Three nats-servers (replicas 3, file storage), one edge and one hub, all real, on this machine and on loopback. The edge's log is filled
first, by line protocol; then the clock starts when the hub has the first rows and stops when it has said that all are durable. CPU is that of
each process between connecting and the end; the history's Parquet, written later, is not in it.

    ./dev build penstock && python3 bench/jetstream/jetstream.py [--rows 5000000] [--things 1000] [--json]
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


def measure(options, bodies, folder):
    edge_site = write_site(folder / "edge", *(thing(f"host-{i}", {f"v{j}": number() for j in range(VALUES)}) for i in range(options.things)))
    hub_site = write_site(folder / "hub")
    edge, hub, nats = Node(edge_site), Node(hub_site), NatsCluster(folder / "nats", servers=options.replicas)
    try:
        edge.start()
        connection = edge.connect(60)
        for body in bodies:
            answer = edge.write(body, connection)
            assert answer.status == 204, answer.text
        connection.close()
        assert edge.stop() == 0
        join(edge_site, nats, "edge", "bench-edge", options)
        join(hub_site, nats, "hub", "bench-hub", options)
        hub.start()
        eventually(lambda: "connected as hub" in hub.log(), 30, "the hub on the stream")
        servers = [server.process for server in nats.servers]
        before = {"hub": cpu_seconds(hub.process), "stream": sum(map(cpu_seconds, servers))}
        edge.start()
        began = None
        while (rows := metric(hub, "penstock_hub_rows_total")) < options.rows:
            if rows and began is None:
                began = (time.monotonic(), rows)
            time.sleep(0.01)
        seconds = time.monotonic() - began[0]
        return {"samples_per_s": (rows - began[1]) / seconds, "edge_ns": cpu_seconds(edge.process) / rows * 1e9,
                "stream_ns": (sum(map(cpu_seconds, servers)) - before["stream"]) / rows * 1e9,
                "hub_ns": (cpu_seconds(hub.process) - before["hub"]) / rows * 1e9,
                "messages": metric(hub, "penstock_stream_messages_total"), "bytes_per_sample": metric(hub, "penstock_hub_bytes_total") / rows}
    finally:
        edge.close()
        hub.close()
        nats.end()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--things", type=int, default=1000, help="of ten points each")
    parser.add_argument("--partitions", type=int, default=16)
    parser.add_argument("--replicas", type=int, default=3)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.rows -= options.rows % (options.things * VALUES)
    bodies, results = list(requests(options)), []
    for run in range(options.runs):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="penstock-jetstream-"))
        try:
            results.append(measure(options, bodies, folder))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        print(f"run {run + 1}: {results[-1]['samples_per_s'] / 1e6:.2f} M samples/s", file=sys.stderr)
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
                             ("stream_ns", "ns of CPU a sample, the stream's servers together", 1), ("hub_ns", "ns of CPU a sample, hub", 1)):
        print(f"{median[key] / scale:12,.2f}  {unit}")


if __name__ == "__main__":
    main()
