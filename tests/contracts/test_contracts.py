"""Data contracts in a running node: a violating value goes to quarantine, is corrected and released; versions and lineage.

The schemas of the standards are test oracles that lie beside the checkout where they are at hand; the product needs none of them.
"""

import json
import pathlib
import shutil

import pytest

from node_process import ROOT, eventually, now_us, number, run, thing, write_site

SPECS = ROOT.parent / "shared" / "specs"

CONTRACT = """\
# Written by people: this comment must survive.
apiVersion: v3.1.0
kind: DataContract
id: pump
name: Test pump
version: "1.2.0"
status: active
schema:
  - name: pump
    properties:
      - name: pressure
        logicalType: number
        logicalTypeOptions: {minimum: 0, maximum: 16}
        required: true
        customProperties:
          - {property: unit, value: bar}
      - name: starts
        logicalType: integer
        quality:
          - {metric: missingValues, arguments: {missingValues: [-999]}, mustBe: 0}
slaProperties:
  - {property: freshness, value: 10, unit: min}
"""


def plant(folder, contract=CONTRACT):
    properties = {"pressure": number(unit="bar"), "starts": number(type="integer")}
    site = write_site(folder, thing("pump-7", properties, **{"ps:contract": "pump@1.2.0"}))
    (site / "contracts").mkdir(exist_ok=True)
    (site / "contracts/pump.odcs.yaml").write_text(contract)
    return site


def oracle(name):
    path = SPECS / name
    if not path.exists():
        pytest.skip(f"{name} is not beside the checkout")
    jsonschema = pytest.importorskip("jsonschema")
    return jsonschema.Draft201909Validator(json.loads(path.read_text()))


def ledger(node):
    found = node.get("/api/v1/ledger")
    assert found["gap"] == 0, found
    return found


def test_a_violating_value_is_quarantined_corrected_and_released(tmp_path, nodes):
    node = nodes(plant(tmp_path / "plant"))
    at = now_us()
    # The good lines of the same request are stored.
    assert node.write(f"m,thing=pump-7 pressure=7.5,starts=3i {at}\nm,thing=pump-7 pressure=75,starts=-999i {at + 1000}").status == 204
    entries = {e["point"]: e for e in node.get("/api/v1/quarantine", state="open")["items"]}
    assert set(entries) == {"pump-7/pressure", "pump-7/starts"}, entries
    wrong = entries["pump-7/pressure"]
    assert (wrong["contract"], wrong["rule"], wrong["value"], wrong["samples"]) == ("pump@1.2.0", "maximum", "75", 1)
    assert entries["pump-7/starts"]["rule"] == "missing_values"
    assert [s["value"] for s in node.samples("pump-7/pressure")] == [7.5]
    assert ledger(node)["quarantined"] == 2

    release = f"/api/v1/quarantine/{wrong['id']}/release"
    still_wrong = node.ask("POST", release, {"value": 99, "reason": "typo"})
    assert still_wrong.status == 400 and still_wrong.json()["pointer"] == "/value", still_wrong.text
    assert node.ask("POST", release, {"value": 7.6}).status == 400  # No reason.
    for _ in range(2):  # Twice is once.
        done = node.ask("POST", release, {"value": 7.6, "reason": "gauge read on site"})
        assert done.status == 200 and done.json()["state"] == "released", done.text
    assert node.ask("POST", release, {"value": 7.7, "reason": "no, this"}).status == 409
    rows = node.samples("pump-7/pressure")
    assert [(r["value"], r["quality"]) for r in rows] == [(7.5, "Good"), (7.6, "Uncertain_SubstituteValue")]
    assert rows[1]["time"] == wrong["source_time"]

    discard = f"/api/v1/quarantine/{entries['pump-7/starts']['id']}/discard"
    assert node.ask("POST", discard, {"reason": "stands for missing"}).json()["state"] == "discarded"
    assert node.get("/api/v1/quarantine", state="open")["items"] == []
    # A released row was produced when it came; now it is stored.
    found = ledger(node)
    assert [found[key] for key in ("produced", "stored", "quarantined", "released")] == [4, 3, 1, 1]
    actions = {e["action"] for e in node.get("/api/v1/audit")["items"]}
    assert {"quarantine.release", "quarantine.discard"} <= actions

    # All of it survives a kill.
    node.kill()
    node.start()
    assert len(node.samples("pump-7/pressure")) == 2
    assert node.get(f"/api/v1/quarantine/{wrong['id']}")["state"] == "released"
    ledger(node)


def test_a_quarantined_value_is_durable_when_it_is_acknowledged(tmp_path, nodes):
    node = nodes(plant(tmp_path / "plant"))
    for i in range(20):
        assert node.write(f"m,thing=pump-7 pressure={100 + i} {now_us()}").status == 204
    node.kill()
    node.start()
    values = {e["value"] for e in node.get("/api/v1/quarantine", contract="pump", rule="maximum")["items"]}
    assert values == {str(100 + i) for i in range(20)}


