"""Anyone reads the history: DuckDB and pandas on the Parquet files, in the three lines of the README."""

import re

import duckdb
import pandas
import pytest

from node_process import ROOT, now_us, number, thing, write_site

DAY_US = 86_400_000_000


@pytest.fixture
def stopped(tmp_path, nodes):
    """A node that took samples of two points over two days, and stopped."""
    pump = thing("pump", {"flow": number(), "level": number()}, **{"ps:product": "line-1"})
    node = nodes(write_site(tmp_path / "site", pump))
    start = now_us() - DAY_US
    lines = [f"pump flow={index},level={index / 10} {start + index * 60_000_000}" for index in range(1000)]
    assert node.write("\n".join(lines)).status == 204
    assert node.stop() == 0
    return node


def test_the_readmes_lines_work(stopped):
    readme = (ROOT / "README.md").read_text()
    query = re.search(r'duckdb\.sql\("(.*)"\)', readme)[1]
    rows = duckdb.sql(query.replace("examples/bottling/data", str(stopped.data))).fetchall()
    assert dict(rows) == {"pump/flow": pytest.approx(499.5), "pump/level": pytest.approx(49.95)}


def test_pandas_reads_the_files_sorted_and_typed(stopped):
    files = sorted((stopped.data / "history").glob("line-1/*/*.parquet"))
    assert len({file.parent.name for file in files}) == 2  # A folder for each day.
    frame = pandas.concat([pandas.read_parquet(file) for file in files])
    assert len(frame) == 2000
    assert {"point", "value", "quality"} <= set(frame.columns), list(frame.columns)
    time = next(name for name in frame.columns if name in ("time", "source_time"))
    assert str(frame[time].dtype).startswith("datetime64")
    assert (frame["quality"] == 0).all()
    for file in files:
        one = pandas.read_parquet(file)
        assert one.sort_values(["point", time], kind="stable").index.equals(one.index)
    flow = frame[frame["point"] == "pump/flow"].sort_values(time)
    assert list(flow["value"]) == list(range(1000))


def test_what_the_files_have_is_what_the_node_says(stopped):
    stopped.start()
    said = [(row["time"], row["value"]) for row in stopped.samples("pump/level")]
    files = stopped.data / "history/*/*/*.parquet"
    columns = [row[0] for row in duckdb.sql(f"describe select * from '{files}'").fetchall()]
    time = "time" if "time" in columns else "source_time"
    rows = duckdb.sql(f"select value from '{files}' where point = 'pump/level' order by {time}").fetchall()
    assert [row[0] for row in rows] == [value for _, value in said]
