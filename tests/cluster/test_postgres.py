"""Records in PostgreSQL, against a real server."""

import json
import shutil
import signal

import pytest

from node_process import ROOT, eventually, now_us, number, run, thing, write_site
from servers import Postgres, run_tests

pytestmark = pytest.mark.skipif(Postgres.why_not() is not None, reason=str(Postgres.why_not()))


@pytest.fixture(scope="module")
def postgres():
    server = Postgres()
    yield server
    server.remove()


# The rooms whose tests ask for records in memory get a schema of their own each instead.
@pytest.mark.parametrize("program, tests", [("storage_tests", "Records*:Postgres*"), ("trust_tests", "*"), ("decisions_tests", "*"),
                                            ("fleet_tests", "*"), ("learning_tests", "Label*"), ("value_tests", "*"),
                                            ("telemetry_tests", "Quarantine*:Origin*")])
def test_the_rooms_work_on_postgres(postgres, program, tests):
    run_tests(program, tests, {"PENSTOCK_TEST_RECORDS": postgres.address()})


def site_on(folder, address, *things):
    site = write_site(folder, *things)
    settings = site / "site.yaml"
    settings.write_text(settings.read_text() + f'records: "{address}"\n')
    return site


def test_the_main_job_runs_on_postgres(tmp_path, postgres):
    site = tmp_path / "site"
    shutil.copytree(ROOT / "examples/bottling", site, ignore=shutil.ignore_patterns("data"))
    settings = site / "site.yaml"
    settings.write_text(settings.read_text() + f'\nrecords: "{postgres.address("demo")}"\n')
    trained = run("learn", "train", "--plant-seeds", "1001..1012", "--hours", "8", "--out", tmp_path / "models", timeout=120)
    assert trained.returncode == 0, trained.stderr
    done = run("demo", "--models", tmp_path / "models", "--headless", "--for", "20s", "--seed", "7", "--json", "--site", site, "--data", tmp_path / "data", timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    alarms = int(postgres.ask("SELECT count(*) FROM demo.alarms")[0][0])
    assert alarms > 0, done.stdout
    assert int(postgres.ask("SELECT count(*) FROM demo.audit_entries")[0][0]) > 0
    assert not (tmp_path / "data/records.db").exists()


def test_one_schema_has_one_writer(tmp_path, postgres, nodes):
    site = site_on(tmp_path / "site", postgres.address("one"))
    first = nodes(site)
    with pytest.raises(AssertionError, match="another node writes these records"):
        nodes(site, data=tmp_path / "second")
    first.kill()
    nodes(site, data=tmp_path / "second")  # The server let the lock go with the first node.


def test_a_server_that_restarts_is_found_again(tmp_path, postgres, nodes):
    site = site_on(tmp_path / "site", postgres.address("again"), thing("pump-7", {"flow": number()}))
    node = nodes(site)
    assert node.ask("POST", "/api/v1/tokens", {"name": "before", "role": "viewer"}).status < 300
    postgres.end(signal.SIGQUIT)  # As a crash.
    # The log is local: samples of a token and a point that the node knows are taken on.
    for second in range(3):
        assert node.write(f"pump-7 flow={second} {now_us()}").status == 204
    # Who is unknown stays so, and is told to come again; so is whoever wants to change something.
    assert node.ask("POST", "/write", "pump-7 flow=9", token="nobody").status == 503
    assert node.ask("POST", "/api/v1/tokens", {"name": "meanwhile", "role": "viewer"}).status == 503
    assert "penstock_records_away 1" in node.ask("GET", "/metrics").text
    found = json.loads(run("doctor", "--site", site, "--json").stdout)
    assert [check["ok"] for check in found["checks"] if check["check"] == "records"] == [False]
    postgres.start()
    eventually(lambda: node.write(f"pump-7 flow=2 {now_us()}").status == 204, 20)
    eventually(lambda: node.ask("POST", "/api/v1/tokens", {"name": "after", "role": "viewer"}).status < 300, 20)
    names = {row[0] for row in postgres.ask("SELECT name FROM again.tokens")}
    assert {"before", "after"} <= names and "meanwhile" not in names
    assert [row["value"] for row in node.samples("pump-7/flow")] == [0, 1, 2, 2]
    assert node.get("/api/v1/audit/root")["size"] == int(postgres.ask("SELECT size FROM again.audit_head")[0][0])
