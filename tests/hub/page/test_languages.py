"""Every text of the fleet's page stands in every language."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rigs.error_texts import FOR_PROGRAMS, edge_errors_of, reached

import edge
from edge.api.web import assets
from edge.releases.expiry import REMEDIES

DATA = Path(edge.__file__).parent / "data"
PAGE = DATA / "hub_page"
STRING = r'"((?:[^"\\]|\\.)*)"'
PATTERNS = (
    re.compile(rf"\bt\(\s*{STRING}"),
    re.compile(rf"\bt\([^()\"]*\?\s*{STRING}\s*:\s*{STRING}"),
    re.compile(rf"\bplural\([^\"]*?{STRING},\s*{STRING}"),
    re.compile(rf'"[a-z]+: [a-z ]+": {STRING}'),
    re.compile(rf"(?:unanswered =|rollout:) {STRING}"),
)
ELSEWHERE_SHOWN = (
    "edge.api.rekognition", "edge.api.s3", "edge.mqtt.sealed_box", "edge.recognition.review.sharing",
    "edge.api.http.server", "edge.hub.page.server", "edge.hub.partitions", "edge.hub.queries",
)  # fmt: skip
"""what answers other clients, a device, or a terminal"""
ON_A_TERMINAL = {
    "choose another file", "{1} exists already", "hub.database: expected postgresql://... or a path, got {1}://...",
    "hub.database: invalid PostgreSQL address", "hub.database: postgresql:// needs psycopg, which is not installed",
    "pip install 'rekognition-edge[hub]'", "set it to a path, or to postgresql://user@host/database",
    "write postgresql://user:password@host/database", "it deletes old events by row", "{1}: SQLite has no partitions",
}  # fmt: skip
"""errors of modules that the page uses, before it is there or of commands alone"""
TOLD = {
    *REMEDIES.values(), "{1} expired on {2}: devices refuse every new release", "{1} expires on {2}, in {3} days",
    "its embedding space is {1}, that of the fleet's faces {2}", "this subject was erased from the fleet since",
    "only the latest answers can be taken back",
}  # fmt: skip
"""what the hub says without an error"""
ATTRIBUTES = ("aria-label", "placeholder", "title", "alt")


class Texts(HTMLParser):
    """The texts of the document that a reader sees or hears."""

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


def used() -> set[str]:
    document = Texts()
    document.feed(assets.read("index.html", PAGE.name).decode())
    found = document.found - {"edge hub"}
    for script in PAGE.glob("*.js"):
        source = script.read_text(encoding="utf-8")
        for pattern in PATTERNS:
            for match in pattern.finditer(source):
                found |= {json.loads(f'"{text}"') for text in match.groups()}
    return found


def errors() -> set[str]:
    """What the hub says where something fails, and what to try."""
    modules = reached(("edge.hub.page",), ELSEWHERE_SHOWN)
    assert {"edge.hub.publishing.publisher", "edge.hub.review.store"} <= modules
    return {text for module in modules for text in edge_errors_of(module)} - ON_A_TERMINAL - FOR_PROGRAMS


def texts(folder: str, language: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((DATA / folder / f"lang/{language}.json").read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("language", ["en", "de", "ja"])
def test_a_language_has_every_text_and_none_that_is_not_used(language: str) -> None:
    own, shared = texts("hub_page", language), texts("page", language)
    said = used() | errors() | TOLD
    assert sorted(said - own.keys() - shared.keys()) == []
    assert sorted(own.keys() - said) == []
    assert sorted(own.keys() & shared.keys()) == [], "stands in the device's page already"


@pytest.mark.parametrize("language", ["de", "ja"])
def test_a_translation_keeps_the_places_of_values(language: str) -> None:
    for english, text in texts("hub_page", language).items():
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", english)), english
