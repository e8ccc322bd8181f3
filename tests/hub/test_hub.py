"""Edges and their hub, as real processes on loopback: nothing lost, nothing doubled, order kept, whatever is killed or cut."""

import json
import random
import time

import duckdb
import pytest

from hub_site import Edge, Hub, Proxy
from node_process import eventually, now_us, number, run, thing

POINTS = [f"p{i}" for i in range(4)]


def pump():
    return thing("pump-7", {name: number() for name in POINTS})


@pytest.fixture
def pair(tmp_path):
    """pair(proxy=False, **edge settings) -> hub, edge, proxy; the edge is enrolled but not started."""
    made = []

    def make(proxy=False, **more):
        hub = Hub(tmp_path / "hub")
        hub.start()
        between = Proxy(hub.fixed_port) if proxy else None
        edge = Edge(tmp_path / "edge", f"https://127.0.0.1:{between.port if between else hub.fixed_port}", [pump()], **more)
        edge.enroll(hub.invite("edge-7"))
        made.extend([edge, hub] + ([between] if between else []))
        return hub, edge, between

    yield make
    for one in made:
        one.close()


class Ledger:
    """What was acknowledged to the client: per point, the values in their order; each value is its own number."""

    def __init__(self):
        self.acknowledged = {name: [] for name in POINTS}
        self.unsure = {name: set() for name in POINTS}
        self.next, self.at = 0, now_us() - 3_600_000_000

    def write(self, edge, count, connection=None):
        lines, values = [], {name: [] for name in POINTS}
        for _ in range(count):
            self.next += 1
            self.at += 1000
            name = POINTS[self.next % len(POINTS)]
            lines.append(f"pump-7 {name}={self.next} {self.at}")
            values[name].append(self.next)
        try:
            status = edge.write("\n".join(lines), connection=connection).status
        except OSError:
            status = None
        except Exception:  # http.client's own, of a node that was killed.
            status = None
        for name in POINTS:
            if status == 204:
                self.acknowledged[name] += values[name]
            else:
                self.unsure[name].update(values[name])
        return status == 204


def stored(node, prefix):
    """Per point the values in the order of time, from the Parquet files alone; the node must have stopped."""
    rows = duckdb.sql(f"SELECT point, value FROM read_parquet('{node.data}/history/*/*/*.parquet', union_by_name=true) "
                      f"ORDER BY point, time").fetchall()
    found = {name: [] for name in POINTS}
    for path, value in rows:
        thing_name, name = path.split("/")
        if thing_name == prefix:
            found[name].append(int(value))
    return found


def compare_ledgers(hub, edge):
    """Both add up; what the edge has forwarded is what the hub has, and nothing is left to forward."""
    here = eventually(lambda: (found := edge.get("/api/v1/ledger"))["stored"] == 0 and found, 15, "the edge to book what the hub has")
    there = hub.get("/api/v1/ledger")
    for ledger in (here, there):
        assert ledger["gap"] == 0 and ledger["points_with_gap"] == 0 and ledger["lost"] == 0, ledger
    assert here["forwarded"] == there["stored"] and here["evicted"] == 0, (here, there)


def compare(ledger, hub, edge):
    """Everything acknowledged is on the hub, once and in order, both histories are the same, and so are the ledgers."""
    compare_ledgers(hub, edge)
    hub.stop()
    edge.stop()
    here, there = stored(edge, "pump-7"), stored(hub, "edge-7_pump-7")
    for name in POINTS:
        assert there[name] == here[name], f"{name}: the two histories differ"
        assert there[name] == sorted(set(there[name])), f"{name}: doubled or out of order"
        missing = set(ledger.acknowledged[name]) - set(there[name])
        assert not missing, f"{name}: {len(missing)} acknowledged samples are lost"
        assert set(there[name]) <= set(ledger.acknowledged[name]) | ledger.unsure[name]


def test_the_hub_knows_what_the_edge_measures(pair):
    hub, edge, _ = pair()
    edge.start()
    eventually(lambda: hub.point("edge-7_pump-7/p1"), what="the hub to have the edge's points")
    ledger = Ledger()
    for _ in range(20):
        assert ledger.write(edge, 200)
    edge.caught_up()
    point = hub.point("edge-7_pump-7/p1")
    assert point["unit"] == "" or point["unit"] == "1"
    assert point["value"] is not None
    listed = hub.edge("edge-7")
    assert listed["state"] == "enrolled" and listed["epochs"][0]["gaps"] == []
    assert listed["epochs"][0]["rows"] == 4000
    compare(ledger, hub, edge)


