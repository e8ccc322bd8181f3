"""A headless Chromium, driven over the DevTools protocol through a pair of pipes.

Needs nothing but Python and Debian's `chromium`: --remote-debugging-pipe speaks JSON messages, each ended by a zero
byte, on file descriptors 3 and 4. Input goes in as real mouse and key events, so that what a test can do, a person can.
"""

import base64
import fcntl
import json
import os
import pathlib
import select
import shutil
import subprocess
import tempfile
import time

KEYS = {
    "Tab": ("Tab", 9, None),
    "Enter": ("Enter", 13, "\r"),
    "Escape": ("Escape", 27, None),
    "Space": (" ", 32, " "),
    "ArrowDown": ("ArrowDown", 40, None),
}


MISSING = "chromium is not here: install the Debian package chromium, or set CHROMIUM to where it is"


class BrowserError(Exception):
    pass


def find_program():
    """The browser's path, or None."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium")


class Browser:
    """One browser with one page."""

    def __init__(self, width=1440, height=900, program=None):
        program = program or find_program()
        if not program:
            raise BrowserError(MISSING)
        self._profile = tempfile.mkdtemp(prefix="penstock-e2e-")
        to_browser_read, self._write = os.pipe()
        self._read, from_browser_write = os.pipe()
        # High numbers, so that neither stands where the other has to go.
        child_ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 50) for end in (to_browser_read, from_browser_write)]
        command = [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars",
                   "--disable-dev-shm-usage", "--remote-debugging-pipe", f"--user-data-dir={self._profile}", "about:blank"]
        # The shell puts the pipes where the browser looks for them.
        line = f'exec 3<&{child_ends[0]} 4>&{child_ends[1]}; exec "$@"'
        self._process = subprocess.Popen(["bash", "-c", line, "bash", *command], stdout=subprocess.DEVNULL,
                                         stderr=subprocess.DEVNULL, pass_fds=child_ends)
        for end in (to_browser_read, from_browser_write, *child_ends):
            os.close(end)
        self._buffer = b""
        self._next = 0
        self.console = []  # What the page has complained about: errors, warnings, refused by the policy.
        self.requests = []
        target = self._call("Target.createTarget", {"url": "about:blank"}, session=False)["targetId"]
        self._session = self._call("Target.attachToTarget", {"targetId": target, "flatten": True}, session=False)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")
        self.resize(width, height)

    # The wire.
    def _call(self, method, params=None, session=True, timeout=30):
        self._next += 1
        message = {"id": self._next, "method": method, "params": params or {}}
        if session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + timeout
        while True:
            answer = self._receive(end)
            if answer is None:
                raise BrowserError(f"{method}: no answer within {timeout} s")
            if answer.get("id") == message["id"]:
                if "error" in answer:
                    raise BrowserError(f"{method}: {answer['error'].get('message')}")
                return answer["result"]
            self._take_event(answer)

    def _receive(self, end):
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], max(0, end - time.monotonic()))
            if not ready:
                return None
            chunk = os.read(self._read, 1 << 20)
            if not chunk:
                raise BrowserError("the browser ended")
            self._buffer += chunk
        raw, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(raw)

    def _take_event(self, event):
        method, params = event.get("method"), event.get("params", {})
        if method == "Log.entryAdded":
            entry = params["entry"]
            self.console.append(f"{entry['level']}: {entry['text']} {entry.get('url', '')}")
        elif method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.console.append(f"exception: {details.get('exception', {}).get('description', details.get('text'))}")
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
            text = " ".join(str(a.get("value", a.get("description", ""))) for a in params["args"])
            self.console.append(f"{params['type']}: {text}")
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])

    def pump(self, seconds):
        """Lets events come in for a while."""
        end = time.monotonic() + seconds
        while (event := self._receive(end)) is not None:
            self._take_event(event)

    # The page.
    def resize(self, width, height, phone=False):
        self._call("Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone})
        self._call("Emulation.setTouchEmulationEnabled", {"enabled": phone})

    def colors(self, scheme):
        self._call("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})

    def offline(self, off):
        self._call("Network.emulateNetworkConditions", {"offline": off, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1})

    def open(self, url):
        self._call("Page.navigate", {"url": url})
        self.wait("document.readyState === 'complete'", what=f"{url} to load")

    def run(self, expression):
        result = self._call("Runtime.evaluate", {"expression": expression, "returnByValue": True, "awaitPromise": True})
        if "exceptionDetails" in result:
            details = result["exceptionDetails"]
            raise BrowserError(f"{expression}: {details.get('exception', {}).get('description', details['text'])}")
        return result["result"].get("value")

    def wait(self, expression, timeout=20, what=None):
        end = time.monotonic() + timeout
        while True:
            try:
                value = self.run(expression)
            except BrowserError as error:
                if "Cannot find context" not in str(error) and "context was destroyed" not in str(error):
                    raise
                value = None
            if value:
                return value
            if time.monotonic() > end:
                text = self.run("(document.body?.innerText ?? 'no page').slice(0, 1200)")
                raise BrowserError(f"waited {timeout} s for {what or expression}; the page says:\n{text}")
            self.pump(0.05)

    def wait_for(self, selector, timeout=20):
        return self.wait(f"!!document.querySelector({json.dumps(selector)})", timeout, f"{selector}")

    def text(self, selector):
        return self.run(f"document.querySelector({json.dumps(selector)})?.innerText ?? null")

    def attribute(self, selector, name):
        return self.run(f"document.querySelector({json.dumps(selector)})?.getAttribute({json.dumps(name)}) ?? null")

    def click(self, selector, timeout=20):
        """A real click in the middle of the element, which must be visible and not covered."""
        self.wait_for(selector, timeout)
        quoted = json.dumps(selector)
        self.run(f"document.querySelector({quoted}).scrollIntoView({{block: 'center'}})")
        spot = self.run(f"""(() => {{
            const element = document.querySelector({quoted});
            const box = element.getBoundingClientRect();
            const x = box.x + box.width / 2, y = box.y + box.height / 2;
            const top = document.elementFromPoint(x, y);
            return {{x, y, hit: !!top && (element === top || element.contains(top) || top.contains(element))}};
        }})()""")
        if not spot["hit"]:
            raise BrowserError(f"{selector} is covered by something else")
        for kind in ("mousePressed", "mouseReleased"):
            self._call("Input.dispatchMouseEvent", {"type": kind, "x": spot["x"], "y": spot["y"], "button": "left", "clickCount": 1})

    def fill(self, selector, text):
        self.click(selector)
        self.type(text)

    def type(self, text):
        for character in text:
            self._call("Input.dispatchKeyEvent", {"type": "keyDown", "text": character, "key": character, "unmodifiedText": character})
            self._call("Input.dispatchKeyEvent", {"type": "keyUp", "key": character})

    def press(self, name, shift=False):
        key, code, text = KEYS[name]
        event = {"key": key, "code": name, "windowsVirtualKeyCode": code, "modifiers": 8 if shift else 0}
        self._call("Input.dispatchKeyEvent", {"type": "keyDown", **event, **({"text": text} if text else {})})
        self._call("Input.dispatchKeyEvent", {"type": "keyUp", **event})

    def drag(self, selector, start, end):
        """From one share of the element's width to another, at half height."""
        box = self.run(f"(({{x, y, width, height}}) => ({{x, y, width, height}}))(document.querySelector({json.dumps(selector)}).getBoundingClientRect())")
        y = box["y"] + box["height"] / 2
        spots = [box["x"] + box["width"] * share for share in (start, (start + end) / 2, end)]
        send = lambda kind, x, buttons: self._call("Input.dispatchMouseEvent", {"type": kind, "x": x, "y": y, "button": "left", "buttons": buttons, "clickCount": 1})
        send("mouseMoved", spots[0], 0)
        send("mousePressed", spots[0], 1)
        for x in spots[1:]:
            send("mouseMoved", x, 1)
        send("mouseReleased", spots[-1], 0)

    def screenshot(self, path, whole=False):
        data = self._call("Page.captureScreenshot", {"format": "png", "captureBeyondViewport": whole})["data"]
        pathlib.Path(path).write_bytes(base64.b64decode(data))

    def close(self):
        try:
            self._call("Browser.close", session=False, timeout=5)
        except (BrowserError, OSError):
            pass
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._write)
        os.close(self._read)
        shutil.rmtree(self._profile, ignore_errors=True)
