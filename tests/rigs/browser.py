"""A real Chromium without a window, spoken to over its debugging pipe: no driver and no package is needed."""

from __future__ import annotations

import base64
import importlib.util
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

PATIENCE = 30.0
"""seconds that an answer may take: the machine may be busy"""
SIZES = {"desktop": (1280, 860, False), "phone": (390, 844, True)}
KEYS = {
    "Enter": ("Enter", 13, "\r"),
    "Escape": ("Escape", 27, ""),
    "Tab": ("Tab", 9, ""),
    " ": ("Space", 32, " "),
    "ArrowDown": ("ArrowDown", 40, ""),
    "ArrowUp": ("ArrowUp", 38, ""),
    "ArrowLeft": ("ArrowLeft", 37, ""),
    "ArrowRight": ("ArrowRight", 39, ""),
    "Delete": ("Delete", 46, ""),
    "Home": ("Home", 36, ""),
    "End": ("End", 35, ""),
    "PageDown": ("PageDown", 34, ""),
    "Backspace": ("Backspace", 8, ""),
}
"""key -> its code, its number, the text it types"""
RESTING = """async (selector, patience) => {
  let last = "";
  for (const end = Date.now() + patience; Date.now() < end; ) {
    const element = document.querySelector(selector);
    element.scrollIntoView({block: "nearest"});
    const { x, y, width, height } = element.getBoundingClientRect();
    const middle = [x + width / 2, y + height / 2];
    const top = document.elementFromPoint(...middle);
    if (String(middle) === last && top && (element.contains(top) || top.contains(element))) {
      window.bare = element.contains(top);
      return middle;
    }
    last = String(middle);
    await new Promise((done) => setTimeout(done, 30));
  }
  return null;
}"""
"""gives the middle, in pixels of the window, of an element that does not move any more and that nothing covers"""


LISTEN = """(selector) => {
  window.missed = true;
  const hit = (event) => {
    const element = document.querySelector(selector);
    window.missed &&= !element || !(element.contains(event.target) || event.target.contains(element));
  };
  document.addEventListener("click", hit, { capture: true, once: true });
  window.aside = false;
  const pressed = (event) => {
    const element = document.querySelector(selector);
    window.aside = window.bare && Boolean(element) && !element.contains(event.target);
  };
  document.addEventListener("mousedown", pressed, { capture: true, once: true });
}"""
"""notes whether the next click reaches an element"""
MISSED = """(selector, [x, y]) => {
  if (window.aside) return Boolean(document.querySelector(selector));
  const box = window.missed && document.querySelector(selector)?.getBoundingClientRect();
  return Boolean(box) && (Math.abs(box.x + box.width / 2 - x) > 1 || Math.abs(box.y + box.height / 2 - y) > 1);
}"""
"""tells whether a click has not reached an element: pressed beside it, or it is somewhere else now"""


class PageError(AssertionError):
    """The page's script failed, or did not get where it should."""


