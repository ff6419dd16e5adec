"""Settings in a real Chromium, by keys alone: a camera that was found, a mask, a threshold, and the file after it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rigs.browser import Browser, browsing
from rigs.page import Served, served

from edge.core.compat import tomllib
from edge.core.settings.services import HistorySettings
from edge.pipeline.history import Appearance, HistoryStore, Look
from edge.sources.discovery import CameraSearch, DiscoveredCamera


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browsing(tmp_path_factory.mktemp("browser")) as chromium:
        yield chromium


@pytest.fixture
def page(tmp_path: Path, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """The settings view of a device whose search finds one camera, and that saw somebody near alice today."""
    (tmp_path / "edge.toml").write_text('# mine\n[[cameras]]\nname = "door"\nsource = "synthetic"\n')
    monkeypatch.setenv("EDGE_CONFIG", str(tmp_path / "edge.toml"))
    store = HistoryStore(tmp_path / "state", HistorySettings())
    looks = [Look(float(n), "alice", 90.0, 20.0, 95.0, 0.8) for n in range(6)]
    store.put([Appearance("1-1", "door", "face", time.time() - 60, state="unknown", looks=looks)])
    store.close()
    found = CameraSearch((DiscoveredCamera("v4l2", "HD Webcam", "synthetic"),))
    browser.console.clear()
    with served(tmp_path / "state", cameras=[{"name": "door", "source": "synthetic"}]) as made:
        made.page.cameras.search = lambda: found
        browser.open(f"http://127.0.0.1:{made.port}/#settings")
        browser.until("document.querySelector('#label-fields input')")
        yield made
        assert browser.console == []
        browser.open("about:blank")


def focus(browser: Browser, selector: str) -> None:
    """Go to an element with the Tab key."""
    for _ in range(80):
        if browser.js(f"document.activeElement.matches({selector!r})"):
            return
        browser.press("Tab")
    pytest.fail(f"the Tab key does not reach {selector}")


def test_settings_are_changed_by_keys_alone(page: Served, browser: Browser, tmp_path: Path) -> None:
    focus(browser, "#camera-new")
    browser.press("Enter")
    focus(browser, "#camera-search")
    browser.press("Enter")
    browser.until("document.querySelector('#camera-found b')?.textContent === 'HD Webcam'")
    focus(browser, "#camera-found button")
    browser.press("Enter")
    browser.until("document.activeElement.id === 'camera-name'")
    browser.type("yard")
    focus(browser, "#camera-test")
    browser.press("Enter")
    browser.until("!document.querySelector('#camera-add').disabled")
    focus(browser, "#camera-add")
    browser.press("Enter")
    browser.until("document.querySelector('#settings-lines').textContent.includes('yard')")

    focus(browser, "input[name=zone-kind]")
    browser.press("ArrowRight")
    assert browser.js("document.querySelector('input[name=zone-kind]:checked').value") == "masks"
    focus(browser, "#zone-name")
    browser.type("tv")
    for moves in (["ArrowLeft"] * 9, ["ArrowRight"] * 9, ["ArrowDown"] * 9):
        focus(browser, "#zone-add")
        browser.press("Enter")
        for key in moves:
            browser.press(key)
        browser.focus("#zone-name")
    focus(browser, "#zone-save")
    browser.press("Enter")

    focus(browser, "#threshold-value")
    for _ in range(3):
        browser.press("PageDown")
    browser.until("document.querySelector('#threshold-changed .who')?.textContent === 'without a name → alice'")
    focus(browser, "#threshold-set")
    browser.press("Enter")
    browser.until("document.querySelector('#settings-lines').textContent.includes('similarity')")
    assert browser.accessibility() == []
    browser.focus(".skip")
    focus(browser, "#settings-apply")
    browser.press("Enter")
    browser.until("document.querySelector('#toast').textContent.startsWith('Written')")
    text = (tmp_path / "edge.toml").read_text()
    values = tomllib.loads(text)
    assert text.startswith("# mine")
    assert values["cameras"][0]["masks"] == {"tv": [[0.41, 0.5], [0.59, 0.5], [0.5, 0.59]]}
    assert values["cameras"][1] == {"name": "yard", "source": "synthetic"}
    assert values["labels"]["face"]["similarity"] < 95
