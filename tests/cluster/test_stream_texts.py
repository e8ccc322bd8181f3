"""Points of text over the stream: the texts travel in the messages' frames to whichever hub has the partition."""

from node_process import PUSHED, eventually, now_us, thing
from stream_plant import stream_site

THINGS = [f"pump-{i}" for i in range(4)]
STATES = ["running", "cleaning", "Störung \"3\"", ""]


def stated(names):
    return [thing(name, {"state": {"type": "string", "readOnly": True, "observable": True, "forms": [PUSHED]}}) for name in names]


def test_texts_come_to_the_hubs(tmp_path, nats, nodes):
    hub = nodes(stream_site(tmp_path / "hub", "hub", "hub-a", nats.address(), stated(f"line-1_{name}" for name in THINGS)))
    edge = nodes(stream_site(tmp_path / "edge", "edge", "line-1", nats.address(), stated(THINGS)))
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
