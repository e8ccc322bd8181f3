"""Data products against a real node: the catalogue, who may read, files with ranges, exports, SQL and its attacks, live."""

import csv
import http.client
import io
import json
import time
import urllib.parse

import pytest

import node_process
from node_process import eventually, now_us, number, thing, write_site

ROWS = 3000
DAY_US = 86_400_000_000


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """Two products: pump (open) and badge (confidential, one personal field), with rows of two days in memory."""
    site = write_site(
        tmp_path_factory.mktemp("products") / "site",
        thing("pump-7", {"flow": number(unit="m3/h"), "level": number()}, **{"ps:product": "pump"}),
        thing("gate-1", {"count": number(), "person": number(**{"ps:classification": "personal"})},
              **{"ps:product": "badge-log", "ps:classification": "confidential"}))
    node = node_process.Node(site).start()
    start = now_us() - DAY_US
    lines = [f"pump-7 flow={i},level={i / 10} {start + i * 30_000_000}" for i in range(ROWS)]
    lines += [f"gate-1 count={i},person={4000 + i % 7} {start + i * 30_000_000}" for i in range(100)]
    assert node.write("\n".join(lines)).status == 204
    for name, role in [("reader", "viewer"), ("other", "viewer")]:
        answer = node.ask("POST", "/api/v1/tokens", {"name": name, "role": role})
        assert answer.status == 201, answer.text
        setattr(node, name, answer.json()["secret"])
    eventually(lambda: node.get("/api/v1/products/pump")["rows"] == 2 * ROWS, what="all rows")
    yield node
    node.close()


def ask(node, path, method="GET", token=None, body=None, **headers):
    """The whole answer as bytes, with its headers."""
    connection = node.connect(60)
    try:
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        headers["Authorization"] = f"Bearer {token or node.token}"
        if body is not None:
            body, headers["Content-Type"] = json.dumps(body), "application/json"
        connection.request(method, path, body=body, headers=headers)
        response = connection.getresponse()
        response.bytes = response.read()
        return response
    finally:
        connection.close()


def sql(node, text, token=None, **more):
    response = ask(node, "/api/v1/sql", "POST", token, {"sql": text, **more})
    return response.status, json.loads(response.bytes)


# The catalogue.
def test_the_catalogue_says_what_there_is(node):
    products = {product["name"]: product for product in node.get("/api/v1/products")["items"]}
    assert set(products) == {"pump", "badge-log"}
    pump = products["pump"]
    assert pump["access"] == "open" and pump["may_read"] and pump["domain"] == "lab"
    assert pump["rows"] == 2 * ROWS and pump["points"] == 2 and pump["things"] == ["pump-7"]
    assert 0 <= pump["freshness_s"] < DAY_US
    assert products["badge-log"]["access"] == "request" and products["badge-log"]["classification"] == "personal"


def test_a_product_shows_its_schema_with_units_and_a_sample(node):
    pump = node.get("/api/v1/products/pump")
    assert {field["name"]: field["unit"] for field in pump["fields"]} == {"flow": "m3/h", "level": ""}
    assert {row["point"]: row["value"] for row in pump["sample"]} == {"pump-7/flow": ROWS - 1, "pump-7/level": (ROWS - 1) / 10}
    missing = ask(node, "/api/v1/products/pumpe")
    assert missing.status == 404 and json.loads(missing.bytes)["fix"] == 'did you mean "pump"?'


