"""Points of text, boolean and integer from the field to whoever reads them: MQTT, line protocol and frames in; API, SQL, CSV, Parquet,
pandas and DuckDB out; after a power cut; and what breaks a bound or a contract."""

import json
import pathlib
import sys
import urllib.parse
import urllib.request

import duckdb
import paho.mqtt.client as paho
import pandas
import pytest

import node_process
from node_process import eventually, now_us, thing, write_site

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "hub"))
from frames import frame  # noqa: E402

STATES = ["running", "cleaning", "Störung \"3\"\nDüse zu"]


def point(kind, form=None, **more):
    return {"type": kind, "readOnly": True, "observable": True, "forms": [form or node_process.PUSHED], **more}


def mqtt(value, kind, **more):
    form = {"href": "mqtt://local/line-1/filler-1", "op": "observeproperty", "ps:value": value, "mqv:qos": 1}
    return point(kind, form, **more)


CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: filler
version: "1.0.0"
status: active
customProperties:
  - {property: thingModel, value: "filler@1.0"}
schema:
  - name: filler
    properties:
      - name: recipe
        logicalType: string
        logicalTypeOptions: {maxLength: 8, pattern: "^R[0-9]+$"}
      - name: mode
        logicalType: string
        quality:
          - {name: modes, metric: invalidValues, arguments: {validValues: [auto, manual]}, mustBe: 0}
