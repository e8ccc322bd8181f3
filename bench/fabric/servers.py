"""The servers of the fabric bench as processes: start on free loopback ports in a folder of their own, say what they cost.

Each class knows one product: its command, how a client writes to it and asks it, and where its files are. Settings are the
product's own defaults but for folders, ports, the switching off of telemetry, and what a comment says.
"""

import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from node_process import CONTEXT, PROGRAM, free_port  # noqa: E402

START_S, STOP_S = 120, 120
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


class NotAvailable(Exception):
    """Why a product cannot be measured here."""


def quote(text):
    return urllib.parse.quote(text, safe="")


def rfc3339(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def bytes_below(folder, suffixes=None):
    total = 0
    for path in pathlib.Path(folder).rglob("*"):
        try:
            if path.is_file() and (suffixes is None or path.name.endswith(suffixes)):
                total += path.stat().st_size
        except FileNotFoundError:
            pass  # Merged away meanwhile.
    return total


class Server:
    """A process and its CPU time. Subclasses: command(), ready()."""

    name, title = "", ""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.process, self.port, self.token = None, None, ""
        self.cpu_at_ready = 0.0

    @classmethod
    def version(cls):
        raise NotImplementedError

    def start(self):
        begin = time.monotonic()
        self.log = open(self.folder / "server.log", "ab")
        self.process = subprocess.Popen(self.command(), stdout=self.log, stderr=self.log, cwd=self.folder)
        while not self.ready():
            if self.process.poll() is not None or time.monotonic() - begin > START_S:
                tail = (self.folder / "server.log").read_text(errors="replace")[-2000:]
                raise NotAvailable(f"{self.title} did not start: {tail.strip()}")
            time.sleep(0.02)
        self.start_s = time.monotonic() - begin
        self.cpu_at_ready = self.cpu_s()
        return self

    def answers(self, path):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            connection.request("GET", path)
            return connection.getresponse().status < 400
        except OSError:
            return False

    def cpu_s(self):
        """User and system seconds so far, of the process and its children that ended; by the nanosecond for the process."""
        own = time.clock_gettime((~self.process.pid) << 3 | 2)  # The kernel's number for a process's CPU clock.
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return own + TICK_S * (int(fields[13]) + int(fields[14]))

    def threads_cpu_s(self):
        """Seconds per thread name, of the threads that live."""
        found = {}
        for task in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir():
            try:
                name, _, rest = (task / "stat").read_text().partition("(")[2].rpartition(")")
                ticks = rest.split()
                found[name] = found.get(name, 0) + TICK_S * (int(ticks[11]) + int(ticks[12]))
            except OSError:
                pass
        return found

    def rss_mb(self):
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return {key: int(re.search(rf"Vm{name}:\s+(\d+)", text)[1]) / 1024 for key, name in (("now", "RSS"), ("peak", "HWM"))}

    def settle(self, patience_s=90, quiet=0.03):
        """Waits until it works no more: less than 3 % of a core for two seconds."""
        end = time.monotonic() + patience_s
        while time.monotonic() < end:
            before = self.cpu_s()
            time.sleep(2)
            if self.cpu_s() - before < 2 * quiet:
                return

    def stop(self):
        """As an operator does; returns all CPU seconds of its life, the stopping included."""
        if self.process is None or self.process.returncode is not None:
            return 0.0
        self.process.send_signal(signal.SIGINT)
        end = time.monotonic() + STOP_S
        while time.monotonic() < end:
            pid, status, usage = os.wait4(self.process.pid, os.WNOHANG)
            if pid:
                self.process.returncode = os.waitstatus_to_exitcode(status)
                self.log.close()
                return usage.ru_utime + usage.ru_stime
            time.sleep(0.01)
        self.process.kill()
        self.process.wait()
        raise RuntimeError(f"{self.title} did not stop within {STOP_S} s")

    def close(self):
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            self.process.wait()


def field_name(number):
    return FIELDS[number % 10] + (f"_{number // 10}" if number >= 10 else "")


def thing(host, values=10, mqtt=False):
    """The Thing Description of one host."""
    from_line, properties = {"href": "http://local/write", "op": "observeproperty"}, {}
    for name in map(field_name, range(values)):
        form = {"href": f"mqtt://local/hosts/{host}/{name}", "op": "observeproperty", "contentType": "application/json",
                "mqv:controlPacket": "subscribe", "mqv:filter": f"hosts/{host}/{name}", "ps:value": "/value", "ps:time": "/ts"} \
            if mqtt else from_line
        properties[name] = {"type": "number", "unit": "%", "minimum": 0, "maximum": 100, "readOnly": True, "observable": True,
                            "forms": [form]}
    return {"@context": CONTEXT, "id": f"urn:dev:bench:{host}", "title": host, "ps:asset": f"bench/data-centre/rack/{host}",
            "ps:product": "cpu", "securityDefinitions": {"nosec_sc": {"scheme": "nosec"}}, "security": "nosec_sc",
            "properties": properties}


FIELDS = ["usage_user", "usage_system", "usage_idle", "usage_nice", "usage_iowait", "usage_irq", "usage_softirq", "usage_steal",
          "usage_guest", "usage_guest_nice"]


class Penstock(Server):
    name, title = "penstock", "Penstock"

    def __init__(self, folder, hosts, values=10, mqtt=False):
        super().__init__(folder)
        self.site = self.folder / "site"
        self.data = self.folder / "data"
        if not self.site.exists():
            (self.site / "things").mkdir(parents=True)
            (self.site / "site.yaml").write_text("site: bench/data-centre\ndata: data\nlisten: {http: 127.0.0.1:0, mqtt: 127.0.0.1:0}\n"
                                                 "tls: {mode: off}\nretain: {raw: 3650d}\nlimits: {log_mib: 4096, history_mib: 65536}\n")
            for number in range(hosts):
                host = f"host_{number:04d}"
                (self.site / "things" / f"{host}.td.json").write_text(json.dumps(thing(host, values, mqtt)))

    @classmethod
    def version(cls):
        if not pathlib.Path(PROGRAM).exists():
            raise NotAvailable(f"{PROGRAM} is not built")
        return subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=False).stdout.strip()

    def command(self):
        (self.data / "node.json").unlink(missing_ok=True)
        return [PROGRAM, "up", "--site", str(self.site), "--data", str(self.data)]

    def ready(self):
        try:
            address = json.loads((self.data / "node.json").read_text())
        except (OSError, ValueError):
            return False
        self.port, self.token = urllib.parse.urlsplit(address["url"]).port, address["token"]
        # The announcement comes with the last listener.
        found = re.search(r"mqtt\s+127\.0\.0\.1:(\d+)", (self.folder / "server.log").read_text(errors="replace"))
        self.mqtt_port = int(found[1]) if found else None
        return found is not None and self.answers("/healthz")

    write_target = "/write?precision=ns"

    def one_point(self, start, end):
        path = f"/api/v1/points/{{host}}/usage_user/trend?from={rfc3339(start)}&to={rfc3339(end)}&width={(end - start) // 300}"
        return path, ""

    def hosts_mean(self, start, end):
        return f"/api/v1/aggregate?property=usage_user&product=cpu&from={rfc3339(start)}&to={rfc3339(end)}", ""

    def metric(self, name):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {self.token}"})
        found = re.search(rf"^{name}(?:\{{[^}}]*\}})? ([0-9.e+]+)$", connection.getresponse().read().decode(), re.M)
        return float(found[1]) if found else 0.0

    def disk_bytes(self):
        """The history: Parquet files, roll-ups, manifest; the durable log is a buffer in front of it."""
        return bytes_below(self.data / "history")

    def raw_bytes(self):
        """The Parquet files of the samples alone."""
        products = self.data / "history" / "cpu"
        return bytes_below(products, (".parquet",))


