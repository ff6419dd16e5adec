"""The page in a real Chromium: by keyboard alone, with hostile names, with many questions, beside a hostile page."""

from __future__ import annotations

import http.server
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rigs.browser import Browser, browsing
from rigs.page import PEOPLE, PORTRAIT, ROOT, Served, asked, enrolled, event, served
from rigs.review_faces import look

from edge.core.imaging import image as pictures
from edge.core.settings.services import ReviewSettings
from edge.core.types import CustomLabel, Frame, Identity, IdentityState
from edge.mqtt.link_state import Link, LinkHealth
from edge.recognition.review.question import Nearest, Reason
from edge.recognition.review.queue import ReviewQueue

ON = {"enabled": True, "crops": True, "most": 100_000}
OTHER = ROOT / "edge/data/portraits/eileen-collins/1.jpg"
NASTY = '<img src=x onerror="window.owned=1">'
ROWS = "document.querySelectorAll('#questions .row').length"
TITLE = "document.querySelector('#question-title').textContent"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browsing(tmp_path_factory.mktemp("browser")) as chromium:
        yield chromium


Opened = Callable[..., AbstractContextManager[Served]]


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Opened:
    """Serves a state folder with these people enrolled and opens a part of its page; nothing may complain meanwhile."""

    @contextmanager
    def page(part: str, people: tuple[str, ...] = (), **sections: Any) -> Iterator[Served]:
        browser.console.clear()
        browser.size("desktop")
        with served(tmp_path, **sections) as made:
            if people:
                enrolled(made.collections, people)
            browser.open(f"http://127.0.0.1:{made.port}/#{part}")
            browser.until(f"document.querySelector('#part-{part}').checkVisibility()")
            yield made
            complaints = list(browser.console)
            browser.open("about:blank")
        assert complaints == []

    return page


@pytest.fixture
def review(opened: Opened, browser: Browser, tmp_path: Path) -> Iterator[Served]:
    """Eight questions about four people, open on the page."""
    asked(tmp_path, 8)
    with opened("review", PEOPLE, review=ON) as made:
        browser.until(f"{ROWS} === 8")
        yield made


def settled(browser: Browser, left: int) -> None:
    """Wait until what was answered has reached the device, and the page shows what is left."""
    count = f"{left:,} {'question waits' if left == 1 else 'questions wait'}" if left else ""
    browser.until(f"document.querySelector('#review-total').textContent === '{count}'")
    browser.until(f"fetch('/page/state').then((said) => said.json()).then((state) => state.review.waiting === {left})")


def test_the_queue_is_answered_by_keyboard_alone(review: Served, browser: Browser, tmp_path: Path) -> None:
    browser.press("c")
    settled(browser, 7)
    assert browser.js(TITLE) == "Is it bob?"
    browser.press("x")
    settled(browser, 6)
    browser.press("n")
    browser.until("document.activeElement.id === 'question-input'")
    browser.type("erin")
    browser.press("Enter")
    browser.until("document.querySelectorAll('.row .refused').length === 1")  # the gate: it looks like carol
    settled(browser, 6)
    browser.press("End")
    assert browser.js(TITLE) == "Is it dave?"
    browser.press("r")
    browser.until("document.activeElement.id === 'question-input'")
    browser.type("av")
    browser.until("document.querySelector('.options li')?.textContent.startsWith('dave')")
    browser.press("ArrowDown")
    browser.press("Enter")
    settled(browser, 5)
    browser.press("d")
    settled(browser, 4)
    with ReviewQueue(tmp_path, ReviewSettings()) as queue:
        assert [one.answer for one in queue.answers()] == ["confirmed", "rejected", "confirmed", "discarded"]
    assert review.collections.get("faces").subjects() == {"alice": 3, "bob": 2, "carol": 2, "dave": 3}
    browser.press("u")
    settled(browser, 5)
    browser.press("u")
    settled(browser, 6)
    assert review.collections.get("faces").subjects()["dave"] == 2


def test_a_refused_answer_comes_back_with_its_reason_and_can_be_insisted_on(review: Served, browser: Browser) -> None:
    browser.press("2")
    browser.until("document.querySelectorAll('.row .refused').length === 1")
    assert browser.js("document.querySelector('#review-refused').innerText") == "1 not applied"
    browser.press("w")
    browser.until("!document.querySelector('#question-refused').hidden")
    told = browser.js("document.querySelector('#question-refused').textContent")
    found = re.search(r"it looks nothing like (bob|carol|dave) \(\d+ of 100\)", told)
    assert found is not None, told
    assert review.collections.get("faces").subjects()[found[1]] == 2
    browser.press("f")
    settled(browser, 7)
    assert review.collections.get("faces").subjects()[found[1]] == 3


