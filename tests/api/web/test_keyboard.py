"""The page by keyboard alone in a real Chromium: enrollment, subjects, review, settings; the focus is never lost."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from rigs.browser import Browser, browsing
from rigs.page import PEOPLE, PORTRAIT, ROOT, Served, asked, enrolled, served

from edge.core.imaging import image as pictures
from edge.core.settings.services import HistorySettings
from edge.core.types import Frame
from edge.pipeline.history import Appearance, HistoryStore, Look

OTHER = ROOT / "edge/data/portraits/eileen-collins/1.jpg"
WATCH = """window.lost = [];
let key = "";
addEventListener("keydown", (event) => { key = event.key; }, { capture: true });
(function look(before = "") {
  const now = document.activeElement;
  // beyond its last stop the Tab key leaves the page for the browser
  if (now === document.body && before && key !== "Tab") window.lost.push(before);
  requestAnimationFrame(() => look(now === document.body ? "" : now.id || now.outerHTML.slice(0, 120)));
})(); true"""
UNSEEN = """(root) => {
  const stops = [...document.querySelectorAll(root + " :is(a[href], button, input, select, summary, [tabindex='0'])")];
  return stops.filter((one) => one.checkVisibility() && !one.disabled && one.tabIndex >= 0).filter((one) => {
    one.focus();
    const { outlineStyle, outlineWidth } = getComputedStyle(one);
    return document.activeElement !== one || outlineStyle === "none" || parseFloat(outlineWidth) < 2;
  }).map((one) => one.id || one.outerHTML.slice(0, 120));
}"""
"""gives the elements of a part that the Tab key reaches, and that do not show it"""
FOCUSED = "document.activeElement"
Opened = Callable[..., AbstractContextManager[Served]]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browsing(tmp_path_factory.mktemp("browser")) as chromium:
        yield chromium


@pytest.fixture
def opened(browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Opened:
    """Serves a state folder and opens a part of its page; meanwhile something always has the focus."""
    monkeypatch.setenv("EDGE_CONFIG", str(tmp_path / "edge.toml"))
    (tmp_path / "edge.toml").write_text(
        '[[cameras]]\nname = "door"\nsource = "synthetic"\n[[cameras]]\nname = "yard"\nsource = "synthetic"\n'
        "[cameras.zones]\npath = [[0.1, 0.1], [0.5, 0.1], [0.5, 0.5]]\n"
    )

    @contextmanager
    def page(part: str, people: tuple[str, ...] = (), **sections: Any) -> Iterator[Served]:
        browser.size("desktop")
        browser.console.clear()
        values = [{"name": "door", "source": "synthetic"}, {"name": "yard", "source": "synthetic"}]
        with served(tmp_path, cameras=values, **sections) as made:
            picture = pictures.read(PORTRAIT)
            shown = Frame("door", 1, time.monotonic(), time.time(), picture)
            made.page.begin(lambda: None, tuple, lambda _: shown, str)  # type: ignore[arg-type,return-value]
            if people:
                enrolled(made.collections, people)
            browser.open(f"http://127.0.0.1:{made.port}/#{part}")
            browser.until(f"document.querySelector('#part-{part}').checkVisibility()")
            browser.js(WATCH)
            yield made
            lost, complaints = browser.js("window.lost"), list(browser.console)
            browser.open("about:blank")
        assert lost == []
        assert complaints == []

    return page


def go(browser: Browser, selector: str, back: bool = False) -> None:
    """Go to an element with the Tab key."""
    name = json.dumps(selector)
    browser.until(f"document.querySelector({name})")
    for _ in range(120):
        if browser.js(f"{FOCUSED}.matches({name})"):
            return
        browser.press("Tab", 8 if back else 0)
    pytest.fail(f"the Tab key does not reach {selector}")


def on(browser: Browser, selector: str) -> None:
    """Wait until an element has the focus."""
    browser.until(f"{FOCUSED}.matches({json.dumps(selector)})")


def upload(browser: Browser, *files: Path) -> None:
    """Choose files in place of the system's dialog."""
    root = browser.ask("DOM.getDocument")["root"]["nodeId"]
    field = browser.ask("DOM.querySelector", nodeId=root, selector="#enroll-files")["nodeId"]
    browser.ask("DOM.setFileInputFiles", nodeId=field, files=[str(one) for one in files])


@pytest.mark.parametrize("part", ["live", "history", "people", "review", "settings", "device"])
def test_every_stop_of_the_tab_key_shows_the_focus(opened: Opened, browser: Browser, tmp_path: Path, part: str) -> None:
    asked(tmp_path, 3)
    appearance(tmp_path)
    with opened(part, PEOPLE, review={"enabled": True, "crops": True}):
        browser.until("document.querySelectorAll('#parts a').length === 6")
        browser.until(f"document.querySelector('#part-{part}').innerText.length > 40")
        browser.press("Tab")  # from here on focus that a script gives is shown as well
        assert browser.js(f"({UNSEEN})('body')") == []


def test_subjects_are_enrolled_from_files_by_keys_alone(opened: Opened, browser: Browser) -> None:
    with opened("people") as page:
        go(browser, "#enroll-subject")
        browser.type("Grace")
        go(browser, "input[name=enroll-from]")
        browser.press("ArrowRight")
        go(browser, "#enroll-files")
        upload(browser, PORTRAIT, OTHER)
        browser.until("document.querySelectorAll('.look-details').length === 2")
        on(browser, "#enroll-files")
        go(browser, ".look:last-child [data-action=enroll]")
        browser.press("Enter")
        browser.until("document.querySelectorAll('.look.finished').length === 1")
        on(browser, ".look:last-child button")
        browser.press("Enter")
        browser.until("document.querySelectorAll('.look').length === 1")
        on(browser, ".look button")
        go(browser, ".look-head button", back=True)
        browser.press(" ")
        browser.until("!document.querySelector('.look')")
        on(browser, ":not(body)")
        assert page.collections.get("faces").subjects() == {"Grace": 1}


