"""Drive headless Chromium by its DevTools protocol, with the websocket client that JupyterLab depends on.

Every other host than this machine is unknown to the browser, so what a page wants from one fails and is counted.
"""

import contextlib
import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import websocket

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
"""the browser's path, or None"""
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--hide-scrollbars",
    "--mute-audio",
    "--autoplay-policy=no-user-gesture-required",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--remote-debugging-port=0",
)


class Page:
    """One tab of the browser; events that report problems are kept in ``problems``."""

    def __init__(self, address: str):
        self.socket = websocket.create_connection(address, timeout=30, suppress_origin=True)
        self.number, self.loaded, self.problems, self.requests = 0, 0, [], {}
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.command(f"{domain}.enable")

    def command(self, method: str, **parameters) -> dict:
        """Send a command and return its result; events that come before it are taken note of."""
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.socket.recv())
            if message.get("id") == self.number:
                assert "error" not in message, (method, message["error"])
                return message["result"]
            self._note(message.get("method", ""), message.get("params", {}))

    def _note(self, event: str, facts: dict) -> None:
        if event == "Page.loadEventFired":
            self.loaded += 1
        elif event == "Network.requestWillBeSent":
            self.requests[facts["requestId"]] = facts["request"]["url"]
        elif event == "Network.loadingFailed" and not facts.get("canceled"):
            self.problems.append(f"{self.requests.get(facts['requestId'])}: {facts['errorText']}")
        elif event == "Network.responseReceived" and facts["response"]["status"] >= 400:
            self.problems.append(f"{facts['response']['url']}: status {facts['response']['status']}")
        elif event == "Runtime.exceptionThrown":
            thrown = facts["exceptionDetails"]
            self.problems.append(thrown.get("exception", {}).get("description", thrown["text"]))
        elif event == "Runtime.consoleAPICalled" and facts["type"] in ("error", "assert"):
            self.problems.append("console: " + " ".join(str(part.get("value", "")) for part in facts["args"]))
        elif event == "Log.entryAdded" and facts["entry"]["level"] == "error":
            self.problems.append(f"log: {facts['entry']['text']} {facts['entry'].get('url', '')}")

    def look(self, width: int, dark: bool) -> None:
        """Be a screen of this width, in CSS pixels; a narrow one is a phone."""
        phone = width < 600
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=phone)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.command("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, address: str) -> None:
        """Go to a page and wait until it and all that it needs is there."""
        before = self.loaded
        self.command("Page.navigate", url=address)
        self.until("document.readyState === 'complete'")
        while self.loaded == before:
            self.command("Runtime.evaluate", expression="0")

    def run(self, expression: str):
        """The value of a JavaScript expression; a promise is awaited."""
        result = self.command("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def until(self, expression: str, seconds: float = 20.0) -> None:
        """Wait until a JavaScript expression is true."""
        end = time.monotonic() + seconds
        while not self.run(expression):
            assert time.monotonic() < end, f"{expression} is not true after {seconds:g} s"
            time.sleep(0.02)


@contextlib.contextmanager
def browser() -> Iterator[Page]:
    """Start Chromium with a profile of its own, and yield its tab."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
        # The wrapper that Debian puts around Chromium complains on standard error; the browser itself does so too.
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                page = Page(_address(Path(profile) / "DevToolsActivePort"))
                with contextlib.closing(page.socket):
                    yield page
            finally:
                process.terminate()


def _address(file: Path, seconds: float = 60.0) -> str:
    """Return the address of the first tab, as soon as the browser has written its port."""
    end = time.monotonic() + seconds
    while not (file.is_file() and len(file.read_text().split()) == 2):
        assert time.monotonic() < end, f"Chromium did not start within {seconds:g} s"
        time.sleep(0.05)
    with urllib.request.urlopen(f"http://127.0.0.1:{file.read_text().split()[0]}/json/list") as answer:
        return next(tab["webSocketDebuggerUrl"] for tab in json.load(answer) if tab["type"] == "page")