HELD_LIST = """
const fetched = window.fetch;
const gate = new Promise((open) => { window.letThrough = open; });
window.lists = 0;
window.fetch = async (...asked) => {
  const list = String(asked[0]).includes("page/review?after=0");
  if (list) await gate;
  const answer = await fetched(...asked);
  window.lists += list;
  return answer;
};"""


def test_who_moves_while_the_list_is_read_again_stays_there(review: Served, browser: Browser) -> None:
    browser.js(HELD_LIST)
    browser.press("2")
    browser.until("document.querySelectorAll('.row .refused').length === 1")
    browser.press("w")
    browser.until("!document.querySelector('#question-refused').hidden")
    browser.js("window.letThrough()")
    browser.until("window.lists === 1")
    browser.until("document.querySelectorAll('.row .refused').length === 1")
    assert not browser.js("document.querySelector('#question-refused').hidden")


def test_several_questions_are_answered_at_once_and_taken_back_at_once(review: Served, browser: Browser) -> None:
    browser.press("g")
    browser.until("document.querySelector('#review-chosen').textContent === '2 chosen'")
    assert browser.js(TITLE) == "2 questions at once, about alice"
    browser.press("c")
    settled(browser, 6)
    assert review.collections.get("faces").subjects()["alice"] == 4
    browser.press("u")
    settled(browser, 8)
    assert review.collections.get("faces").subjects()["alice"] == 2
    browser.press("t")
    browser.until("document.querySelector('#review-chosen').textContent === '2 chosen'")
    browser.press("Escape")
    browser.press("a")
    browser.until("document.querySelector('#review-chosen').textContent === '8 chosen'")
    browser.press("d")
    settled(browser, 0)
    browser.until("!document.querySelector('#review-none').hidden")


def test_all_questions_about_a_label_are_confirmed_at_once(opened: Opened, browser: Browser, tmp_path: Path) -> None:
    for subject, count in (("helmet", 4), ("cap", 2)):
        nearest = (Nearest(subject, "", 0.52),)
        asked(tmp_path, count, version="heads/1", reason="threshold", subject=subject, collection="", nearest=nearest)
    asked(tmp_path, 1, ("helmet",))
    with opened("review", review=ON):
        browser.until(f"{ROWS} === 7")
        browser.click("#review-same")
        browser.until("document.querySelector('#review-chosen').textContent === '4 chosen'")
        assert browser.js(TITLE) == "4 questions at once, about helmet"
        browser.press("c")
        settled(browser, 3)
    with ReviewQueue(tmp_path, ReviewSettings()) as queue:
        assert [(one.answer, one.subject) for one in queue.answers()] == [("confirmed", "helmet")] * 4
        assert queue.examples.counts() == {"heads": 4}


def test_the_keys_are_shown_and_can_be_switched_off(review: Served, browser: Browser) -> None:
    browser.press("?")
    browser.until("document.querySelector('#keys-dialog').open")
    keys = browser.js("[...document.querySelectorAll('#keys-list kbd')].map((key) => key.textContent)")
    assert {"c", "x", "r", "n", "d", "s", "u", "g", "t", "a", "?", "Space", "Esc"} <= set(keys)
    browser.press("c")
    browser.press("Tab")
    browser.focus("#keys-on")
    browser.press(" ")
    browser.press("Escape")
    browser.until("!document.querySelector('#keys-dialog').open")
    browser.press("c")
    browser.press("d")
    time.sleep(0.3)
    assert browser.js(ROWS) == 8
    assert review.get("/page/state")["review"]["waiting"] == 8


def test_questions_that_come_and_go_elsewhere_come_and_go_here(
    review: Served, browser: Browser, tmp_path: Path
) -> None:
    asked(tmp_path, 2)
    browser.until(f"{ROWS} === 10")
    with ReviewQueue(tmp_path, ReviewSettings(enabled=True)) as queue:
        for one in queue.doubts()[:3]:
            queue.answer(one, "discarded", None)
    browser.until(f"{ROWS} === 7")


