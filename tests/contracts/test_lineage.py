"""Lineage of a running node: OpenLineage events by the standard, a graph, and a sink that gets them."""

import http.server
import json
import pathlib
import threading

import pytest

from node_process import ROOT, eventually, now_us, number, run, thing, write_site

SPEC = ROOT.parent / "shared" / "specs" / "openlineage.schema.json"


def plant(folder, lineage="lineage: {interval: 1s}\n"):
    site = write_site(folder, thing("pump-7", {"flow": number(unit="m3/h"), "level": number(unit="%")}, **{"ps:product": "line-1"}))
    with open(site / "site.yaml", "a") as settings:
        settings.write(lineage)
    return site


def events(node, **query):
    answer = node.ask("GET", "/api/v1/lineage/events?" + "&".join(f"{k}={v}" for k, v in query.items()))
    assert answer.status == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


class Sink(http.server.BaseHTTPRequestHandler):
    received = []

    def do_POST(self):
        Sink.received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def sink():
    Sink.received = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/api/v1/lineage"
    server.shutdown()


def test_ingestion_is_told_once_an_interval_with_its_columns(tmp_path, nodes, sink):
    node = nodes(plant(tmp_path / "plant", f'lineage: {{url: "{sink}", interval: 1s}}\n'))
    for i in range(50):
        assert node.write(f"m,thing=pump-7 flow={i},level={i} {now_us()}").status == 204
    eventually(lambda: sum(e["run"]["facets"]["penstock_facts"]["samples"] for e in events(node)
                           if e["eventType"] == "COMPLETE") == 100, what="all samples told")
    told = events(node)
    assert len(told) <= 12, "one run an interval, not one a batch"
    by_run = {}
    for event in told:
        by_run.setdefault(event["run"]["runId"], []).append(event["eventType"])
    assert all(types == ["START", "COMPLETE"] for types in by_run.values()), by_run
    last = told[-1]
    assert (last["job"]["namespace"], last["job"]["name"]) == ("penstock:acme/cologne", "ingest/pump-7/line-1")
    assert [d["name"] for d in last["inputs"]] == ["pump-7"] and [d["name"] for d in last["outputs"]] == ["product/line-1"]
    columns = last["outputs"][0]["facets"]["columnLineage"]["fields"]
    assert columns["pump-7/flow"]["inputFields"][0]["field"] == "flow"
    eventually(lambda: len(Sink.received) == len(told), what="the sink has them all")
    assert Sink.received == told

    graph = node.get("/api/v1/lineage")
    assert {(n["type"], n["name"]) for n in graph["nodes"]} == {("job", "ingest/pump-7/line-1"), ("dataset", "pump-7"), ("dataset", "product/line-1")}
    assert len(graph["edges"]) == 2

    # Nothing is told twice after a restart, and what came just before the end is told.
    node.write(f"m,thing=pump-7 flow=1 {now_us()}")
    node.stop()
    node.start()
    total = sum(e["run"]["facets"]["penstock_facts"]["samples"] for e in events(node) if e["eventType"] == "COMPLETE")
    assert total == 101
    assert len(events(node, after=2, limit=2)) == 2


def keep_the_standard(told):
    """As far as the schema is there to ask."""
    if not SPEC.exists():
        return
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft202012Validator(json.loads(SPEC.read_text()), format_checker=jsonschema.FormatChecker())
    for event in told:
        assert [e.message for e in validator.iter_errors(event)] == [], event


def test_the_events_keep_the_standard(tmp_path, nodes):
    if not SPEC.exists():
        pytest.skip("openlineage.schema.json is not beside the checkout")
    node = nodes(plant(tmp_path / "plant"))
    node.write(f"m,thing=pump-7 flow=1,level=2 {now_us()}")
    eventually(lambda: events(node), what="the first event")
    keep_the_standard(events(node))


def test_a_replay_is_told(tmp_path, nodes):
    site = plant(tmp_path / "plant")
    (tmp_path / "day.csv").write_text("time;flow;level\n" + "".join(f"2026-01-01 00:00:{i:02d};{i};{i}\n" for i in range(30)))
    done = run("replay", tmp_path / "day.csv", "--thing", "pump-7", "--site", site, "--data", tmp_path / "data", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["stored"] == 60
    node = nodes(site, data=tmp_path / "data")
    replays = [e for e in events(node) if e["job"]["name"] == "replay/day.csv"]
    assert [e["eventType"] for e in replays] == ["START", "COMPLETE"]
    assert replays[0]["eventTime"].startswith("2026-01-01T00:00:00")
    assert [d["name"] for d in replays[1]["outputs"]] == ["product/line-1"]


def test_what_is_copied_and_what_retention_deletes_is_told(tmp_path, nodes):
    copy = tmp_path / "copy"
    site = plant(tmp_path / "plant", f'lineage: {{interval: 1s}}\nretain: {{raw: 1d}}\nblobs: {{to: "file:{copy}", every: 1s}}\n')
    node = nodes(site)
    old = now_us() - 3 * 86_400_000_000
    assert node.write("\n".join(f"m,thing=pump-7 flow={i} {old + i * 1_000_000}" for i in range(40))).status == 204
    assert node.write(f"m,thing=pump-7 flow=1,level=2 {now_us()}").status == 204
    assert node.stop() == 0  # Flushes the history.
    node.start()  # Deletes what is too old, copies what is left.

    def told(job):
        return [e for e in events(node) if e["job"]["name"] == job and e["eventType"] == "COMPLETE"]

    eventually(lambda: told("retention"), what="the deletion is told")
    deleted = told("retention")[0]
    assert [d["name"] for d in deleted["inputs"]] == ["product/line-1"] and deleted["outputs"] == []
    raw = [d for d in deleted["run"]["facets"]["penstock_facts"]["deleted"] if d["level"] == "raw"]
    assert [(d["product"], d["rows"]) for d in raw] == [("line-1", 40)]
    assert len(node.samples("pump-7/flow")) == 1 and node.get("/api/v1/ledger")["evicted"] == 40

    eventually(lambda: told("backup"), what="the copy is told")
    copied = told("backup")[-1]
    assert [d["name"] for d in copied["outputs"]] == ["archive/history"]
    facts = copied["run"]["facets"]["penstock_facts"]
    files = [path for path in copy.rglob("*.parquet")]
    keep_the_standard(events(node))
    assert facts["files"] > 0 and files and facts["bytes"] >= sum(path.stat().st_size for path in files)


def test_a_wrong_address_is_refused_with_its_place(tmp_path):
    site = plant(tmp_path / "plant", "lineage: {url: nowhere}\n")
    done = run("check", site)
    assert done.returncode == 1 and "/lineage/url" in done.stdout, done.stdout
