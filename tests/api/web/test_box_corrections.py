"""Boxes of custom labels are moved, drawn, named and deleted on the page: mouse, finger and keyboard."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from rigs.browser import Browser, browsing
from rigs.page import Served, served
from rigs.review_faces import SPACE, look

from edge.core.imaging.image import encode_jpeg
from edge.core.settings.services import ReviewSettings
from edge.core.types import Box
from edge.recognition.review.pictures import ProposedBox, ReviewPicture
from edge.recognition.review.question import Nearest, ReviewQuestion
from edge.recognition.review.queue import ReviewQueue

ON = {"enabled": True, "crops": True}
FOUND = (
    ProposedBox("helmet", Box(0.1, 0.2, 0.3, 0.6), 0.9, True),
    ProposedBox("cap", Box(0.6, 0.2, 0.8, 0.6), 0.45, False),
)
STAGE = "#boxes-stage"
COUNT = "document.querySelectorAll('#boxes-stage .box').length"


def picture() -> bytes:
    pixels = np.full((360, 640, 3), (150, 165, 150), np.uint8)
    for left, color in ((64, (240, 190, 20)), (384, (40, 70, 190))):
        pixels[72:216, left : left + 128] = color
    return encode_jpeg(pixels, 90)


def asked(folder: Path, count: int = 2) -> None:
    """One picture, and questions about it."""
    values = {
        "reason": "threshold", "time": time.time(), "camera": "yard.jpg", "track": "", "label": "person",
        "collection": "", "space": SPACE, "score": 0.9, "quality": 0.8, "subject": "helmet",
        "nearest": (Nearest("helmet", "", 0.52), Nearest("cap", "", 0.4)), "version": "helmets/3",
    }  # fmt: skip
    questions = [
        ReviewQuestion(box=FOUND[number % 2].box, vector=look(number, 0), **values)  # type: ignore[arg-type]
        for number in range(count)
    ]
    with ReviewQueue(folder, ReviewSettings(**ON)) as queue:  # type: ignore[arg-type]
        queue.put_picture(ReviewPicture("helmets", time.time(), picture(), FOUND), questions)


def kept(folder: Path) -> list[tuple[str, list[float]]]:
    """The corrected boxes of the first picture: label, and its four sides in percent."""
    with ReviewQueue(folder, ReviewSettings(**ON)) as queue:  # type: ignore[arg-type]
        (one,) = queue.pictures.corrected()
        boxes = [(mark.label, mark.box) for mark in one.boxes or ()]
    return [
        (label, [round(100 * side) for side in (box.left, box.top, box.right, box.bottom)])
        for label, box in boxes
        if box
    ]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browsing(tmp_path_factory.mktemp("browser")) as chromium:
        yield chromium


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Served]:
    asked(tmp_path)
    with served(tmp_path, review=ON) as made:
        yield made


@pytest.fixture
def editor(page: Served, browser: Browser) -> Iterator[Browser]:
    """The boxes of the first question, open on the page."""
    browser.console.clear()
    browser.size("desktop")
    browser.open(f"http://127.0.0.1:{page.port}/#review")
    browser.until("document.querySelectorAll('#questions .row').length === 2")
    browser.press("b")
    browser.until("document.querySelector('#boxes-dialog').open && document.querySelector('#boxes-picture').complete")
    browser.until(f"{COUNT} === 2 && document.querySelector('{STAGE}').clientWidth > 300")
    yield browser
    complaints = list(browser.console)
    browser.open("about:blank")
    assert complaints == []


def save(browser: Browser) -> None:
    browser.click("#boxes-save")
    browser.until("!document.querySelector('#boxes-dialog').open")
    browser.until("!document.querySelector('#review-none').hidden")


def test_boxes_are_drawn_moved_and_resized_with_the_mouse(editor: Browser, page: Served, tmp_path: Path) -> None:
    assert editor.accessibility() == []
    editor.drag(STAGE, (0.2, 0.4), (0.25, 0.5))
    editor.drag(STAGE, (0.35, 0.7), (0.45, 0.9))
    editor.drag(STAGE, (0.4, 0.1), (0.5, 0.3))
    editor.until(f"{COUNT} === 3")
    editor.press("Delete")
    editor.until(f"{COUNT} === 2")
    editor.drag(STAGE, (0.55, 0.7), (0.75, 0.9))
    save(editor)
    assert kept(tmp_path) == [("helmet", [15, 30, 45, 90]), ("cap", [55, 70, 75, 90])]
    assert page.get("/page/state")["review"]["waiting"] == 0, "one picture answers all questions about it"


def test_a_proposal_counts_only_where_it_is_accepted(editor: Browser, page: Served, tmp_path: Path) -> None:
    count = "document.querySelector('#boxes-count').textContent"
    assert "1 proposal is left out" in editor.js(count)
    save(editor)
    assert kept(tmp_path) == [("helmet", [10, 20, 30, 60])]
    assert page.post("/page/review/undo", {"ids": [1]})[1]["outcomes"][0]["ok"]
    assert page.get("/page/state")["review"]["waiting"] == 2
    with ReviewQueue(tmp_path, ReviewSettings(**ON)) as queue:  # type: ignore[arg-type]
        assert queue.pictures.corrected() == []


def test_boxes_are_corrected_by_keyboard_alone(editor: Browser, tmp_path: Path) -> None:
    for key in ("Tab", "Tab"):
        editor.press(key)
    editor.press("Enter")
    editor.press("ArrowRight")
    editor.press("ArrowDown", modifiers=8)
    editor.press("l")
    editor.until("document.activeElement.id === 'boxes-label'")
    editor.type("hood")
    editor.press("Enter")
    editor.press("n")
    editor.until(f"{COUNT} === 3")
    editor.press("ArrowUp")
    editor.press("u")
    save(editor)
    assert kept(tmp_path) == [
        ("helmet", [10, 20, 30, 60]), ("hood", [61, 20, 81, 61]), ("hood", [40, 40, 60, 60]),
    ]  # fmt: skip


def test_boxes_are_drawn_and_moved_with_a_finger(editor: Browser, tmp_path: Path) -> None:
    editor.size("phone")
    editor.until(f"document.querySelector('{STAGE}').clientWidth < 380")
    editor.drag(STAGE, (0.2, 0.4), (0.4, 0.5), touch=True)
    editor.drag(STAGE, (0.1, 0.7), (0.2, 0.9), touch=True)
    editor.until(f"{COUNT} === 3")
    assert editor.accessibility() == []
    save(editor)
    assert kept(tmp_path) == [("helmet", [30, 30, 50, 70]), ("helmet", [10, 70, 20, 90])]


def test_boxes_that_are_none_are_refused_and_change_nothing(page: Served, tmp_path: Path) -> None:
    one = {"label": "cap", "left": 0.1, "top": 0.1, "width": 0.2, "height": 0.2}
    for wrong in (
        {"boxes": None}, {"boxes": [None]}, {"boxes": [{**one, "left": "0"}]}, {"boxes": [{**one, "label": ""}]},
        {"boxes": [{**one, "width": 0}]}, {"boxes": [{**one, "left": 1.5}]}, {"boxes": [one] * 201},
    ):  # fmt: skip
        status, said = page.post("/page/review/1/boxes", wrong)
        assert (status, bool(said["error"])) == (400, True), wrong
    assert page.post("/page/review/99/boxes", {"boxes": [one]})[0] == 404
    assert page.status("/page/review/99/boxes") == 404
    assert page.status(f"/page/review/{1 << 60}/boxes.jpg") == 204
    assert page.get("/page/state")["review"]["waiting"] == 2
    assert page.post("/page/review/2/boxes", {"boxes": []})[1] == {"answered": [1, 2]}
    assert kept(tmp_path) == []
    assert page.post("/page/review/1/boxes", {"boxes": [one]})[0] == 404


def test_the_picture_and_its_boxes_are_told(page: Served) -> None:
    status, headers, body = page.ask("GET", "/page/review/1/boxes.jpg")
    assert (status, headers["content-type"], body) == (200, "image/jpeg", picture())
    told = page.get("/page/review/2/boxes")
    assert [(one["label"], one["found"]) for one in told["boxes"]] == [("helmet", True), ("cap", False)]
    assert told["boxes"][0]["width"] == pytest.approx(0.2)