def test_of_many_questions_only_those_that_can_be_seen_are_drawn(
    opened: Opened, browser: Browser, tmp_path: Path
) -> None:
    asked(tmp_path, 1200)
    with opened("review", PEOPLE, review=ON):
        browser.until("document.querySelector('#review-total').textContent.startsWith('1,200')")
        assert browser.js(ROWS) < 40
        browser.press("End")
        browser.until("document.querySelector('.row.current').getAttribute('aria-posinset') === '1200'")
        assert browser.js(ROWS) < 40
        for _ in range(30):
            browser.press("d")
        settled(browser, 1170)
        assert browser.js("document.querySelector('.row.current').getAttribute('aria-setsize')") == "1170"


HEADER = """(text) => {
  document.querySelector("#summary").textContent = text;
  const name = document.querySelector("#device");
  return name.getBoundingClientRect().height / parseFloat(getComputedStyle(name).fontSize);
}"""
"""gives the height of the device's name, in letters, beside a long summary"""


@pytest.mark.parametrize(("size", "dark"), [("desktop", False), ("phone", True)])
def test_no_part_of_the_page_keeps_anybody_out(review: Served, browser: Browser, size: str, dark: bool) -> None:
    browser.size(size, dark)
    for part in ("live", "history", "people", "settings", "device", "review"):
        browser.js(f"location.hash = '{part}'")
        browser.until(f"!document.querySelector('#part-{part}').hidden")
        assert browser.accessibility() == []
        assert browser.js("document.documentElement.scrollWidth <= innerWidth"), f"{part} is wider than the {size}"
    assert browser.js(f"({HEADER})({json.dumps('1 problem · ' * 8)})") < 2
    browser.press("g")
    browser.press("r")
    browser.until("!document.querySelector('#question-name').hidden")
    assert browser.accessibility() == []


def test_a_name_is_text_wherever_it_is_shown(opened: Opened, browser: Browser, tmp_path: Path) -> None:
    people = (NASTY, "'-alert(1)-'", "bob")
    asked(tmp_path, 3, people)
    with opened("review", people, review=ON) as page:
        page.page.feed.listen([event(NASTY)])
        browser.until(f"{ROWS} === 3")
        assert NASTY in browser.js(TITLE)
        browser.press("r")
        browser.type("on")
        browser.until("document.querySelectorAll('.options li').length > 0")
        browser.press("Escape")
        for key in ("x", "u", "?"):
            browser.press(key)
        browser.press("Escape")
        browser.js("location.hash = 'people'")
        browser.until("document.querySelectorAll('.person').length === 3")
        browser.click(".person")
        browser.until("document.querySelector('#person-dialog').open")
        browser.press("Escape")
        browser.js("location.hash = 'live'")
        browser.until("document.querySelectorAll('#events .who').length > 0")
        assert browser.js("window.owned") is None
        assert browser.js("document.querySelector('img[src=x]')") is None


def test_strangers_who_came_again_and_custom_labels_are_named(opened: Opened, browser: Browser) -> None:
    stranger = Identity(IdentityState.UNKNOWN, pseudonym="unknown-7")
    with opened("live") as page:
        one = event("nobody")
        page.page.feed.listen([replace(one, identity=stranger, custom_labels=(CustomLabel("helmet", 0.9, "h/1"),))])
        browser.until("document.querySelector('#events .who')?.textContent === 'unknown-7 · helmet'")


def test_without_pictures_the_page_says_so_and_works(opened: Opened, browser: Browser, tmp_path: Path) -> None:
    asked(tmp_path, 2, crops=False)
    with opened("review", PEOPLE, review={"enabled": True}):
        browser.until(f"{ROWS} === 2")
        text = browser.js("document.querySelector('#part-review').innerText")
        assert "no picture kept" in text
        assert "crops = true" in text
        browser.press("c")
        settled(browser, 1)


def test_a_device_that_is_not_to_ask_says_how_to_switch_it_on(opened: Opened, browser: Browser) -> None:
    with opened("review"):
        browser.until("document.querySelector('#review-none').innerText.includes('enabled = true')")
        assert browser.accessibility() == []


def test_the_queue_is_deleted_after_a_question(review: Served, browser: Browser) -> None:
    browser.click("#review-delete")
    browser.until("document.querySelector('#sure-dialog[open]')")
    assert browser.js("document.querySelector('#sure-dialog p').textContent").startswith("8 questions")
    browser.press("Escape")
    browser.until("!document.querySelector('#sure-dialog')")
    assert review.get("/page/state")["review"]["waiting"] == 8
    browser.click("#review-delete")
    browser.until("document.querySelector('#sure-dialog[open]')")
    browser.click("#sure-yes")
    browser.until("!document.querySelector('#review-none').hidden")
    assert review.get("/page/state")["review"]["waiting"] == 0


