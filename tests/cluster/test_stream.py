"""Edges and hubs on a stream: three real nats-servers with JetStream, nodes as processes."""

import os
import signal

import pytest

from node_process import eventually
from stream_plant import ROWS, Plant, Sending


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
