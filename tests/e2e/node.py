"""Starts the node that the browser visits: `penstock up --demo`, or with PENSTOCK_E2E_FAKE=1 the console's fake node.

The only place that knows the command line and what a node prints when it is ready.
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import threading

ROOT = pathlib.Path(__file__).resolve().parents[2]
START_S = 240  # The first start of the demo trains its models.


class NodeError(Exception):
    pass


def command(data):
    if os.environ.get("PENSTOCK_E2E_FAKE") == "1":
        return ["node", str(ROOT / "console/dev/fake_server.mjs"), "--port", "0", "--setup", "--alarm-after", "6"]
    program = pathlib.Path(os.environ.get("PENSTOCK_BIN") or os.environ.get("PENSTOCK_PROGRAM") or "build/dev/penstock")
    program = program if program.is_absolute() else ROOT / program
    if not program.exists():
        raise NodeError(f"{program} is not there; build it with ./dev build, or set PENSTOCK_BIN to where it is")
    return [str(program), "up", "--demo", "--json", "--free-ports", "--data", data]


class Node:
    def __init__(self):
        self._data = tempfile.mkdtemp(prefix="penstock-e2e-data-")
        self._log = open(os.path.join(self._data, "e2e-node.log"), "w+b")
        self._process = subprocess.Popen(command(self._data), cwd=ROOT, stdout=subprocess.PIPE, stderr=self._log,
                                         env={**os.environ, "NO_COLOR": "1"})
        ready = self._read_ready()
        self.url = ready["url"].rstrip("/")
        self.setup_token = ready["setup_token"]

    def _read_ready(self):
        """The first JSON document on stdout: {"url", "setup_token", ...}; it may spread over lines."""
        found, done = {}, threading.Event()

        def read():
            text = ""
            for line in self._process.stdout:
                text += line.decode()
                try:
                    found.update(json.loads(text))
                except ValueError:
                    continue
                done.set()
                break
            done.set()
            for _ in self._process.stdout:  # Never lets the pipe fill up.
                pass

        threading.Thread(target=read, daemon=True).start()
        done.wait(START_S)
        if "url" not in found:
            log = self.log()
            self.stop()
            raise NodeError(f"the node was not ready within {START_S} s; it said:\n{log}")
        return found

    def log(self):
        self._log.flush()
        return pathlib.Path(self._log.name).read_text(errors="replace")[-4000:]

    def running(self):
        return self._process.poll() is None

    def stop(self):
        if self.running():
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        return self._process.returncode

    def close(self):
        self.stop()
        self._log.close()
        shutil.rmtree(self._data, ignore_errors=True)
