"""The wall clock jumps: an hour and years, forwards and back. Nothing is lost, nothing crashes, nothing raises a storm of alarms.

The clock of the node alone is shifted (shim/fault_shim.cc); its devices know the time, or have none. The ledger sums to zero, and
every sample that was not stored is named in the quarantine.
"""

import pytest

from fault_shim import Shim
from node_process import eventually, now_us, number, thing, write_site

HOUR, YEAR = 3600, 365 * 86_400
POINTS = 20


class Site:
    def __init__(self, nodes, tmp_path):
        self.shim = Shim(tmp_path / "control", tmp_path / "data")
        quality = {"ps:quality": {"stale_after": "1s", "max_clock_skew": "60s"}}
        things = thing("probe", {f"p{n}": number(**quality) for n in range(POINTS)} | {"timeless": number()})
        self.node = nodes(write_site(tmp_path / "site", things), data=tmp_path / "data", env=self.shim.env)
        self.time_us, self.stored, self.refused, self.timeless = now_us() - HOUR * 1_000_000, [], 0, 0

    def write(self, rounds=5):
        """Of each point a few samples with the device's time, and one without a time; counts what the node says to them."""
        for _ in range(rounds):
            self.time_us += 1_000_000
            body = "\n".join(f"probe p{n}={self.time_us % 1000 + n} {self.time_us}" for n in range(POINTS))
            before = self.node.get("/api/v1/ledger")["quarantined"]
            answer = self.node.write(body)
            assert answer.status in (204, 400), answer.text
            eventually(lambda: self.node.get("/api/v1/ledger")["pending"] == 0)
            gone = self.node.get("/api/v1/ledger")["quarantined"] - before
            assert gone in (0, POINTS), gone
            self.refused += gone
            if gone == 0:
                self.stored.append(self.time_us)
            assert self.node.write(f"probe timeless={self.timeless}").status == 204
            self.timeless += 1

    def check(self, what):
        node = self.node
        assert node.running(), f"{what}: {node.log()}"
        ledger = node.get("/api/v1/ledger")
        assert ledger["gap"] == 0, (what, ledger)
        # A sample that says "stale" may follow when a clock runs ahead: at most one per point and jump.
        assert not node.get("/api/v1/alarms")["items"], what
        for n in (0, POINTS - 1):
            times = {round(time) for time in source_times(node, f"probe/p{n}")}
            assert times >= set(self.stored), f"{what}: {len(set(self.stored) - times)} of {len(self.stored)} samples of p{n} are lost"
        values = [row["value"] for row in node.samples("probe/timeless", start="1970-01-01T00:00:00Z", end="2200-01-01T00:00:00Z")]
        assert sorted(values) == [float(n) for n in range(self.timeless)], f"{what}: {len(values)} of {self.timeless} without a time"


def source_times(node, point):
    from datetime import datetime
    rows = node.samples(point, start="1970-01-01T00:00:00Z", end="2200-01-01T00:00:00Z")
    return [datetime.fromisoformat(row["time"]).timestamp() * 1e6 for row in rows]


@pytest.mark.parametrize("jumps", [(HOUR, 0), (-HOUR, 0), (10 * YEAR, 0), (-10 * YEAR, 0), (YEAR, -YEAR, 3 * YEAR, 0)],
                         ids=["hour_ahead", "hour_back", "years_ahead", "years_back", "to_and_fro"])
def test_a_jump_of_the_clock_loses_nothing(tmp_path, nodes, jumps):
    site = Site(nodes, tmp_path)
    site.write()
    site.check("before")
    produced = site.node.get("/api/v1/ledger")["produced"]
    for shift in jumps:
        site.shim.shift_clock(shift)
        site.write()
        site.check(f"clock at {shift:+} s")
    # What the node produced by itself: at most one "stale" sample per point, jump and second of test.
    mine = 5 * len(jumps) * (POINTS + 1)
    assert site.node.get("/api/v1/ledger")["produced"] - produced < mine + 10 * POINTS * (len(jumps) + 1)


def test_a_start_with_a_wrong_clock_keeps_the_history(tmp_path, nodes):
    site = Site(nodes, tmp_path)
    site.write()
    assert site.node.stop() == 0
    site.shim.shift_clock(10 * YEAR)  # A flat battery, a wrong time server: not a reason to delete everything.
    site.node.start()
    site.write(2)
    site.check("started ten years ahead")
    site.node.kill()
    site.shim.shift_clock(0)
    site.node.start()
    site.write(2)
    site.check("started with the right clock again")
