"""How cost grows: with the number of points (1 k to 1 M) and with the days of history (1 to 100). Penstock alone, two plots."""

import json
import shutil
import sys
import time

import svg
from servers import NotAvailable, Penstock

SAMPLES = 4_000_000  # Of each step of the growth by points.
DAYS = (1, 3, 10, 30, 100)


def say(*words):
    print(*words, file=sys.stderr, flush=True)


def write(load, server, **options):
    before = server.cpu_s()
    done = load("write", port=server.port, target=server.write_target, token=server.token, connections=2, lines=1000, seed=1, **options)
    return done["samples"], server.cpu_s() - before


def by_points(load, work, points, start_s):
    """CPU microseconds per sample to the acknowledgement and to files, peak memory, seconds to start."""
    values = 10 if points <= 100_000 else 100  # A site has at most 10,000 things.
    hosts, steps = points // values, max(4, SAMPLES // points)
    server = Penstock(work / f"points-{points}", hosts, values)
    try:
        server.start()
        samples, cpu_s = write(load, server, hosts=hosts, values=values, steps=steps, start_s=start_s)
        row = {"points": points, "samples": samples, "ack_us": 1e6 * cpu_s / samples, "start_s": server.start_s, "rss_mb": server.rss_mb()["peak"]}
        target, body = server.one_point(start_s, start_s + 3600)
        row["one_point_ms"] = load("query", port=server.port, target=target, token=server.token, body=body, hosts=hosts, count=50, warmup=5)["ms"]
        server.settle()
        row["stored_us"] = 1e6 * (server.stop() - server.cpu_at_ready) / samples
        return row
    finally:
        server.close()
        shutil.rmtree(server.folder, ignore_errors=True)


def by_history(load, work, days):
    """One node that writes day after day, 10 hosts x 10 values a minute; asked about the last hour after so many days, from files."""
    hosts, rows, written, since = 10, [], 0, 0
    end_s = int(time.time()) // 86_400 * 86_400
    server = Penstock(work / "history", hosts)
    try:
        before_s = server.start().cpu_at_ready
        for day in range(1, max(days) + 1):
            from_s = end_s - (max(days) - day + 1) * 86_400
            samples, _ = write(load, server, hosts=hosts, steps=1440, spacing_s=60, start_s=from_s)
            written, since = written + samples, since + samples
            if day not in days:
                continue
            row = {"days": day, "samples": written, "rss_mb": server.rss_mb()["peak"]}
            # All of it is in files after the stop; over all days since the last row.
            row["write_us"], since = 1e6 * (server.stop() - before_s) / since, 0
            server.start()
            row["start_s"] = server.start_s
            server.settle(30)
            for which in ("one_point", "hosts_mean"):
                target, body = getattr(server, which)(from_s + 82_800, from_s + 86_400)
                try:
                    row[which + "_ms"] = load("query", port=server.port, target=target, token=server.token, body=body, hosts=hosts, count=50,
                                              warmup=5)["ms"]
                except RuntimeError as error:
                    row[which + "_ms"], row[which + "_why"] = None, str(error)
            before_s = server.cpu_s()
            rows.append(row)
            say(f"   {row}")
        server.stop()
        return rows
    finally:
        server.close()
        shutil.rmtree(server.folder, ignore_errors=True)


def column(rows, name):
    return [row.get(name) for row in rows]


def run(load, out, work, quick):
    start_s = (int(time.time()) // 3600 - 2) * 3600
    points = []
    for count in (1_000, 10_000) if quick else (1_000, 10_000, 100_000, 1_000_000):
        try:
            points.append(by_points(load, work, count, start_s))
            say(f"   {points[-1]}")
        except (NotAvailable, RuntimeError) as error:
            say(f"   {count} points: not available: {error}")
    history = by_history(load, work, DAYS[:3] if quick else DAYS)
    (out / "growth.json").write_text(json.dumps({"points": points, "history": history}, indent=1))
    draw(out, points, history)
    print(f"{out}/growth-points.svg\n{out}/growth-history.svg\n{out}/growth.json")
    return 0


def draw(out, points, history):
    counts, days = column(points, "points"), column(history, "days")
    (out / "growth-points.svg").write_text(svg.chart([
        {"title": "CPU per sample", "x_label": "points", "y_label": "µs", "xs": counts,
         "series": [("to ack", column(points, "ack_us")), ("to files", column(points, "stored_us"))]},
        {"title": "Memory, peak", "x_label": "points", "y_label": "MB", "xs": counts, "decades": True,
         "series": [("RSS", column(points, "rss_mb"))]},
        {"title": "Start with all Thing Descriptions", "x_label": "points", "y_label": "s", "xs": counts,
         "decades": True, "series": [("start", column(points, "start_s"))]}]))
    (out / "growth-history.svg").write_text(svg.chart([
        {"title": "A question about the last hour", "x_label": "days of history", "y_label": "ms", "xs": days,
         "series": [("5 min max, one point", column(history, "one_point_ms")), ("mean of all hosts", column(history, "hosts_mean_ms"))]},
        {"title": "CPU per sample written", "x_label": "days of history", "y_label": "µs", "xs": days,
         "series": [("to files", column(history, "write_us"))]},
        {"title": "Start", "x_label": "days of history", "y_label": "s", "xs": days, "series": [("start", column(history, "start_s"))]}]))
