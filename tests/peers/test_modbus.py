"""pymodbus as the PLC: values in every layout, an address it refuses, a restart; and PLCs that answer garbage or never, beside one
that is well.
"""

import asyncio
import socket
import struct
import threading
import time

import pytest
from pymodbus.client import ModbusTcpClient
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from node_process import eventually, free_port, number, thing, write_site


def registers(layout, value):
    return list(struct.unpack(f">{struct.calcsize(layout) // 2}H", struct.pack(layout, value)))


def form(port, address, entity="HoldingRegister", kind="unsignedShort", quantity=1, **more):
    return {"href": f"modbus+tcp://127.0.0.1:{port}/1/{address}?quantity={quantity}", "op": "readproperty", "modv:entity": entity,
            "modv:type": f"xsd:{kind}", "modv:pollingTime": 50, "modv:timeout": 300, **more}


class Plc:
    """A Modbus TCP server in a thread of its own."""

    COILS = [SimData(0, values=[True, False] * 8, datatype=DataType.BITS)]
    DISCRETE = [SimData(0, values=[False] * 16, datatype=DataType.BITS)]
    HOLDING = [SimData(0, values=registers(">f", 6.25) + registers(">f", 7.5)[::-1] + [1234] + registers(">i", -70000) + registers(">d", 0.1),
                       datatype=DataType.REGISTERS)]
    INPUT = [SimData(0, values=[0xFF9C, 7], datatype=DataType.REGISTERS)]

    def __init__(self, port):
        self.port, self._loop, ready = port, asyncio.new_event_loop(), threading.Event()

        async def serve():
            device = SimDevice(1, simdata=(self.COILS, self.DISCRETE, self.HOLDING, self.INPUT))
            self._server = ModbusTcpServer(device, address=("127.0.0.1", port))
            await self._server.serve_forever(background=True)
            ready.set()

        def run():
            asyncio.set_event_loop(self._loop)
            self._loop.run_until_complete(serve())
            self._loop.run_forever()

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()
        assert ready.wait(10)

    def write(self, address, values):
        with ModbusTcpClient("127.0.0.1", port=self.port) as client:
            assert not client.write_registers(address, values, device_id=1).isError()

    def stop(self):
        asyncio.run_coroutine_threadsafe(self._server.shutdown(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)


@pytest.fixture
def plc():
    server = Plc(free_port())
    yield server
    server.stop()


def live(node, path):
    point = node.point(path)
    return (point["value"], point["quality"])


def test_values_of_every_layout_arrive_with_quality(tmp_path, nodes, plc):
    p = plc.port
    node = nodes(write_site(tmp_path / "site", thing("plc-1", {
        "big": number(form(p, 0, kind="float", quantity=2)),
        "swapped": number(form(p, 2, kind="float", quantity=2, **{"modv:mostSignificantWord": False})),
        "scaled": number(form(p, 4, **{"ps:scale": 0.1, "ps:offset": -20})),
        "signed": number(form(p, 5, kind="int", quantity=2)),
        "double": number(form(p, 7, kind="double", quantity=4)),
        "celsius": number(form(p, 0, "InputRegister", "short")),
        "coil": {"type": "boolean", "forms": [form(p, 0, "Coil", "boolean")]},
        "discrete": {"type": "boolean", "forms": [form(p, 3, "DiscreteInput", "boolean")]},
    })))
    expected = {"big": 6.25, "swapped": 7.5, "scaled": pytest.approx(103.4), "signed": -70000, "double": 0.1, "celsius": -100, "coil": 1,
                "discrete": 0}
    eventually(lambda: all(live(node, f"plc-1/{name}") == (value, "Good") for name, value in expected.items()),
               what=f"the values {expected}")
    plc.write(4, [2000])
    eventually(lambda: live(node, "plc-1/scaled") == (180, "Good"))
    assert node.device(str(p))["state"] == "connected"


def test_an_address_it_refuses_is_bad_and_its_neighbours_are_good(tmp_path, nodes, plc):
    node = nodes(write_site(tmp_path / "site", thing("plc-1", {
        "good": number(form(plc.port, 4)), "missing": number(form(plc.port, 500)), "beyond": number(form(plc.port, 10, quantity=2, kind="float"))})))
    eventually(lambda: live(node, "plc-1/good") == (1234, "Good"))
    eventually(lambda: all(str(live(node, f"plc-1/{name}")[1]).startswith("Bad") for name in ("missing", "beyond")),
               what="bad quality where the PLC answers with an exception")
    device = node.device(str(plc.port))
    assert device["state"] == "connected" and "500" in device["last_error"] + node.log(), device
    assert live(node, "plc-1/good") == (1234, "Good")


def test_a_restart_of_the_plc_is_told_and_survived(tmp_path, nodes):
    plc = Plc(free_port())
    node = nodes(write_site(tmp_path / "site", thing("plc-1", {"a": number(form(plc.port, 4))})))
    device = lambda: node.device(str(plc.port))  # noqa: E731
    eventually(lambda: live(node, "plc-1/a") == (1234, "Good"))
    plc.stop()
    eventually(lambda: device()["state"] == "retrying", what="the loss to be noticed")
    eventually(lambda: live(node, "plc-1/a")[1].startswith("Bad"), what="bad quality while it is away")
    assert device()["last_error"]
    plc = Plc(plc.port)
    plc.write(4, [77])
    try:
        eventually(lambda: live(node, "plc-1/a") == (77, "Good"), 30, "the value after the restart")
        assert device()["state"] == "connected" and device()["restarts"] >= 1
    finally:
        plc.stop()


class BadPlc:
    """Takes connections and answers as `answer` says: bytes for each request, or nothing ever."""

    def __init__(self, answer):
        self._answer, self.requests = answer, 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection):
        try:
            while request := connection.recv(260):
                self.requests += 1
                if self._answer is not None:
                    connection.sendall(self._answer(request))
        except OSError:
            pass

    def close(self):
        self._listener.close()


