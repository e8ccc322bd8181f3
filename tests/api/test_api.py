"""The API against a real node with its plant: who may what, what is answered, and what is refused.

The node's own OpenAPI document says which routes there are; every one of them is tried by nobody and by each role.
"""

import gzip
import hashlib
import http.client
import json
import re
import threading

import pytest

import node_process
from node_process import ROOT, eventually

ROLES = ["none", "viewer", "technician", "engineer", "admin"]
PASSWORD = "correct horse battery"
FIRST_START_S = 240  # It trains its models.
FIRST_ALARM_S = 180
METHODS = ["get", "put", "post", "delete", "options", "head", "patch", "trace"]


class Answer:
    def __init__(self, response, text):
        self.status, self.headers, self.text = response.status, response.headers, text

    def json(self):
        return json.loads(self.text)


class Client:
    """Somebody who asks: nobody, a session's cookie, or a bearer token."""

    def __init__(self, port, cookie=None, bearer=None):
        self.port, self.cookie, self.bearer = port, cookie, bearer

    def ask(self, method, path, body=None, headers=None, csrf=True):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body=encoded(body), headers=self.headers(headers, csrf))
            response = connection.getresponse()
            live = response.headers.get("Content-Type", "") == "text/event-stream"
            return Answer(response, "" if live else response.read().decode())
        finally:
            connection.close()

    def headers(self, more=None, csrf=True):
        headers = {"Cookie": f"penstock={self.cookie}"} if self.cookie else {}
        if self.bearer:
            headers["Authorization"] = f"Bearer {self.bearer}"
        if csrf:
            headers["X-Penstock-CSRF"] = "1"
        return {**headers, **(more or {})}

    def get(self, path):
        answer = self.ask("GET", path)
        assert answer.status == 200, f"GET {path}: {answer.status} {answer.text}"
        return answer.json()


def encoded(body):
    return json.dumps(body) if isinstance(body, (dict, list)) else body


def cookie_of(answer):
    return re.match(r"penstock=([^;]*)", answer.headers["Set-Cookie"])[1]


class Listener:
    """A listener of live updates; .events is [(id, type, data)]."""

    def __init__(self, client, types="", last_id=None):
        self.events = []
        self._connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=60)
        more = {"Accept": "text/event-stream", **({"Last-Event-ID": str(last_id)} if last_id else {})}
        self._connection.request("GET", f"/api/v1/live?types={types}", headers=client.headers(more))
        self.response = self._connection.getresponse()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        event = {}
        try:
            for line in self.response:
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name == "data":
                    self.events.append((int(event.get("id", 0)), event.get("event"), json.loads(value)))
                event = {} if not name else {**event, name: value}
        except (OSError, http.client.HTTPException, ValueError, AttributeError):
            pass  # Closed, by us or by the node.

    def of(self, kind):
        return [event for event in list(self.events) if event[1] == kind]

    def close(self):
        self._connection.close()


class Site:
    """The node, its people, and what they were told while they were let in."""

    def __init__(self, node):
        port, token = node.port, node.ready["setup_token"]
        self.node, self.nobody, self.machine = node, Client(port), Client(port, bearer=node.token)
        ada = {"name": "ada", "password": PASSWORD}
        self.wrong_setup = self.nobody.ask("POST", "/api/v1/session/setup", {**ada, "token": "guess"})
        self.setup = self.nobody.ask("POST", "/api/v1/session/setup", {**ada, "token": token})
        self.second_setup = self.nobody.ask("POST", "/api/v1/session/setup", {"name": "eve", "password": PASSWORD, "token": token})
        self.people = {"none": self.nobody, "admin": Client(port, cookie=cookie_of(self.setup))}
        for role in ("viewer", "technician", "engineer"):
            added = self.admin.ask("POST", "/api/v1/users", {"name": f"the-{role}", "role": role, "password": PASSWORD})
            assert added.status == 201, added.text
            entered = self.nobody.ask("POST", "/api/v1/session", {"name": f"the-{role}", "password": PASSWORD})
            assert entered.status == 201, entered.text
            self.people[role] = Client(port, cookie=cookie_of(entered))
        self.openapi = self.nobody.get("/api/openapi.json")
        self.live = Listener(self.people["viewer"])

    @property
    def admin(self):
        return self.people["admin"]

    def operations(self):
        for path, item in self.openapi["paths"].items():
            for method, operation in item.items():
                yield method.upper(), re.sub(r"{[^}]+}", "no-such", path), operation["x-role"]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    data = tmp_path_factory.mktemp("api") / "data"
    patient, node_process.START_S = node_process.START_S, FIRST_START_S
    node = node_process.Node(ROOT / "examples/bottling", data=data, arguments=["--demo", "--free-ports"])
    try:
        node.start()
        yield Site(node)
    finally:
        node_process.START_S = patient
        node.close()


