"""Other people's MQTT clients, and what only a raw socket would do, against the node's listener; a foreign broker as a source."""

import json
import shutil
import socket
import subprocess
import threading
from datetime import datetime, timezone

import paho.mqtt.client as paho
import pytest

from node_process import eventually, free_port, now_us, number, thing, write_site

TOPIC = "lab/probe/state"


def topic_form(pointer, topic=TOPIC, broker="local"):
    return {"href": f"mqtt://{broker}/{topic}", "op": "observeproperty", "contentType": "application/json",
            "mqv:controlPacket": "subscribe", "mqv:filter": topic, "mqv:qos": "1", "ps:value": pointer, "ps:time": "/ts"}


def site_with_probe(folder):
    return write_site(folder, thing("probe", {"a": number(topic_form("/a")), "b": number(topic_form("/b"))}))


def payload(time_us, a, b=None):
    stamp = datetime.fromtimestamp(time_us / 1e6, timezone.utc).isoformat(timespec="microseconds")
    return json.dumps({"ts": stamp, "a": a} | ({} if b is None else {"b": b}))


class Client:
    """paho with its own thread; remembers what was acknowledged and what came in."""

    def __init__(self, port, name="device-1", clean=True):
        self.acknowledged, self.messages, self.connected = set(), [], threading.Event()
        self.paho = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=name, clean_session=clean)
        self.paho.reconnect_delay_set(1, 1)
        self.paho.on_connect = lambda *arguments: self.connected.set()
        self.paho.on_publish = lambda client, data, message, reason, properties: self.acknowledged.add(message)
        self.paho.on_message = lambda client, data, message: self.messages.append(message)
        self.paho.connect("127.0.0.1", port, keepalive=10)
        self.paho.loop_start()
        assert self.connected.wait(10), "no CONNACK"

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.paho.disconnect()
        self.paho.loop_stop()

    def publish(self, text, qos=1, topic=TOPIC, retain=False):
        return self.paho.publish(topic, text, qos=qos, retain=retain).mid

    def subscribe(self, pattern, qos=1):
        done = threading.Event()
        self.paho.on_subscribe = lambda *arguments: done.set()
        self.paho.subscribe(pattern, qos)
        assert done.wait(10), "no SUBACK"


def values(node, point):
    return [row["value"] for row in node.samples(point)]


def test_values_arrive_at_both_qualities_of_service(tmp_path, nodes):
    node = nodes(site_with_probe(tmp_path / "site"))
    time_us = now_us() - 1_000_000
    with Client(node.mqtt_port) as client:
        at_most_once = client.publish(payload(time_us, 1.5, 10), qos=0)
        at_least_once = client.publish(payload(time_us + 1000, 2.5, 20), qos=1)
        eventually(lambda: {at_most_once, at_least_once} <= client.acknowledged)
        eventually(lambda: values(node, "probe/a") == [1.5, 2.5] and values(node, "probe/b") == [10, 20])
    row = node.samples("probe/a")[1]
    assert row["quality"] == "Good"
    assert round(datetime.fromisoformat(row["time"]).timestamp() * 1e6) == time_us + 1000  # The device's word.


def test_a_bad_payload_is_quarantined_and_the_rest_stored(tmp_path, nodes):
    node = nodes(site_with_probe(tmp_path / "site"))
    with Client(node.mqtt_port) as client:
        sent = [client.publish("not json"), client.publish(payload(now_us(), "high", 7)), client.publish(payload(now_us(), 1, 8)),
                client.publish("{}", topic="lab/nobody/knows")]
        eventually(lambda: set(sent) <= client.acknowledged)
    eventually(lambda: values(node, "probe/b") == [7, 8] and values(node, "probe/a") == [1])
    entries = eventually(lambda: len(found := node.get("/api/v1/quarantine")["items"]) >= 2 and found)
    assert any("high" in entry["value"] for entry in entries) and any("not json" in entry["value"] for entry in entries)
    assert all(entry["source"] and entry["message"] for entry in entries)
    assert node.get("/api/v1/ledger")["gap"] == 0


def test_retained_messages_reach_who_comes_later(tmp_path, nodes):
    node = nodes(site_with_probe(tmp_path / "site"))
    with Client(node.mqtt_port, "first") as first:
        sent = first.publish("blue", topic="lab/colour", retain=True)
        eventually(lambda: sent in first.acknowledged)
    with Client(node.mqtt_port, "second") as second:
        second.subscribe("lab/+")
        eventually(lambda: [(m.payload, m.retain) for m in second.messages] == [(b"blue", True)])
        # Cleared by an empty one; live messages come through without the mark.
        second.publish("", topic="lab/colour", retain=True)
        second.publish("green", topic="lab/colour")
        eventually(lambda: second.messages[-1].payload == b"green" and not second.messages[-1].retain)
    with Client(node.mqtt_port, "third") as third:
        third.subscribe("lab/+")
        third.publish("red", topic="lab/colour")
        eventually(lambda: [m.payload for m in third.messages] == [b"red"])


def test_a_puback_means_durable(tmp_path, nodes):
    node = nodes(site_with_probe(tmp_path / "site"))
    start, sent = now_us() - 60_000_000, {}
    with Client(node.mqtt_port) as client:
        for index in range(3000):
            sent[client.publish(payload(start + index * 1000, index))] = index
            if index == 500:
                eventually(lambda: len(client.acknowledged) > 100)
        eventually(lambda: len(client.acknowledged) > 600)
        node.kill()
        acknowledged = {sent[mid] for mid in list(client.acknowledged)}
        client.paho.disconnect()
    node.start()
    stored = values(node, "probe/a")
    assert len(acknowledged) > 600 and not acknowledged - set(stored)
    assert len(stored) == len(set(stored))