def test_people_show_how_often_a_stranger_would_get_a_name(opened: Opened, browser: Browser) -> None:
    with opened("people", PEOPLE):
        browser.until("!document.querySelector('#people-risk').hidden")
        text = browser.js("document.querySelector('#people-risk').textContent")
        assert re.match(r"Estimate: a stranger gets a name about once in [\d,]+ looks; a match begins at \d", text), (
            text
        )


def test_somebody_is_enrolled_from_a_camera_by_keyboard(opened: Opened, browser: Browser) -> None:
    picture = pictures.read(PORTRAIT)
    with opened("people") as page:
        page.page.begin(
            lambda: None,
            tuple,
            lambda _: Frame("door", 1, time.monotonic(), time.time(), picture),
            str,  # type: ignore[arg-type,return-value]
        )
        browser.until("document.activeElement === document.body")
        browser.focus("#enroll-subject")
        browser.type("Grace")
        reach(browser, "enroll-take")
        browser.press("Enter")
        browser.until("document.querySelectorAll('.look').length === 1")
        assert "quality" in browser.js("document.querySelector('.look').innerText")
        while browser.js("document.activeElement.textContent") != "Enroll as Grace":
            browser.press("Tab")
        browser.press("Enter")
        browser.until("document.querySelector('.look').innerText.includes('Enrolled as Grace')")
        assert page.collections.get("faces").subjects() == {"Grace": 1}
        browser.until("document.querySelectorAll('.person').length === 1")
        browser.js("document.querySelector('#enroll-subject').value = ''")
        browser.focus("#enroll-subject")
        browser.type("Ada")
        browser.click("#enroll-take")
        browser.until("document.querySelectorAll('.look').length === 2")
        card = browser.js("document.querySelector('.look').innerText")
        assert "This looks like Grace, who is enrolled already" in card
        assert "Enroll as Ada anyway" in card
        assert browser.accessibility() == []
        assert page.collections.get("faces").subjects() == {"Grace": 1}


SHOWN = """window.shown = new Set();
new MutationObserver(() => {
  const parts = [...document.querySelectorAll("#main > [id^=part-]")];
  for (const part of parts) if (part.checkVisibility()) window.shown.add(part.id);
}).observe(document, { subtree: true, attributes: true });"""
"""notes every part of the page that was ever shown"""


def test_no_other_part_is_shown_before_the_one_in_the_address(opened: Opened, browser: Browser) -> None:
    script = browser.ask("Page.addScriptToEvaluateOnNewDocument", source=SHOWN)["identifier"]
    with opened("people"):
        browser.ask("Page.removeScriptToEvaluateOnNewDocument", identifier=script)
        assert browser.js("[...window.shown]") == ["part-people"]


@pytest.mark.parametrize("reason", Reason.__args__)  # type: ignore[attr-defined]
def test_each_reason_is_told_in_words(opened: Opened, browser: Browser, tmp_path: Path, reason: str) -> None:
    asked(tmp_path, 1, reason=reason)
    asked(tmp_path, 1, reason=reason, nearest=(), collection="gone")
    with opened("review", PEOPLE, review=ON):
        browser.until(f"{ROWS} === 2")
        for _ in range(2):
            why = browser.js("document.querySelector('#question-why').textContent")
            assert len(why) > 20
            assert not re.search(r"Reason:|undefined|NaN|\{", why)
            browser.press("s")


def test_the_default_key_gives_a_stranger_no_name(opened: Opened, browser: Browser, tmp_path: Path) -> None:
    stranger = {"subject": None, "reason": "unmatched", "match": 0.46}
    for person in (5, 6, 7):
        asked(tmp_path, 1, vector=look(person), **stranger)
    with opened("review", PEOPLE, review=ON) as page:
        browser.until(f"{ROWS} === 3")
        assert browser.js(TITLE) == "Who is it?"
        assert browser.js("document.querySelector('#question-actions .main').dataset.answer") == "new"
        for key in ("c", "c", "x", "Enter", " "):
            browser.press(key)
        assert page.get("/page/state")["review"]["waiting"] == 3
        assert page.collections.get("faces").subjects() == {"alice": 2, "bob": 2, "carol": 2, "dave": 2}