# Access.
def test_a_product_on_request_is_read_only_with_a_grant(node):
    ways = ["/api/v1/products/badge-log/files", "/api/v1/products/badge-log/data", "/api/v1/products/badge-log/live",
            "/api/v1/products/badge-log/files/tail/tail-1.parquet"]
    for way in ways:
        refused = ask(node, way, token=node.reader)
        assert refused.status == 403 and "access-requests" in json.loads(refused.bytes)["fix"], way
    status, problem = sql(node, 'SELECT * FROM "badge-log"', node.reader)
    assert status == 403 and "line 1, column 15" in problem["detail"]
    seen = json.loads(ask(node, "/api/v1/products/badge-log", token=node.reader).bytes)
    assert not seen["may_read"] and seen["sample"] == []

    path = "/api/v1/products/badge-log/access-requests"
    assert ask(node, path, "POST", node.reader, {"purpose": ""}).status == 400
    asked = json.loads(ask(node, path, "POST", node.reader, {"purpose": "count of visits"}).bytes)
    assert asked["state"] == "open" and asked["principal"] == "token:reader"
    assert ask(node, path, "POST", node.reader, {"purpose": "again"}).status == 409
    assert ask(node, f"/api/v1/access-requests/{asked['id']}/grant", "POST", node.other, {}).status == 403
    assert ask(node, f"/api/v1/access-requests/{asked['id']}/grant", "POST", node.reader, {}).status == 403
    others = json.loads(ask(node, "/api/v1/access-requests", token=node.other).bytes)["items"]
    assert others == []
    granted = ask(node, f"/api/v1/access-requests/{asked['id']}/grant", "POST", body={"for": "1h", "note": "fine"})
    assert granted.status == 200 and json.loads(granted.bytes)["state"] == "granted"

    assert ask(node, ways[0], token=node.reader).status == 200
    assert ask(node, ways[0], token=node.other).status == 403
    status, answer = sql(node, "SELECT point, count(*) FROM badge_log GROUP BY point", node.reader)
    assert status == 200 and answer["rows"] == [["gate-1/count", 100]]  # Personal values are not shown.

    actions = [entry["action"] for entry in node.get("/api/v1/audit")["items"]]
    assert actions[:2] == ["product.grant", "product.ask"]
    revoked = ask(node, f"/api/v1/access-requests/{asked['id']}/deny", "POST", body={"note": "over"})
    assert json.loads(revoked.bytes)["state"] == "revoked"
    for way in ways:
        assert ask(node, way, token=node.reader).status == 403


def test_a_grant_ends_by_itself(node):
    asked = json.loads(ask(node, "/api/v1/products/badge-log/access-requests", "POST", node.other, {"purpose": "short look"}).bytes)
    ask(node, f"/api/v1/access-requests/{asked['id']}/grant", "POST", body={"for": "1s"})
    eventually(lambda: ask(node, "/api/v1/products/badge-log/files", token=node.other).status == 403, what="the end of the grant")
    mine = json.loads(ask(node, "/api/v1/access-requests", token=node.other).bytes)["items"]
    assert mine[0]["state"] == "expired"


def test_personal_values_need_a_grant_that_says_so(node):
    asked = json.loads(ask(node, "/api/v1/products/badge-log/access-requests", "POST", node.other,
                           {"purpose": "who was there", "personal": True}).bytes)
    ask(node, f"/api/v1/access-requests/{asked['id']}/grant", "POST", body={"for": "1h", "personal": False})
    for way in ("/api/v1/samples?point=gate-1/", "/api/v1/points/gate-1/{}/trend"):
        way = way if "{}" in way else way + "{}"
        assert ask(node, way.format("count"), token=node.other).status == 200
        refused = ask(node, way.format("person"), token=node.other)
        assert refused.status == 403 and "personal" in json.loads(refused.bytes)["detail"]
        assert ask(node, way.format("count"), token=node.reader).status == 403
    points = "SELECT DISTINCT point FROM badge_log ORDER BY point"
    assert sql(node, points, node.other)[1]["rows"] == [["gate-1/count"]]
    for way in ("data?format=csv", "data?format=parquet"):
        assert b"person" not in ask(node, "/api/v1/products/badge-log/" + way, token=node.other).bytes
    files = json.loads(ask(node, "/api/v1/products/badge-log/files", token=node.other).bytes)["items"]
    assert all(file["filtered"] for file in files)
    assert all(b"person" not in ask(node, file["href"], token=node.other).bytes for file in files)
    assert sql(node, points)[1]["rows"] == [["gate-1/count"], ["gate-1/person"]]  # An administrator.
    ask(node, f"/api/v1/access-requests/{asked['id']}/deny", "POST", body={})