GARBAGE = {
    "noise": lambda request: b"\xde\xad\xbe\xef" * 8,
    "another transaction": lambda request: b"\x77\x77" + request[2:6] + b"\x00\x05" + request[6:8] + b"\x02\x00\x01",
    "another protocol": lambda request: request[:2] + b"\x12\x34\x00\x05" + request[6:8] + b"\x02\x00\x01",
    "a length of 64 KB": lambda request: request[:4] + b"\xff\xff" + request[6:8] + b"\x02\x00\x01",
    "fewer registers than asked": lambda request: request[:4] + b"\x00\x03" + request[6:8] + b"\x00",
    "another function": lambda request: request[:4] + b"\x00\x05" + request[6:7] + b"\x55\x02\x00\x01",
    "half an answer": lambda request: request[:5],
    "nothing, ever": None,
}


def test_plcs_that_answer_garbage_or_never_delay_no_other(tmp_path, nodes, plc):
    bad = {name: BadPlc(answer) for name, answer in GARBAGE.items()}
    try:
        things = [thing(f"bad-{index}", {"a": number(form(one.port, 4))}) for index, one in enumerate(bad.values())]
        gone = free_port()
        things += [thing("gone", {"a": number(form(gone, 4))}), thing("good", {"a": number(form(plc.port, 4))})]
        node = nodes(write_site(tmp_path / "site", *things))
        eventually(lambda: live(node, "good/a") == (1234, "Good"))
        eventually(lambda: all(one.requests >= 2 for one in bad.values()), 30, "every bad PLC to be asked twice")
        # Each is told of with a reason, and none gave a value.
        for index, (name, one) in enumerate(bad.items()):
            device = eventually(lambda one=one: (d := node.device(str(one.port))) and d["errors"] > 0 and d, what=f"an error of {name}")
            assert device["last_error"], name
            assert live(node, f"bad-{index}/a")[1] in (None, "Bad_NoCommunication") or live(node, f"bad-{index}/a")[1].startswith("Bad"), name
            assert not [row for row in node.samples(f"bad-{index}/a") if row["quality"] == "Good"], name
        # The good one was polled at its pace all the while: every 50 ms.
        begin, before = time.monotonic(), len(node.samples("good/a"))
        eventually(lambda: time.monotonic() - begin > 1)
        polled, seconds = len(node.samples("good/a")) - before, time.monotonic() - begin
        assert polled >= 0.7 * seconds / 0.05, f"{polled} polls in {seconds:.2f} s"
    finally:
        for one in bad.values():
            one.close()