def test_a_dead_hub_costs_nothing_but_time(pair):
    hub, edge, _ = pair()
    edge.start()
    ledger = Ledger()
    assert ledger.write(edge, 1000)
    edge.caught_up()
    hub.kill()
    for _ in range(40):
        assert ledger.write(edge, 1000)
    assert edge.uplink()["waiting_records"] > 0
    hub.start()
    edge.caught_up()
    assert hub.edge("edge-7")["epochs"][0]["rows"] == 41_000
    compare(ledger, hub, edge)


def test_the_ledger_says_what_waits_for_the_hub(pair):
    hub, edge, _ = pair()
    edge.start()
    ledger = Ledger()
    assert ledger.write(edge, 400)
    edge.caught_up()
    compare_ledgers(hub, edge)
    hub.kill()
    assert ledger.write(edge, 100)
    found = edge.get("/api/v1/ledger")
    assert (found["stored"], found["forwarded"], found["gap"]) == (100, 400, 0)
    hour = edge.get("/api/v1/ledger", **{"from": "2020-01-01T00:00:00Z"})
    points = {p["point"]: p for p in hour["points"]}
    assert (points["pump-7/p1"]["forwarded"], points["pump-7/p1"]["stored"], points["pump-7/p1"]["gap"]) == (100, 25, 0)
    doctor = json.loads(run("doctor", "--site", edge.site, "--json").stdout)
    uplink = next(c for c in doctor["checks"] if c["check"] == "uplink")
    assert "1 records wait" in uplink["text"], uplink
    edge.kill()
    edge.start()
    found = edge.get("/api/v1/ledger")
    assert (found["stored"], found["forwarded"], found["gap"]) == (100, 400, 0) or found["stored"] == 500, found
    hub.start()
    edge.caught_up()
    compare(ledger, hub, edge)


def test_new_samples_pass_an_hours_backlog(pair):
    """A link of 4 Mbit/s with a backlog of half a minute on it: what is new reaches the hub within a second."""
    hub, edge, proxy = pair(proxy=True, uplink="{bandwidth: 4 Mbit/s, backfill-share: 0.7}")
    edge.start()
    ledger = Ledger()
    assert ledger.write(edge, 4)
    edge.caught_up()
    proxy.hang_up()
    eventually(lambda: not edge.uplink()["connected"], 40, "the edge to miss its hub")
    noise = random.Random(1)
    at = now_us() - 3_600_000_000
    for _ in range(60):  # An hour of 4 points at about 200 Hz, of values that do not compress.
        lines = []
        for _ in range(12_000):
            at += 5_000
            lines.append(f"pump-7 p0={noise.random()} {at}")
        assert edge.write("\n".join(lines)).status == 204
    proxy.open = True
    eventually(lambda: edge.uplink()["connected"], 40)
    delays = []
    for value in range(5):
        time.sleep(0.2)
        assert edge.write(f"pump-7 p3={value + 0.5} {now_us()}").status == 204
        sent = time.monotonic()
        eventually(lambda: hub.point("edge-7_pump-7/p3")["value"] == value + 0.5, 5, "the new sample")
        delays.append(time.monotonic() - sent)
    assert edge.uplink()["waiting_records"] > 0, "the backlog was gone before the measurement"
    assert max(delays) < 1.0, delays


def test_a_cut_block_is_gone_on_with(pair):
    hub, edge, proxy = pair(proxy=True)
    edge.start()
    eventually(lambda: edge.uplink()["connected"])
    proxy.hang_up()
    eventually(lambda: not edge.uplink()["connected"], 40)
    noise = random.Random(2)
    at = now_us() - 3_600_000_000
    for _ in range(20):
        lines = []
        for _ in range(5_000):
            at += 1_000
            lines.append(f"pump-7 p0={noise.random()} {at}")
        assert edge.write("\n".join(lines)).status == 204
    proxy.cut_after = 300_000
    proxy.open = True
    edge.caught_up()
    assert proxy.cuts == 1
    metrics = hub.ask("GET", "/metrics").text
    assert "penstock_hub_blocks_resumed_total 1" in metrics
    assert hub.edge("edge-7")["epochs"][0]["rows"] == 100_000