def test_a_present_value_is_personal_too(node):
    def values(token):
        listed = json.loads(ask(node, "/api/v1/points?thing=gate-1&spark=1", token=token).bytes)["items"]
        of_thing = json.loads(ask(node, "/api/v1/things/gate-1", token=token).bytes)["point_list"]
        return [{point["property"]: (point["value"], point.get("withheld", False)) for point in points}
                for points in (listed, of_thing)]

    assert values(node.other) == 2 * [{"count": (99, False), "person": (None, True)}]
    assert values(node.token) == 2 * [{"count": (99, False), "person": (4001, False)}]
    connection = node.connect(20)
    connection.request("GET", "/api/v1/live?types=values", headers={"Authorization": f"Bearer {node.token}"})
    live, said = connection.getresponse(), ""
    assert node.write(f"gate-1 count=100,person=4002 {now_us()}").status == 204
    while "gate-1/count" not in said:
        said = live.readline().decode()
    assert "gate-1/person" not in said  # Every listener hears the same.
    connection.close()


# Files.
def test_files_and_the_tail_together_have_every_row_once(node):
    import pyarrow.parquet as parquet

    files = node.get("/api/v1/products/pump/files")["items"]
    assert files[-1]["day"] == "tail"
    tables = [parquet.read_table(io.BytesIO(ask(node, file["href"]).bytes)) for file in files]
    assert sum(table.num_rows for table in tables) == 2 * ROWS == sum(file["rows"] for file in files)
    flow = [value for table in tables for point, value in zip(table["point"].to_pylist(), table["value"].to_pylist())
            if point == "pump-7/flow"]
    assert sorted(flow) == list(range(ROWS))


def test_ranges_follow_the_standard(node):
    file = node.get("/api/v1/products/pump/files")["items"][-1]
    whole = ask(node, file["href"])
    assert whole.status == 200 and whole.headers["Accept-Ranges"] == "bytes"
    assert int(whole.headers["Content-Length"]) == len(whole.bytes) == file["bytes"]
    assert whole.bytes[:4] == whole.bytes[-4:] == b"PAR1"
    etag = whole.headers["ETag"]
    for given, begin, end in [("bytes=0-3", 0, 4), ("bytes=-8", -8, None), ("bytes=100-", 100, None), ("bytes=5-1000000000", 5, None)]:
        part = ask(node, file["href"], Range=given)
        assert part.status == 206 and part.bytes == whole.bytes[begin:end], given
        assert part.headers["Content-Range"].endswith(f"/{len(whole.bytes)}")
    beyond = ask(node, file["href"], Range=f"bytes={len(whole.bytes)}-")
    assert beyond.status == 416 and beyond.headers["Content-Range"] == f"bytes */{len(whole.bytes)}"
    for ignored in ("bytes=9-1", "bytes=a-", "lines=1-2", "bytes=0-1,5-6", "bytes"):
        assert ask(node, file["href"], Range=ignored).status == 200, ignored
    assert ask(node, file["href"], Range="bytes=0-3", If_Range=etag).status == 206
    assert ask(node, file["href"], Range="bytes=0-3", If_Range='"another"').bytes == whole.bytes
    assert ask(node, file["href"], If_None_Match=etag).status == 304
    head = ask(node, file["href"], "HEAD")
    assert head.status == 200 and head.bytes == b"" and int(head.headers["Content-Length"]) == len(whole.bytes)


def test_only_files_of_the_product_are_served(node):
    for path in ("2020-01-01/x.parquet", "..%2F..%2Frecords.db/x", "tail/..%2F1-tail.parquet", "tail/tail-999999.parquet", "%2Fetc/passwd"):
        assert ask(node, "/api/v1/products/pump/files/" + path).status == 404, path
    assert ask(node, "/api/v1/products/pump%2F../files").status == 404
    assert ask(node, "/api/v1/products/pump/files", token="nonsense").status == 401