class Browser:
    """One page in one Chromium."""

    def __init__(self, folder: Path, more: tuple[str, ...] = ()) -> None:
        self.console: list[str] = []
        """errors and warnings that the page has written, and what it failed to load"""
        ours, theirs = os.pipe(), os.pipe()
        self._out = os.fdopen(ours[1], "wb", 0)
        self._in = os.fdopen(theirs[0], "rb")
        flags = [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--mute-audio",
            "--disable-extensions", "--force-color-profile=srgb", f"--user-data-dir={folder}",
            "--remote-debugging-pipe", *more, "about:blank",
        ]  # fmt: skip
        shell = f'exec "$0" "$@" 3<&{ours[0]} 4>&{theirs[1]}'
        program = shutil.which("chromium") or shutil.which("chromium-browser") or "google-chrome"
        self._process = subprocess.Popen(
            ["bash", "-c", shell, program, *flags],
            pass_fds=(ours[0], theirs[1]),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_CACHE_HOME": str(folder)},
        )
        os.close(ours[0])
        os.close(theirs[1])
        self._answers: dict[int, dict[str, Any]] = {}
        self._news = threading.Condition()
        self._number = 0
        self._session = ""
        threading.Thread(target=self._listen, daemon=True).start()
        target = next(one for one in self.ask("Target.getTargets")["targetInfos"] if one["type"] == "page")
        self._session = self.ask("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the DevTools protocol."""
        with self._news:
            number = self._send(method, **parameters)
            if not self._news.wait_for(lambda: number in self._answers, PATIENCE):
                raise PageError(f"{method}: no answer")
            answer = self._answers.pop(number)
        if "error" in answer:
            raise PageError(f"{method}: {answer['error']}")
        found: dict[str, Any] = answer["result"]
        return found

    def open(self, address: str) -> None:
        self.ask("Page.navigate", url=address)
        self.until("document.readyState === 'complete'")

    def js(self, expression: str) -> Any:
        """The value of an expression; promises are waited for."""
        answer = self.ask("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise PageError(f"{expression[:200]}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def until(self, expression: str, patience: float = PATIENCE) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + patience
        while not self.js(f"(async () => Boolean(await ({expression})))()"):
            if time.monotonic() > end:
                text = self.js("document.body.innerText")
                raise PageError(f"never true: {expression}\n{text[:1500]}\n...\n{text[-1500:]}")
            time.sleep(0.03)

    def press(self, key: str, modifiers: int = 0) -> None:
        """A key as a person presses it: the browser decides what it does."""
        code, number, text = KEYS.get(key) or (f"Key{key.upper()}", ord(key.upper()), key)
        more = {"key": key, "code": code, "windowsVirtualKeyCode": number, "modifiers": modifiers}
        self.ask("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **more)
        self.ask("Input.dispatchKeyEvent", type="keyUp", **more)

    def focus(self, selector: str) -> None:
        """Give the focus to the first element that a selector finds, once it can take it: a hidden one cannot."""
        element = f"document.querySelector({json.dumps(selector)})"
        self.until(f"({element}?.focus(), document.activeElement === {element})")

    def type(self, text: str) -> None:
        for character in text:
            self.press(character)

    def click(self, selector: str) -> None:
        """The middle of the first element that a selector finds, once it rests and nothing covers it.

        Again where it moved away before the button was released: what a page loads late shifts the rest of it.
        """
        name = json.dumps(selector)
        while True:
            point = self.js(f"({RESTING})({name}, {PATIENCE * 1000})")
            if point is None:
                raise PageError(f"{selector}: did not come to rest where it can be clicked")
            self.js(f"({LISTEN})({name})")
            self._press(*point)
            if not self.js(f"({MISSED})({name}, {json.dumps(point)})"):
                return

    def _press(self, x: float, y: float) -> None:
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            more = {"button": "none"} if kind == "mouseMoved" else {"button": "left", "clickCount": 1}
            self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def drag(self, selector: str, start: tuple[float, float], end: tuple[float, float], touch: bool = False) -> None:
        """With a mouse or a finger, from one place in the first element found to another: fractions of its size."""
        area = f"document.querySelector({json.dumps(selector)}).getBoundingClientRect()"
        x, y, width, height = self.js(f"(() => {{ const r = {area}; return [r.x, r.y, r.width, r.height]; }})()")
        ways = (start, ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2), end, end)
        for number, (across, down) in enumerate(ways):
            at = {"x": x + across * width, "y": y + down * height}
            if touch:
                kind = ("touchStart", "touchMove", "touchMove", "touchEnd")[number]
                points = [] if kind == "touchEnd" else [at]
                self.ask("Input.dispatchTouchEvent", type=kind, touchPoints=points)
            else:
                kind = ("mousePressed", "mouseMoved", "mouseMoved", "mouseReleased")[number]
                self.ask("Input.dispatchMouseEvent", type=kind, button="left", buttons=1, clickCount=1, **at)

    def size(self, name: str, dark: bool = False) -> None:
        width, height, mobile = SIZES[name]
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, mobile=mobile, deviceScaleFactor=2 if mobile else 1,
        )  # fmt: skip
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.ask("Emulation.setEmulatedMedia", features=scheme)

    def screenshot(self, path: Path, whole: bool = False) -> None:
        picture = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(picture["data"]))

    def accessibility(self) -> list[str]:
        """What axe finds wrong: rule, and where."""
        self.js(f"{_axe()}; true")
        found = self.js("axe.run(document, {resultTypes: ['violations']}).then((r) => r.violations)")
        return [f"{one['id']}: {node['target']}: {node['failureSummary']}" for one in found for node in one["nodes"]]

    def close(self) -> None:
        with suppress(PageError, OSError):
            self._session = ""
            self.ask("Browser.close")
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._out.close()

    def _send(self, method: str, **parameters: Any) -> int:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._out.write(json.dumps(message).encode() + b"\0")
        return self._number

    def _listen(self) -> None:
        buffer = b""
        with self._in, suppress(OSError, ValueError):
            while data := os.read(self._in.fileno(), 1 << 16):
                *messages, buffer = (buffer + data).split(b"\0")
                for message in messages:
                    self._heard(json.loads(message))

    def _heard(self, message: dict[str, Any]) -> None:
        with self._news:
            if "id" in message:
                self._answers[message["id"]] = message
            else:
                if message["method"] == "Page.javascriptDialogOpening":
                    self._send("Page.handleJavaScriptDialog", accept=True)
                self.console += _complaints(message["method"], message["params"])
            self._news.notify_all()


def _complaints(method: str, values: dict[str, Any]) -> Iterator[str]:
    if method == "Runtime.exceptionThrown":
        yield str(values["exceptionDetails"])
    elif method == "Runtime.consoleAPICalled" and values["type"] in ("error", "warning", "assert"):
        yield " ".join(str(one.get("value", one.get("description"))) for one in values["args"])
    elif method == "Log.entryAdded" and values["entry"]["level"] in ("error", "warning"):
        yield f"{values['entry']['text']} {values['entry'].get('url', '')}"


def _axe() -> str:
    found = importlib.util.find_spec("axe_core_python")
    if found is None or found.origin is None:
        pytest.skip("needs the package axe-core-python, which brings axe")
    return (Path(found.origin).parent / "axe.min.js").read_text()


@contextmanager
def browsing(folder: Path, *more: str) -> Iterator[Browser]:
    """A browser for the length of a block; skips where there is none."""
    if not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
        pytest.skip("needs Chromium, which is not installed")
    browser = Browser(folder, more)
    try:
        yield browser
    finally:
        browser.close()