def test_a_question_shows_every_look_of_its_face_and_one_is_taken_out(
    opened: Opened, browser: Browser, tmp_path: Path
) -> None:
    for number in range(3):
        asked(tmp_path, 1, vector=look(5, number), subject=None, reason="unmatched", match=0.46)
    with opened("review", PEOPLE, review=ON) as page:
        browser.until(f"{ROWS} === 1")
        browser.until("document.querySelectorAll('.seen-looks figure').length === 3")
        assert browser.accessibility() == []
        browser.click(".seen-looks button")
        browser.until(f"{ROWS} === 2")
        browser.press("n")
        browser.until("document.activeElement.id === 'question-input'")
        browser.type("erin")
        browser.press("Enter")
        browser.until("fetch('/page/state').then((r) => r.json()).then((s) => s.review.waiting < 2)")
        assert page.collections.get("faces").subjects()["erin"] >= 1


def test_looks_of_a_question_fit_a_phone(opened: Opened, browser: Browser, tmp_path: Path) -> None:
    for number in range(2):
        asked(tmp_path, 1, vector=look(5, number), subject=None, reason="unmatched", match=0.46)
    with opened("review", PEOPLE, review=ON):
        browser.until("document.querySelectorAll('.seen-looks figure').length === 2")
        browser.size("phone")
        browser.until("innerWidth < 400")
        wide = "[...document.querySelectorAll('.seen-looks figure')].map((one) => one.scrollWidth - one.clientWidth)"
        assert max(browser.js(wide)) <= 0
        sizes = browser.js("[...document.querySelectorAll('.seen-looks button')].map((one) => one.offsetWidth)")
        assert min(sizes) > 80  # beside the picture each word was broken into its letters


def test_what_another_browser_changed_is_told_and_shown(opened: Opened, browser: Browser) -> None:
    with opened("people", PEOPLE) as page:
        browser.until("document.querySelectorAll('.person').length === 4")
        browser.click(".person")
        browser.until("document.querySelectorAll('#person-dialog[open] #person-faces li').length === 2")
        faces = page.get("/page/people/faces/subject?name=alice")["faces"]
        for face, left in zip(faces, (1, 0), strict=True):
            wanted = {"subject": "alice", "face_id": face["face_id"]}
            assert page.post("/page/people/faces/delete-face", wanted)[0] == 200
            browser.js("document.querySelector('#toast').textContent = ''")
            if left:
                browser.click("#person-faces button")
                browser.until("document.querySelectorAll('#person-faces li').length === 1")
            else:
                browser.js("document.querySelector('#person-name').value = 'alicia'")
                browser.click("#person-form button")
                browser.until("!document.querySelector('#person-dialog').open")
            browser.until("document.querySelector('#toast').classList.contains('bad')")
        browser.until("document.querySelectorAll('.person').length === 3")
        browser.console.clear()  # Chromium notes each refused request


def upload(browser: Browser, *files: Path) -> None:
    """Choose files, as a person does in the browser's dialog."""
    browser.js("document.querySelector('input[name=enroll-from][value=files]').click()")
    root = browser.ask("DOM.getDocument")["root"]["nodeId"]
    field = browser.ask("DOM.querySelector", nodeId=root, selector="#enroll-files")["nodeId"]
    browser.ask("DOM.setFileInputFiles", nodeId=field, files=[str(one) for one in files])


def test_enroll_all_leaves_out_groups_and_odd_faces(opened: Opened, browser: Browser, tmp_path: Path) -> None:
    grace, eileen = (pictures.read(path) for path in (PORTRAIT, OTHER))
    files = [tmp_path / f"{number}.jpg" for number in range(5)]
    sizes = (500, 460, 420)
    for file, width in zip(files, sizes, strict=False):
        file.write_bytes(pictures.encode_jpeg(pictures.resized_rgb(grace, width, round(width * 1.25))))
    files[3].write_bytes(pictures.encode_jpeg(pictures.resized_rgb(eileen, 480, 600)))
    both = [pictures.resized_rgb(one, 400, 500) for one in (eileen, grace)]
    files[4].write_bytes(pictures.encode_jpeg(np.hstack(both)))
    with opened("people") as page:
        browser.focus("#enroll-subject")
        browser.type("Grace")
        upload(browser, *files)
        browser.until("document.querySelectorAll('.look').length === 5")
        browser.until("document.querySelector('#enroll-all').textContent === 'Enroll all 3 as Grace'")
        text = browser.js("document.querySelector('#enroll-left').textContent")
        assert "1 picture shows several faces" in text
        assert "1 face looks unlike the others" in text
        browser.click("#enroll-all")
        browser.until("document.querySelectorAll('.look.finished').length === 3")
        assert page.collections.get("faces").subjects() == {"Grace": 3}
        assert browser.accessibility() == []