def test_what_was_not_acknowledged_comes_again_and_is_there_once(tmp_path, nodes):
    port = free_port()
    node = nodes(site_with_probe(tmp_path / "site"), arguments=("--mqtt", f"127.0.0.1:{port}"))
    start, count = now_us() - 60_000_000, 2000
    with Client(port, clean=False) as client:
        sent = [client.publish(payload(start + index * 1000, index)) for index in range(count)]
        eventually(lambda: len(client.acknowledged) > 300)
        node.kill()
        node.start()
        eventually(lambda: set(sent) <= client.acknowledged, 30, "all to be acknowledged")
    eventually(lambda: len(values(node, "probe/a")) >= count)
    assert sorted(values(node, "probe/a")) == list(range(count))


# What no library would send.
CONNECT = bytes.fromhex("100f00044d5154540402003c0003") + b"raw"
CONNACK = bytes.fromhex("20020000")


def raw_connection(node):
    connection = socket.create_connection(("127.0.0.1", node.mqtt_port), timeout=10)
    connection.sendall(CONNECT)
    assert connection.recv(4) == CONNACK
    return connection


def closed_by_node(connection):
    try:
        return connection.recv(4096) == b""
    except ConnectionResetError:
        return True


def resident_mb(node):
    with open(f"/proc/{node.process.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024


TORN = {
    "half a CONNECT, then silence and gone": CONNECT[:7],
    "no MQTT at all": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "a length of five bytes": b"\x30\xff\xff\xff\xff\x7f",
    "a PUBLISH before CONNECT": b"\x30\x05\x00\x01a12",
}
TORN_AFTER_CONNECT = {
    "a topic longer than its packet": b"\x30\x05\x00\x40lab",
    "half a PUBLISH, then gone": b"\x32\x40\x00\x03lab",
    "a second CONNECT": CONNECT,
    "a topic that is no UTF-8": b"\x30\x06\x00\x02\xff\xfe12",
    "a packet type that nobody has": b"\xf0\x00",
    "QoS 3": b"\x36\x07\x00\x03lab\x00\x01",
}


def test_torn_packets_harm_nobody_else(tmp_path, nodes):
    node = nodes(site_with_probe(tmp_path / "site"))
    with Client(node.mqtt_port) as client:
        for bytes_sent in TORN.values():
            with socket.create_connection(("127.0.0.1", node.mqtt_port), timeout=10) as connection:
                connection.sendall(bytes_sent)
                connection.shutdown(socket.SHUT_WR)
                assert closed_by_node(connection)
        for bytes_sent in TORN_AFTER_CONNECT.values():
            with raw_connection(node) as connection:
                connection.sendall(bytes_sent)
                connection.shutdown(socket.SHUT_WR)
                assert closed_by_node(connection)
        sent = client.publish(payload(now_us(), 42))
        eventually(lambda: sent in client.acknowledged)
    eventually(lambda: values(node, "probe/a") == [42])
    assert node.ask("GET", "/healthz").status == 200


def test_an_announcement_of_256_mb_takes_no_memory(tmp_path, nodes):
    node = nodes(site_with_probe(tmp_path / "site"))
    before = resident_mb(node)
    connections = [raw_connection(node) for _ in range(10)]
    for connection in connections:
        try:
            connection.sendall(b"\x30\xff\xff\xff\x7f\x00\x03lab")
            for _ in range(64):
                connection.sendall(b"x" * 65536)
        except (ConnectionResetError, BrokenPipeError):
            pass  # It need not hear the rest.
        assert closed_by_node(connection)
        connection.close()
    assert resident_mb(node) - before < 40
    assert "too" in node.log() or "larger" in node.log() or "at most" in node.log(), node.log()
    with Client(node.mqtt_port) as client:
        sent = client.publish(payload(now_us(), 42))
        eventually(lambda: sent in client.acknowledged)


# A broker that is not ours.
class Mosquitto:
    def __init__(self, port):
        self.port = port
        program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
        if program is None:
            pytest.skip("needs the Debian package mosquitto")
        self.process = subprocess.Popen([program, "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually(self.answers)

    def answers(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self):
        self.process.terminate()
        self.process.wait()


def test_a_foreign_broker_is_a_source_through_its_restart(tmp_path, nodes):
    broker = Mosquitto(free_port())
    try:
        address = f"127.0.0.1:{broker.port}"
        form = topic_form("/a", broker=address)
        node = nodes(write_site(tmp_path / "site", thing("probe", {"a": number(form)})))
        device = lambda: node.device(address) or node.device("probe")  # noqa: E731
        eventually(lambda: (device() or {}).get("state") == "connected", what="the broker to be connected")
        with Client(broker.port, "sender") as sender:
            eventually(lambda: sender.publish(payload(now_us(), 1)) and 1 in values(node, "probe/a"))
        broker.stop()
        eventually(lambda: device()["state"] == "retrying", what="the loss to be noticed")
        assert device()["last_error"]
        broker = Mosquitto(broker.port)
        eventually(lambda: device()["state"] == "connected", 30, "the broker to be connected again")
        with Client(broker.port, "sender") as sender:
            eventually(lambda: sender.publish(payload(now_us(), 2)) and 2 in values(node, "probe/a"))
    finally:
        broker.stop()
