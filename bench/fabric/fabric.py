#!/usr/bin/env python3
"""`./dev bench fabric`: Penstock beside the servers that people would otherwise take, in one run on this machine.

Every server gets the same bytes from the same client (fabric_load) and is asked the same questions; what counts is the server's
own CPU time. docs/bench.md says what each figure means and what it does not.
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
import time

import growth
import report
from servers import ROOT, InfluxDb, Mosquitto, Nats, NotAvailable, Penstock, PenstockWithContracts, VictoriaMetrics

LOAD = os.environ.get("PENSTOCK_FABRIC_LOAD") or str(ROOT / "build/dev/fabric_load")
VALUES, SPACING_S = 10, 10


def say(*words):
    print(*words, file=sys.stderr, flush=True)


def load(command, **options):
    words = [LOAD, command]
    for name, value in options.items():
        words += ["--" + name.replace("_", "-"), str(value)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"fabric_load {command}: {done.stderr.strip()[:1000]}")
    return json.loads(done.stdout)


class Phase:
    """What a server's CPU did while a part of the load came."""

    def __init__(self, server, plan, first_step, steps):
        before = server.cpu_s()
        self.report = load("write", port=server.port, target=server.write_target, token=server.token, hosts=plan.hosts, seed=plan.seed,
                           connections=plan.connections, lines=plan.lines, start_s=plan.start_s, from_step=first_step, steps=steps)
        self.cpu_s = server.cpu_s() - before
        self.samples = self.report["samples"]

    @property
    def rate(self):
        return self.samples / self.cpu_s


