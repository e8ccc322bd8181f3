"""Points of text from an edge to its hub: the texts travel in the frames, survive both ends being killed, and stand in the hub's files."""

import duckdb

from hub_site import Edge, Hub
from node_process import PUSHED, eventually, now_us, number, thing

STATES = ["running", "cleaning", "Störung \"3\"\nDüse zu", ""]


def text():
    return {"type": "string", "readOnly": True, "observable": True, "forms": [PUSHED]}


def said(node, path):
    return [row["value"] for row in node.samples(path)] if node.point(path) else []


def test_texts_come_to_the_hub_whatever_is_killed(tmp_path):
    hub = Hub(tmp_path / "hub")
    hub.start()
    edge = Edge(tmp_path / "edge", f"https://127.0.0.1:{hub.fixed_port}",
                [thing("pump-7", {"state": text(), "flow": number()}, **{"ps:product": "pump"})])
    try:
        edge.enroll(hub.invite("edge-7"))
        edge.start()
        at, sent = now_us() - 3_600_000_000, []

        def write(count):
            nonlocal at
            lines = []
            for _ in range(count):
                at += 1_000_000
                state = STATES[len(sent) % len(STATES)]
                escaped = state.replace('"', '\\"')
                lines.append(f'pump-7 state="{escaped}",flow={len(sent)} {at}')
                sent.append(state)
            assert edge.write("\n".join(lines).encode()).status == 204

        write(40)
        eventually(lambda: said(hub, "edge-7_pump-7/state") == sent, 60, "40 texts at the hub")
        hub.kill()
        write(40)
        edge.kill()
        edge.start()
        write(1)
        hub.start()
        eventually(lambda: said(hub, "edge-7_pump-7/state") == sent, 60, "81 texts at the hub")
        assert said(edge, "pump-7/state") == sent
        hub.kill()
        hub.start()
        assert said(hub, "edge-7_pump-7/state") == sent
        assert hub.stop() == 0
        rows = duckdb.sql(f"SELECT text FROM read_parquet('{hub.data}/history/*/*/*.parquet', union_by_name=true) "
                          "WHERE point = 'edge-7_pump-7/state' ORDER BY time").fetchall()
        assert [row[0] for row in rows] == sent
    finally:
        edge.close()
        hub.close()
