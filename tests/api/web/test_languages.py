"""Every text of the page stands in every language, and no text stands outside of them."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

import edge
from edge.api.web.texts import FROM_CAMERA, FROM_FILE
from edge.mqtt.link_state import HINTS as LINK_HINTS
from edge.recognition.enrollment import HINTS

PACKAGE = Path(edge.__file__).parent
FOR_PROGRAMS = {
    "POST the token to /page/login, or send it as a bearer token",
    "answers: expected a list of 1 to {1}",
    "service: expected an http address",
    "the header {1}: 1 is missing",
    "boxes: expected a list of at most {1}",
}
"""said to programs that send what no script of ours does"""
PAGE = Path(edge.__file__).parent / "data/page"
LANGUAGES = ("en", "de", "ja")
STRING = r'"((?:[^"\\]|\\.)*)"'
ONE = (re.compile(rf"\bt\(\s*{STRING}"),)
TWO = (
    re.compile(rf"\bt\([^()\"]*\?\s*{STRING}\s*:\s*{STRING}"),
    re.compile(rf"\bplural\([^\"]*?{STRING},\s*{STRING}"),
)
ATTRIBUTES = ("aria-label", "placeholder", "title", "alt")
VALUES = {"rtsp://user:password@192.0.2.10/stream", "alice", "yard", "edge"}
"""examples of what is typed: the same in every language"""
MARKUP = re.compile(r"[#.:>\[\]=]|^[A-Z][a-z]+[A-Z]|^X-")
"""a selector, or a name of the browser"""


def identifiers() -> set[str]:
    """Every word of the style sheet and of the document's markup: classes, ids, tags."""
    sources = [(PAGE / name).read_text(encoding="utf-8") for name in ("page.css", "index.html")]
    return {"textarea"} | {word for source in sources for word in re.findall(r"[a-z][a-z0-9-]*", source)}


class Texts(HTMLParser):
    """The texts of a document that a reader sees or hears."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in ("code", "kbd", "title")
        self.found |= {value for name, value in attrs if name in ATTRIBUTES and value}

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in ("code", "kbd", "title")

    def handle_data(self, data: str) -> None:
        text = re.sub(r"\s+", " ", data.strip())
        if text and not self._silent:
            self.found.add(text)


def scripts() -> dict[str, str]:
    return {file.name: file.read_text(encoding="utf-8") for file in sorted(PAGE.glob("*.js"))}


def used() -> set[str]:
    document = Texts()
    document.feed((PAGE / "index.html").read_text(encoding="utf-8"))
    found = document.found - VALUES
    for source in scripts().values():
        for pattern in (*ONE, *TWO):
            for match in pattern.finditer(source):
                found |= {json.loads(f'"{text}"') for text in match.groups()}
    return found


def texts(language: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((PAGE / f"lang/{language}.json").read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_has_every_text(language: str) -> None:
    assert sorted(used() - texts(language).keys()) == []


def test_languages_have_the_same_texts() -> None:
    assert texts("de").keys() == texts("ja").keys() == texts("en").keys()
    assert all(text == english for english, text in texts("en").items())


@pytest.mark.parametrize("language", ["de", "ja"])
def test_a_translation_keeps_the_places_of_values(language: str) -> None:
    for english, text in texts(language).items():
        assert text, english
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", english)), english


def test_no_text_stands_outside_the_languages() -> None:
    """A string of a script with a space in it is a text, unless all of its words are classes, ids or tags."""
    known, markup = texts("en").keys(), identifiers()
    outside = []
    for name, source in scripts().items():
        code = re.sub(r"/\*.*?\*/", "", source, flags=re.DOTALL)
        code = re.sub(r"(?m)^\s*//.*$|\s// .*$", "", code)
        strings = [text for text in re.findall(r'"((?:[^"\\\n]|\\.)*)"', code) if " " in text.strip()]
        texts_of = (text for text in strings if re.search(r"[a-z]{3}", text) and text not in known)
        outside += [
            f"{name}: {text}"
            for text in texts_of
            if not MARKUP.search(text) and not set(re.findall(r"[A-Za-z][\w-]*", text)) <= markup
        ]
    assert outside == []


def errors(path: str) -> Iterator[str]:
    """What a module says where something fails, and what to try; values stand as ``{1}``, ``{2}``."""
    for node in ast.walk(ast.parse((PACKAGE / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func).rpartition(".")[2]
            said = node.args[1:] if name == "said" else node.args[:2] if name.endswith("Error") else []
            texts_of = [text for one in said if (text := template(one))]
            if "use the page" not in texts_of:  # else it is for programs: no script of ours sends that
                yield from texts_of


def template(node: ast.expr) -> str:
    """A text as the table has it; empty for what is no text, or nothing but values."""
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    text, number = "", 0
    for part in parts:
        number += isinstance(part, ast.FormattedValue)
        literal = part.value if isinstance(part, ast.Constant) and isinstance(part.value, str) else ""
        text += f"{{{number}}}" if isinstance(part, ast.FormattedValue) else literal
    return text if re.search(r"[a-z]{2}", re.sub(r"\{\d\}", "", text)) else ""


def test_every_error_of_the_page_stands_in_the_languages() -> None:
    modules = [f"api/web/{file.name}" for file in sorted((PACKAGE / "api/web").glob("*.py"))]
    found = {text for path in (*modules, "pipeline/history.py", "sources/onvif.py") for text in errors(path)}
    found |= {re.sub(r"\{\w+\}", "{1}", text) for text in HINTS.values()}
    found |= {*FROM_CAMERA.values(), *FROM_FILE.values(), *LINK_HINTS.values()}
    assert len(found) > 100
    assert sorted(found - texts("en").keys() - FOR_PROGRAMS) == []


@pytest.mark.parametrize("language", ["de", "ja"])
def test_the_page_is_shown_in_the_language_of_the_browser(language: str, tmp_path: Path) -> None:
    from rigs.browser import browsing
    from rigs.page import served

    wanted = texts(language)
    with served(tmp_path / "state") as page, browsing(tmp_path / "browser", f"--lang={language}") as browser:
        browser.ask("Emulation.setLocaleOverride", locale=language)
        browser.open(f"http://127.0.0.1:{page.port}/#device")
        browser.until("!document.querySelector('#main').hidden")
        browser.js(f"localStorage.setItem('edge.language', '{language}')")
        browser.open(f"http://127.0.0.1:{page.port}/?again#device")
        browser.until(f"document.documentElement.lang === '{language}'")
        browser.until(f"document.querySelector('#browser-title').textContent === {json.dumps(wanted['This browser'])}")
        browser.until("!document.querySelector('#main').hidden")
        said = "there is no camera 'yard'"
        told = f"import('/page/words.js').then((words) => words.told({json.dumps(said)}))"
        assert browser.js(told) == wanted["there is no camera {1}"].replace("{1}", "'yard'")
        assert browser.accessibility() == []
        assert browser.js("document.documentElement.scrollWidth <= innerWidth")