"""


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    words = {"oneOf": [{"const": False, "title": "stopped"}, {"const": True, "title": "running"}]}
    site = write_site(
        tmp_path_factory.mktemp("texts") / "site",
        thing("filler-1", {"state": mqtt("/state", "string"), "on": mqtt("/on", "boolean", **words),
                           "count": mqtt("/count", "integer")}, **{"ps:product": "filling"}),
        thing("filler-2", {"state": point("string"), "on": point("boolean"), "count": point("integer"),
                           "flow": point("number", unit="m3/h"), "recipe": point("string"), "mode": point("string")},
              **{"ps:product": "filling", "ps:contract": "filler@1.0.0"}))
    (site / "contracts").mkdir()
    (site / "contracts/filler.odcs.yaml").write_text(CONTRACT)
    node = node_process.Node(site).start()
    yield node
    node.close()


def write(node, lines):
    return node.write(lines.encode())


def publish(node, payloads):
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="filler-1")
    client.connect("127.0.0.1", node.mqtt_port)
    client.loop_start()
    for payload in payloads:
        client.publish("line-1/filler-1", json.dumps(payload), qos=1).wait_for_publish(10)
    client.disconnect()
    client.loop_stop()


def values(node, path):
    return [row["value"] for row in node.samples(path)]


def test_they_come_by_mqtt_and_by_line_protocol(node):
    publish(node, [{"state": state, "on": i % 2 == 0, "count": 9007199254740991 - i} for i, state in enumerate(STATES)])
    eventually(lambda: len(values(node, "filler-1/state")) == 3, what="three texts")
    assert values(node, "filler-1/state") == STATES
    assert values(node, "filler-1/on") == [1, 0, 1]
    assert values(node, "filler-1/count") == [9007199254740991, 9007199254740990, 9007199254740989]
    start = now_us()
    escaped = STATES[2].replace('"', '\\"')
    lines = f'filler-2 state="running",on=t,count=42i,flow=1.5 {start}\nfiller-2 state="{escaped}",on=f {start + 1000}'
    assert write(node, lines).status == 204
    assert values(node, "filler-2/state") == ["running", STATES[2]]
    assert values(node, "filler-2/on") == [1, 0] and values(node, "filler-2/count") == [42]


def test_a_frame_of_numbers_is_refused_for_a_point_of_text(node):
    answer = node.ask("POST", "/api/v1/frames", frame([("filler-2/state", now_us(), 1.0, 0), ("filler-2/flow", now_us(), 2.0, 0)]))
    assert answer.status == 400, answer.text
    error = answer.json()["errors"][0]
    assert error["rule"] == "type" and "a number where filler-2/state is a text" in error["message"]
    assert values(node, "filler-2/flow") == [1.5, 2.0] and len(values(node, "filler-2/state")) == 2


def test_the_present_value_is_the_text(node):
    assert node.point("filler-1/state")["value"] == STATES[2]
    on = node.point("filler-1/on")
    assert on["value"] == 1 and on["words"] == [[0, "stopped"], [1, "running"]]
    assert node.point("filler-1/count")["value"] == 9007199254740989
    trend = node.get("/api/v1/points/filler-2/state/trend", width=1)
    assert trend["type"] == "string" and trend["points"][0][1:] == ["running", None, None, STATES[2], 2, 0]


def test_live_events_carry_the_text(node):
    request = urllib.request.Request(f"http://127.0.0.1:{node.port}/api/v1/live?types=values",
                                     headers={"Authorization": f"Bearer {node.token}"})
    with urllib.request.urlopen(request, timeout=20) as stream:
        assert write(node, 'filler-2 state="live"').status == 204
        for line in stream:
            if line.startswith(b"data:") and b"filler-2/state" in line:
                assert json.loads(line[5:])["values"]["filler-2/state"][0] == "live"
                break


def test_an_aggregate_of_texts_counts_them(node):
    whole = node.get("/api/v1/aggregate", property="state")
    assert whole["points"] == 2
    assert whole["items"][0]["last"] == {STATES[2]: 1, "live": 1} and whole["items"][0]["samples"] == 6
    refused = node.ask("GET", "/api/v1/aggregate?property=state&take=mean")
    assert refused.status == 400 and "of texts there is a count and the last alone" in refused.text
    assert node.get("/api/v1/aggregate", property="on", take="mean")["items"][0]["mean"] == pytest.approx(0.6)
    assert set(node.get("/api/v1/aggregate", property="on", take="max")["items"][0]) == {"from", "max", "samples", "bad", "points"}


def test_what_cannot_be_kept_is_told_and_the_rest_stored(node):
    start = now_us()
    lines = (f'filler-2 state="{"x" * 4097}",flow=7 {start}\nfiller-2 count=9007199254740992i {start}\n'
             f'filler-2 on="yes" {start}\nfiller-2 state=3 {start}\nfiller-2 count=7i {start}')
    answer = write(node, lines)
    assert answer.status == 400, answer.text
    errors = [error["message"] for error in answer.json()["errors"]]
    assert errors[0] == "a text of 4097 bytes, at most 4096 are kept"
    assert errors[1] == "a whole number where filler-2/count is a whole number between -2^53 and 2^53"
    assert errors[2] == "a text where filler-2/on is a boolean" and errors[3] == "a number where filler-2/state is a text"
    assert values(node, "filler-2/flow")[-1] == 7 and values(node, "filler-2/count")[-1] == 7
    publish(node, [{"state": "x" * 5000, "on": "yes", "count": 9007199254740993}])
    seen = eventually(lambda: {e["point"]: e["rule"] for e in node.get("/api/v1/quarantine")["items"] if "mqtt" in e["source"]},
                      what="three refusals")
    assert seen == {"filler-1/state": "text", "filler-1/on": "type", "filler-1/count": "type"}


def test_a_contract_holds_texts_back_and_a_person_lets_them_go(node):
    assert write(node, 'filler-2 recipe="R17",mode="auto"\nfiller-2 recipe="17R",mode="semi"\nfiller-2 recipe="R123456789"').status == 204
    assert values(node, "filler-2/recipe") == ["R17"] and values(node, "filler-2/mode") == ["auto"]
    held = {e["value"]: e for e in node.get("/api/v1/quarantine", contract="filler")["items"]}
    assert held["17R"]["rule"] == "pattern" and held["R123456789"]["rule"] == "max_length"
    assert held["semi"]["rule"] == "invalid_values" and "none of the 2 valid texts" in held["semi"]["message"]
    release = f"/api/v1/quarantine/{held['semi']['id']}/release"
    wrong = node.ask("POST", release, {"value": "half", "reason": "misspelt"})
    assert wrong.status == 400 and "half" in wrong.text
    done = node.ask("POST", release, {"value": "manual", "reason": "misspelt"})
    assert done.status == 200 and done.json()["corrected"] == "manual", done.text
    eventually(lambda: values(node, "filler-2/mode") == ["auto", "manual"], what="the corrected text")


def read_all(node):
    return {path: values(node, path) for path in ["filler-1/state", "filler-2/state", "filler-2/recipe", "filler-2/mode",
                                                  "filler-1/on", "filler-1/count"]}


def test_texts_survive_a_power_cut(node):
    assert write(node, 'filler-2 state="never said before"').status == 204
    before = read_all(node)
    node.kill()
    node.start()
    assert read_all(node) == before and before["filler-2/state"][-1] == "never said before"
    assert node.point("filler-2/state")["value"] == "never said before"


def test_sql_csv_json_and_parquet_show_the_text(node):
    answer = node.ask("POST", "/api/v1/sql", {"sql": "SELECT text, count(*) AS n FROM filling WHERE point = 'filler-1/state' "
                                                     "GROUP BY text ORDER BY min(time)"})
    assert answer.status == 200, answer.text
    assert answer.json()["rows"] == [[state, 1] for state in STATES]
    base = f"http://127.0.0.1:{node.port}/api/v1/products/filling/data"
    headers = {"Authorization": f"Bearer {node.token}"}
    csv = pandas.read_csv(f"{base}?format=csv", storage_options=headers)
    parquet = pandas.read_parquet(f"{base}?format=parquet", storage_options=headers)
    for table in (csv, parquet):
        said = table[table["point"] == "filler-1/state"].sort_values("sequence")
        assert list(said["text"]) == STATES
        assert table[table["point"] == "filler-2/flow"]["text"].isna().all()
    rows = node.get("/api/v1/products/filling/data", format="json", limit=1000)
    columns = [column["name"] for column in rows["columns"]]
    found = [row[columns.index("text")] for row in rows["rows"] if row[columns.index("point")] == "filler-1/state"]
    assert sorted(found) == sorted(STATES)


def test_the_files_alone_have_the_texts_and_give_back_a_lost_table(node):
    before = read_all(node)
    assert node.stop() == 0
    files = f"{node.data}/history/filling/*/*.parquet"
    texts = duckdb.sql(f"SELECT text FROM '{files}' WHERE point = 'filler-1/state' ORDER BY sequence").fetchall()
    assert [text for text, in texts] == STATES
    assert duckdb.sql(f"SELECT count(*) FROM '{files}' WHERE point LIKE '%/state' AND text IS NULL").fetchone() == (0,)
    (node.data / "texts").unlink()
    node.start()
    assert read_all(node) == before
