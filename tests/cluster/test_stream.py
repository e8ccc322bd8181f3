"""Edges and hubs on a stream: three real nats-servers with JetStream, nodes as processes."""

import os
import shutil
import signal
import threading

import pytest

from node_process import eventually, now_us, number, thing, write_site
from servers import NatsCluster

pytestmark = pytest.mark.skipif(shutil.which("nats-server") is None, reason="no nats-server here (Debian package nats-server)")

THINGS = [f"pump-{i}" for i in range(8)]
ROWS = 200  # Of each thing and burst.


@pytest.fixture
def nats(tmp_path):
    cluster = NatsCluster(tmp_path / "nats")
    yield cluster
    cluster.end()


def stream_site(folder, role, name, address, things):
    site = write_site(folder, *(thing(thing_name, {"flow": number()}) for thing_name in things))
    settings = site / "site.yaml"
    settings.write_text(settings.read_text() + f'stream: {{to: "{address}", as: {role}, name: {name}, partitions: 8, replicas: 3}}\n')
    return site


class Plant:
    """One edge and what its hubs have of it."""

    def __init__(self, nodes, folder, nats, edge_address=None, hubs=("hub-a", "hub-b")):
        self._start, self._folder, self._nats = nodes, folder, nats
        self.base = now_us() - 60_000_000
        self.sent = 0
        self.hubs = {name: self.hub(name) for name in hubs}
        self.edge = nodes(stream_site(folder / "edge", "edge", "line-1", edge_address or nats.address(), THINGS))

    def hub(self, name):
        site = stream_site(self._folder / name, "hub", name, self._nats.address(), [f"line-1_{t}" for t in THINGS])
        return self._start(site)

    def send(self):
        """A burst of every thing; each value is there once."""
        lines = [f"{name} flow={self.sent + i} {self.base + (self.sent + i) * 1000}" for name in THINGS for i in range(ROWS)]
        assert self.edge.write("\n".join(lines)).status == 204
        self.sent += ROWS

    def values(self):
        """By thing, the values of all hubs that run, doubled ones as often as they are there."""
        found = {name: [] for name in THINGS}
        for node in self.hubs.values():
            if node.running():
                for name in THINGS:
                    found[name] += [row["value"] for row in node.samples(f"line-1_{name}/flow")]
        return found

    def complete(self):
        wanted = list(range(self.sent))
        return all(sorted(set(values)) == wanted for values in self.values().values())

    def doubled(self):
        return sum(len(values) - len(set(values)) for values in self.values().values())


def test_hubs_share_the_partitions_and_have_every_row_once(tmp_path, nats, nodes):
    plant = Plant(nodes, tmp_path, nats)
    for _ in range(5):
        plant.send()
    eventually(plant.complete, 60, "all rows at the hubs")
    assert plant.doubled() == 0
    # A restart of either side neither loses nor doubles.
    plant.edge.kill()
    plant.edge.start()
    plant.send()
    for hub in plant.hubs.values():
        assert hub.stop() == 0
        hub.start()
    plant.send()
    eventually(plant.complete, 60, "the rows after the restarts")
    assert plant.doubled() == 0


class Sending:
    """Bursts, one after the other, until the block ends."""

    def __init__(self, plant):
        self._plant, self._end, self._failed = plant, threading.Event(), None
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        try:
            while not self._end.wait(0.02):
                self._plant.send()
        except AssertionError as error:
            self._failed = error

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self._thread.join()
        assert self._failed is None, self._failed


@pytest.mark.parametrize("kills", [int(os.environ.get("PENSTOCK_HUB_KILLS", "1"))])
def test_a_hub_that_dies_in_the_middle_of_a_stream_and_comes_back_has_no_row_twice(tmp_path, nats, nodes, kills):
    plant = Plant(nodes, tmp_path, nats)
    plant.send()
    eventually(plant.complete, 60, "the first rows")
    for _ in range(kills):
        dead = max(plant.hubs.values(), key=lambda hub: len(hub.get("/api/v1/stream").get("partitions", [])))
        with Sending(plant):
            sent = plant.sent
            eventually(lambda sent=sent: plant.sent >= sent + 10 * ROWS, 30, "bursts before the kill")
            dead.kill()
            sent = plant.sent
            # The other one goes on with the dead one's partitions.
            eventually(lambda sent=sent: all(max(values, default=0) >= sent for values in plant.values().values()), 90, "the other hub to take over")
            dead.start()
        eventually(plant.complete, 90, "all rows, at either hub")
        assert plant.doubled() == 0


def test_a_stream_server_dies_and_an_edge_speaks_through_a_leaf_node(tmp_path, nats, nodes):
    nats.start_leaf()
    plant = Plant(nodes, tmp_path, nats, edge_address=f"nats://127.0.0.1:{nats.leaf_port}?domain=plant", hubs=("hub-a",))
    plant.send()
    eventually(plant.complete, 60, "the first rows")
    nats.servers[0].end(signal.SIGKILL)
    plant.send()
    eventually(plant.complete, 90, "rows while a server is away")
    nats.start(0)
    plant.send()
    eventually(plant.complete, 60, "rows when it is back")
    assert plant.doubled() == 0