def test_filters_page_through_the_quarantine(tmp_path, nodes):
    node = nodes(plant(tmp_path / "plant"))
    at = now_us()
    for i in range(5):
        node.write(f"m,thing=pump-7 pressure={90 + i},starts=-999i {at + i}")
    assert len(node.get("/api/v1/quarantine", point="pump-7/starts")["items"]) == 5
    assert len(node.get("/api/v1/quarantine", contract="pump@1.2.0")["items"]) == 10
    assert node.get("/api/v1/quarantine", contract="pump@9.0.0")["items"] == []
    first = node.get("/api/v1/quarantine", rule="maximum", limit=3)
    rest = node.get("/api/v1/quarantine", rule="maximum", limit=3, after=first["next"])
    assert [e["value"] for e in first["items"] + rest["items"]] == ["94", "93", "92", "91", "90"]
    assert node.ask("GET", "/api/v1/quarantine?state=lost").status == 400


def replace_contract(site, old, new):
    path = site / "contracts/pump.odcs.yaml"
    text = path.read_text()
    assert old in text
    path.with_suffix(".part").write_text(text.replace(old, new))
    path.with_suffix(".part").rename(path)


def test_a_new_version_comes_while_running_and_a_broken_promise_does_not(tmp_path, nodes):
    site = plant(tmp_path / "plant")
    node = nodes(site)
    node.write(f"m,thing=pump-7 pressure=12 {now_us()}")
    # Narrowed without a major step: the old one stays.
    replace_contract(site, "maximum: 16", "maximum: 10")
    eventually(lambda: "needs a major step" in node.log(), what="the refusal in the log")
    kept = node.get("/api/v1/contracts/pump")
    assert kept["version"] == "1.2.0" and kept["refused"]["fix"].startswith("version: 2.0.0"), kept["refused"]
    assert "needs a major step" in run("check", site).stdout
    node.write(f"m,thing=pump-7 pressure=12 {now_us()}")
    assert node.get("/api/v1/quarantine", contract="pump")["items"] == []
    replace_contract(site, 'version: "1.2.0"', 'version: "2.0.0"')
    eventually(lambda: node.get("/api/v1/contracts/pump")["version"] == "2.0.0", what="version 2.0.0")
    assert node.get("/api/v1/contracts/pump")["refused"] is None
    eventually(lambda: node.write(f"m,thing=pump-7 pressure=12 {now_us()}") and
               node.get("/api/v1/quarantine", contract="pump@2.0.0")["items"], what="the new range")
    versions = node.get("/api/v1/contracts/pump/versions")["items"]
    assert [v["version"] for v in versions] == ["2.0.0", "1.2.0"]
    assert versions[0]["changes"]["step"] == "major" and versions[0]["changes"]["changes"][0]["kind"] == "range_narrowed"
    assert versions[1]["applied"][0]["first_sequence"] < versions[0]["applied"][0]["first_sequence"]
    diff = run("contract", "diff", "pump@1.2.0", "pump", "--site", site, "--json")
    assert json.loads(diff.stdout)["allowed"] is True, diff.stdout
    # A broken file keeps its old version, also over a restart.
    (site / "contracts/pump.odcs.yaml").write_text("apiVersion: [")
    node.stop()
    node.start()
    assert node.get("/api/v1/contracts/pump")["version"] == "2.0.0"


def test_compliance_shows_every_promise_beside_its_measure(tmp_path, nodes):
    node = nodes(plant(tmp_path / "plant"))
    node.write(f"m,thing=pump-7 pressure=7 {now_us()}\nm,thing=pump-7 pressure=70 {now_us() + 1}")
    eventually(lambda: node.point("pump-7/pressure")["value"] == 7, what="the live value")
    body = node.get("/api/v1/contracts/pump/compliance")
    promises = {(p["name"], p["point"]): p for p in body["promises"]}
    assert promises["freshness", "pump-7/pressure"]["state"] == "kept"
    assert promises["freshness", "pump-7/starts"]["state"] == "not_measured"
    broken = promises["type, range and unit", "pump-7/pressure"]
    assert (broken["state"], broken["measured"]) == ("broken", 1) and body["kept"] is False
    assert body["violations_ever"] == [{**body["violations_ever"][0], "contract": "pump@1.2.0", "rule": "maximum", "samples": 1}]
    cli = run("contract", "compliance", "pump", "--site", node.site, "--data", node.data)
    assert cli.returncode == 1 and "pump@1.2.0  broken" in cli.stdout, cli.stdout


