"""The fabric bench's results as a table for people and a line for programs."""

import os
import pathlib
import platform
import re


def machine():
    model = re.search(r"model name\s*:\s*(.+)", pathlib.Path("/proc/cpuinfo").read_text())
    busy = os.getloadavg()[0]
    text = f"{os.cpu_count()} cores {model[1] if model else platform.machine()}, Linux {platform.release()}"
    return {"text": text + (f", LOADED: load average {busy:.1f} before the first run" if busy > 0.7 else ""), "cores": os.cpu_count(),
            "load_before": busy}


def text_of(value, form="{:.2f}", unit=""):
    return "-" if value is None else form.format(value) + unit


def at(result, *path):
    for key in path:
        if not isinstance(result, dict) or key not in result:
            return None
        result = result[key]
    return result


COLUMNS = [("ack, warm", ("store", "ack"), 1e6), ("ack, cold", ("store", "cold_ack"), 1e6), ("to files", ("store", "stored"), 1e6),
           ("bytes", ("store", "bytes_per_sample"), 1), ("one point", ("store", "live", "one_point", "ms"), 1),
           ("hosts' mean", ("store", "live", "hosts_mean", "ms"), 1), ("RSS", ("store", "rss_mb", "peak"), 1)]
MESSAGES = [("QoS 0", ("messages", "qos0", "per_cpu_s"), 1e6), ("QoS 1", ("messages", "qos1", "per_cpu_s"), 1e6),
            ("NATS", ("messages", "publish", "per_cpu_s"), 1e6)]


def rows(title, units, columns, found, wanted):
    lines = [f"{title:34s}" + "".join(f"{name:>13s}" for name, _, _ in columns), f"{'':34s}" + "".join(f"{unit:>13s}" for unit in units)]
    for result in found.values():
        name = f"{result['title']} {result.get('version', '')}"
        if "not_available" in result:
            lines.append(f"{name:34.34s}  not available: {result['not_available'].splitlines()[0][:120]}")
        elif wanted in result:
            values = [at(result, *path) for _, path, _ in columns]
            lines.append(f"{name:34.34s}" + "".join(f"{text_of(value and value / scale):>13s}" for value, (_, _, scale) in zip(values, columns)))
    return lines


def table(found, about):
    lines = rows("line protocol", ["M/CPU-s", "M/CPU-s", "M/CPU-s", "per sample", "ms", "ms", "MB"], COLUMNS, found, "store")
    if any("messages" in result for result in found.values()):
        brokers = {name: result for name, result in found.items() if "messages" in result}
        lines += [""] + rows("messages published", ["M/CPU-s"] * 3, MESSAGES, brokers, "messages")
    lines += ["", f"Medians, server CPU-seconds (user + system); {about['text']}."]
    if cost := contract_cost_percent(found):
        lines.append(f"Contracts cost {cost['ack']:.1f} % of the CPU to the acknowledgement, {cost['files']:.1f} % to files.")
    for result in found.values():
        for which in ("one_point", "hosts_mean"):
            if why := at(result, "store", "live", which, "not_available"):
                lines.append(f"{result['title']}, {which}: not available: {why[:200]}")
        if moved := at(result, "store", "rows_to_files_while_warm"):
            lines.append(f"{result['title']}: {moved:.0f} rows went to files while \"ack, warm\" was measured; it includes their cost.")
    return "\n".join(lines)


def contract_cost_percent(found):
    """CPU a sample with every point under a contract against none: {"ack", "files"}; None without both."""
    costs = {}
    for key, name in (("ack", "ack"), ("stored", "files")):
        bare, checked = at(found, "penstock", "store", key), at(found, "contracts", "store", key)
        costs[name] = None if bare is None or checked is None else 100 * (bare / checked - 1)
    return costs if None not in costs.values() else None


def line(found, about, plan):
    own = found.get("penstock", {})
    peers = {name: {key: value for key, value in result.items() if key != "title"} for name, result in found.items()
             if name not in ("penstock", "contracts")}
    return {"ack_samples_per_cpu_s": at(own, "store", "ack"), "parquet_samples_per_cpu_s": at(own, "store", "stored"),
            "bytes_per_sample": at(own, "store", "bytes_per_sample"), "one_point_ms": at(own, "store", "live", "one_point", "ms"),
            "hosts_mean_ms": at(own, "store", "live", "hosts_mean", "ms"), "ack_cold_samples_per_cpu_s": at(own, "store", "cold_ack"),
            "contract_cost_percent": contract_cost_percent(found), "rss_mb": at(own, "store", "rss_mb", "peak"), "start_s": at(own, "store", "start_s"), "peers": peers, "penstock": own,
            "machine": about, "hosts": plan.hosts, "steps": plan.steps, "seed": plan.seed}