# Who may what.
OPEN = {("GET", "/api/openapi.json"), ("GET", "/healthz"), ("GET", "/api/v1/session"), ("POST", "/api/v1/session"),
        ("DELETE", "/api/v1/session"), ("POST", "/api/v1/session/setup")}


def test_nobody_gets_in_but_where_all_may(site):
    assert {(m, p) for m, p, role in site.operations() if role == "none"} == OPEN
    for method, path, role in site.operations():
        if role == "none":
            continue
        answer = site.nobody.ask(method, path, {} if method != "GET" else None)
        assert answer.status == 401, f"{method} {path}: {answer.status} {answer.text}"
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("role", ROLES[1:])
def test_each_role_may_what_the_description_says(site, role):
    for method, path, needed in site.operations():
        if needed == "none":
            continue
        answer = site.people[role].ask(method, path, {} if method not in ("GET", "DELETE") else None)
        told = f"{role}: {method} {path} needs {needed}, answered {answer.status} {answer.text[:200]}"
        if ROLES.index(role) < ROLES.index(needed):
            assert answer.status == 403, told
        else:
            assert answer.status not in (401, 403) and answer.status < 500, told


def test_a_wrong_token_is_nobody(site):
    for bearer in ("", "x", "A" * 43):
        stranger = site.nobody.ask("GET", "/api/v1/points", headers={"Authorization": f"Bearer {bearer}"})
        assert stranger.status == 401
    assert site.nobody.ask("GET", "/api/v1/points", headers={"Authorization": "Basic YTpi"}).status == 401
    assert Client(site.node.port, cookie="forged").ask("GET", "/api/v1/points").status == 401


def test_a_write_by_cookie_needs_the_header_against_forgery(site):
    body = {"name": "forged", "role": "viewer"}
    assert site.admin.ask("POST", "/api/v1/tokens", body, csrf=False).status == 403
    assert "forged" not in [t["name"] for t in site.admin.get("/api/v1/tokens")["items"]]
    assert site.admin.ask("GET", "/api/v1/tokens", csrf=False).status == 200


def test_a_machine_has_a_token_until_it_is_revoked(site):
    made = site.admin.ask("POST", "/api/v1/tokens", {"name": "telegraf", "role": "engineer"})
    assert made.status == 201 and set(made.json()) == {"name", "role", "secret"}
    machine = Client(site.node.port, bearer=made.json()["secret"])
    assert machine.ask("POST", "/write", "", csrf=False).status == 204
    assert made.json()["secret"] not in json.dumps(site.admin.get("/api/v1/tokens"))
    assert site.admin.ask("DELETE", "/api/v1/tokens/telegraf").status == 204
    assert machine.ask("POST", "/write", "").status == 401


# Sessions.
def test_the_set_up_token_works_once(site):
    assert site.wrong_setup.status == 401 and site.wrong_setup.json()["pointer"] == "/token"
    assert site.setup.status == 201 and site.setup.json() == {"user": {"name": "ada", "role": "admin", "titles": []}}
    assert 400 <= site.second_setup.status < 500
    assert site.nobody.get("/api/v1/session")["setup_needed"] is False
    assert "eve" not in [u["name"] for u in site.admin.get("/api/v1/users")["items"]]


def test_cookies_are_for_this_site_and_no_script(site):
    parts = site.setup.headers["Set-Cookie"].split("; ")
    assert "HttpOnly" in parts and "SameSite=Strict" in parts and "Path=/" in parts


def test_logging_out_ends_the_session(site):
    added = site.admin.ask("POST", "/api/v1/users", {"name": "guest", "role": "viewer", "password": PASSWORD})
    assert added.status == 201
    guest = Client(site.node.port, cookie=cookie_of(site.nobody.ask("POST", "/api/v1/session", {"name": "guest", "password": PASSWORD})))
    assert guest.get("/api/v1/session")["user"] == {"name": "guest", "role": "viewer", "titles": []}
    out = guest.ask("DELETE", "/api/v1/session")
    assert out.status == 204 and "Max-Age=0" in out.headers["Set-Cookie"]
    assert guest.get("/api/v1/session")["user"] is None and guest.ask("GET", "/api/v1/points").status == 401
    assert site.admin.ask("DELETE", "/api/v1/users/guest").status == 204


