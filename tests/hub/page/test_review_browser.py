"""The review queue of the fleet in a real Chromium: by keyboard, on a phone, in German, and with many questions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from rigs.browser import Browser
from rigs.fleet_page import opened_hub
from rigs.fleet_review import ReviewFleet, review_fleet
from rigs.mosquitto import Mosquitto
from rigs.review_faces import look
from rigs.running import ROOT
from rigs.waiting import eventually

from edge.core.imaging import image

TITLE = "document.querySelector('#question-title').textContent"
ROWS = "document.querySelectorAll('#questions .row').length"
TOTAL = "document.querySelector('#review-total').textContent"
LOADED = "[...document.querySelectorAll('#question-seen img')].every((one) => one.naturalWidth > 0)"


def crop(name: str) -> bytes:
    """A small picture of somebody."""
    picture = image.decode((ROOT / f"edge/data/portraits/{name}/1.jpg").read_bytes(), name)
    return image.encode_jpeg(image.resized_rgb(picture, 160, 160))


@pytest.fixture
def fleet(tmp_path: Path, broker: Mosquitto) -> Iterator[ReviewFleet]:
    """Both devices saw grace, whom porch knows; hall saw eileen as well, and somebody unknown."""
    with review_fleet(tmp_path, broker.port) as fleet:
        grace, eileen = crop("grace-hopper"), crop("eileen-collins")
        fleet.porch.enroll(grace=0, bob=1)
        fleet.porch.ask(look(0, 4), "grace", crop=grace)
        fleet.hall.ask(look(0, 5), crop=grace)
        fleet.hall.ask(look(3), crop=eileen)
        fleet.report()
        assert eventually(lambda: sorted(one["devices"] for one in fleet.questions()) == [1, 2], 30)
        yield fleet


@contextmanager
def opened(browser: Browser, fleet: ReviewFleet, size: str = "desktop", rows: int = 1) -> Iterator[None]:
    """The queue; nothing may complain meanwhile."""
    with opened_hub(browser, fleet.hub, "review", size):
        browser.until(f"{ROWS} >= {rows}")
        yield


def to(browser: Browser, title: str) -> None:
    """By arrow keys to a question."""
    browser.focus("#questions")
    browser.press("Home")
    for _ in range(5):
        if browser.js(TITLE) == title:
            return
        browser.press("ArrowDown")
    browser.until(f"{TITLE} === '{title}'")


def test_one_key_answers_for_every_device_and_a_name_is_typed(browser: Browser, fleet: ReviewFleet) -> None:
    with opened(browser, fleet, rows=2):
        to(browser, "Is it grace?")
        browser.until(LOADED)
        where = browser.js("document.querySelector('#question-where').textContent")
        assert ("porch · door" in where, "hall · door" in where) == (True, True)
        assert browser.accessibility() == []
        browser.press("c")
        browser.until(f"{TITLE} === 'Who is it?'")
        assert eventually(lambda: fleet.hall.staff.subjects() == {"grace": 1}, 30)
        assert eventually(lambda: fleet.porch.staff.subjects()["grace"] == 3, 30)
        browser.press("n")
        browser.until("document.activeElement.id === 'question-input'")
        browser.type("eileen")
        browser.press("Enter")
        assert eventually(lambda: fleet.hall.staff.subjects() == {"eileen": 1, "grace": 1}, 30)
        browser.until("!document.querySelector('#review-none').hidden")


@pytest.mark.long
def test_answers_are_taken_back_forced_and_left_to_others(browser: Browser, fleet: ReviewFleet) -> None:
    with opened(browser, fleet, rows=2):
        to(browser, "Is it grace?")
        browser.press("c")
        assert eventually(lambda: fleet.hall.staff.subjects() == {"grace": 1}, 30)
        browser.press("u")
        browser.until(f"/^2 questions wait/.test({TOTAL})", 60)
        assert eventually(lambda: fleet.hall.staff.subjects() == {}, 30)

        # the device finds another subject more similar: it comes back with the reason, and is applied anyway
        fleet.porch.ask(look(1, 5, like=0, share=0.6), crop=crop("eileen-collins"))
        fleet.report()
        browser.until(f"/^3 questions wait/.test({TOTAL})", 60)
        browser.focus("#questions")
        browser.press("End")
        browser.press("r")
        browser.until("document.activeElement.id === 'question-input'")
        browser.type("grace")
        browser.press("Enter")
        browser.until("!document.querySelector('#review-refused').hidden", 60)
        browser.press("w")
        browser.until("/porch: it looks more like bob/.test(document.querySelector('#question-refused').textContent)")
        browser.press("f")
        assert eventually(lambda: fleet.porch.staff.subjects()["grace"] == 3, 30)

        # answered on the device: it leaves the page, as did what the new face of grace has resolved
        fleet.hall.queue.remove([one.id for one in fleet.hall.queue.doubts()])
        fleet.report()
        browser.until("!document.querySelector('#review-none').hidden", 60)
        browser.press("?")
        browser.until("document.querySelector('#keys-dialog').open")
        assert "boxes" not in browser.js("document.querySelector('#keys-list').textContent")


def test_many_questions_fit_a_phone_and_please_axe_in_german(browser: Browser, fleet: ReviewFleet) -> None:
    vectors = np.random.default_rng(5).standard_normal((300, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    fleet.porch.queue.put([fleet.porch.question(vector, match=0.0) for vector in vectors])
    fleet.report()
    assert eventually(lambda: fleet.hub.get("/page/state")["review"]["waiting"] == 302, 60)
    browser.open(f"{fleet.hub.url}/")
    browser.js("localStorage.setItem('edge.language', 'de')")
    browser.open("about:blank")  # another part alone would not load the texts
    try:
        with opened(browser, fleet, "phone", rows=5):
            browser.until(f"/^302 Fragen warten/.test({TOTAL})")
            browser.until(LOADED)
            assert browser.js(ROWS) < 60
            assert browser.js("document.documentElement.scrollWidth") <= 390
            assert browser.accessibility() == []
    finally:
        browser.open(f"{fleet.hub.url}/")
        browser.js("localStorage.removeItem('edge.language')")