def test_kill_either_at_any_time(pair):
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    chance = random.Random(seed)
    hub, edge, _ = pair()
    edge.start()
    ledger = Ledger()
    for _ in range(8):
        for _ in range(chance.randrange(1, 12)):
            ledger.write(edge, chance.randrange(1, 2000))
        victim = chance.choice([hub, edge])
        time.sleep(chance.random() * 0.2)
        victim.kill()
        if chance.random() < 0.5 and victim is hub:
            ledger.write(edge, 500)
        victim.start()
    ledger.write(edge, 100)
    edge.caught_up()
    compare(ledger, hub, edge)


def test_a_revoked_edge_is_out_at_its_next_request(pair):
    hub, edge, _ = pair()
    edge.start()
    edge.caught_up()
    assert hub.ask("POST", "/api/v1/edges/edge-7/revoke", {}).status == 204
    assert edge.write(f"pump-7 p1=5 {now_us()}").status == 204
    eventually(lambda: "revoked" in (edge.uplink()["error"] or ""), what="the edge to be told")
    assert hub.edge("edge-7")["state"] == "revoked"
    actions = [entry["action"] for entry in hub.get("/api/v1/audit")["items"]]
    assert {"device.invite", "device.enrol", "device.revoke"} <= set(actions)
    edge.stop()
    edge.enroll(hub.invite("edge-7"))
    edge.start()
    edge.caught_up()
    assert hub.point("edge-7_pump-7/p1")["value"] == 5


def test_the_words_of_the_program(pair):
    hub, edge, _ = pair()

    def say(*words):
        done = run(*words, "--site", hub.site, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    invitation = say("hub", "enroll", "edge-8")
    assert invitation["edge"] == "edge-8" and invitation["hub"] == hub.ready["url"] and "BEGIN CERTIFICATE" in invitation["authority"]
    assert edge.enroll(invitation) == {"edge": "edge-8", "hub": hub.ready["url"]}
    states = {e["name"]: e["state"] for e in say("hub", "edges")["items"]}
    assert states == {"edge-7": "enrolled", "edge-8": "enrolled"}
    assert say("hub", "revoke", "edge-8") == {"revoked": "edge-8"}
    table = run("hub", "edges", "--site", hub.site).stdout
    assert "edge-8" in table and "revoked" in table
    assert run("hub", "revoke", "nobody", "--site", hub.site).returncode == 2
    assert "needs TLS" in run("hub", "--site", edge.site).stderr
    assert "needs a hub" in run("edge", "--site", hub.site).stderr


def test_an_edge_that_has_not_enrolled_says_what_to_do(tmp_path):
    edge = Edge(tmp_path / "edge", "https://127.0.0.1:1", [pump()])
    done = run("edge", "--site", edge.site, "--json")
    assert done.returncode == 2 and "penstock hub enroll" in done.stdout


def test_a_full_log_gives_up_the_oldest_and_says_so(pair):
    hub, edge, proxy = pair(proxy=True, limits="{log_mib: 16, history_mib: 1024}")
    edge.start()
    eventually(lambda: edge.uplink()["connected"])
    proxy.hang_up()
    eventually(lambda: not edge.uplink()["connected"], 40)
    noise = random.Random(3)
    at = now_us() - 3_600_000_000
    sent = 0
    while sent < 2_500_000:  # 10 bytes each; the log holds 16 MiB.
        lines = []
        for _ in range(20_000):
            at += 1_000
            lines.append(f"pump-7 p0={noise.random()} {at}")
        assert edge.write("\n".join(lines)).status == 204
        sent += 20_000
    proxy.open = True
    edge.caught_up()
    epoch = eventually(lambda: (e := hub.edge("edge-7")["epochs"][0])["gaps"] and e, what="the gap to be written down")
    assert epoch["rows"] + sum(gap["last"] - gap["first"] + 1 for gap in epoch["gaps"]) == sent
    assert all("evicted" in gap["reason"] for gap in epoch["gaps"])