def test_an_admin_changes_a_user_role_and_titles_together_or_not_at_all(site):
    assert site.admin.ask("POST", "/api/v1/users", {"name": "boss", "role": "viewer", "password": PASSWORD}).status == 201
    changed = site.admin.ask("PATCH", "/api/v1/users/boss", {"role": "technician", "titles": ["plant-manager", "shift-lead"]})
    assert changed.status == 200 and (changed.json()["role"], changed.json()["titles"]) == ("technician", ["plant-manager", "shift-lead"])
    refused = site.admin.ask("PATCH", "/api/v1/users/boss", {"role": "engineer", "titles": ["admin"]})
    assert refused.status == 400 and refused.json()["pointer"] == "/titles/0"
    boss = [u for u in site.admin.get("/api/v1/users")["items"] if u["name"] == "boss"][0]
    assert (boss["role"], boss["titles"]) == ("technician", ["plant-manager", "shift-lead"])
    assert site.admin.ask("PATCH", "/api/v1/users/nobody", {"titles": []}).status == 404
    assert site.people["engineer"].ask("PATCH", "/api/v1/users/boss", {"titles": []}).status == 403
    assert site.admin.ask("DELETE", "/api/v1/users/boss").status == 204


def test_the_last_admin_stays(site):
    assert 400 <= site.admin.ask("DELETE", "/api/v1/users/ada").status < 500
    assert site.admin.get("/api/v1/session")["user"]["role"] == "admin"


# What is answered.
def test_every_answer_carries_the_security_headers(site):
    asked = ["/", "/alarms", "/no-such.js", "/api/openapi.json", "/api/v1/points", "/api/v1/no-such", "/healthz", "/metrics"]
    for path in asked:
        for client in (site.nobody, site.people["viewer"]):
            headers = client.ask("GET", path).headers
            policy = headers["Content-Security-Policy"]
            assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy, path
            assert headers["X-Content-Type-Options"] == "nosniff" and headers["Referrer-Policy"] == "no-referrer"
            assert headers["Cross-Origin-Opener-Policy"] == "same-origin" and headers["Cache-Control"]
            assert "Server" not in headers


def test_unknown_paths_are_problems_or_pages_of_the_console(site):
    for path in ("/api/v1/no-such", "/api/v2/no-such", "/no-such.js", "/assets/../../etc/passwd.txt"):
        answer = site.admin.ask("GET", path)
        assert answer.status == 404 and answer.headers["Content-Type"] == "application/problem+json", path
    page = site.nobody.ask("GET", "/alarms/A-1042")
    assert page.status == 200 and page.headers["Content-Type"].startswith("text/html")
    wrong = site.admin.ask("PUT", "/api/v1/points")
    assert wrong.status == 405 and wrong.headers["Allow"] == "GET" and wrong.json()["status"] == 405


def test_a_page_is_not_sent_twice(site):
    page = site.nobody.ask("GET", "/")
    again = site.nobody.ask("GET", "/", headers={"If-None-Match": page.headers["ETag"]})
    assert again.status == 304 and again.text == ""


def test_the_description_is_openapi_3_1(site):
    document, seen = site.openapi, set()
    assert re.fullmatch(r"3\.1\.\d+", document["openapi"]) and {"title", "version"} <= set(document["info"])
    schemes = set(document["components"]["securitySchemes"])
    for path, item in document["paths"].items():
        assert path.startswith("/") and set(item) <= set(METHODS), path
        shape = re.sub(r"{[^}]+}", "{}", path)
        assert shape not in seen, f"{path} stands for the same as another"
        seen.add(shape)
        for method, operation in item.items():
            told = f"{method} {path}"
            assert operation["summary"] and operation["responses"], told
            places = [(p["in"], p["name"]) for p in operation["parameters"]]
            assert len(places) == len(set(places)), told
            assert [n for i, n in places if i == "path"] == re.findall(r"{([^}]+)}", path), told
            assert all(p["schema"] and (p["in"] != "path" or p["required"]) for p in operation["parameters"]), told
            assert all(re.fullmatch(r"[1-5](XX|\d\d)|default", status) for status in operation["responses"]), told
            assert all(r["description"] for r in operation["responses"].values()), told
            assert {name for need in operation.get("security", []) for name in need} <= schemes, told
            assert operation["x-role"] in ROLES and ("security" in operation) == (operation["x-role"] != "none"), told
            assert not (method in ("get", "head") and "requestBody" in operation), told
    for reference in re.findall(r'"\$ref": ?"#/([^"]+)"', json.dumps(document)):
        place = document
        for key in reference.split("/"):
            place = place[key]


