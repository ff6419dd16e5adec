"""Every text of the page stands in every language, and no text stands outside of them."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rigs.browser import Browser, browsing
from rigs.error_texts import FOR_PROGRAMS, PACKAGE, edge_errors_of, reached, template
from rigs.page import served

import edge
from edge.api.web import assets
from edge.api.web.texts import FROM_CAMERA, FROM_FILE
from edge.core.settings.schema import Settings
from edge.mqtt.link_state import HINTS as LINK_HINTS
from edge.recognition.enrollment import HINTS

PAGE = Path(edge.__file__).parent / "data/page"
LANGUAGES = ("en", "de", "ja")
DEVICE = (
    *(f"cli/doctor/{name}.py" for name in (
        "board", "broker", "cameras", "collections", "custom_labels", "disk", "encryption", "examination", "models",
        "releases", "service",
    )),
    "core/settings/broken_rules.py", "mqtt/connection.py", "mqtt/link_state.py", "pipeline/health.py",
    "pipeline/load_shedding.py", "pipeline/loader.py",
)  # fmt: skip
"""modules whose findings and problems the page shows"""
FAILING = (
    "core/settings", "core/storage/sqlite.py", "core/storage/lock.py", "daemon/notifications.py",
    "daemon/webhook.py", "sources", "releases",
)  # fmt: skip
"""modules, and folders of modules, whose errors become problems or findings"""
ELSEWHERE = {
    "Value error, ", "{1} {2} fps", "{1}: degraded", "index of {1} is being built", "sheds {1} ({2})", "doctor camera",
    "SELECT count(*), min(time) FROM events",
    "SELECT value FROM meta WHERE key = 'lost'",
}  # fmt: skip
"""texts of these modules that systemd, the log, a database or pydantic reads"""
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
    sources = [assets.read(name).decode() for name in ("page.css", "index.html")]
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
    document.feed(assets.read("index.html").decode())
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


def test_every_error_of_the_page_stands_in_the_languages() -> None:
    modules = [f"api/web/{file.name}" for file in sorted((PACKAGE / "api/web").glob("*.py"))]
    found = {text for path in (*modules, "pipeline/history.py", "sources/onvif.py") for text in errors(path)}
    found |= {re.sub(r"\{\w+\}", "{1}", text) for text in HINTS.values()}
    found |= {*FROM_CAMERA.values(), *FROM_FILE.values(), *LINK_HINTS.values()}
    assert len(found) > 100
    assert sorted(found - texts("en").keys() - FOR_PROGRAMS) == []


def texts_of(path: str) -> set[str]:
    """The texts of a module, but docstrings, log lines and findings that all is well."""
    tree = ast.parse((PACKAGE / path).read_text(encoding="utf-8"))
    silent: set[int] = set()
    for node in ast.walk(tree):
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        logged = isinstance(node, ast.Call) and ast.unparse(node.func).startswith("log.")
        well = isinstance(node, ast.Call) and bool(node.args) and ast.unparse(node.args[0]) == "Level.OK"
        if docstring or logged or well or isinstance(node, ast.FormattedValue):
            silent |= {id(part) for part in ast.walk(node) if part is not node}
        if isinstance(node, ast.JoinedStr):
            silent |= {id(part) for part in node.values}
    found = {
        template(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant | ast.JoinedStr) and id(node) not in silent
    }
    return {text for text in found if " " in text.strip()}


def modules_of(places: tuple[str, ...]) -> list[str]:
    """Modules below the package, folders in full."""
    files = (file for place in places for file in (sorted((PACKAGE / place).rglob("*.py")) or [PACKAGE / place]))
    return [str(file.relative_to(PACKAGE)) for file in files]


SHOWING = ("edge.api.web", "edge.daemon", "edge.cli.doctor")
"""rooms whose responses, problems and findings the page shows"""
ELSEWHERE_SHOWN = (
    "edge.api.rekognition", "edge.api.s3", "edge.daemon.shared_review", "edge.mqtt.sealed_box",
    "edge.recognition.review.sharing",
)  # fmt: skip
"""rooms and modules that answer the clients of AWS or the hub instead"""


def test_every_error_that_can_reach_the_page_stands_in_the_languages() -> None:
    modules = reached(SHOWING, ELSEWHERE_SHOWN)
    assert {one.split(".")[1] for one in modules} >= {"recognition", "inference", "labels", "mqtt", "releases"}
    found = {text for module in modules for text in edge_errors_of(module)}
    assert len(found) > 500
    assert sorted(found - texts("en").keys() - FOR_PROGRAMS) == []


def test_every_finding_and_problem_stands_in_the_languages() -> None:
    found = {text for path in DEVICE for text in texts_of(path)}
    found |= {text for path in modules_of(FAILING) for text in errors(path)}
    assert len(found) > 200
    assert sorted(found - texts("en").keys() - ELSEWHERE) == []


def descriptions() -> set[str]:
    """``Class.field`` of every setting, and ``Class`` of every section, that has a description."""
    schema = Settings.model_json_schema()
    found = set()
    for name, section in {"Settings": schema, **schema["$defs"]}.items():
        found |= {f"{name}.{field}" for field, part in section.get("properties", {}).items() if "description" in part}
        found |= {name} if "properties" in section and "description" in section else set()
    return found - {"Settings", "PageUser"}  # the form shows the sections of the one, and the other as JSON


@pytest.mark.parametrize("language", ["de", "ja"])
def test_every_setting_is_described_in_the_languages(language: str) -> None:
    told = texts(f"settings.{language}")
    assert sorted(descriptions() ^ told.keys()) == []
    assert all(told.values())


def misread(browser: Browser, wanted: dict[str, str]) -> list[str]:
    """Texts with values that the page's script takes for another text."""

    def filled(text: str) -> str:
        return re.sub(r"\{(\d)\}", r"<\1>", text)

    keys = [key for key in wanted if "{1}" in key]
    told = browser.js(
        f"import('/page/words.js').then((words) => {json.dumps([filled(key) for key in keys])}.map(words.told))"
    )
    return [f"{key}: {got}" for key, got in zip(keys, told, strict=True) if got != filled(wanted[key])]


