"""An edge and its hubs on a stream, as processes, and what the hubs have of the edge's rows."""

import threading

from node_process import free_port, now_us, number, thing, write_site

THINGS = [f"pump-{i}" for i in range(8)]
ROWS = 200  # Of each thing and burst.
HERE = 10  # Points of each hub's own thing, "here".


def stream_site(folder, role, name, address, things, http_port=0):
    """A site on the stream; things are Thing Descriptions. A port of its own stays the node's when it starts anew."""
    site = write_site(folder, *things)
    settings = site / "site.yaml"
    settings.write_text(settings.read_text().replace("http: 127.0.0.1:0", f"http: 127.0.0.1:{http_port}") +
                        f'stream: {{to: "{address}", as: {role}, name: {name}, partitions: 8, replicas: 3}}\n')
    return site


def flows(names):
    return [thing(name, {"flow": number()}) for name in names]


class Plant:
    """One edge and what its hubs have of it. `hubs`: their names, or by name where each reaches the stream."""

    def __init__(self, nodes, folder, nats, edge_address=None, hubs=("hub-a", "hub-b")):
        self._start, self._folder = nodes, folder
        self.base = now_us() - 60_000_000
        self.sent = 0
        addresses = hubs if isinstance(hubs, dict) else dict.fromkeys(hubs, nats.address())
        self.hubs = {name: self.hub(name, address) for name, address in addresses.items()}
        self.edge = nodes(stream_site(folder / "edge", "edge", "line-1", edge_address or nats.address(), flows(THINGS)))

    def hub(self, name, address):
        things = flows([f"line-1_{t}" for t in THINGS]) + [thing("here", {f"v{i}": number() for i in range(HERE)})]
        return self._start(stream_site(self._folder / name, "hub", name, address, things, free_port()))

    def send(self):
        """A burst of every thing; each value is there once."""
        lines = [f"{name} flow={self.sent + i} {self.base + (self.sent + i) * 1000}" for name in THINGS for i in range(ROWS)]
        assert self.edge.write("\n".join(lines)).status == 204
        self.sent += ROWS

    def values(self):
        """By thing, the values of all hubs that run, doubled ones as often as they are there."""
        found = {name: [] for name in THINGS}
        for node in self.hubs.values():
            if node.running():
                for name in THINGS:
                    found[name] += [row["value"] for row in node.samples(f"line-1_{name}/flow")]
        return found

    def complete(self):
        wanted = list(range(self.sent))
        return all(sorted(set(values)) == wanted for values in self.values().values())

    def doubled(self):
        return sum(len(values) - len(set(values)) for values in self.values().values())


class Sending:
    """Bursts, one after the other, until the block ends."""

    def __init__(self, plant, every_s=0.02):
        self._plant, self._every_s, self._end, self._failed = plant, every_s, threading.Event(), None
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        try:
            while not self._end.wait(self._every_s):
                self._plant.send()
        except AssertionError as error:
            self._failed = error

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self._thread.join()
        assert self._failed is None, self._failed