def test_a_device_that_stops_answering_is_seen_at_once(browser: Browser, tmp_path: Path) -> None:
    picture = pictures.read(PORTRAIT)
    with served(tmp_path) as page:
        shown = Frame("door", 1, time.monotonic(), time.time(), picture)
        page.page.begin(lambda: None, tuple, lambda _: shown, str)  # type: ignore[arg-type,return-value]
        browser.open(f"http://127.0.0.1:{page.port}/#live")
        browser.until("document.querySelector('.view img')?.naturalWidth > 0")
        lost = threading.Event()
        page.page.begin(lambda: lost.wait(20), tuple, lambda _: shown, str)  # type: ignore[arg-type,return-value]
        browser.until("document.querySelector('#summary').textContent === 'the device does not answer'", patience=10)
        lost.set()
    assert browser.js("document.querySelector('.camera').classList.contains('stale')")
    assert "does not answer" in browser.js("document.querySelector('#present').innerText")
    assert browser.js("getComputedStyle(document.querySelector('.view img')).filter").startswith("grayscale(1)")
    browser.open("about:blank")
    browser.console.clear()


def test_a_broker_that_is_down_is_seen_at_once(opened: Opened, browser: Browser) -> None:
    with opened("live") as page:
        down = LinkHealth(Link.UNREACHABLE, "connection refused")
        page.page.begin(lambda: None, tuple, lambda _: None, str, lambda: down)  # type: ignore[arg-type,return-value]
        browser.until("document.querySelector('#problems').innerText.includes('Broker: unreachable.')")
        assert browser.js("document.querySelector('.brand').className") == "brand warn"
        page.page.begin(lambda: None, tuple, lambda _: None, str, lambda: LinkHealth(Link.ONLINE))  # type: ignore[arg-type,return-value]
        browser.until(
            "[...document.querySelectorAll('#device-facts dd')].some((one) => one.textContent === 'connected')"
        )


def reach(browser: Browser, element: str) -> None:
    """Go on with the Tab key until an element has the focus."""
    for _ in range(40):
        if browser.js("document.activeElement.id") == element:
            return
        browser.press("Tab")
    pytest.fail(f"the Tab key does not reach {element}")


HOSTILE = """<!doctype html><title>x</title><script>
const to = "http://127.0.0.1:%d/page/review";
const row = JSON.stringify({answers: [{id: 1, answer: "discard"}]});
const send = (where, more) => fetch(to + where, {method: "POST", body: row, ...more});
const loaded = (element) => new Promise((go) => {
  element.onload = () => go("loaded");
  element.onerror = () => go("none");
});
function form() {
  const frame = Object.assign(document.createElement("iframe"), {name: "inside"});
  const form = Object.assign(document.createElement("form"), {method: "POST", action: to + "/delete"});
  form.target = "inside";
  document.body.append(frame, form);
  form.submit();
  return loaded(frame);
}
addEventListener("load", () => Promise.allSettled([
  send("/answers", {mode: "no-cors"}).then(() => "sent"),
  send("/delete", {mode: "no-cors"}).then(() => "sent"),
  send("/answers", {headers: {"X-Edge-Page": "1"}}).then((said) => "read " + said.status),
  fetch(to).then((said) => said.text()).then((text) => "read " + text),
  loaded(Object.assign(new Image(), {src: to + "/1/picture.jpg"})).then((one) => "picture " + one),
  form().then(() => "form"),
]).then((all) => { window.said = all.map((one) => one.value ?? "failed"); }));
</script><body>"""


def test_a_hostile_page_in_the_same_browser_learns_and_changes_nothing(
    review: Served, browser: Browser, tmp_path: Path
) -> None:
    body = (HOSTILE % review.port).encode()

    class Evil(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Evil) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser.open(f"http://127.0.0.1:{server.server_port}/")
        browser.until("window.said")
        said = browser.js("window.said")
        server.shutdown()
    assert not [one for one in said if one.startswith("read") or one == "picture loaded"]
    with ReviewQueue(tmp_path, ReviewSettings()) as queue:
        assert queue.count() == 8
        assert queue.answers() == []
    browser.console.clear()  # what the hostile page was refused
