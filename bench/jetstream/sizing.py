#!/usr/bin/env python3
"""The sizing model of docs/scaling.md: machines, bytes and money for a number of devices. Every assumption is an option.

    python3 bench/jetstream/sizing.py [--devices 1000000] [--rate 1] [--core-hour 0.04] [--json]
"""

import argparse
import json
import math

MONTH_H = 730.0
GB = 1e9


def sizing(v):
    samples = v.devices * v.rate
    busy_ns = {"edge": v.edge_ns, "stream": v.stream_ns, "hub": v.hub_ns, "history": v.history_ns}
    cores = {role: samples * ns * 1e-9 / v.utilisation for role, ns in busy_ns.items()}
    # One hub's pipeline and one stream server's leaders are each bound by about one core beside the rest of their machine.
    hubs = max(2, math.ceil(samples / (v.hub_samples_s * v.utilisation)) + v.spare)
    servers = max(v.replicas, math.ceil(cores["stream"] / v.cores_a_server))
    stream_bytes_s = samples * v.stream_bytes
    hot_gb = samples * v.parquet_bytes * v.hot_days * 86400 / GB
    cold_gb = samples * v.parquet_bytes * v.keep_days * 86400 / GB
    month_samples = samples * MONTH_H * 3600
    machines = servers * v.cores_a_server + hubs * v.cores_a_hub  # Whole ones are paid for.
    money = {"compute": machines * MONTH_H * v.core_hour,
             "hot disk": hot_gb * v.hot_copies * v.disk_gb_month, "cold store": cold_gb * v.s3_gb_month,
             "network": stream_bytes_s * v.replicas * MONTH_H * 3600 / GB * v.network_gb,
             "store's requests": hubs * v.products * MONTH_H * 60 / v.push_minutes * v.put_1000 / 1000}
    return {"samples_per_s": samples, "hubs": hubs, "stream_servers": servers, "cores": {k: round(c, 2) for k, c in cores.items()},
            "stream_mb_per_s": stream_bytes_s / 1e6, "replicated_mb_per_s": stream_bytes_s * v.replicas / 1e6,
            "partitions": max(16, 2 ** math.ceil(math.log2(hubs * 4))), "hot_gb": hot_gb, "cold_gb": cold_gb,
            "month": {k: round(m, 2) for k, m in money.items()}, "month_sum": round(sum(money.values()), 2),
            "per_million_samples": sum(money.values()) / month_samples * 1e6}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add = parser.add_argument
    add("--devices", type=float, default=1e6)
    add("--rate", type=float, default=1, help="samples per device and second")
    add("--edge-ns", type=float, default=EDGE_NS, help="CPU a sample at the edge, measured")
    add("--stream-ns", type=float, default=STREAM_NS, help="CPU a sample in all stream servers, measured")
    add("--hub-ns", type=float, default=HUB_NS, help="CPU a sample at the hub with its first Parquet files, measured")
    add("--history-ns", type=float, default=HISTORY_NS, help="CPU a sample for the history afterwards, assumed")
    add("--hub-samples-s", type=float, default=HUB_SAMPLES_S, help="what one hub takes in a second, measured")
    add("--stream-bytes", type=float, default=STREAM_BYTES, help="bytes a sample in the stream, measured")
    add("--parquet-bytes", type=float, default=1.95, help="bytes a sample in Parquet, measured")
    add("--utilisation", type=float, default=0.5, help="of a core, so that a backlog can be caught up")
    add("--spare", type=int, default=1, help="hubs beyond what is needed")
    add("--cores-a-server", type=float, default=4)
    add("--cores-a-hub", type=float, default=4)
    add("--replicas", type=int, default=3)
    add("--hot-days", type=float, default=30, help="on the hubs' disks")
    add("--hot-copies", type=float, default=1)
    add("--keep-days", type=float, default=365, help="in the S3 store")
    add("--products", type=int, default=10, help="data products a hub writes files for")
    add("--push-minutes", type=float, default=5)
    add("--core-hour", type=float, default=0.04, help="price")
    add("--disk-gb-month", type=float, default=0.08, help="price")
    add("--s3-gb-month", type=float, default=0.023, help="price")
    add("--put-1000", type=float, default=0.005, help="price of 1000 writes")
    add("--network-gb", type=float, default=0.01, help="price between zones")
    add("--json", action="store_true")
    values = parser.parse_args()
    result = sizing(values)
    if values.json:
        print(json.dumps(result))
        return
    for key, value in result.items():
        print(f"{key:22} {value if not isinstance(value, float) else f'{value:,.6g}'}")


# Medians of jetstream.py on two cores that others used, too (docs/scaling.md). The hub's has most of its Parquet files in it; what merging and
# rolling them up costs later is assumed.
EDGE_NS, STREAM_NS, HUB_NS, HISTORY_NS = 70.0, 102.0, 139.0, 100.0
HUB_SAMPLES_S, STREAM_BYTES = 3.8e6, 0.64

if __name__ == "__main__":
    main()