class Plan:
    """The load of one run. Cold: the series are new to the server. Warm: it has seen them, and its first big flush is still to come."""

    def __init__(self, arguments):
        self.hosts, self.seed = arguments.hosts, arguments.seed
        self.connections, self.lines = 2, 1000
        self.steps = 60 if arguments.quick else 360
        self.cold_steps, self.warm_steps = 4, 36
        self.start_s = (int(time.time()) // 3600 - 2) * 3600
        self.end_s = self.start_s + self.steps * SPACING_S
        self.asks = 60 if arguments.quick else 200


def ask(server, plan, which, shown=None):
    """Median milliseconds, or why not."""
    target, body = getattr(server, which)(plan.start_s, plan.end_s)
    try:
        report = load("query", port=server.port, target=target, token=server.token, body=body, hosts=plan.hosts,
                      count=plan.asks if which == "one_point" else max(20, plan.asks // 5), warmup=10)
    except RuntimeError as error:
        return {"not_available": str(error)}
    return {"ms": report["ms"], "ms_p99": report["ms_p99"]}


def measure_store(make, plan, folder):
    """One run of a server that stores line protocol, from an empty folder to complete files and back to questions."""
    server = make(folder)
    result = {}
    try:
        server.start()
        result["start_s"] = server.start_s
        cold = Phase(server, plan, 0, plan.cold_steps)
        files_before = rows_in_files(server)
        warm = Phase(server, plan, plan.cold_steps, plan.warm_steps)
        result["rows_to_files_while_warm"] = rows_in_files(server) - files_before
        first = plan.cold_steps + plan.warm_steps
        rest = Phase(server, plan, first, plan.steps - first)
        phases = (cold, warm, rest)
        samples = sum(phase.samples for phase in phases)
        result.update(samples=samples, cold_ack=cold.rate, ack=warm.rate,
                      wall=samples / sum(phase.report["seconds"] for phase in phases),
                      request_ms=warm.report["request_ms"], request_ms_p99=rest.report["request_ms_p99"])
        result["rss_mb"] = server.rss_mb()
        server.settle()
        before = server.cpu_s()
        result["live"] = {which: ask(server, plan, which) for which in ("one_point", "hosts_mean")}
        asking = server.cpu_s() - before
        # After the stop its files are complete. The questions are not part of storing.
        result["stored"] = samples / (server.stop() - server.cpu_at_ready - asking)
        server.start()
        result["restart_s"] = server.start_s
        if isinstance(server, InfluxDb):
            time.sleep(45)  # Its last compaction begins when nothing was written for 40 s.
        server.settle()
        result["files"] = {which: ask(server, plan, which) for which in ("one_point", "hosts_mean")}
        server.stop()
        result["bytes_per_sample"] = server.raw_bytes() / samples
        result["all_bytes_per_sample"] = server.disk_bytes() / samples
    finally:
        server.close()
        shutil.rmtree(folder, ignore_errors=True)
    return result


def rows_in_files(server):
    return server.metric("penstock_history_rows_written_total") if isinstance(server, Penstock) else 0


def measure_broker(make, plan, folder, quick):
    """One run of a server that takes messages: MQTT QoS 0 and 1, or core NATS."""
    server = make(folder)
    result = {}
    try:
        server.start()
        kinds = {"publish": ("nats", 0, 2_000_000)} if isinstance(server, Nats) else \
            {"qos0": ("mqtt", 0, 1_000_000), "qos1": ("mqtt", 1, 400_000)}
        for number, (key, (command, qos, messages)) in enumerate(kinds.items()):
            before = server.cpu_s()
            done = load(command, port=getattr(server, "mqtt_port", server.port), qos=qos, hosts=100, connections=2,
                        messages=messages // (10 if quick else 1), window=4000,
                        subscriber=int(isinstance(server, Mosquitto)),  # A broker stores nothing: somebody must take it.
                        start_s=plan.start_s - 86_400 * (number + 1))
            result[key] = {"per_cpu_s": done["messages"] / (server.cpu_s() - before), "per_s": done["messages"] / done["seconds"]}
    finally:
        server.close()
        shutil.rmtree(folder, ignore_errors=True)
    return result


def middle(results):
    """The median of every number of several results of the same shape; a word stays."""
    first = results[0]
    if isinstance(first, dict):
        return {key: middle([result[key] for result in results if key in result]) for key in first}
    if isinstance(first, (int, float)):
        return statistics.median(results)
    return first


def runs(title, count, measure):
    results = []
    for number in range(count):
        begin = time.monotonic()
        results.append(measure())
        say(f"   {title}: run {number + 1} of {count}, {time.monotonic() - begin:.0f} s")
    return {**middle(results), "runs": [{key: result[key] for key in ("ack", "cold_ack", "stored", "bytes_per_sample") if key in result}
                                        for result in results]}


def measure_all(arguments, plan, work):
    """Round by round would be fairer to slow drifts of the machine, but each product's run is short; stated in docs/bench.md."""
    count = arguments.runs or (1 if arguments.quick else 5)
    stores = {"penstock": lambda f: Penstock(f, plan.hosts), "contracts": lambda f: PenstockWithContracts(f, plan.hosts), "victoriametrics": VictoriaMetrics, "influxdb": InfluxDb}
    brokers = {"penstock": lambda f: Penstock(f, 100, values=1, mqtt=True), "mosquitto": Mosquitto, "nats": Nats}
    kinds = {"penstock": Penstock, "contracts": PenstockWithContracts, "victoriametrics": VictoriaMetrics, "influxdb": InfluxDb, "mosquitto": Mosquitto, "nats": Nats}
    found = {}
    for name, kind in kinds.items():
        if arguments.only and name not in arguments.only.split(","):
            continue
        try:
            found[name] = {"title": kind.title, "version": kind.version()}
            if name in stores:
                found[name]["store"] = runs(kind.title, count, lambda: measure_store(stores[name], plan, work / name))
            if name in brokers and not arguments.no_messages:
                found[name]["messages"] = runs(f"{kind.title}, messages", count,
                                               lambda: measure_broker(brokers[name], plan, work / f"{name}-messages", arguments.quick))
        except (NotAvailable, RuntimeError) as error:
            found[name] = {"title": kind.title, "not_available": str(error)}
            say(f"   {kind.title}: not available: {error}")
    return found


def main():
    parser = argparse.ArgumentParser(prog="dev bench fabric", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one line of JSON on stdout, the table on stderr")
    parser.add_argument("--quick", action="store_true", help="one short run: shows that it works, not how fast")
    parser.add_argument("--runs", type=int, default=0, help="instead of 5")
    parser.add_argument("--hosts", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="penstock,contracts,victoriametrics,influxdb,mosquitto,nats")
    parser.add_argument("--no-messages", action="store_true", help="without MQTT and NATS")
    parser.add_argument("--growth", action="store_true", help="cost by points and by history, as two plots; nothing else")
    parser.add_argument("--out", default=str(ROOT / "build/bench"), help="where results and plots go")
    arguments = parser.parse_args()
    out = pathlib.Path(arguments.out)
    out.mkdir(parents=True, exist_ok=True)
    work = pathlib.Path(tempfile.mkdtemp(prefix="penstock-fabric-", dir=os.environ.get("PENSTOCK_BENCH_FOLDER")))
    try:
        if arguments.growth:
            return growth.run(load, out, work, quick=arguments.quick)
        plan = Plan(arguments)
        machine = report.machine()
        say(f"== fabric: {plan.hosts} hosts x {VALUES} values x {plan.steps} steps of {SPACING_S} s, seed {plan.seed}; {machine['text']}")
        found = measure_all(arguments, plan, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    line = report.line(found, machine, plan)
    (out / "fabric.json").write_text(json.dumps(line, indent=1))
    print(report.table(found, machine), file=sys.stderr if arguments.json else sys.stdout)
    if arguments.json:
        print(json.dumps(line))
    return 0 if "store" in found.get("penstock", {}) or arguments.only else 1


if __name__ == "__main__":
    sys.exit(main())
