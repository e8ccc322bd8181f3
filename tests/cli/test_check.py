"""`penstock check` on copies of the example with a mistake in each: the text is a promise (file, pointer, error, fix)."""

import json
import pathlib
import re
import shutil

import pytest

from node_process import ROOT, number, run, thing, write_site, write_thing


@pytest.fixture
def plant(tmp_path):
    shutil.copytree(ROOT / "examples/bottling", tmp_path / "plant", ignore=shutil.ignore_patterns("data"))
    return tmp_path / "plant"


def edit(file, old, new):
    text = pathlib.Path(file).read_text()
    assert old in text, f"{file} has no {old!r}"
    pathlib.Path(file).write_text(text.replace(old, new, 1))


def check(plant, *arguments):
    return run("check", "plant/", *arguments, cwd=plant.parent)


def file_count(plant):
    return 1 + len(list(plant.glob("things/*.json"))) + sum(len(list(plant.glob(f"{sub}/*.yaml"))) for sub in ("contracts", "models", "kpis", "usecases"))


def test_the_example_has_no_mistake(plant):
    done = check(plant)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"0 errors, 0 warnings in {file_count(plant)} files\n", "")


def test_a_wrong_register_type_reads_as_in_the_guide(plant):
    edit(plant / "things/pump-7.td.json", '"modv:type": "xsd:float"', '"modv:type": "xsd:double"')
    done = check(plant)
    assert done.returncode == 1
    assert done.stdout == ("plant/things/pump-7.td.json  /properties/discharge_pressure/forms/0/modv:type\n"
                           '  error: "xsd:double" needs quantity=4, form reads 2 registers\n'
                           "  fix:   quantity=4, or modv:type xsd:float\n"
                           f"1 error, 0 warnings in {file_count(plant)} files\n")