# Exports.
def test_csv_lines_and_json_by_accept(node):
    base = "/api/v1/products/pump/data"
    text = ask(node, base + "?point=pump-7/level", Accept="text/csv").bytes.decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == ROWS and {row["point"] for row in rows} == {"pump-7/level"}
    assert sorted(float(row["value"]) for row in rows) == [i / 10 for i in range(ROWS)]
    lines = ask(node, base + "?limit=5", Accept="application/x-ndjson").bytes.decode().splitlines()
    assert len(lines) == 5 and set(json.loads(lines[0])) >= {"point", "time", "value", "quality"}
    ordered = json.loads(ask(node, base + "?order=time&limit=4", Accept="application/json").bytes)
    assert [row[0] for row in ordered["rows"]] == ["pump-7/flow", "pump-7/level"] * 2 and ordered["truncated"]
    both = ask(node, base + "?limit=1", Accept="text/html, text/csv;q=0.5, application/x-ndjson;q=0.9")
    assert both.headers["Content-Type"] == "application/x-ndjson"
    assert ask(node, base, Accept="image/png").status == 406
    assert ask(node, base + "?format=xml").status == 400
    assert ask(node, base + "?point=pump-7/nothing").status == 404
    assert ask(node, base + "?from=yesterday").status == 400
    assert ask(node, base + "?order=value").status == 400


def test_a_range_of_time_is_cut_exactly(node):
    first = node.get("/api/v1/samples", point="pump-7/flow", **{"from": "2020-01-01T00:00:00Z"}, limit=ROWS)["items"][10:20]
    query = urllib.parse.urlencode({"from": first[0]["time"], "to": first[-1]["time"], "point": "pump-7/flow"})
    text = ask(node, f"/api/v1/products/pump/data?{query}").bytes.decode()
    assert [float(line.split(",")[3]) for line in text.splitlines()[1:]] == [row["value"] for row in first[:-1]]


def test_an_export_as_parquet_is_one_file_in_ranges(node):
    path = "/api/v1/products/pump/data?format=parquet"
    whole = ask(node, path)
    assert whole.status == 200 and whole.bytes[:4] == b"PAR1"
    end = ask(node, path, Range="bytes=-8")
    assert end.status == 206 and end.bytes == whole.bytes[-8:] and end.headers["ETag"] == whole.headers["ETag"]


# SQL.
def test_sql_answers_in_each_format(node):
    question = "SELECT point, count(*) AS n, max(value) AS high FROM pump GROUP BY point ORDER BY point"
    status, answer = sql(node, question)
    assert status == 200 and answer["rows"] == [["pump-7/flow", ROWS, ROWS - 1], ["pump-7/level", ROWS, (ROWS - 1) / 10]]
    assert [column["type"] for column in answer["columns"]] == ["text", "integer", "double"]
    path = "/api/v1/sql?" + urllib.parse.urlencode({"sql": question})
    assert ask(node, path, Accept="text/csv").bytes == b"point,n,high\npump-7/flow,3000,2999\npump-7/level,3000,299.9\n"
    assert ask(node, path + "&format=parquet").bytes[:4] == b"PAR1"
    assert json.loads(ask(node, path, Accept="application/x-ndjson").bytes.splitlines()[0])["n"] == ROWS
    assert json.loads(ask(node, path + "&limit=1").bytes)["truncated"]


def test_sql_says_where_a_mistake_is(node):
    for text, place in [("SELEC 1", "line 1, column 1"), ("SELECT *\nFROM pumps", "line 2, column 6"), ("SELECT nothing FROM pump", "line 1, column 8"),
                        ("SELECT 'x", "line 1, column 8"), ("SELECT 1 FROM pump WHERE", "line 1, column")]:
        status, problem = sql(node, text)
        assert status in (400, 404) and problem["detail"].startswith(place) and problem["pointer"] == "/sql", (text, problem)
    for body, pointer in [({"sql": 7}, "/sql"), ({"sql": "SELECT 1", "limit": 0}, "/limit"),
                          ({"sql": "SELECT 1", "timeout": "2h"}, "/timeout"), ({"sql": "SELECT 1", "rows": 1}, "/rows")]:
        refused = ask(node, "/api/v1/sql", "POST", body=body)
        assert refused.status == 400 and json.loads(refused.bytes)["pointer"] == pointer, body


