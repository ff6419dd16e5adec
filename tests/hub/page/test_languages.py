"""Every text of the fleet's page stands in every language."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

import edge

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
    document.feed((PAGE / "index.html").read_text(encoding="utf-8"))
    found = document.found - {"edge hub"}
    for script in PAGE.glob("*.js"):
        source = script.read_text(encoding="utf-8")
        for pattern in PATTERNS:
            for match in pattern.finditer(source):
                found |= {json.loads(f'"{text}"') for text in match.groups()}
    return found


def texts(folder: str, language: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((DATA / folder / f"lang/{language}.json").read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("language", ["en", "de", "ja"])
def test_a_language_has_every_text_and_none_that_is_not_used(language: str) -> None:
    own, shared = texts("hub_page", language), texts("page", language)
    assert sorted(used() - own.keys() - shared.keys()) == []
    assert sorted(own.keys() - used()) == []
    assert sorted(own.keys() & shared.keys()) == [], "stands in the device's page already"


@pytest.mark.parametrize("language", ["de", "ja"])
def test_a_translation_keeps_the_places_of_values(language: str) -> None:
    for english, text in texts("hub_page", language).items():
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", english)), english
