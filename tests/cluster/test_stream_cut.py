"""Hubs that are cut off from the stream, not dead, for longer than their lease: every row is at one hub all the same."""

import json
import pathlib
import sys

import duckdb

from node_process import eventually, now_us, run
from stream_plant import HERE, THINGS, Plant, Sending

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "faults"))
from proxy import Proxy  # noqa: E402

TAIL = 2_000_000  # Rows that wait for their files at most, about.


def stream_of(hub):
    """A hub that started itself anew has another token."""
    hub.token = json.loads((hub.data / "node.json").read_text())["token"]
    return hub.get("/api/v1/stream")


def waits(hub):
    return stream_of(hub).get("unconfirmed", 0)


def settled(hub):
    try:
        found = stream_of(hub)
    except (OSError, ValueError, KeyError, AssertionError):
        return False  # Between two lives.
    return "error" not in found and found["unconfirmed"] == 0 and "messages" in found


def cut_with_rows_in_hand(plant, cuts):
    """Cuts hubs off in the middle of a stream, at a moment when each has rows that it had made durable and not confirmed."""
    for name, (cut, heal) in cuts.items():
        hub = plant.hubs[name]
        for _ in range(10):
            eventually(lambda hub=hub: waits(hub), 30, f"rows in hand at {name}")
            cut()
            if waits(hub):
                break
            heal()  # It had just confirmed them.
        assert waits(hub), f"{name} was cut off without rows in hand ten times"


def fill_tail(hub):
    """Rows of its own until it takes no more; how many of each point it took, and the refusal."""
    rows = taken = 0
    base = now_us() - 3600_000_000
    connection = hub.connect(60)
    while taken < 2 * TAIL:
        lines = [f"here {','.join(f'v{j}={i % 1000}' for j in range(HERE))} {base + i}" for i in range(rows, rows + 25_000)]
        answer = hub.write("\n".join(lines), connection)
        if answer.status != 204:
            connection.close()
            return rows, answer
        rows += len(lines)
        taken += len(lines) * HERE
    raise AssertionError(f"{taken} rows were taken while none could be written to files")


def latest(hub, name):
    return max((row["value"] for row in hub.samples(f"line-1_{name}/flow")), default=-1)


def in_files(hub):
    """By thing, the values in its Parquet files, in the order of time."""
    values = {name: [] for name in THINGS}
    if not any(hub.data.glob("history/*/*/*.parquet")):
        return values
    found = duckdb.sql(f"SELECT point, value FROM read_parquet('{hub.data}/history/*/*/*.parquet', union_by_name=true) "
                       "WHERE point LIKE 'line-1_%' ORDER BY point, time").fetchall()
    for point, value in found:
        values[point.removeprefix("line-1_").removesuffix("/flow")].append(value)
    return values


def by_sql(hub, things):
    """How many rows the products of these things have."""
    return sum(hub.ask("POST", "/api/v1/sql", {"sql": f'SELECT count(*) AS n FROM "{thing}"'}).json()["rows"][0][0] for thing in things)


def compare(plant):
    """Every acknowledged row is at exactly one hub, in order, in memory and in files; the ledgers add up."""
    eventually(plant.complete, 60, "all rows, at either hub")
    assert plant.doubled() == 0
    assert sum(by_sql(hub, [f"line-1_{name}" for name in THINGS]) for hub in plant.hubs.values()) == plant.sent * len(THINGS)
    for hub in plant.hubs.values():
        ledger = hub.get("/api/v1/ledger")
        assert ledger["gap"] == 0 and ledger["points_with_gap"] == 0 and ledger["lost"] == 0, ledger
        assert hub.stop() == 0
    files = [in_files(hub) for hub in plant.hubs.values()]
    for values in files:
        assert all(each == sorted(each) for each in values.values())
    for name in THINGS:
        assert sorted(value for values in files for value in values[name]) == list(range(plant.sent)), name


def test_what_a_hub_cannot_confirm_goes_to_no_file_and_is_left_to_who_took_over(tmp_path, shared_nats, nodes):
    with Proxy(shared_nats.ports[0]) as one, Proxy(shared_nats.ports[0]) as two:
        plant = Plant(nodes, tmp_path, shared_nats, hubs={"hub-a": f"nats://127.0.0.1:{one.port}", "hub-b": shared_nats.address(),
                                                          "hub-c": f"nats://127.0.0.1:{two.port}"})
        a, b, c = plant.hubs.values()
        plant.send()
        eventually(lambda: all(len(stream_of(hub).get("partitions", [])) >= 2 for hub in (a, b, c)), 30, "each hub's share")
        with Sending(plant, every_s=0.1):
            cut_with_rows_in_hand(plant, {"hub-a": (one.swallow, one.heal), "hub-c": (two.refuse, two.heal)})
            # One dies besides, and comes back to a stream that is still away: it serves what it has.
            c.kill()
            c.start()
            assert waits(c) > 0 and "error" in stream_of(c)
            # The other one tries to write files, since its memory is full.
            rows, refusal = fill_tail(a)
            assert refusal.status == 503 and "rows of the stream wait to be confirmed" in refusal.text, refusal.text
            assert "the stream is away since" in refusal.text
            assert "penstock_history_flush_put_off 1" in a.ask("GET", "/metrics").text
            for hub in (a, c):
                checks = json.loads(run("doctor", "--site", hub.site, "--json").stdout)["checks"]
                stream = next(check for check in checks if check["check"] == "stream")
                assert not stream["ok"] and "rows wait to be confirmed" in stream["text"], stream
            eventually(lambda: len(stream_of(b).get("partitions", [])) == 8, 40, "the third hub to take over")
            sent = plant.sent
            eventually(lambda: all(latest(b, name) >= sent for name in THINGS), 60, "what is new at the third hub")
            process = a.process.pid
            one.heal()
            two.heal()
            eventually(lambda: settled(a) and settled(c), 60, "the two on the stream again")
        assert a.process.pid == process and a.running()
        for hub in (a, c):
            assert "starts anew" in hub.log()
            assert "penstock_stream_rows_forgotten_total" in hub.ask("GET", "/metrics").text
        assert by_sql(a, ["here"]) == rows * HERE  # What it took meanwhile of its own is there.
        compare(plant)


def test_a_hub_that_nobody_took_over_from_keeps_its_rows(tmp_path, shared_nats, nodes):
    with Proxy(shared_nats.ports[0]) as proxy:
        plant = Plant(nodes, tmp_path, shared_nats, hubs={"hub-a": f"nats://127.0.0.1:{proxy.port}"})
        hub = plant.hubs["hub-a"]
        plant.send()
        eventually(plant.complete, 60, "the first rows")
        with Sending(plant):
            cut_with_rows_in_hand(plant, {"hub-a": (proxy.refuse, proxy.heal)})
        # It ends in order, writes no file of what is not confirmed, and begins while the stream is still away.
        before = in_files(hub)
        assert hub.stop() == 0
        assert in_files(hub) == before
        hub.start()
        assert waits(hub) > 0
        proxy.heal()
        eventually(lambda: settled(hub), 30, "the hub on the stream again")
        assert "starts anew" not in hub.log()
        compare(plant)
