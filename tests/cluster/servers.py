"""The servers that a cluster of nodes uses, real ones, on loopback and free ports, in a folder of their own."""

import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile

from node_process import PROGRAM, ROOT, eventually, free_port

BUILD = pathlib.Path(PROGRAM).parent
S3_SERVER = ROOT / "third_party/bin/versitygw"


def run_tests(program, gtest_filter="*", env=None, timeout=300):
    """A unit test program of the same build; returns what it printed."""
    done = subprocess.run([BUILD / program, "--gtest_brief=1", f"--gtest_filter={gtest_filter}"], cwd=ROOT, text=True, check=False,
                          env={**os.environ, **(env or {})}, timeout=timeout, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout[-6000:]
    return done.stdout


def accepts(port):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Server:
    """A child process that is ended with the test."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.process = None

    def start_process(self, command, env=None, **options):
        with open(self.folder / "server.log", "ab") as log:
            self.process = subprocess.Popen([str(word) for word in command], stdout=log, stderr=log, cwd=self.folder,
                                            env={**os.environ, **(env or {})}, **options)

    def log(self):
        return (self.folder / "server.log").read_text(errors="replace")[-4000:]

    def running(self):
        assert self.process.poll() is None, f"the server ended:\n{self.log()}"
        return True

    def end(self, how=signal.SIGTERM):
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(how)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class S3Server(Server):
    """A bucket "plant" in a folder, spoken to by the S3 protocol."""

    ACCESS, SECRET = "penstock-test", "a-secret-of-the-test"

    def __init__(self, folder, certificate=None, key=None):
        super().__init__(folder)
        self.port = free_port()
        self._certificate, self._key = certificate, key
        (self.folder / "root/plant").mkdir(parents=True)
        (self.folder / "meta").mkdir()
        self.start()

    def start(self):
        tls = ["--cert", self._certificate, "--key", self._key] if self._certificate else []
        self.start_process([S3_SERVER, "--access", self.ACCESS, "--secret", self.SECRET, "--port", f"127.0.0.1:{self.port}", "--quiet",
                            *tls, "posix", "--sidecar", self.folder / "meta", self.folder / "root"])
        eventually(lambda: self.running() and accepts(self.port), 20, "the S3 server")

    def address(self, prefix="", options="tls=off"):
        return f"s3://plant{prefix}@127.0.0.1:{self.port}?{options}"

    @property
    def env(self):
        return {"AWS_ACCESS_KEY_ID": self.ACCESS, "AWS_SECRET_ACCESS_KEY": self.SECRET}


class Postgres(Server):
    """A cluster of its own. PostgreSQL refuses to run as root: then it runs as the user "postgres" or "nobody"."""

    @staticmethod
    def programs():
        found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda p: int(p.parts[-3]))
        return found[-1].parent if found else None

    @staticmethod
    def why_not():
        """A reason to skip, or None."""
        if Postgres.programs() is None:
            return "no PostgreSQL server here (Debian package postgresql)"
        if os.geteuid() == 0 and shutil.which("setpriv") is None:
            return "running as root without setpriv"
        return None

    def __init__(self):
        # Not below pytest's folder, which is closed to other users.
        super().__init__(tempfile.mkdtemp(prefix="penstock-pg-"))
        self.port = free_port()
        self._as_user = []
        if os.geteuid() == 0:
            names = {entry.pw_name for entry in pwd.getpwall()}
            user = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
            self._as_user = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        subprocess.run([*self._as_user, self.programs() / "initdb", "-D", self.folder / "data", "-U", "penstock", "-A", "trust",
                        "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"], check=True, stdout=subprocess.DEVNULL, cwd=self.folder)
        self.start()
        subprocess.run([self.programs() / "createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "penstock", "penstock"], check=True)

    def start(self):
        self.start_process([*self._as_user, self.programs() / "postgres", "-D", self.folder / "data", "-h", "127.0.0.1", "-p", self.port,
                            "-k", self.folder, "-c", "max_connections=60", "-c", "shared_buffers=32MB", "-c", "fsync=off"])
        eventually(lambda: self.running() and self.ready(), 30, "PostgreSQL")

    def ready(self):
        return subprocess.run([self.programs() / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)], check=False).returncode == 0

    def address(self, schema=None):
        return f"postgresql://penstock@127.0.0.1:{self.port}/penstock" + (f"?schema={schema}" if schema else "")

    def ask(self, sql):
        """Rows as lists of text."""
        done = subprocess.run([self.programs() / "psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", "penstock", "-d", "penstock",
                               "-At", "-F", "\t", "-c", sql], check=True, capture_output=True, text=True)
        return [line.split("\t") for line in done.stdout.splitlines()]

    def end(self, how=signal.SIGINT):  # Fast shutdown; SIGQUIT is as a crash.
        super().end(how)

    def remove(self):
        self.end()
        shutil.rmtree(self.folder, ignore_errors=True)


class NatsCluster:
    """Servers that replicate JetStream among themselves; with a leaf node, one more that edges connect to."""

    def __init__(self, folder, servers=3):
        self.folder = pathlib.Path(folder)
        self.servers, self.leaf = [], None
        self.ports = [free_port() for _ in range(servers)]
        self.leaf_ports = [free_port() for _ in range(servers)]
        self._routes = [free_port() for _ in range(servers)]
        for i in range(servers):
            server = Server(self.folder / f"n{i}")
            routes = ", ".join(f"nats://127.0.0.1:{port}" for port in self._routes)
            (server.folder / "nats.conf").write_text(f"""
server_name: n{i}
listen: 127.0.0.1:{self.ports[i]}
jetstream {{ store_dir: "{server.folder}/store", max_memory_store: 64MB, max_file_store: 4GB, domain: plant }}
cluster {{ name: plant, listen: 127.0.0.1:{self._routes[i]}, routes: [{routes}], no_advertise: true }}
leafnodes {{ listen: 127.0.0.1:{self.leaf_ports[i]} }}
""")
            self.servers.append(server)
            self.start(i)
        self.wait()

    def start(self, i):
        server = self.servers[i]
        server.start_process(["nats-server", "-c", server.folder / "nats.conf"])

    def wait(self):
        for i, server in enumerate(self.servers):
            eventually(lambda i=i, server=server: server.running() and accepts(self.ports[i]), 20, f"nats-server {i}")

    def start_leaf(self):
        self.leaf = Server(self.folder / "leaf")
        self.leaf_port = free_port()
        remotes = ", ".join(f'"nats-leaf://127.0.0.1:{port}"' for port in self.leaf_ports)
        (self.leaf.folder / "nats.conf").write_text(f"""
server_name: leaf
listen: 127.0.0.1:{self.leaf_port}
leafnodes {{ remotes: [{{ urls: [{remotes}] }}] }}
""")
        self.leaf.start_process(["nats-server", "-c", self.leaf.folder / "nats.conf"])
        eventually(lambda: self.leaf.running() and accepts(self.leaf_port), 20, "the leaf node")

    def address(self):
        return ",".join(f"nats://127.0.0.1:{port}" for port in self.ports)

    def end(self):
        for server in [*self.servers, self.leaf]:
            if server is not None:
                server.end(signal.SIGKILL)
