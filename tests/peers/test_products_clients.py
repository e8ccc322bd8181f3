"""The real pandas, pyarrow and DuckDB read a data product over HTTP, in the lines that docs/formats/product.md shows."""

import contextlib
import io
import re

import duckdb
import pandas
import pyarrow.parquet
import pytest
import requests

import node_process
from node_process import ROOT, eventually, now_us, number, thing, write_site

ROWS = 5000


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    site = write_site(tmp_path_factory.mktemp("clients") / "site",
                      thing("pump-7", {"flow": number(), "level": number()}, **{"ps:product": "pump"}))
    node = node_process.Node(site).start()
    start = now_us() - 86_400_000_000
    lines = [f"pump-7 flow={i},level={i / 10} {start + i * 10_000_000}" for i in range(ROWS)]
    assert node.write("\n".join(lines)).status == 204
    assert node.stop() == 0  # What it had is in files now ...
    node.start()
    assert node.write(f"pump-7 flow=-1 {now_us()}").status == 204  # ... and this is not.
    eventually(lambda: node.get("/api/v1/products/pump")["rows"] == 2 * ROWS + 1, what="all rows")
    node.viewer = node.ask("POST", "/api/v1/tokens", {"name": "notebook", "role": "viewer"}).json()["secret"]
    yield node
    node.close()


def snippets(node):
    """The Python examples of the documentation, for this node and this token."""
    text = (ROOT / "docs/formats/product.md").read_text()
    found = re.findall(r"```python\n(.*?)```", text, re.S)
    return [code.replace("http://127.0.0.1:8080", node.ready["url"]).replace("TOKEN", node.viewer) for code in found]


def test_pandas_reads_it_in_the_three_lines_of_the_documentation(node):
    code = next(code for code in snippets(node) if "pandas" in code)
    assert len(code.strip().splitlines()) == 3
    names = {}
    exec(code, names)  # pylint: disable=exec-used
    frame = names["frame"]
    assert len(frame) == 2 * ROWS + 1 and str(frame["time"].dtype).startswith("datetime64")
    assert frame[frame["point"] == "pump-7/flow"]["value"].min() == -1


def test_duckdb_reads_it_in_the_three_lines_of_the_documentation(node, tmp_path, monkeypatch):
    code = next(code for code in snippets(node) if "duckdb" in code)
    assert len(code.strip().splitlines()) == 3
    monkeypatch.chdir(tmp_path)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(code, {})  # pylint: disable=exec-used
    assert "pump-7/flow" in said.getvalue()
    assert duckdb.sql(f"SELECT count(*) FROM '{tmp_path}/pump.parquet'").fetchone() == (2 * ROWS + 1,)


class Ranges(io.RawIOBase):
    """A file over HTTP that is never read as a whole: every read is a range."""

    def __init__(self, url, token):
        super().__init__()
        self._session, self._url, self._at = requests.Session(), url, 0
        self._session.headers["Authorization"] = f"Bearer {token}"
        head = self._session.head(url)
        assert head.status_code == 200 and head.headers["Accept-Ranges"] == "bytes"
        self._size, self.etag, self.read_bytes = int(head.headers["Content-Length"]), head.headers["ETag"], 0

    def seekable(self):
        return True

    def readable(self):
        return True

    def seek(self, offset, whence=io.SEEK_SET):
        self._at = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence] + offset
        return self._at

    def tell(self):
        return self._at

    def read(self, size=-1):
        end = self._size if size < 0 else min(self._size, self._at + size)
        if end <= self._at:
            return b""
        answer = self._session.get(self._url, headers={"Range": f"bytes={self._at}-{end - 1}", "If-Range": self.etag})
        assert answer.status_code == 206, answer.text[:300]
        assert len(answer.content) == end - self._at
        self.read_bytes += len(answer.content)
        self._at = end
        return answer.content


def test_pyarrow_reads_the_files_by_ranges_and_only_what_it_needs(node):
    files = node.get("/api/v1/products/pump/files")["items"]
    assert {file["day"] for file in files} > {"tail"}
    rows, flow = 0, []
    for file in files:
        source = Ranges(node.ready["url"] + file["href"], node.viewer)
        parquet = pyarrow.parquet.ParquetFile(source, pre_buffer=False)
        table = parquet.read(columns=["point", "value"])
        rows += parquet.metadata.num_rows
        flow += [value for point, value in zip(table["point"].to_pylist(), table["value"].to_pylist()) if point == "pump-7/flow"]
        if file["bytes"] > 100_000:  # Times and sequences are left where they are.
            assert source.read_bytes < file["bytes"]
    assert rows == 2 * ROWS + 1
    assert sorted(flow) == [-1, *range(ROWS)]


def test_all_ways_give_the_same_rows(node):
    url, auth = node.ready["url"] + "/api/v1/products/pump/", {"Authorization": f"Bearer {node.viewer}"}
    by_parquet = pandas.read_parquet(url + "data?format=parquet", storage_options=auth)
    by_csv = pandas.read_csv(url + "data?format=csv", storage_options=auth, parse_dates=["time", "ingest_time"])
    by_lines = pandas.read_json(url + "data?format=ndjson", storage_options=auth, lines=True, precise_float=True)
    by_sql = pandas.read_csv(node.ready["url"] + "/api/v1/sql?format=csv&limit=100000&sql=SELECT%20*%20FROM%20pump", storage_options=auth)
    order = ["point", "sequence"]
    wanted = by_parquet.sort_values(order)["value"].tolist()
    for other in (by_csv, by_lines, by_sql):
        assert other.sort_values(order)["value"].tolist() == wanted
    assert (by_csv.sort_values(order)["time"].tolist() == by_parquet.sort_values(order)["time"]).all()


def test_curl_asks_sql_in_the_lines_of_the_documentation(node):
    text = (ROOT / "docs/formats/product.md").read_text()
    command = re.search(r"```sh\n(.*?)```", text, re.S)[1].replace("http://127.0.0.1:8080", node.ready["url"]).replace("TOKEN", node.viewer)
    import subprocess

    answer = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60, check=True).stdout
    assert answer.splitlines()[0] == "point,mean" and len(answer.splitlines()) == 3, answer
