"""asyncua as the machine's OPC UA server: values with their own time and status, a restart, a node that is not there."""

import asyncio
import threading
from datetime import datetime, timedelta, timezone

import pytest
from asyncua import Server, ua

from node_process import eventually, free_port, number, thing, write_site

NAMESPACE = "urn:lab:machine"


class Machine:
    """An OPC UA server in a thread of its own with three variables."""

    def __init__(self, port):
        self.url, self.port = f"opc.tcp://127.0.0.1:{port}", port
        self._loop, self._ready, self._stop = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve()), daemon=True)
        self._thread.start()
        assert self._ready.wait(20)

    async def _serve(self):
        server = Server()
        await server.init()
        server.set_endpoint(self.url)
        index = await server.register_namespace(NAMESPACE)
        self._nodes = {name: await server.nodes.objects.add_variable(ua.NodeId(name, index), name, start, kind)
                       for name, start, kind in (("Torque", 12.5, ua.VariantType.Double), ("Speed", 1450, ua.VariantType.Int32),
                                                 ("Running", True, ua.VariantType.Boolean))}
        await server.start()
        self._ready.set()
        await self._stop.wait()
        await server.stop()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    def write(self, name, value, kind=ua.VariantType.Double, status=ua.StatusCodes.Good, time=None):
        data = ua.DataValue(ua.Variant(value, kind), ua.StatusCode(status), SourceTimestamp=time or datetime.now(timezone.utc))
        asyncio.run_coroutine_threadsafe(self._nodes[name].write_value(data), self._loop).result(10)

    def stop(self):
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)


def form(machine, name):
    return {"href": machine.url, "op": "observeproperty", "opcua:nodeId": f"nsu={NAMESPACE};s={name}", "opcua:samplingInterval": 50}


def site_of(folder, machine, **more):
    return write_site(folder, thing("drive", {
        "torque": number(form(machine, "Torque")), "speed": number(form(machine, "Speed")),
        "running": {"type": "boolean", "forms": [form(machine, "Running")]}, **more}))


def live(node, path):
    point = node.point(path)
    return (point["value"], point["quality"])


@pytest.fixture(scope="module")  # asyncua takes seconds to load the standard's address space.
def machine():
    server = Machine(free_port())
    yield server
    server.stop()


def test_values_come_with_the_machines_time_and_status(tmp_path, nodes, machine):
    node = nodes(site_of(tmp_path / "site", machine))
    machine.write("Torque", 12.5)
    eventually(lambda: (live(node, "drive/torque"), live(node, "drive/speed"), live(node, "drive/running"))
               == ((12.5, "Good"), (1450, "Good"), (1, "Good")), what="the first values")
    then = datetime.now(timezone.utc).replace(microsecond=0) - timedelta(seconds=5)
    machine.write("Torque", 99.5, time=then + timedelta(seconds=10))
    eventually(lambda: live(node, "drive/torque") == (99.5, "Good"))
    times = [datetime.fromisoformat(row["time"]) for row in node.samples("drive/torque") if row["value"] == 99.5]
    assert then + timedelta(seconds=10) in times
    machine.write("Torque", 1.0, status=ua.StatusCodes.BadSensorFailure, time=then + timedelta(seconds=11))
    eventually(lambda: live(node, "drive/torque")[1] == "Bad_SensorFailure")
    machine.write("Torque", 2.0, time=then + timedelta(seconds=12))
    eventually(lambda: live(node, "drive/torque") == (2, "Good"))


def test_a_node_that_is_not_there_is_named_and_the_others_come(tmp_path, nodes, machine):
    node = nodes(site_of(tmp_path / "site", machine, slip=number(form(machine, "Slip"))))
    eventually(lambda: live(node, "drive/torque")[1] == "Good")
    eventually(lambda: "Slip" in (node.device(str(machine.port)) or {}).get("last_error", "") + node.log(), what="the missing node to be named")
    assert live(node, "drive/slip")[1] is None or live(node, "drive/slip")[1].startswith("Bad")


def test_a_restart_of_the_server_is_survived(tmp_path, nodes):
    machine = Machine(free_port())
    node = nodes(site_of(tmp_path / "site", machine))
    device = lambda: node.device(str(machine.port))  # noqa: E731
    eventually(lambda: live(node, "drive/torque") == (12.5, "Good"))
    machine.stop()
    eventually(lambda: device()["state"] == "retrying", 20, "the loss to be noticed")
    machine = Machine(machine.port)
    try:
        machine.write("Torque", 33.0)
        eventually(lambda: live(node, "drive/torque") == (33, "Good"), 40, "the value after the restart")
        assert device()["state"] == "connected"
    finally:
        machine.stop()