# What is refused.
def test_a_body_that_is_no_json_is_told_where(site):
    answer = site.nobody.ask("POST", "/api/v1/session", '{"name": "ada",\n oops}')
    problem = answer.json()
    assert answer.status == 400 and answer.headers["Content-Type"] == "application/problem+json"
    assert problem["status"] == 400 and "line 2" in problem["detail"], problem
    missing = site.nobody.ask("POST", "/api/v1/session", {"name": "ada"})
    assert missing.status == 400 and "password" in missing.json()["detail"]
    mistyped = site.nobody.ask("POST", "/api/v1/session", {"nmae": "ada", "password": "x"})
    assert mistyped.status == 400 and mistyped.json()["pointer"] == "/nmae" and "name" in mistyped.json()["fix"]
    for body in ("[1]", "7", "null", "[" * 5000):
        assert site.nobody.ask("POST", "/api/v1/session", body).status == 400, body[:20]


def test_a_body_beyond_the_limit_is_refused_and_the_client_can_read_why(site):
    answer = site.machine.ask("POST", "/write", b"x" * (33 << 20))
    assert answer.status == 413 and answer.json()["status"] == 413
    bomb = gzip.compress(b"\0" * (80 << 20))
    inflated = site.machine.ask("POST", "/write", bomb, headers={"Content-Encoding": "gzip"})
    assert inflated.status == 413 and "inflates" in inflated.json()["detail"]


def test_queries_are_checked(site):
    for path in ("/api/v1/points?limit=0", "/api/v1/points?limit=many", "/api/v1/points?after=-7", "/api/v1/alarms?state=odd",
                 "/api/v1/samples?point=pump-7/flow&from=yesterday", "/api/v1/points/pump-7/flow/trend?width=4001",
                 "/api/v1/points/pump-7/flow/trend?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z",
                 "/api/v1/points/pump-7/flow/trend?of=rms", "/api/v1/points/pump-7/flow/trend?of=mean", "/api/v1/audit/x/proof"):
        assert site.admin.ask("GET", path).status == 400, path
    unknown = site.admin.ask("GET", "/api/v1/points/pump-7/flwo/trend")
    assert unknown.status == 404 and "pump-7/flow" in unknown.json()["fix"]


# Lists and trends.
def walk(client, path, limit):
    items, after = [], None
    while True:
        page = client.get(f"{path}{'&' if '?' in path else '?'}limit={limit}" + (f"&after={after}" if after else ""))
        assert len(page["items"]) <= limit
        items, after = items + page["items"], page["next"]
        if after is None:
            return items


def test_a_list_has_every_item_once_over_its_pages(site):
    everything = [p["path"] for p in site.admin.get("/api/v1/points")["items"]]
    assert len(everything) > 10
    assert [p["path"] for p in walk(site.admin, "/api/v1/points", 7)] == everything
    size = site.admin.get("/api/v1/audit/root")["size"]
    leaves = [e["leaf"] for e in walk(site.admin, "/api/v1/audit", 2)]
    assert leaves == sorted(set(leaves), reverse=True) and len(leaves) >= size and leaves[-1] == 0


def test_a_thing_comes_with_its_points(site):
    for thing in site.admin.get("/api/v1/things")["items"]:
        one = site.admin.get(f"/api/v1/things/{thing['name']}")
        assert len(one["point_list"]) == thing["points"] and one["document"]["id"] == thing["id"]
        assert all(p["thing"] == thing["name"] for p in one["point_list"])