@pytest.mark.parametrize("language", ["de", "ja"])
def test_the_page_is_shown_in_the_language_of_the_browser(language: str, tmp_path: Path) -> None:
    wanted = texts(language)
    with served(tmp_path / "state") as page, browsing(tmp_path / "browser", f"--lang={language}") as browser:
        browser.ask("Emulation.setLocaleOverride", locale=language)
        browser.open(f"http://127.0.0.1:{page.port}/#device")
        browser.until("!document.querySelector('#main').hidden")
        browser.js(f"localStorage.setItem('edge.language', '{language}')")
        browser.open(f"http://127.0.0.1:{page.port}/?again#device")
        browser.until(f"document.documentElement.lang === '{language}'")
        browser.until(f"document.querySelector('#browser-title')?.textContent === {json.dumps(wanted['This browser'])}")
        browser.until("!document.querySelector('#main').hidden")
        said = "there is no camera 'yard'"
        told = f"import('/page/words.js').then((words) => words.told({json.dumps(said)}))"
        assert browser.js(told) == wanted["there is no camera {1}"].replace("{1}", "'yard'")
        page.page._health.trouble("camera door", "yard: it holds no video (try: check the source)")
        browser.until("!document.querySelector('#problems').hidden")
        problem = wanted["{1}: it holds no video"].replace("{1}", "yard")
        problem = wanted["{1} (try: {2})"].replace("{1}", problem).replace("{2}", wanted["check the source"])
        shown = browser.js("document.querySelector('#problems').textContent")
        assert shown.endswith(f"{wanted['camera {1}'].replace('{1}', 'door')}: {problem}")
        assert misread(browser, wanted) == []
        assert browser.accessibility() == []
        assert browser.js("document.documentElement.scrollWidth <= innerWidth")
