"""POST /api/v1/frames with frames that another program wrote."""

import pytest

from frames import frame
from node_process import Node, now_us, number, thing, write_site


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    site = write_site(tmp_path_factory.mktemp("frames") / "site", thing("pump-7", {"flow": number(), "speed": number()}))
    node = Node(site)
    node.start()
    yield node
    node.close()


def post(node, body, token=None):
    return node.ask("POST", "/api/v1/frames", body=body, token=token)


def test_frames_are_durable_when_answered(node):
    at = now_us()
    rows = [("pump-7/flow", at + i * 1000, i / 4, 0) for i in range(1000)]
    rows += [("pump-7/speed", at + i * 1000, -0.1 * i, 0x40000000) for i in range(10)]
    answer = post(node, frame(rows[:500]) + frame(rows[500:]))
    assert answer.status == 204, answer.text
    assert [s["value"] for s in node.samples("pump-7/flow")] == [i / 4 for i in range(1000)]
    assert {s["quality"] for s in node.samples("pump-7/speed")} == {"Uncertain"}


def test_unknown_points_are_told_and_the_others_stored(node):
    at = now_us() + 10_000_000
    answer = post(node, frame([("pump-7/flow", at, 77.0, 0), ("pump-9/flow", at, 1.0, 0), ("pump-9/flow", at + 1, 2.0, 0)]))
    assert answer.status == 400
    told = answer.json()
    assert told["error_count"] == 1 and told["errors"][0]["point"] == "pump-9/flow" and told["errors"][0]["rows"] == 2
    assert "partial write: 2 of 3 samples refused" in told["detail"]
    assert node.samples("pump-7/flow")[-1]["value"] == 77.0


def test_what_is_no_frame_is_told_and_what_was_before_it_stored(node):
    at = now_us() + 20_000_000
    good = frame([("pump-7/flow", at, 88.0, 0)])
    damaged = bytearray(good)
    damaged[-1] ^= 1
    for bad, said in ((b"x" * 60, "PSFRAM1"), (bytes(damaged), "checksum"), (good[:-3], "of"), (b"", "no frame")):
        answer = post(node, bad)
        assert answer.status == 400 and said in answer.text, answer.text
    answer = post(node, good + b"x" * 60)
    assert answer.status == 400 and answer.json()["errors"][0]["byte"] == len(good)
    assert node.samples("pump-7/flow")[-1]["value"] == 88.0


def test_only_who_may_write_may(node):
    assert post(node, frame([("pump-7/flow", now_us(), 1.0, 0)]), token="guessed").status == 401