def contract(values=10):
    """The data contract of a host: every field with its range, required, fresh within ten minutes."""
    fields = [{"name": name, "logicalType": "number", "logicalTypeOptions": {"minimum": 0, "maximum": 100}, "required": True,
               "customProperties": [{"property": "unit", "value": "%"}]} for name in map(field_name, range(values))]
    return {"apiVersion": "v3.1.0", "kind": "DataContract", "id": "host", "name": "Host", "version": "1.0.0", "status": "active",
            "schema": [{"name": "host", "logicalType": "object", "properties": fields}],
            "slaProperties": [{"property": "freshness", "value": 10, "unit": "min"}]}


class PenstockWithContracts(Penstock):
    """The same node and load, every point under a contract: what the checks cost from the request to the files."""
    name, title = "contracts", "Penstock, all under contract"

    def __init__(self, folder, hosts):
        super().__init__(folder, hosts)
        (self.site / "contracts").mkdir(exist_ok=True)
        (self.site / "contracts/host.odcs.yaml").write_text(json.dumps(contract()))  # JSON is YAML.
        for file in (self.site / "things").iterdir():
            file.write_text(json.dumps({**json.loads(file.read_text()), "ps:contract": "host@1.0.0"}))


class VictoriaMetrics(Server):
    name, title = "victoriametrics", "VictoriaMetrics"
    program = ROOT / "third_party/bin/victoria-metrics"

    @classmethod
    def version(cls):
        if not cls.program.exists():
            raise NotAvailable("third_party/bin/victoria-metrics is not there; tools/setup bench builds it where Go is")
        pinned = (ROOT / "tools/third_party/peers/go.mod").read_text()
        return re.search(r"VictoriaMetrics/VictoriaMetrics (v[\d.]+)", pinned)[1]

    def command(self):
        self.port = self.port or free_port()
        return [str(self.program), f"-storageDataPath={self.folder / 'data'}", f"-httpListenAddr=127.0.0.1:{self.port}",
                "-retentionPeriod=10y", "-loggerLevel=WARN", "-search.disableCache"]

    def ready(self):
        return self.answers("/health")

    write_target = "/write?precision=ns"

    def one_point(self, start, end):
        query = 'max_over_time(cpu_usage_user{thing="{host}"}[5m])'
        return f"/api/v1/query_range?query={quote(query).replace('%7Bhost%7D', '{host}')}&start={start + 300}&end={end}&step=300&nocache=1", ""

    def hosts_mean(self, start, end):
        query = f"avg(avg_over_time(cpu_usage_user[{end - start}s]))"
        return f"/api/v1/query?query={quote(query)}&time={end}&nocache=1", ""

    def disk_bytes(self):
        return bytes_below(self.folder / "data" / "data") + bytes_below(self.folder / "data" / "indexdb")

    def raw_bytes(self):
        return bytes_below(self.folder / "data" / "data" / "small") + bytes_below(self.folder / "data" / "data" / "big")