# What a person gets wrong: file, what, what it becomes, the pointer and words of the answer.
MISTAKES = {
    "a key that nobody knows": ("things/pump-7.td.json", '"ps:asset"', '"ps:aset"', "/ps:aset", "ps:asset"),
    "a wrong type": ("things/pump-7.td.json", '"minimum": -0.5', '"minimum": "low"', "/properties/discharge_pressure/minimum", "number"),
    "an impossible register": ("things/pump-7.td.json", '"href": "40?quantity=2"', '"href": "70000?quantity=2"',
                               "/properties/discharge_pressure/forms/0/href", "65535"),
    "a unit of another language": ("things/pump-7.td.json", '"unit": "bar"', '"unit": "barr"', "/properties/discharge_pressure/unit", "bar"),
    "a model's typo": ("models/pump-faults.yaml", "every: 2min", "evry: 2min", "/evry", "every"),
    "a condition that is none": ("models/pump-faults.yaml", "p(cavitation) > 0.8", "p(cavitation) => 0.8", "/alarm/1/when", "p("),
    "a feature of no point": ("models/pump-faults.yaml", "    flow: [", "    flaw: [", "/features", "flaw"),
    "a machine that is not there": ("kpis/line-1.yaml", "machines: [pump-7,", "machines: [pump-9,", "/machines/0", "pump-9"),
    "a KPI that is not there": ("usecases/bearing.yaml", "primary: unplanned_downtime", "primary: uptime", "/kpi/primary", "uptime"),
    "a point that is not there": ("usecases/bearing.yaml", "pump-7/motor_current", "pump-7/current", "/needs/points", "current"),
    "a setting's typo": ("site.yaml", "retain:", "retian:", "/retian", "retain"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_every_mistake_says_file_place_and_fix(plant, name):
    file, old, new, pointer, word = MISTAKES[name]
    edit(plant / file, old, new)
    done = check(plant, "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 1 and report["errors"] >= 1, report
    found = [f for f in report["findings"] if f["severity"] == "error" and f["file"] == f"plant/{file}" and f["pointer"].startswith(pointer)]
    assert found, report["findings"]
    assert word in found[0]["message"] + found[0]["fix"], found
    assert found[0]["fix"] or "must be" in found[0]["message"], found
    # The same as text, for people.
    assert f"plant/{file}  {found[0]['pointer']}\n  error: {found[0]['message']}\n" in check(plant).stdout


def test_a_file_that_is_no_json_is_told_with_line_and_column(plant):
    edit(plant / "things/filler-1.td.json", '"title": "', '"title": ')
    done = check(plant)
    assert done.returncode == 1
    assert re.search(r"plant/things/filler-1\.td\.json.*\n  error: .*line \d+.*column \d+", done.stdout), done.stdout


def test_a_yaml_file_that_is_torn_is_told_with_its_place(plant):
    (plant / "kpis/line-1.yaml").write_text("kpis: line-1\nmachines: [pump-7\nasset: x\n")
    done = check(plant)
    assert done.returncode == 1 and "plant/kpis/line-1.yaml" in done.stdout and "line" in done.stdout, done.stdout


def test_two_descriptions_for_one_address_are_told(tmp_path):
    form = {"href": "modbus+tcp://127.0.0.1:15020/1/40?quantity=1", "op": "readproperty", "modv:entity": "HoldingRegister",
            "modv:type": "xsd:short"}
    site = write_site(tmp_path / "plant", thing("one", {"a": number(form)}))
    assert check(site).returncode == 0
    write_thing(site, thing("two", {"b": number({**form, "modv:type": "xsd:unsignedShort"})}))
    done = check(site)
    assert done.returncode == 1
    assert "one" in done.stdout and "two.td.json" in done.stdout and "40" in done.stdout, done.stdout


def test_json_is_one_document_with_the_same_findings(plant):
    edit(plant / "things/pump-7.td.json", '"modv:type": "xsd:float"', '"modv:type": "xsd:double"')
    done = check(plant, "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout) == {
        "errors": 1, "warnings": 0, "files": file_count(plant),
        "findings": [{"severity": "error", "file": "plant/things/pump-7.td.json", "fix": "quantity=4, or modv:type xsd:float",
                      "message": '"xsd:double" needs quantity=4, form reads 2 registers',
                      "pointer": "/properties/discharge_pressure/forms/0/modv:type"}]}


def test_a_folder_that_is_not_there_is_an_error_of_its_own(tmp_path):
    done = run("check", tmp_path / "nowhere")
    assert done.returncode == 2 and str(tmp_path / "nowhere") in done.stderr and "fix:" in done.stderr and done.stdout == ""


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A repository with one small model in it, trained on the simulated plant."""
    folder = tmp_path_factory.mktemp("trained") / "models"
    done = run("learn", "train", "--site", "examples/bottling", "--data", folder.parent / "data", "--model", "filler-faults",
               "--plant-seeds", "1..8", "--hours", "6", "--out", folder, timeout=120)
    assert done.returncode == 0, done.stderr
    return folder


def test_an_installed_model_for_other_features_is_told(plant, models):
    edit(plant / "models/filler-faults.yaml", "    bowl_level: [mean]\n", "    bowl_level: [max]\n")
    done = check(plant, "--models", str(models), "--json")
    errors = [f for f in json.loads(done.stdout)["findings"] if f["severity"] == "error"]
    assert done.returncode == 1 and len(errors) == 1, errors
    assert (errors[0]["file"], errors[0]["pointer"]) == ("plant/models/filler-faults.yaml", "/features")
    assert "bowl_level.mean" in errors[0]["message"] and "bowl_level.max" in errors[0]["message"] and errors[0]["fix"], errors
    assert done.stderr == "", "the findings are the output"


def test_models_that_lie_in_the_data_folder_are_looked_at_by_themselves(plant, models):
    shutil.copytree(models, plant / "data/models")
    done = check(plant)
    # The others are not trained: a doubt, for a node runs without them too.
    assert done.returncode == 0 and "  /model\n  warning: no version of pump-faults is installed" in done.stdout, done.stdout
    assert "filler-faults" not in done.stdout
    edit(plant / "models/filler-faults.yaml", "p(clogged_nozzle)", "p(broken_nozzle)")
    done = check(plant)
    assert done.returncode == 1 and "plant/models/filler-faults.yaml  /alarm/0/when\n" in done.stdout, done.stdout
    edit(plant / "models/filler-faults.yaml", "@champion", "@7")
    assert "plant/models/filler-faults.yaml  /model\n" in check(plant).stdout


def test_a_model_that_suppresses_nobody_is_doubted(plant):
    edit(plant / "models/pump-anomalies.yaml", "while: [pump-faults]", "while: [pump-fault]")
    done = check(plant)
    assert done.returncode == 0 and "plant/models/pump-anomalies.yaml  /suppress/while/0\n" in done.stdout, done.stdout
