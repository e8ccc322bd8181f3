"""A bad network between clients and the node: partitions, lost connections, delay, requests that come twice or out of order.

A client sends until it has its acknowledgement and repeats what it got no answer for. Afterwards everything is there once. What
the proxy does is drawn from a seed: PENSTOCK_NETWORK_SEED (by the clock) gives the same again.
"""

import http.client
import os
import random
import threading
import time

import paho.mqtt.client as paho
import pytest

from node_process import eventually, now_us, number, thing, write_site
from proxy import Proxy

SEED = int(os.environ.get("PENSTOCK_NETWORK_SEED", time.time_ns() % 1_000_000))
CLIENTS = 3


class HttpClient:
    """Writes batches of one point through the proxy, one at a time, each until it is acknowledged."""

    def __init__(self, node, proxy, index):
        self.node, self.proxy, self.point = node, proxy, f"p{index}"
        self.random = random.Random(f"{SEED}-{index}")
        self.time_us, self.acknowledged, self.repeats = now_us() - 7_200_000_000, {}, 0

    def send_batch(self, patience=20):
        samples = {}
        for _ in range(self.random.randint(1, 60)):
            self.time_us += self.random.randint(1, 5000)
            samples[self.time_us] = float(len(self.acknowledged) + len(samples))
        body = "\n".join(f"probe {self.point}={value} {at}" for at, value in samples.items())
        end = time.monotonic() + patience
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", self.proxy.port, timeout=1)
            try:
                connection.request("POST", "/write?precision=us", body=body, headers={"Authorization": f"Bearer {self.node.token}"})
                answer = connection.getresponse()
                answer.read()
                if answer.status == 204:
                    self.acknowledged.update(samples)
                    return
                assert answer.status in (429, 503), answer.status
            except (OSError, http.client.HTTPException):
                pass
            finally:
                connection.close()
            assert time.monotonic() < end, f"no acknowledgement within {patience} s; the network was: {self.proxy.log[-10:]}"
            self.repeats += 1
            time.sleep(0.01)

    def complaint(self):
        rows = [row["value"] for row in self.node.samples(f"probe/{self.point}")]
        wanted = list(self.acknowledged.values())
        return "" if rows == wanted else f"{self.point}: {len(wanted)} acknowledged, {len(rows)} stored, {len(set(rows))} different"


def worsen(proxy, chance):
    """One thing that happens to networks."""
    kind = chance.choice(["request", "answer", "cut", "refuse", "swallow", "delay", "slow", "duplicate", "overtake"])
    if kind == "request":
        proxy.cut_after(request=chance.randint(1, 2000))
    elif kind == "answer":
        proxy.cut_after(answer=chance.choice([0, 5, 20]))
    elif kind == "cut":
        proxy.cut()
    elif kind == "delay":
        proxy.delay(0.005, jitter=0.03)
    elif kind == "slow":
        proxy.bandwidth(200_000)
    elif kind == "duplicate":
        proxy.duplicate()
    else:
        {"refuse": proxy.refuse, "swallow": proxy.swallow, "overtake": proxy.hold}[kind]()
    return kind


def test_http_clients_behind_a_bad_network(tmp_path, nodes):
    print(f"\nPENSTOCK_NETWORK_SEED={SEED}")
    node = nodes(write_site(tmp_path / "site", thing("probe", {f"p{index}": number() for index in range(CLIENTS)})))
    chance, over = random.Random(SEED), threading.Event()
    with Proxy(node.port, SEED) as proxy:
        clients = [HttpClient(node, proxy, index) for index in range(CLIENTS)]
        failures = []

        def send(client):
            try:
                while not over.is_set():
                    client.send_batch()
            except AssertionError as error:
                failures.append(str(error))

        threads = [threading.Thread(target=send, args=(client,)) for client in clients]
        for one in threads:
            one.start()
        happened = []
        for _ in range(30):
            happened.append(worsen(proxy, chance))
            time.sleep(chance.uniform(0.02, 0.2))
            proxy.release()
            proxy.heal()
            time.sleep(0.02)
        over.set()
        for one in threads:
            one.join()
    assert not failures, failures
    assert sum(client.repeats for client in clients) > 5, happened
    for client in clients:
        eventually(lambda c=client: not c.complaint(), 10, f"everything once; happened: {happened}")
    assert node.get("/api/v1/ledger")["gap"] == 0


@pytest.mark.parametrize("cut", ["before the acknowledgement", "in the middle of a publish"])
def test_an_mqtt_device_that_loses_its_connection_sends_again(tmp_path, nodes, cut):
    form = {"href": "mqtt://local/lab/a", "op": "observeproperty", "mqv:controlPacket": "subscribe", "mqv:qos": "1",
            "ps:value": "/v", "ps:time": "/t"}
    node = nodes(write_site(tmp_path / "site", thing("probe", {"a": number(form)})))
    start_ms = now_us() // 1000 - 3_600_000
    with Proxy(node.mqtt_port, SEED) as proxy:
        device = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="device-1", clean_session=False, protocol=paho.MQTTv311)
        device.reconnect_delay_set(0.05, 0.2)
        acknowledged, sent = set(), []
        device.on_publish = lambda client, data, message, *_: acknowledged.add(message)
        device.connect("127.0.0.1", proxy.port)
        device.loop_start()
        try:
            for n in range(200):
                if n % 40 == 20:
                    if cut == "before the acknowledgement":
                        proxy.swallow()  # Publishes go out, nothing comes back, then the line is dead.
                    else:
                        proxy.cut_after(request=300)
                        proxy.cut()
                sent.append(device.publish("lab/a", f'{{"v": {n}, "t": {start_ms + 100 * n}}}', qos=1).mid)
                if n % 40 == 25:
                    proxy.cut()
                    proxy.heal()
                time.sleep(0.002)
            eventually(lambda: acknowledged >= set(sent), 20, "all acknowledgements")
        finally:
            device.loop_stop()
    eventually(lambda: [row["value"] for row in node.samples("probe/a")] == [float(n) for n in range(200)], 10,
               "each message once and in order")
    assert proxy.connections > 3
    assert node.get("/api/v1/ledger")["gap"] == 0