@pytest.mark.parametrize("text", [
    "SELECT * FROM read_csv('/etc/passwd')", "SELECT * FROM '/etc/passwd'", "SELECT * FROM read_text('{data}/records.db')",
    "SELECT * FROM read_parquet('{data}/history/*/*/*.parquet')", "SELECT * FROM glob('/*')", "SELECT getenv('PATH')",
    "COPY pump TO '/tmp/penstock-stolen.csv'", "ATTACH '{data}/records.db'", "INSTALL httpfs", "PRAGMA database_list",
    "SELECT 1; COPY pump TO '/tmp/penstock-stolen.csv'", "SELECT 1 /**/;/**/ SELECT 2", "CREATE TABLE x (a INT)", "SET threads = 8",
    "SELECT * FROM duckdb_settings()", "SELECT * FROM query('SELECT 1')", "SELECT repeat('x', 2000000000)", "EXPLAIN SELECT 1",
])
def test_sql_reaches_nothing_else(node, text):
    status, problem = sql(node, text.format(data=node.data))
    assert status in (400, 403, 404), problem
    assert problem["pointer"] == "/sql" and problem["detail"]


def test_a_question_without_end_ends_and_the_node_goes_on(node):
    began = time.monotonic()
    status, problem = sql(node, "SELECT count(*) FROM range(100000000000) a, range(1000000) b", timeout="1s")
    assert status == 504 and "1s" in problem["detail"] and time.monotonic() - began < 10
    status, problem = sql(node, "WITH RECURSIVE t AS (SELECT 'x' AS a UNION ALL SELECT a || a FROM t) SELECT max(length(a)) FROM t")
    assert status == 429 and "memory" in problem["detail"]
    assert sql(node, "SELECT 1")[1]["rows"] == [[1]]
    assert node.write(f"pump-7 level=1 {now_us()}").status == 204


def test_a_reader_who_leaves_ends_the_question(node):
    connection = node.connect(20)
    path = "/api/v1/sql?" + urllib.parse.urlencode({"sql": "SELECT * FROM range(1000000)", "limit": 1000000, "timeout": "60s"})
    connection.request("GET", path, headers={"Authorization": f"Bearer {node.token}"})
    assert connection.getresponse().read(1000)
    connection.close()
    for _ in range(3):
        assert sql(node, "SELECT 1")[0] == 200


# Live.
def test_samples_come_live_and_only_those_of_the_product(node):
    connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=20)
    connection.request("GET", "/api/v1/products/pump/live", headers={"Authorization": f"Bearer {node.token}", "Accept": "text/event-stream"})
    response = connection.getresponse()
    assert response.status == 200 and response.headers["Content-Type"] == "text/event-stream"
    at = now_us()
    assert node.write(f"gate-1 count=1 {at}\npump-7 flow=77 {at}").status == 204
    while True:
        line = response.readline().decode()
        assert line, "the stream ended"
        if line.startswith("data: "):
            break
    event = json.loads(line[6:])
    assert event["product"] == "pump" and event["rows"] == [["pump-7/flow", at / 1000, 77.0, "Good"]]
    connection.close()


# The command line.
def test_the_command_line_lists_shows_reads_and_asks(node):
    def penstock(*words):
        return node_process.run("product", *words, "--site", node.site, "--data", node.data)

    assert "pump" in penstock("list").stdout and "badge-log" in penstock("list").stdout
    assert "m3/h" in penstock("show", "pump").stdout
    read = penstock("read", "pump", "--point", "pump-7/level", "--limit", "3")
    assert read.returncode == 0 and len(read.stdout.splitlines()) == 4
    assert penstock("sql", "SELECT count(*) AS n FROM pump WHERE value = 5").stdout == "n\n2\n"
    wrong = penstock("sql", "SELECT * FROM pumps")
    assert wrong.returncode == 1 and "line 1, column 15" in wrong.stderr
    asked = penstock("request", "badge-log", "a look", "--json")
    assert asked.returncode == 0 and json.loads(asked.stdout)["state"] == "open"
    assert penstock("show", "nothing").returncode == 1