def test_a_trend_has_never_more_rows_than_pixels(site):
    for point in ("pump-7/flow", "pump-7/vibration_de", "gearbox-2/speed"):
        eventually(lambda: site.admin.get(f"/api/v1/points/{point}/trend")["points"], timeout=60, what=point)
        for width in (1, 2, 7, 100, 4000):
            trend = site.admin.get(f"/api/v1/points/{point}/trend?width={width}")
            assert 0 < len(trend["points"]) <= width
            assert [row[0] for row in trend["points"]] == sorted({row[0] for row in trend["points"]})
            for _, first, low, high, last, count, bad in trend["points"]:
                assert count > bad or (low is None and first is None)
                assert low is None or (low <= first <= high and low <= last <= high)


def test_a_waveform_is_shown_as_the_rms_of_its_bursts(site):
    path = "/api/v1/points/pump-7/vibration_de/trend"
    rms = eventually(lambda: (t := site.admin.get(path + "?width=3&of=rms"))["points"] and t, timeout=60)
    raw = site.admin.get(path + f"?width=3&from={rms['from']}&to={rms['to']}")
    assert rms["of"] == "rms" and raw["of"] == "value" and raw["normal_low"] is None
    for row, samples in zip(rms["points"], raw["points"]):
        assert 0 <= row[2] <= row[3] <= max(abs(samples[2]), abs(samples[3]))
        assert row[5] < samples[5]


# Ingest.
def test_a_partial_write_keeps_the_good_lines(site):
    # Within the plant's own time: what is too far ahead would be quarantined.
    before = site.admin.get("/api/v1/session")["time"]
    lines = "energy-meter-1 power_factor=0.5\nenergy-meter-1 colour=3\nno fields here\nenergy-meter-1 power_factor=\"x\"\n"
    answer = site.machine.ask("POST", "/write", lines)
    problem = answer.json()
    assert answer.status == 400 and problem["lines"] == 4 and problem["error_count"] == 3
    assert [e["line"] for e in problem["errors"]] == [2, 3, 4] and "energy-meter-1" in problem["errors"][0]["message"]
    stored = lambda: [s for s in site.admin.get(f"/api/v1/samples?point=energy-meter-1/power_factor&from={before}")["items"] if s["value"] == 0.5]
    assert len(eventually(stored)) == 1


def test_gzip_bodies_are_lines_too(site):
    before = site.admin.get("/api/v1/session")["time"]
    answer = site.machine.ask("POST", "/api/v2/write", gzip.compress(b"energy-meter-1 power_factor=0.625"), headers={"Content-Encoding": "gzip"})
    assert answer.status == 204 and answer.text == ""
    stored = lambda: [s for s in site.admin.get(f"/api/v1/samples?point=energy-meter-1/power_factor&from={before}")["items"] if s["value"] == 0.625]
    assert len(eventually(stored)) == 1
    for body, encoding in ((b"no gzip", "gzip"), (gzip.compress(b"a b=1")[:-4], "gzip"), (b"a b=1", "br")):
        assert site.machine.ask("POST", "/write", body, headers={"Content-Encoding": encoding}).status == 400


# The field.
def test_a_device_tells_what_happened_to_it(site):
    pump = site.admin.get("/api/v1/devices/pump-7")
    assert pump["name"] == "pump-7" and isinstance(pump["findings"], list)
    assert [c["at"] for c in pump["changes"]] == sorted((c["at"] for c in pump["changes"]), reverse=True)
    health = site.admin.get("/api/v1/diagnostics")
    assert health["healthy"] == (not health["findings"])
    assert site.admin.ask("GET", "/api/v1/devices/no-such").status == 404


def test_a_twin_says_what_is_still_to_be_done(site):
    path = "/api/v1/twins/filler-1"
    assert site.admin.ask("GET", "/api/v1/twins/no-such").status == 404
    asked = site.people["engineer"].ask("PATCH", path, {"desired": {"rate": 500}})
    assert asked.status == 200 and asked.json()["difference"] == {"rate": 500}
    version = asked.json()["desired_version"]
    assert site.admin.ask("PATCH", path, {"desired": {"rate": 400}, "if_version": version - 1}).status == 409
    done = site.admin.ask("PATCH", path, {"reported": {"rate": 500}})
    assert done.json()["difference"] == {} and site.admin.get(path)["reported"] == {"rate": 500}
    for body in ({}, {"desired": {}, "reported": {}}, {"desired": 3}, {"desired": {}, "if_version": "1"}):
        assert site.admin.ask("PATCH", path, body).status == 400, body