INFLUX_CONF = """reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
  dir = "{folder}/meta"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
  index-version = "tsi1"
  query-log-enabled = false
  max-series-per-database = 0
  cache-snapshot-write-cold-duration = "5s"
  compact-full-write-cold-duration = "40s"
[http]
  bind-address = "127.0.0.1:{port}"
  log-enabled = false
[monitor]
  store-enabled = false
[logging]
  level = "warn"
"""


class InfluxDb(Server):
    """Defaults but for the two cold durations (10 min and 4 h), so that its files are finished within the run."""

    name, title = "influxdb", "InfluxDB"

    @classmethod
    def version(cls):
        program = shutil.which("influxd")
        if program is None:
            raise NotAvailable("influxd is not installed (Debian package influxdb)")
        words = subprocess.run([program, "version"], capture_output=True, text=True, check=False).stdout
        return re.search(r"v?(\d[\w.~-]*)", words)[1]

    def command(self):
        self.port = self.port or free_port()
        path = self.folder / "influxdb.conf"
        path.write_text(INFLUX_CONF.format(folder=self.folder / "influx", port=self.port, rpc=free_port()))
        return [shutil.which("influxd"), "-config", str(path)]

    def ready(self):
        if not self.answers("/ping"):
            return False
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("POST", "/query?q=" + quote('CREATE DATABASE bench WITH DURATION INF'))
        return connection.getresponse().status == 200

    write_target = "/write?db=bench&precision=ns"

    def one_point(self, start, end):
        query = (f"SELECT max(usage_user) FROM cpu WHERE thing='{{host}}' AND time >= {start}s AND time < {end}s GROUP BY time(5m)")
        return f"/query?db=bench&q={quote(query).replace('%7Bhost%7D', '{host}')}", ""

    def hosts_mean(self, start, end):
        query = f"SELECT mean(usage_user) FROM cpu WHERE time >= {start}s AND time < {end}s"
        return f"/query?db=bench&q={quote(query)}", ""

    def disk_bytes(self):
        return bytes_below(self.folder / "influx" / "data")

    def raw_bytes(self):
        return bytes_below(self.folder / "influx" / "data", (".tsm",))


class Mosquitto(Server):
    name, title = "mosquitto", "mosquitto"

    @classmethod
    def version(cls):
        if cls.program() is None:
            raise NotAvailable("mosquitto is not installed (Debian package mosquitto)")
        words = subprocess.run([cls.program(), "-h"], capture_output=True, text=True, check=False).stdout
        return re.search(r"version ([\d.]+)", words)[1]

    @staticmethod
    def program():
        return shutil.which("mosquitto") or shutil.which("/usr/sbin/mosquitto")

    def command(self):
        self.port = self.mqtt_port = free_port()
        path = self.folder / "mosquitto.conf"
        path.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence false\nlog_type error\nuser root\n"
                        "max_inflight_messages 0\nmax_queued_messages 0\n")
        return [self.program(), "-c", str(path)]

    def ready(self):
        return connects(self.port)


class Nats(Server):
    name, title = "nats", "nats-server"

    @classmethod
    def version(cls):
        if cls.program() is None:
            raise NotAvailable("nats-server is not installed (Debian package nats-server)")
        words = subprocess.run([cls.program(), "-v"], capture_output=True, text=True, check=False).stdout
        return re.search(r"v?(\d[\d.]*)", words)[1]

    @staticmethod
    def program():
        return shutil.which("nats-server") or shutil.which("/usr/sbin/nats-server")

    def command(self):
        self.port = free_port()
        return [self.program(), "-a", "127.0.0.1", "-p", str(self.port)]

    def ready(self):
        return connects(self.port)


def connects(port):
    import socket
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False