def test_a_button_at_work_keeps_the_focus(opened: Opened, browser: Browser) -> None:
    with opened("people"):
        go(browser, "#enroll-subject")
        browser.type("Grace")
        go(browser, "#enroll-take")
        for count in (1, 2):
            browser.press("Enter")
            browser.until(f"document.querySelectorAll('.look').length === {count}")
            browser.until("!document.querySelector('#enroll-take').hasAttribute('aria-disabled')")
            on(browser, "#enroll-take")


def test_faces_are_deleted_and_a_subject_is_renamed_by_keys_alone(opened: Opened, browser: Browser) -> None:
    with opened("people", PEOPLE) as page:
        go(browser, ".person")
        browser.press("ArrowRight")  # does nothing, and loses nothing
        go(browser, "li:nth-child(2) > .person")
        browser.press("Enter")
        browser.until("document.querySelector('#person-dialog').open")
        go(browser, "#person-faces button")
        browser.press("Enter")
        browser.until("document.querySelectorAll('#person-faces li').length === 1")
        on(browser, "#person-faces button")
        go(browser, "#person-name")
        browser.press("End")
        browser.type("by")
        browser.press("Enter")
        browser.until("document.querySelector('#person-title').textContent === 'bobby'")
        on(browser, "#person-name")
        browser.press("Escape")
        browser.until("!document.querySelector('#person-dialog').open")
        on(browser, ".person")
        browser.press("Enter")
        browser.until("document.querySelector('#person-dialog').open")
        go(browser, "#person-faces button")
        browser.press("Enter")  # the last face of bobby: the dialog closes, and the tile is gone
        browser.until("document.querySelectorAll('.person').length === 3")
        on(browser, ".person")
        assert page.collections.get("faces").subjects() == {"alice": 2, "carol": 2, "dave": 2}


def test_questions_are_answered_by_buttons_and_keys_alone(opened: Opened, browser: Browser, tmp_path: Path) -> None:
    asked(tmp_path, 4)
    waiting = "fetch('/page/state').then((said) => said.json()).then((state) => state.review.waiting === {})"
    with opened("review", PEOPLE, review={"enabled": True, "crops": True}):
        browser.until("document.querySelectorAll('#questions .row').length === 4")
        go(browser, "[data-answer=confirm]")
        browser.press("Enter")
        browser.until(waiting.format(3))
        go(browser, "[data-answer=new]")
        browser.press("Enter")
        on(browser, "#question-input")
        browser.type("bob")
        browser.press("Enter")
        browser.until(waiting.format(2))
        go(browser, "[data-answer=discard]")
        for left in (1, 0):
            browser.press(" ")
            browser.until(waiting.format(left))
            on(browser, ":not(body)")
        browser.until("!document.querySelector('#review-none').hidden")
        go(browser, "#review-delete")
        browser.press("Enter")
        on(browser, "#sure-dialog .close")
        browser.press("Enter")
        on(browser, "#review-delete")
        go(browser, "#review-keys", back=True)
        browser.press("Enter")
        browser.until("document.querySelector('#keys-dialog').open")
        browser.press("Escape")
        on(browser, "#review-keys")


def test_settings_are_removed_applied_and_undone_by_keys_alone(
    opened: Opened, browser: Browser, tmp_path: Path
) -> None:
    with opened("settings"):
        browser.until("document.querySelectorAll('#camera-list li').length === 2")
        go(browser, "#camera-list li:last-child .danger")
        browser.press("Enter")
        on(browser, "#sure-dialog .close")
        browser.press("Escape")
        on(browser, "#camera-list li:last-child .danger")
        browser.press("Enter")
        on(browser, "#sure-dialog .close")
        go(browser, "#sure-yes")
        browser.press("Enter")
        browser.until(
            "!document.querySelector('#settings-apply').disabled && !document.querySelector('#settings-diff').hidden"
        )
        on(browser, ":not(body)")
        go(browser, "#settings-apply", back=True)
        browser.press("Enter")
        browser.until("document.querySelector('#toast').textContent.startsWith('Written')")
        browser.until("document.querySelector('#settings-diff').hidden")
        on(browser, ":not(body)")
        assert "yard" not in (tmp_path / "edge.toml").read_text()
        go(browser, "#settings-undo", back=True)
        browser.press("Enter")
        browser.until("document.querySelector('#settings-undo').disabled")
        on(browser, ":not(body)")
        assert "yard" in (tmp_path / "edge.toml").read_text()


def appearance(folder: Path) -> None:
    store = HistoryStore(folder, HistorySettings())
    looks = [Look(1.0, "alice", 90.0, 20.0, 95.0, 0.8)]
    now = time.time()
    store.put(
        [Appearance(f"1-{n}", "door", "face", now - 60 * n, state="unknown", looks=looks, ended=now) for n in (1, 2, 3)]
    )
    store.close()


def test_appearances_are_deleted_by_keys_alone(opened: Opened, browser: Browser, tmp_path: Path) -> None:
    appearance(tmp_path)
    with opened("history"):
        browser.until("document.querySelectorAll('.appearance').length === 3")
        go(browser, ".appearance")
        for left in (2, 1):
            browser.press("Enter")
            browser.until("document.querySelector('#appearance-dialog').open")
            go(browser, "#appearance-delete")
            browser.press("Enter")
            browser.until(f"document.querySelectorAll('.appearance').length === {left}")
            on(browser, ".appearance")
