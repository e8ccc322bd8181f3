"""A running `penstock up` and how a test speaks to it; a site made of a few Python words.

Everything on loopback and on ports that the system chooses. No fixed sleeps: eventually() looks again until a deadline.
"""

import http.client
import itertools
import json
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[1]
PROGRAM = os.environ.get("PENSTOCK_PROGRAM") or str(ROOT / "build/dev/penstock")
START_S, STOP_S = 60, 30


def eventually(look, timeout=15, what=None):
    """The first true answer of look(); an AssertionError with its last answer when none comes in time."""
    end = time.monotonic() + timeout
    while True:
        answer = look()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout} s for {what or 'it'}; the last answer was {answer!r}")
        time.sleep(0.02)


def now_us():
    """Source times must be recent: what is older than the site keeps is deleted."""
    return time.time_ns() // 1000


# Below the ports that the system gives to outgoing connections; each of pytest's workers has its own, so that nobody
# takes a port between its choice and its use.
PORTS_FROM, PORTS_EACH = 12_000, 2_000
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_ports = itertools.cycle(range(PORTS_FROM + _worker * PORTS_EACH, PORTS_FROM + (_worker + 1) * PORTS_EACH))
for _ in range(os.getpid() % PORTS_EACH):  # Two runs of the tests at a time seldom meet.
    next(_ports)


def free_port():
    for port in itertools.islice(_ports, PORTS_EACH):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise AssertionError(f"no free port of this worker's {PORTS_EACH}")


def run(*arguments, timeout=60, **options):
    """The program once, to its end; .returncode, .stdout, .stderr as text."""
    return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, timeout=timeout, check=False,
                          cwd=options.pop("cwd", ROOT), **options)


# Sites.
CONTEXT = ["https://www.w3.org/2022/wot/td/v1.1",
           {"ps": "urn:penstock:v1#", "modv": "https://www.w3.org/2019/wot/modbus#",
            "mqv": "https://www.w3.org/2019/wot/mqtt#", "opcua": "http://opcfoundation.org/UA/WoT-Binding/"}]
PUSHED = {"href": "http://local/write", "op": "observeproperty"}


def number(form=None, **more):
    """A property: a number that this form delivers (line protocol, if none)."""
    return {"type": "number", "unit": "1", "readOnly": True, "observable": True, "forms": [form or PUSHED], **more}


def thing(name, properties, **more):
    return {"@context": CONTEXT, "id": f"urn:dev:acme:{name}", "title": name, "ps:asset": f"acme/cologne/lab/line-1/{name}",
            "securityDefinitions": {"nosec_sc": {"scheme": "nosec"}}, "security": "nosec_sc", "properties": properties, **more}


def write_site(folder, *things):
    """A site with these Thing Descriptions; returns its folder."""
    folder = pathlib.Path(folder)
    (folder / "things").mkdir(parents=True, exist_ok=True)
    (folder / "site.yaml").write_text("site: acme/cologne\ndata: data\n"
                                      "listen: {http: 127.0.0.1:0, mqtt: 127.0.0.1:0}\ntls: {mode: off}\n")
    for document in things:
        write_thing(folder, document)
    return folder


def write_thing(site, document):
    name = document["id"].rsplit(":", 1)[1]
    path = pathlib.Path(site) / "things" / f"{name}.td.json"
    path.with_suffix(".part").write_text(json.dumps(document, indent=2))
    path.with_suffix(".part").rename(path)


class Answer:
    def __init__(self, status, text):
        self.status, self.text = status, text

    def json(self):
        return json.loads(self.text)


class Node:
    """`penstock up` on a site folder, as a process that can be stopped, killed and started again."""

    def __init__(self, site, data=None, arguments=(), env=None, before_exec=None):
        self.site = pathlib.Path(site)
        self.data = pathlib.Path(data) if data else self.site / "data"
        self._command = [PROGRAM, "up", "--site", str(self.site), "--data", str(self.data), "--json", *arguments]
        self._env = {**os.environ, "NO_COLOR": "1", **(env or {})}
        self._before_exec = before_exec
        self.process = None

    # Its life.
    def start(self):
        self.data.parent.mkdir(parents=True, exist_ok=True)
        self._log_path = self.data.parent / f"{self.data.name}-node.log"
        with open(self._log_path, "ab") as log:
            self.process = subprocess.Popen(self._command, cwd=ROOT, env=self._env, stdout=subprocess.PIPE, stderr=log,
                                            preexec_fn=self._before_exec)
        self.ready = self._read_ready()
        self.port = urllib.parse.urlsplit(self.ready["url"]).port
        self.mqtt_port = int(self.ready["mqtt"].rsplit(":", 1)[1])
        self.token = json.loads((self.data / "node.json").read_text())["token"]
        return self

    def _read_ready(self):
        """The JSON document that it prints when it is ready; afterwards its stdout is drained."""
        found, done = {}, threading.Event()

        def read(stream):
            text = ""
            for line in stream:
                text += line.decode()
                if not found:
                    try:
                        found.update(json.loads(text))
                        done.set()
                    except ValueError:
                        pass
            done.set()

        threading.Thread(target=read, args=(self.process.stdout,), daemon=True).start()
        done.wait(START_S)
        if "url" not in found:
            self.kill()
            raise AssertionError(f"the node did not start; it printed {found} and logged:\n{self.log()}")
        return found

    def log(self):
        return self._log_path.read_text(errors="replace")[-8000:]

    def running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """As a power cut would."""
        if self.running():
            self.process.kill()
        self.process.wait()

    def stop(self):
        """As Ctrl-C does; the exit code."""
        self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the node did not stop within {STOP_S} s:\n{self.log()}") from None

    def close(self):
        if self.process is not None:
            self.kill()
            self.process.stdout.close()

    # Its face.
    def connect(self, timeout=20):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def ask(self, method, path, body=None, connection=None, token=None):
        own = connection is None
        connection = connection or self.connect()
        try:
            headers = {"Authorization": f"Bearer {token or self.token}"}
            if isinstance(body, (dict, list)):
                body, headers["Content-Type"] = json.dumps(body), "application/json"
            connection.request(method, path, body=body, headers=headers)
            response = connection.getresponse()
            return Answer(response.status, response.read().decode())
        finally:
            if own:
                connection.close()

    def get(self, path, **query):
        if query:
            path += "?" + urllib.parse.urlencode(query)
        answer = self.ask("GET", path)
        assert answer.status == 200, f"GET {path} answered {answer.status}: {answer.text}"
        return answer.json()

    def write(self, lines, connection=None, precision="us"):
        return self.ask("POST", f"/write?precision={precision}", body=lines, connection=connection)

    def samples(self, point, start="2020-01-01T00:00:00Z", end="2100-01-01T00:00:00Z"):
        """All samples of a point, oldest first: [{"time", "value", "quality"}]."""
        rows = []
        while end:
            page = self.get("/api/v1/samples", point=point, **{"from": start, "to": end}, limit=100000)
            rows, end = page["items"] + rows, page["next"]
        return rows

    def point(self, path):
        return next((p for p in self.get("/api/v1/points")["items"] if p["path"] == path), None)

    def device(self, name_part):
        return next((d for d in self.get("/api/v1/devices")["items"] if name_part in d["name"] or name_part in d["address"]), None)
