"""A hub and edges as processes: `penstock hub`, `penstock edge`, and a TCP proxy between them that can cut."""

import http.client
import json
import socket
import ssl
import subprocess
import threading

import node_process
from node_process import Node, PROGRAM, ROOT, eventually, free_port, number, run, thing, write_site


def write_settings(site, **more):
    lines = {"site": "acme/cologne", "data": "data", "listen": "{http: 127.0.0.1:0, mqtt: 127.0.0.1:0}", **more}
    (site / "site.yaml").write_text("".join(f"{key}: {value}\n" for key, value in lines.items()))


class TlsNode(Node):
    """A node that speaks TLS; trusts the authority in its data folder."""

    def context(self):
        context = ssl.create_default_context(cafile=str(self.data / "tls/ca.pem"))
        return context

    def connect(self, timeout=20):
        if self.ready["url"].startswith("https"):
            return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout, context=self.context())
        return super().connect(timeout)


class Hub(TlsNode):
    def __init__(self, site, port=None, **more):
        site.mkdir(parents=True, exist_ok=True)
        (site / "things").mkdir(exist_ok=True)
        self.fixed_port = port or free_port()
        write_settings(site, listen=f"{{http: 127.0.0.1:{self.fixed_port}, mqtt: 127.0.0.1:0}}",
                       tls="{mode: own-ca}", **more)
        super().__init__(site)
        self._command[1] = "hub"

    def invite(self, name):
        answer = self.ask("POST", "/api/v1/edges", {"name": name})
        assert answer.status == 201, answer.text
        return answer.json()

    def edge(self, name):
        return next((e for e in self.get("/api/v1/edges")["items"] if e["name"] == name), None)


class Edge(TlsNode):
    def __init__(self, site, hub_url, things, **more):
        write_site(site, *things)
        write_settings(site, hub=hub_url, tls="{mode: off}", **more)
        super().__init__(site)
        self._command[1] = "edge"

    def enroll(self, invitation):
        file = self.site / "invitation.json"
        file.write_text(json.dumps(invitation))
        done = run("edge", "enroll", file, "--site", self.site, "--json")
        assert done.returncode == 0, done.stderr + done.stdout
        return json.loads(done.stdout)

    def uplink(self):
        return self.get("/api/v1/uplink")

    def caught_up(self, timeout=60):
        return eventually(lambda: (u := self.uplink())["connected"] and u["waiting_records"] == 0 and u, timeout,
                          "the edge to bring everything to the hub")


class Proxy:
    """Passes TCP on to a port; can cut after so many bytes of one connection, and can be closed for all."""

    def __init__(self, target):
        self.target, self.cut_after, self.cuts, self.open = target, None, 0, True
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.pairs = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            if not self.open:
                client.close()
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                client.close()
                continue
            self.pairs.append((client, server))
            threading.Thread(target=self._pass, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._pass, args=(server, client, False), daemon=True).start()

    def _pass(self, source, sink, counts):
        passed = 0
        try:
            while data := source.recv(65536):
                passed += len(data)
                if counts and self.cut_after is not None and passed > self.cut_after:
                    sink.sendall(data[: len(data) // 2])
                    self.cut_after, self.cuts = None, self.cuts + 1
                    break
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def hang_up(self):
        self.open = False
        for pair in self.pairs:
            for end in pair:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        self.pairs.clear()

    def close(self):
        self.hang_up()
        self.listener.close()


def openssl(*arguments, **options):
    return subprocess.run(["openssl", *map(str, arguments)], capture_output=True, timeout=20, check=False, **options)
