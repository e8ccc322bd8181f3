"""A TCP proxy in user space that treats connections as a bad network does, in words that a test can read.

    proxy = Proxy(node.port)                  # 127.0.0.1:proxy.port -> the node
    proxy.refuse()                            # partition: new connections are turned away, old ones are cut
    proxy.swallow()                           # partition: connections stay, nothing passes
    proxy.heal()
    proxy.delay(0.05, jitter=0.05)            # both ways
    proxy.cut_after(request=1500)             # the next connection is cut when so many bytes went up
    proxy.cut_after(answer=0)                 # ... or instead of the first byte of an answer: done, but nobody knows
    proxy.bandwidth(50_000)                   # bytes a second, each way
    proxy.duplicate()                         # every request is sent once more over a connection of its own
    proxy.hold() / proxy.release()            # connections opened meanwhile wait: later ones overtake them

Everything is decided by the caller or drawn from the seed; proxy.log tells what was done.
"""

import random
import socket
import threading
import time


class Proxy:
    def __init__(self, target_port, seed=0):
        self.target_port, self.random = target_port, random.Random(seed)
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(64)
        self.port = self._listener.getsockname()[1]
        self.log, self.connections, self.bytes_up, self.bytes_down = [], 0, 0, 0
        self._lock, self._links = threading.Lock(), set()
        self._passing, self._free = threading.Event(), threading.Event()
        self._passing.set()
        self._free.set()
        self._refusing, self._closed = False, False
        self._delay, self._jitter, self._rate = 0.0, 0.0, 0
        self._cuts, self._duplicating = [], False
        threading.Thread(target=self._accept, daemon=True).start()

    # What a test says.
    def refuse(self):
        self._refusing = True
        self.cut()
        self.log.append("refuse")

    def swallow(self):
        self._passing.clear()
        self.log.append("swallow")

    def heal(self):
        self._refusing = False
        self._passing.set()
        self._delay = self._jitter = self._rate = 0
        self._duplicating = False
        self.log.append("heal")

    def delay(self, seconds, jitter=0.0):
        self._delay, self._jitter = seconds, jitter

    def bandwidth(self, bytes_per_s):
        self._rate = bytes_per_s

    def duplicate(self):
        self._duplicating = True

    def cut_after(self, request=None, answer=None):
        """For the next new connection; several calls are for several connections."""
        self._cuts.append((request, answer))

    def hold(self):
        self._free.clear()

    def release(self):
        self._free.set()

    def cut(self):
        """Resets all connections there are."""
        with self._lock:
            links, self._links = self._links, set()
        for link in links:
            link.close()
        self.log.append(f"cut {len(links)}")

    def close(self):
        self._closed = True
        self._listener.close()
        self._passing.set()
        self._free.set()
        self.cut()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # What it does.
    def _accept(self):
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._refusing:
                reset(client)
                continue
            self.connections += 1
            cuts = self._cuts.pop(0) if self._cuts else (None, None)
            threading.Thread(target=self._serve, args=(client, cuts), daemon=True).start()

    def _serve(self, client, cuts):
        self._free.wait()
        try:
            server = socket.create_connection(("127.0.0.1", self.target_port), timeout=10)
            server.settimeout(None)
        except OSError:
            reset(client)
            return
        link = Link(client, server)
        with self._lock:
            self._links.add(link)
        up = threading.Thread(target=self._pump, args=(link, client, server, "up", cuts[0]), daemon=True)
        up.start()
        self._pump(link, server, client, "down", cuts[1])
        up.join()
        with self._lock:
            self._links.discard(link)

    def _pump(self, link, source, sink, way, limit):
        passed, heard = 0, b""
        try:
            while True:
                if limit == 0 and way == "down":
                    source.recv(1)  # The answer is there: what was asked is done.
                    break
                some = source.recv(65536)
                if not some:
                    break
                self._passing.wait()
                if self._delay or self._jitter:
                    time.sleep(self._delay + self._jitter * self.random.random())
                if self._rate:
                    time.sleep(len(some) / self._rate)
                if limit is not None and passed + len(some) > limit:
                    sink.sendall(some[:limit - passed])
                    self.log.append(f"cut after {limit} bytes {way}")
                    break
                sink.sendall(some)
                passed += len(some)
                if way == "up":
                    self.bytes_up += len(some)
                    heard += some
                    if self._duplicating:
                        heard = self._repeat_requests(heard)
                else:
                    self.bytes_down += len(some)
            else:
                return
        except OSError:
            pass
        if limit is not None:
            link.close()
        else:
            link.end(sink)

    def _repeat_requests(self, heard):
        """Sends each whole HTTP request once more by itself; what is not whole yet is kept."""
        while b"\r\n\r\n" in heard:
            head, _, rest = heard.partition(b"\r\n\r\n")
            length = 0
            for line in head.split(b"\r\n"):
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            if len(rest) < length:
                return heard
            threading.Thread(target=self._send_alone, args=(head + b"\r\n\r\n" + rest[:length],), daemon=True).start()
            heard = rest[length:]
        return heard

    def _send_alone(self, request):
        try:
            with socket.create_connection(("127.0.0.1", self.target_port), timeout=10) as again:
                again.sendall(request)
                again.recv(65536)
            self.log.append("duplicated")
        except OSError:
            pass


class Link:
    """The two ends of a connection."""

    def __init__(self, client, server):
        self.client, self.server = client, server

    def close(self):
        reset(self.client)
        reset(self.server)

    def end(self, sink):
        try:
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def reset(end):
    """Closes as a network that died does: by RST, without an orderly end."""
    try:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    end.close()
