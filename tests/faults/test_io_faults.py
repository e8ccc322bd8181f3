"""Full disk, I/O error and short write at the k-th call: some k of a fabric without a network, and of a whole node.

io_faults.py tries every k. PENSTOCK_FAULT_SEED (by the clock) gives the same ones again, PENSTOCK_FAULT_STRIDE (23) more of them.
"""

import os
import random
import time

import pytest

from fault_shim import CHANGES, FOR_EVER, READ, Shim
from io_faults import CASES, try_calls
from node_process import eventually, now_us, number, thing, write_site

SEED = int(os.environ.get("PENSTOCK_FAULT_SEED", time.time_ns() % 1_000_000))
STRIDE = int(os.environ.get("PENSTOCK_FAULT_STRIDE", "23"))


@pytest.mark.parametrize("error,in_a_row", CASES)
def test_a_call_that_fails_loses_nothing(tmp_path, error, in_a_row):
    print(f"\nPENSTOCK_FAULT_SEED={SEED} PENSTOCK_FAULT_STRIDE={STRIDE}")
    report = try_calls(tmp_path, error, in_a_row, STRIDE, SEED)
    print(report)
    assert not report["complaints"], report
    assert report["calls_of_a_life"] > 100 and report["kinds"], report


class Client:
    """Sends one sample at a time and the same one again until it is acknowledged."""

    def __init__(self, node):
        self.node, self.time_us, self.acknowledged = node, now_us() - 3_600_000_000, {}

    def send(self):
        """One attempt; the status."""
        answer = self.node.write(f"probe a={len(self.acknowledged)} {self.time_us + 1000 * len(self.acknowledged)}")
        if answer.status == 204:
            self.acknowledged[self.time_us + 1000 * len(self.acknowledged)] = float(len(self.acknowledged))
        return answer.status


@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
def test_a_node_answers_while_its_disk_fails_and_goes_on_afterwards(tmp_path, nodes, error):
    chance = random.Random(f"{SEED}-{error}")
    print(f"\nPENSTOCK_FAULT_SEED={SEED}")
    data = tmp_path / "data"
    shim = Shim(tmp_path / "control", data)
    node = nodes(write_site(tmp_path / "site", thing("probe", {"a": number()})), data=data, env=shim.env)
    client = Client(node)
    for _ in range(5):
        assert client.send() == 204
    for in_a_row in (1, 3, FOR_EVER):
        kinds = CHANGES | (READ if error == "EIO" else 0)
        shim.arm(error, fail_at=chance.randint(1, 12), fail_count=in_a_row, kinds=kinds)
        statuses = {client.send() for _ in range(3)}
        assert statuses <= {204, 429, 503, 507}, statuses  # Refused in words, or taken.
        assert node.ask("GET", "/healthz").status in (200, 503)
        assert node.running(), node.log()
        shim.disarm()
        # A log that could not even undo a failed commit asks for a new start; everything else mends itself.
        if not eventually(lambda: client.send() == 204 or "start the node again" in node.log(), 20, "an acknowledgement") \
                or client.send() != 204:
            node.kill()
            node.start()
            eventually(lambda: client.send() == 204, 20, "an acknowledgement after the start")
    assert node.get("/api/v1/ledger")["gap"] == 0
    node.kill()
    node.start()
    rows = node.samples("probe/a")
    assert [row["value"] for row in rows] == list(client.acknowledged.values()), shim.last
