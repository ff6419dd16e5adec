"""A walk through the page as a new owner takes it: from a fresh device to a named visitor, without a terminal."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rigs.browser import Browser, browsing
from rigs.mosquitto import free_port
from rigs.waiting import eventually

ROOT = Path(__file__).parents[3]
PORTRAITS = ROOT / "edge/data/portraits"
GRACE = PORTRAITS / "grace-hopper/1.jpg"


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """The page of a daemon whose camera sees two people, and whose collections are empty."""
    pytest.importorskip("uvicorn", reason="needs the extra rekognition-edge[api]")
    port, config = free_port(), tmp_path / "edge.toml"
    config.write_text(
        f'state = "{tmp_path / "state"}"\ndevice.name = "porch"\napi = {{ enabled = true, port = {port} }}\n'
        "review = { enabled = true, crops = true }\nhistory = { pictures = true }\n"
        f'# the camera at the door\n[[cameras]]\nname = "door"\nsource = "synthetic:{PORTRAITS}"\nloop = true\n'
    )
    with (tmp_path / "log").open("wb") as log:
        daemon = subprocess.Popen([sys.executable, "-m", "edge", "--config", str(config), "run"], stderr=log)
    try:
        assert eventually(lambda: b"watching door" in (tmp_path / "log").read_bytes(), 60)
        yield f"http://127.0.0.1:{port}/"
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(30) == 0, (tmp_path / "log").read_text()
    finally:
        if daemon.poll() is None:
            daemon.kill()
            daemon.wait()


@pytest.fixture
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browsing(tmp_path_factory.mktemp("browser")) as chromium:
        yield chromium


def enroll(browser: Browser, name: str, file: Path) -> None:
    browser.click("#parts a[href='#people']")
    browser.until("!document.querySelector('#enroll').hidden")
    browser.until("document.querySelector('#people-tiles li')")
    browser.click("#enroll-subject")
    browser.until("document.activeElement.id === 'enroll-subject'")
    browser.type(name)
    browser.until(f"document.querySelector('#enroll-subject').value === '{name}'")
    browser.click("input[name=enroll-from][value=files]")
    browser.until("!document.querySelector('#from-files').hidden")
    root = browser.ask("DOM.getDocument")["root"]["nodeId"]
    field = browser.ask("DOM.querySelector", nodeId=root, selector="#enroll-files")["nodeId"]
    browser.ask("DOM.setFileInputFiles", nodeId=field, files=[str(file)])
    browser.until("document.querySelector('.look-details')", 60)
    browser.until(f"document.querySelector('[data-action=enroll]')?.textContent === 'Enroll as {name}'", 20)
    browser.click("[data-action=enroll]")
    browser.until(f"document.querySelector('.look').innerText.includes('Enrolled as {name}')")


@pytest.mark.long
@pytest.mark.timeout(400)
def test_from_a_fresh_device_to_a_named_visitor_in_the_history(address: str, browser: Browser, tmp_path: Path) -> None:
    browser.size("desktop")
    browser.open(address)
    browser.until("document.querySelector('.view img')?.naturalWidth > 0", 60)
    browser.until("document.querySelectorAll('.box').length > 0", 60)

    browser.click("#parts a[href='#settings']")
    browser.until("document.querySelector('#zone-picture').naturalWidth > 0", 60)
    for x, y in ((0.05, 0.05), (0.95, 0.05), (0.95, 0.98), (0.05, 0.98)):
        draw(browser, x, y)
    browser.click("#zone-name")
    browser.type("mat")
    browser.click("#zone-save")
    browser.until("document.querySelector('#settings-lines').textContent.includes('[cameras.zones]')")
    browser.click("#settings-apply")
    text = (tmp_path / "edge.toml").read_text
    assert eventually(lambda: "mat = " in text(), 20)
    assert "# the camera at the door" in text()

    zones = "fetch('/page/state').then((said) => said.json()).then((state) => state.cameras[0].zones)"
    assert eventually(lambda: "mat" in (browser.js(f"{zones}.catch(() => ({{}}))") or {}), 60)
    browser.open(address)
    browser.until("!document.querySelector('#parts').hidden", 60)
    enroll(browser, "Grace", GRACE)

    browser.click("#parts a[href='#history']")
    browser.until("[...document.querySelectorAll('.appearance .known')].some((one) => one.textContent === 'Grace')", 90)
    browser.click("#history-text")
    browser.type("grace")
    browser.until("[...document.querySelectorAll('.appearance')].every((one) => one.textContent.includes('Grace'))")
    browser.click(".appearance")
    browser.until("document.querySelector('#appearance-dialog').open")
    assert "agreed on Grace" in browser.js("document.querySelector('#appearance-why').textContent")
    assert browser.js("document.querySelectorAll('.history-look').length") >= 2
    browser.press("Escape")
    browser.click("#parts a[href='#people']")
    browser.until("document.querySelector('.person')?.innerText.includes('seen')")


def draw(browser: Browser, x: float, y: float) -> None:
    """Press the mouse at a place in the picture, in fractions of it."""
    board = browser.js(
        "(() => { const b = document.querySelector('#zone-board'); b.scrollIntoView({block: 'center'}); "
        "const r = b.getBoundingClientRect(); return [r.left, r.top, r.width, r.height]; })()"
    )
    where = {"x": board[0] + x * board[2], "y": board[1] + y * board[3], "button": "left", "clickCount": 1}
    for kind in ("mousePressed", "mouseReleased"):
        browser.ask("Input.dispatchMouseEvent", type=kind, **where)
