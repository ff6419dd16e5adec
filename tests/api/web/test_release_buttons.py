"""Update now and roll back on the page, against releases that a hub published: real signatures, real HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from rigs import settings_files
from rigs.browser import Browser, browsing
from rigs.mosquitto import free_port
from rigs.over_the_air import release
from rigs.release_simulator import Site
from rigs.running import Running

from edge.core.settings import loader
from edge.hub.publishing.publisher import ReleasePublisher

PORTRAITS = Path(__file__).parents[3] / "edge/data/portraits"
BUTTON = "[...document.querySelectorAll('#device-actions button')]"


@dataclass
class Fleet:
    """A hub with a release repository, and a daemon that follows it."""

    publisher: ReleasePublisher
    address: str


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    pytest.importorskip("uvicorn", reason="needs the extra rekognition-edge[api]")
    publisher = ReleasePublisher(tmp_path / "hub", loader.read(settings_files.write(tmp_path / "desk")))
    root = publisher.repository.init()
    publisher.add_model(settings_files.DETECTOR)
    publisher.add_model(settings_files.EMBEDDER)
    site, port = Site(tmp_path / "hub/public"), free_port()
    sync = {"url": site.url, "root": str(root), "reserve_bytes": 0, "probation": 1.0}
    camera = {"realtime": True, "loop": True}
    daemon = Running(
        tmp_path / "device", camera=camera, settings={"sync": sync, "api": {"enabled": True, "port": port}}
    )
    daemon.folder.mkdir()
    daemon.start()
    try:
        daemon.await_watching()
        yield Fleet(publisher, f"http://127.0.0.1:{port}/#device")
        assert daemon.stop() == 0, daemon.log
    finally:
        daemon.close()
        site.close()


def press(browser: Browser, number: int) -> None:
    """Press one of the buttons, and confirm."""
    browser.js(f"{BUTTON}[{number}].id = 'pressed'")
    browser.click("#pressed")
    browser.js("document.querySelector('#pressed').removeAttribute('id')")
    browser.until("document.querySelector('#sure-dialog[open]')")
    browser.click("#sure-yes")


def runs(browser: Browser, name: str) -> None:
    """Wait until the page shows that a release runs."""
    browser.until(
        f"[...document.querySelectorAll('#device-facts dd')].some((one) => one.textContent === {json.dumps(name)})", 90
    )


def proven(browser: Browser, name: str) -> None:
    """Wait until the log on the page says that a release is kept: a rollback leads to the last such one."""
    browser.until(f"document.querySelector('#device-log').innerText.includes('release {name} committed')", 60)


@pytest.mark.long
@pytest.mark.timeout(400)
def test_a_release_is_installed_and_taken_back_by_the_buttons(fleet: Fleet, tmp_path: Path) -> None:
    list(fleet.publisher.add_collection("staff", PORTRAITS / "grace-hopper", "face", "grace"))
    first = release(fleet.publisher)
    with browsing(tmp_path / "browser") as browser:
        browser.open(fleet.address)
        browser.until("document.querySelector('#device-actions button')?.offsetParent", 60)
        press(browser, 1)
        runs(browser, first)
        proven(browser, first)
        list(fleet.publisher.add_collection("staff", PORTRAITS / "eileen-collins", "face", "eileen"))
        second = release(fleet.publisher)
        press(browser, 1)
        runs(browser, second)
        press(browser, 2)
        runs(browser, first)
        browser.until("document.querySelector('#device-changes').innerText.includes('rolled back')")
        changes = browser.js("fetch('/page/history/changes').then((said) => said.json())")["changes"]
        assert [one["what"] for one in changes] == ["rollback", "update", "update"]
