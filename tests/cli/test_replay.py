"""`penstock replay`: a recorded file through a thing's description, or judged by a detector; what is wrong with a file is told with
its place, and good rows beside bad ones are kept.
"""

import json
import math
import random

import pytest

from node_process import number, run, thing, write_site


@pytest.fixture
def site(tmp_path):
    return write_site(tmp_path / "site", thing("valve", {"flow": number(), "pressure": number(**{"ps:column": "Pressure (bar)"})}))


def replay(site, text, *arguments):
    file = site.parent / "rows.csv"
    file.write_text(text)
    return run("replay", file, "--site", site, "--data", site.parent / "data", *arguments)


def rows(count, columns="time,flow,Pressure (bar)"):
    lines = [f"2026-11-0{1 + index // 1440}T{index // 60 % 24:02}:{index % 60:02}:00Z,{index},{index / 10}" for index in range(count)]
    return "\n".join([columns, *lines]) + "\n"


def test_rows_become_samples_of_the_thing(site):
    done = replay(site, rows(100), "--thing", "valve", "--json")
    assert done.returncode == 0, done.stderr
    assert 200 in json.loads(done.stdout).values(), done.stdout


def test_a_missing_column_is_named_with_its_property_and_a_fix(site):
    done = replay(site, rows(10, "time,flow,Pressure"), "--thing", "valve")
    assert done.returncode == 2
    assert '"Pressure (bar)" (valve/pressure)' in done.stderr and "rows.csv" in done.stderr and "ps:column" in done.stderr, done.stderr


def test_bad_rows_are_counted_and_the_good_ones_kept(site):
    text = rows(10) + "2026-11-02T00:00:00Z,high,3\nyesterday,1,2\n2026-11-02T00:02:00Z,1\n2026-11-02T00:03:00Z,7,8\n"
    done = replay(site, text, "--thing", "valve", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert any(22 <= value <= 24 for value in report.values() if isinstance(value, int)), report


@pytest.mark.parametrize("text", ["", "no header\n", "time,flow\n", "a;b\n1;2\n"], ids=["empty", "one column", "no rows", "too short"])
def test_a_file_with_nothing_to_judge_is_told(site, text):
    done = replay(site, text)
    assert done.returncode == 2 and "error:" in done.stderr and done.stdout == "", (done.stdout, done.stderr)
    assert not text or "fix:" in done.stderr, done.stderr


def test_a_torn_line_is_told_with_its_number_and_a_fix(site):
    done = replay(site, rows(10) + "2026-11-02T00:02:00Z,1\n")
    assert done.returncode == 2 and done.stdout == ""
    assert "line 12 has 2 columns, the header 3" in done.stderr and "fix: write the missing cells of line 12" in done.stderr, done.stderr


def test_a_file_that_is_not_there_and_a_thing_that_is_not_there(site):
    done = run("replay", site / "nowhere.csv")
    assert done.returncode == 2 and "nowhere.csv" in done.stderr
    done = replay(site, rows(3), "--thing", "pump")
    assert done.returncode == 2 and "pump" in done.stderr


def test_a_detector_finds_what_changed_and_says_because_of_what(site):
    chance = random.Random(7)
    lines = ["datetime;flow;pressure;level;anomaly"]
    for index in range(1200):
        wrong = 900 <= index < 1000
        flow, level = math.sin(index / 20) + chance.gauss(0, 0.1), chance.gauss(5, 0.1)
        pressure = 2 * flow + chance.gauss(0, 0.1) + (3 if wrong else 0)
        lines.append(f"2026-11-01 {index // 3600:02}:{index // 60 % 60:02}:{index % 60:02};{flow};{pressure};{level};{int(wrong)}")
    done = replay(site, "\n".join(lines) + "\n", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["alarms"], report
    first = report["alarms"][0]
    assert first["because"][0]["column"] == "pressure", report["alarms"]
    assert "alarm" in replay(site, "\n".join(lines) + "\n").stdout
