"""Points of text over the stream: the texts travel in the messages' frames to whichever hub has the partition."""

import shutil

import pytest

from node_process import PUSHED, eventually, now_us, thing, write_site
from servers import NatsCluster

pytestmark = pytest.mark.skipif(shutil.which("nats-server") is None, reason="no nats-server here (Debian package nats-server)")

THINGS = [f"pump-{i}" for i in range(4)]
STATES = ["running", "cleaning", "Störung \"3\"", ""]


def stream_site(folder, role, name, address, things):
    text = {"type": "string", "readOnly": True, "observable": True, "forms": [PUSHED]}
    site = write_site(folder, *(thing(thing_name, {"state": text}) for thing_name in things))
    settings = site / "site.yaml"
    settings.write_text(settings.read_text() + f'stream: {{to: "{address}", as: {role}, name: {name}, partitions: 8, replicas: 3}}\n')
    return site


def test_texts_come_to_the_hubs(tmp_path, nodes):
    nats = NatsCluster(tmp_path / "nats")
    try:
        hub = nodes(stream_site(tmp_path / "hub", "hub", "hub-a", nats.address(), [f"line-1_{name}" for name in THINGS]))
        edge = nodes(stream_site(tmp_path / "edge", "edge", "line-1", nats.address(), THINGS))
        start, lines, wanted = now_us() - 60_000_000, [], {name: [] for name in THINGS}
        for i in range(400):
            name, state = THINGS[i % len(THINGS)], STATES[i // 7 % len(STATES)]
            escaped = state.replace('"', '\\"')
            lines.append(f'{name} state="{escaped}" {start + i * 1000}')
            wanted[name].append(state)
        # More than one message holds, each said once.
        for i in range(100):
            state = f"{i} " + "x" * 4000
            lines.append(f'{THINGS[0]} state="{state}" {start + 1_000_000 + i * 1000}')
            wanted[THINGS[0]].append(state)
        assert edge.write("\n".join(lines).encode()).status == 204
        eventually(lambda: {name: [row["value"] for row in hub.samples(f"line-1_{name}/state")] for name in THINGS} == wanted,
                   60, "all texts at the hub")
    finally:
        nats.end()
