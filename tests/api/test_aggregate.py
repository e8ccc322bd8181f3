"""One number over many points: GET /api/v1/aggregate against what the samples say."""

import pytest

from node_process import eventually, number, now_us, thing, write_site


@pytest.fixture
def node(tmp_path, nodes):
    hosts = [thing(f"host-{n}", {"load": number(), "heat": number()}, **{"ps:product": "web" if n < 3 else "store"}) for n in range(5)]
    node = nodes(write_site(tmp_path / "site", *hosts))
    start = now_us() // 120_000_000 * 120_000_000 - 600_000_000  # Steps begin at whole multiples of their length.
    lines = [f"host-{n} load={10 * n + step},heat=-1 {start + step * 60_000_000}" for n in range(5) for step in range(4)]
    assert node.write("\n".join(lines)).status == 204
    node.start_us = start
    eventually(lambda: len(node.samples("host-4/load")) == 4)
    return node


def ask(node, minutes=4, **query):
    from datetime import UTC, datetime
    def at(us):
        return datetime.fromtimestamp(us / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return node.get("/api/v1/aggregate", property="load", **{"from": at(node.start_us), "to": at(node.start_us + minutes * 60_000_000)}, **query)


def test_all_points_of_a_property_and_no_others(node):
    answer = ask(node)
    assert answer["points"] == 5
    [one] = answer["items"]
    assert (one["mean"], one["min"], one["max"], one["samples"], one["points"]) == (21.5, 0, 43, 20, 5)


def test_by_product_and_by_steps(node):
    items = ask(node, product="web", every="2min")["items"]
    assert [(item["mean"], item["min"], item["max"], item["samples"]) for item in items] == [(10.5, 0, 21, 6), (12.5, 2, 23, 6)]
    assert ask(node, asset="acme/cologne/lab/line-1/host-4")["items"][0]["mean"] == 41.5


def test_after_a_restart_it_comes_from_files(node):
    before = ask(node)
    assert node.stop() == 0
    node.start()
    assert ask(node)["items"] == before["items"]


@pytest.mark.parametrize("query,status,word", [("", 400, "property"), ("?property=nothing", 404, "nothing"),
                                               ("?property=load&every=1ms", 400, "steps"), ("?property=load&every=0s", 400, "steps")])
def test_a_bad_question_is_told(node, query, status, word):
    answer = node.ask("GET", "/api/v1/aggregate" + query)
    assert answer.status == status and word in answer.text, answer.text