# Trust.
def root_of(proof):
    """RFC 9162 section 2.1.3.2."""
    node, last, value = proof["leaf"], proof["size"] - 1, bytes.fromhex(proof["leaf_hash"])
    for sibling in map(bytes.fromhex, proof["path"]):
        if node & 1 or node == last:
            value = hashlib.sha256(b"\1" + sibling + value).digest()
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            value = hashlib.sha256(b"\1" + value + sibling).digest()
        node, last = node >> 1, last >> 1
    return value.hex()


def test_a_stranger_can_check_the_audit_log(site):
    for entry in site.admin.get("/api/v1/audit?limit=20")["items"]:
        proof = site.admin.get(f"/api/v1/audit/{entry['leaf']}/proof")
        assert proof["proof_ok"] and root_of(proof) == proof["root"]
        canonical = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        assert hashlib.sha256(b"\0" + canonical).hexdigest() == proof["leaf_hash"]


def test_a_gate_is_signed_in_ones_own_role(site):
    path = "/api/v1/usecases/bearing-wear-line-1/gates/G1/sign"
    signed = lambda: len([e for e in walk(site.admin, "/api/v1/audit", 1000) if e["action"] == "gate.sign"])
    before = signed()
    for role in ("admin", "plant-manager", "engineer"):
        assert site.people["engineer"].ask("POST", path, {"as": role}).status == 403, role
    assert site.admin.ask("POST", path, {"as": "baker"}).status == 403
    assert signed() == before, "a refused signature left an entry"
    assert site.admin.ask("POST", path, {"as": "plant-manager", "note": "for the pilot"}).status == 201
    assert signed() == before + 1


# Live.
def test_live_values_and_what_was_missed(site):
    assert site.live.response.status == 200 and site.live.response.headers["Content-Type"] == "text/event-stream"
    _, _, values = eventually(lambda: site.live.of("values"), timeout=30)[0]
    assert all(len(v) == 3 for v in values["values"].values()) and values["time"].endswith("Z")
    path = "/api/v1/usecases/bearing-wear-line-1/gates/G1/sign"
    sign = lambda: site.admin.ask("POST", path, {"as": "plant-manager"})
    first = Listener(site.people["viewer"], types="gate")
    sign()
    seen = eventually(lambda: first.of("gate"))[-1][0]
    first.close()
    sign()
    sign()
    back = Listener(site.people["viewer"], types="gate", last_id=seen)
    missed = eventually(lambda: len(back.of("gate")) >= 2 and back.of("gate"))
    assert [i for i, _, _ in missed] == sorted(i for i, _, _ in missed) and missed[0][0] > seen
    assert {kind for _, kind, _ in back.events} == {"gate"}
    back.close()


def test_an_alarm_reaches_the_listener_and_is_answered(site):
    _, _, alarm = eventually(lambda: site.live.of("alarm"), timeout=FIRST_ALARM_S, what="an alarm")[0]
    path = f"/api/v1/alarms/{alarm['id']}"
    assert site.people["viewer"].get(path)["trace"] == alarm["trace"]
    assert site.people["viewer"].ask("POST", path + "/acknowledge").status == 403
    assert site.people["technician"].ask("POST", path + "/verdict", {"kind": "odd"}).status == 400
    answered = site.people["technician"].ask("POST", path + "/verdict", {"kind": "unsure", "note": "went to look"})
    assert answered.status == 200 and answered.json()["verdict"]["actor"] == "the-technician"
    chain = site.people["viewer"].get(path + "/explain")
    assert chain["audit"]["proof_ok"] and {"samples", "alarm", "verdict"} <= {s["stage"] for s in chain["steps"]}
    assert eventually(lambda: [e for e in site.live.of("alarm") if e[2]["id"] == alarm["id"] and e[2]["verdict"]])


def test_zz_guessing_a_password_has_to_wait(site):
    """Last of all, since it makes everybody from this address wait."""
    statuses = [site.nobody.ask("POST", "/api/v1/session", {"name": "ada", "password": f"guess number {i}"}).status for i in range(12)]
    assert statuses[0] == 401 and statuses[-1] == 429, statuses
    right = site.nobody.ask("POST", "/api/v1/session", {"name": "ada", "password": PASSWORD})
    assert right.status == 429 and int(right.headers["Retry-After"]) >= 1
    assert site.admin.get("/api/v1/session")["user"]["name"] == "ada", "who is in stays in"
