"""Opens pages in headless Chromium, through the pipe of its DevTools protocol.

What a page asks of the network, what its console says and what it throws is kept, and a
test looks at the rest by JavaScript: https://chromedevtools.github.io/devtools-protocol.
"""

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_OPTIONS = (
    "--headless=new", "--no-sandbox", "--remote-debugging-pipe", "--disable-gpu",
    "--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run", "--mute-audio",
    "--disable-background-networking", "--disable-component-update", "--disable-extensions",
    "--disable-sync", "--password-store=basic", "about:blank",
)  # fmt: skip
_KEYS = {"Tab": 9, "Enter": 13, "Home": 36, "End": 35, "ArrowLeft": 37, "ArrowRight": 39,
         "ArrowDown": 40, "ArrowUp": 38}  # fmt: skip
_WAIT = 60.0


def program() -> str | None:
    """Where Chromium is: $FCNKIT_CHROMIUM, or the first in the path; None where it is not."""
    return os.environ.get("FCNKIT_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One headless Chromium; `open` gives a page, one after the other."""

    def __init__(self, folder: Path) -> None:
        ours, theirs = os.pipe(), os.pipe()
        command = [program(), f"--user-data-dir={folder}", *_OPTIONS]
        redirected = f'exec "$@" 3<&{ours[0]} 4>&{theirs[1]}'
        self._process = subprocess.Popen(
            ["bash", "-c", redirected, "bash", *command],
            pass_fds=(ours[0], theirs[1]),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": str(folder)},
        )
        os.close(ours[0])
        os.close(theirs[1])
        self._out, self._in = ours[1], theirs[0]
        self._number, self._rest, self._session = 0, b"", ""
        self.events: list[dict[str, Any]] = []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        found = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = found["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def close(self) -> None:
        """The browser has ended."""
        os.close(self._out)
        os.close(self._in)
        self._process.kill()
        self._process.wait()

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """What the browser answers; its events meanwhile are kept."""
        self._number += 1
        said: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self._session:
            said["sessionId"] = self._session
        message = json.dumps(said).encode() + b"\0"
        while message:
            message = message[os.write(self._out, message) :]
        while True:
            found = self._read()
            if found.get("id") == self._number:
                if "error" in found:
                    raise RuntimeError(f"{method}: {found['error']}")
                return found["result"]
            self.events.append(found)

    def wait(self, method: str) -> dict[str, Any]:
        """The next event of this kind, of those kept or to come."""
        while True:
            for event in self.events:
                if event.get("method") == method:
                    return event
            self.events.append(self._read())

    def _read(self) -> dict[str, Any]:
        end = time.monotonic() + _WAIT
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._in], [], [], max(0.0, end - time.monotonic()))
            data = os.read(self._in, 1 << 20) if ready else b""
            if not data:
                raise RuntimeError("Chromium says nothing more")
            self._rest += data
        first, _, self._rest = self._rest.partition(b"\0")
        return json.loads(first)

    def open(self, path: Path, width: int = 1400, height: int = 900, *, dark: bool = False,
             media: str = "screen") -> "Page":  # fmt: skip
        """The page of a file, loaded in a window of this size."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", media=media, features=[scheme])
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        self.events.clear()
        self.ask("Page.navigate", url=path.resolve().as_uri())
        self.wait("Page.loadEventFired")
        return Page(self)


class Page:
    """What is open in the browser."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser

    def js(self, code: str) -> Any:
        """What an expression comes to, as JSON has it; promises are waited for."""
        found = self._browser.ask(
            "Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"]["exception"].get("description", code))
        return found["result"].get("value")

    def texts(self, selector: str) -> list[str]:
        """What is to be read in each of these elements."""
        return self.js(
            f"[...document.querySelectorAll({json.dumps(selector)})].map(e => e.textContent.trim())"
        )

    def count(self, selector: str) -> int:
        """How many such elements there are."""
        return self.js(f"document.querySelectorAll({json.dumps(selector)}).length")

    def middle(self, selector: str) -> tuple[float, float]:
        """Where the middle of an element is in the window, after scrolling to it."""
        return tuple(
            self.js(
                f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
                "e.scrollIntoView({block: 'center', behavior: 'instant'});"
                "const b = e.getBoundingClientRect();"
                "return [b.x + b.width / 2, b.y + b.height / 2]; })()"
            )
        )

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        """A mouse event: mouseMoved, mousePressed, mouseReleased or mouseWheel."""
        self._browser.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def click(self, selector: str) -> None:
        """The element is clicked in its middle."""
        x, y = self.middle(selector)
        self.mouse("mouseMoved", x, y)
        for kind in ("mousePressed", "mouseReleased"):
            self.mouse(kind, x, y, button="left", clickCount=1)

    def press(self, *names: str) -> None:
        """The keys are pressed, one after the other."""
        for name in names:
            code = {"key": name, "code": name, "windowsVirtualKeyCode": _KEYS[name]}
            text = {"text": "\r"} if name == "Enter" else {}
            self._browser.ask("Input.dispatchKeyEvent", type="keyDown", **code, **text)
            self._browser.ask("Input.dispatchKeyEvent", type="keyUp", **code)

    def type_key(self, letter: str) -> None:
        """One letter's key is pressed where the focus is."""
        self._browser.ask("Input.dispatchKeyEvent", type="keyDown", key=letter, text=letter)
        self._browser.ask("Input.dispatchKeyEvent", type="keyUp", key=letter)

    def type(self, text: str) -> None:
        """The text is typed where the focus is."""
        self._browser.ask("Input.insertText", text=text)

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """A PNG of the window, or of the whole page."""
        found = self._browser.ask(
            "Page.captureScreenshot", format="png", captureBeyondViewport=whole
        )
        path.write_bytes(base64.b64decode(found["data"]))

    def pdf(self, path: Path) -> None:
        """The page as it is printed."""
        found = self._browser.ask("Page.printToPDF", printBackground=True)
        path.write_bytes(base64.b64decode(found["data"]))

    @property
    def requests(self) -> list[str]:
        """What was asked for beside the file itself and what stands in it."""
        asked = self._of("Network.requestWillBeSent")
        urls = [each["request"]["url"] for each in asked if each.get("type") != "Document"]
        return [url[:200] for url in urls if not url.startswith("data:")]

    @property
    def problems(self) -> list[str]:
        """What the console says, and what the page's scripts threw."""
        self.js("new Promise(done => setTimeout(done, 50))")
        thrown = [str(each["exceptionDetails"]) for each in self._of("Runtime.exceptionThrown")]
        said = [str(each["args"]) for each in self._of("Runtime.consoleAPICalled")]
        logged = [each["entry"]["text"] for each in self._of("Log.entryAdded")]
        return thrown + said + logged

    @property
    def overflow(self) -> int:
        """By how many pixels the page is wider than the window."""
        return self.js("document.documentElement.scrollWidth - innerWidth")

    def _of(self, method: str) -> list[dict[str, Any]]:
        return [each["params"] for each in self._browser.events if each.get("method") == method]
