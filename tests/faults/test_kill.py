"""kill -9 of the program in the middle of writing: what was acknowledged is there afterwards, once, with its value.

Several connections write line protocol; each remembers what was acknowledged and what was on the way. The kill comes at a
random moment, often within a commit. What was on the way may be there or not, but whole or not at all. Then the writer sends
it again, as a device does that got no answer, and it must be there once.

PENSTOCK_KILL_ROUNDS (5) and PENSTOCK_KILL_SEED (by the clock) give more rounds and the same ones again.
"""

import os
import random
import signal
import threading
import time
from datetime import datetime

import pytest

from node_process import eventually, now_us, number, thing, write_site

ROUNDS = int(os.environ.get("PENSTOCK_KILL_ROUNDS", "5"))
WRITERS = 4
PATIENCE_S = (0.02, 0.6)


class Writer:
    """One connection that writes its own point until the node is gone."""

    def __init__(self, index, seed, lines):
        self.lines_per_request = lines
        self.point = f"p{index}"
        self.random = random.Random(f"{seed}-{index}")
        self.next_time = now_us() - 20 * 3_600_000_000  # Each sample has its own.
        self.acknowledged, self.on_the_way, self.stored = {}, {}, {}

    def lines(self, samples):
        return "\n".join(f"probe {self.point}={value} {time_us}" for time_us, value in samples.items())

    def draw(self):
        samples = {}
        for _ in range(self.random.randint(*self.lines_per_request)):
            self.next_time += self.random.randint(1, 10_000)
            samples[self.next_time] = round(self.random.uniform(-1000, 1000), 3)
        return samples

    def send(self, node, connection, samples):
        answer = node.write(self.lines(samples), connection=connection)
        assert answer.status == 204, answer.text
        self.acknowledged.update(samples)

    def write(self, node, gone):
        connection = node.connect()
        try:
            while not gone.is_set():
                self.on_the_way = self.draw()
                self.send(node, connection, self.on_the_way)
                self.on_the_way = {}
        except OSError:
            pass  # Refused, reset, closed: the node was killed.
        except Exception as error:  # http.client's own for an answer that was cut off.
            if type(error).__module__ != "http.client":
                raise
        finally:
            connection.close()

    def complaint(self, node):
        """What is wrong with what the node has, or ""."""
        rows = [(round(datetime.fromisoformat(row["time"]).timestamp() * 1e6), row["value"], row["quality"])
                for row in node.samples(f"probe/{self.point}")]
        times = [row[0] for row in rows]
        stored = self.stored = {row[0]: row[1] for row in rows}
        if len(times) != len(stored):
            return f"{self.point}: {len(times) - len(stored)} doubled"
        lost = {t: v for t, v in self.acknowledged.items() if stored.get(t) != v}
        if lost:
            return f"{self.point}: {len(lost)} of {len(self.acknowledged)} acknowledged are lost or changed: {list(lost.items())[:5]}"
        extra = {t: v for t, v in stored.items() if t not in self.acknowledged}
        if extra and extra != self.on_the_way:
            return f"{self.point}: torn or invented: {list(extra.items())[:5]}"
        return ""


def play_round(node, writers, chance):
    gone = threading.Event()
    threads = [threading.Thread(target=writer.write, args=(node, gone)) for writer in writers]
    before = sum(len(writer.acknowledged) for writer in writers)
    for one in threads:
        one.start()
    end = time.monotonic() + 30
    while sum(len(writer.acknowledged) for writer in writers) == before and time.monotonic() < end:
        time.sleep(0.001)
    gone.wait(chance.uniform(*PATIENCE_S))
    if chance.random() < 0.5:  # Into the writing of the history's files, which a stop begins with.
        node.process.send_signal(signal.SIGINT)
        gone.wait(chance.uniform(0, 0.1))
    node.kill()
    gone.set()
    for one in threads:
        one.join()


@pytest.mark.parametrize("lines", [(1, 8), (1, 200)], ids=["small_requests", "large_requests"])
def test_nothing_acknowledged_is_lost_or_doubled(tmp_path, nodes, lines):
    seed = int(os.environ.get("PENSTOCK_KILL_SEED", time.time_ns() % 1_000_000))
    print(f"\nPENSTOCK_KILL_SEED={seed}, {ROUNDS} rounds")
    chance = random.Random(seed)
    writers = [Writer(index, seed, lines) for index in range(WRITERS)]
    site = write_site(tmp_path / "site", thing("probe", {writer.point: number() for writer in writers}))
    node = nodes(site)
    for _ in range(ROUNDS):
        play_round(node, writers, chance)
        node.start()
        for writer in writers:
            complaint = writer.complaint(node)
            assert not complaint, complaint
            if writer.on_the_way:
                writer.send(node, None, writer.on_the_way)
                writer.on_the_way = {}
                # Acknowledged is durable; a query sees it a moment later.
                eventually(lambda w=writer: not w.complaint(node), what="what was sent again to be there once")
    assert node.get("/api/v1/ledger")["gap"] == 0
    print(f"{sum(len(writer.acknowledged) for writer in writers)} samples acknowledged")