def test_the_command_line_lists_and_releases(tmp_path, nodes):
    node = nodes(plant(tmp_path / "plant"))
    node.write(f"m,thing=pump-7 pressure=70 {now_us()}")
    at = ("--site", node.site, "--data", node.data)
    assert "pump-7/pressure" in run("quarantine", "list", "--contract", "pump", *at).stdout
    entry = json.loads(run("quarantine", "list", "--json", *at).stdout)["items"][0]
    done = run("quarantine", "release", entry["id"], "--value", 7, "--reason", "gauge", *at)
    assert done.returncode == 0 and "released" in done.stdout, done.stderr
    # A range that was too narrow: all that it kept out comes in.
    node.write("\n".join(f"m,thing=pump-7 pressure={20 + i} {now_us() + i}" for i in range(5)))
    assert run("quarantine", "release", "--reason", "all?", *at).returncode == 2
    done = run("quarantine", "release", "--contract", "pump", "--rule", "maximum", "--reason", "range was too narrow", "--json", *at)
    assert json.loads(done.stdout)["released"] >= 1, done.stderr
    assert sorted(s["value"] for s in node.samples("pump-7/pressure")) == [7, 20, 21, 22, 23, 24]
    assert ledger(node)["stored"] == 6
    listed = json.loads(run("contract", "list", "--json", *at).stdout)["items"]
    assert [(c["id"], c["version"], c["points"]) for c in listed] == [("pump", "1.2.0", 2)]


@pytest.fixture
def bottling(tmp_path):
    shutil.copytree(ROOT / "examples/bottling", tmp_path / "plant", ignore=shutil.ignore_patterns("data"))
    return tmp_path / "plant"


def test_what_is_generated_keeps_the_standard(bottling):
    validator = oracle("odcs-3.1.schema.json")
    for model in sorted(bottling.glob("things/*.tm.json")):
        kind = model.name.removesuffix(".tm.json")
        done = run("contract", "generate", kind, "--print", "--json", "--owner", "plant-manager", "--site", bottling)
        assert done.returncode == 0, done.stderr
        errors = [f"{e.json_path}: {e.message}" for e in validator.iter_errors(json.loads(done.stdout))]
        assert errors == [], errors


def test_the_examples_contracts_keep_the_standard_and_the_models(bottling, tmp_path, nodes):
    checked = run("contract", "check", "--site", bottling)
    assert checked.returncode == 0 and "0 errors" in checked.stdout, checked.stdout
    for contract in sorted(bottling.glob("contracts/*.odcs.yaml")):
        kind = contract.name.removesuffix(".odcs.yaml")
        done = run("contract", "generate", kind, "--site", bottling, "--json")
        assert json.loads(done.stdout)["added"] == [], done.stdout
    site = bottling / "site.yaml"
    site.write_text(site.read_text().replace("127.0.0.1:8080", "127.0.0.1:0").replace("127.0.0.1:1883", "127.0.0.1:0"))
    node = nodes(bottling)
    contracts = node.get("/api/v1/contracts")["items"]
    assert len(contracts) == len(list(bottling.glob("contracts/*.odcs.yaml")))
    validator = oracle("odcs-3.1.schema.json")
    for contract in contracts:
        document = node.get(f"/api/v1/contracts/{contract['id']}")["document"]
        assert [e.message for e in validator.iter_errors(document)] == []


def test_generating_again_keeps_what_people_wrote(bottling):
    file = bottling / "contracts/pump.odcs.yaml"
    file.write_text("# Ours.\n" + file.read_text().replace("maximum: 16", "maximum: 20", 1))
    model = bottling / "things/pump.tm.json"
    document = json.loads(model.read_text())
    document["properties"]["oil_level"] = {"type": "number", "unit": "%", "minimum": 0, "maximum": 100}
    document["tm:optional"] = ["/properties/oil_level"]
    model.write_text(json.dumps(document))
    shown = run("contract", "generate", "pump", "--site", bottling)
    assert shown.returncode == 1 and "+ oil_level" in shown.stdout and "contract 20" in shown.stdout, shown.stdout
    assert "oil_level" not in file.read_text()
    done = run("contract", "generate", "pump", "--merge", "--site", bottling)
    assert done.returncode == 0, done.stderr
    text = file.read_text()
    assert text.startswith("# Ours.\n") and "maximum: 20" in text and "name: oil_level" in text and 'version: "1.3.0"' in text
    assert "0 errors" in run("contract", "check", "--site", bottling).stdout


def test_check_tells_a_contracts_mistake_with_file_place_and_fix(bottling):
    file = bottling / "contracts/pump.odcs.yaml"
    file.write_text(file.read_text().replace("logicalType: number", "logicalType: nubmer", 1))
    report = json.loads(run("check", bottling, "--json").stdout)
    found = [f for f in report["findings"] if f["file"].endswith("pump.odcs.yaml") and f["severity"] == "error"]
    assert found and found[0]["pointer"].startswith("/schema/0/properties/0/logicalType") and "number" in found[0]["fix"], report
