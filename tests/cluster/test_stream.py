"""Edges and hubs on a stream: three real nats-servers with JetStream, nodes as processes."""

import shutil
import signal

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


def test_another_hub_takes_over_from_one_that_dies(tmp_path, nats, nodes):
    plant = Plant(nodes, tmp_path, nats)
    plant.send()
    eventually(plant.complete, 60, "the first rows")
    plant.hubs["hub-a"].kill()
    dead = plant.hubs["hub-a"]
    for _ in range(3):
        plant.send()
    eventually(lambda: has_all(plant, dead), 90, "the other hub to have what the dead one has not")


def has_all(plant, dead):
    """What the running hub has, and the dead one's rows after it is back, are everything."""
    if not dead.running():
        alive = plant.values()
        # The dead hub's partitions go on at the other: its last burst is there for every thing.
        if any(plant.sent - 1 not in values for values in alive.values()):
            return False
        dead.start()
    return plant.complete()


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
