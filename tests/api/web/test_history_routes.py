"""The history over a real connection."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rigs.page import Served, served

from edge.core.settings.services import HistorySettings
from edge.pipeline.history import Appearance, HistoryStore, Look

NOW = time.time()


def history(folder: Path, count: int = 130) -> None:
    store = HistoryStore(folder, HistorySettings(pictures=True))
    store.put([
        Appearance(
            f"1-{n}", "door" if n % 2 else "yard", "face", NOW - 60 * n, NOW - 60 * n + 5, "known", f"person {n % 5}",
            97.0, ("mat",), picture=b"\xff\xd8x" if n == 0 else b"", boot="b",
            looks=[Look(0.1, f"person {n % 5}", 97.0, 50.0, 92.0, 0.8)],
        )
        for n in range(count)
    ])  # fmt: skip
    store.close()


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Served]:
    history(tmp_path)
    with served(tmp_path, history={"pictures": True}) as made:
        yield made


def test_pages_of_the_history_follow_each_other_without_gap_or_double(page: Served) -> None:
    found: list[int] = []
    before = ""
    for size, more in ((60, True), (60, True), (10, False)):
        said = page.get(f"/page/history?{before}")
        assert (len(said["appearances"]), said["more"]) == (size, more)
        found += [one["id"] for one in said["appearances"]]
        before = f"before={said['appearances'][-1]['started']!r},{found[-1]}"
    assert found == list(range(1, 131))


def test_filters_and_their_choices(page: Served) -> None:
    said = page.get("/page/history?camera=yard&subject=person%202&text=MAT")
    assert {(one["camera"], one["subject"]) for one in said["appearances"]} == {("yard", "person 2")}
    assert said["choices"] == {"cameras": ["door", "yard"], "labels": ["face"]}
    assert page.get("/page/history?text=nobody")["appearances"] == []
    assert page.get(f"/page/history?until={NOW - 60 * 129.5}")["more"] is False


def test_one_appearance_tells_each_look_and_has_its_picture(page: Served) -> None:
    one = page.get("/page/history/1")
    assert one["looks"] == [
        {"offset": 0.1, "subject": "person 0", "likeness": 97.0, "runner_up": 50.0, "needed": 92.0, "quality": 0.8}
    ]
    assert page.ask("GET", "/page/history/1/picture.jpg")[2] == b"\xff\xd8x"
    assert page.status("/page/history/2/picture.jpg") == 204
    assert page.status("/page/history/999") == 404


def test_a_day_in_parts(page: Served) -> None:
    said = page.get(f"/page/history/timeline?since={NOW - 86400 + 1}")
    assert sum(part["count"] for part in said["parts"]) == 130
    assert {part["camera"] for part in said["parts"]} == {"door", "yard"}
    assert all(0 <= part["part"] < said["bins"] and part["known"] == part["count"] for part in said["parts"])


@pytest.mark.parametrize(
    "query", ["since=x", "since=-1", "since=1e99", "before=1", "before=x,1", "before=1,x", "until=nan", "before=1,-1"]
)
def test_a_wrong_query_is_refused_in_words(page: Served, query: str) -> None:
    status, _, body = page.ask("GET", f"/page/history?{query}")
    assert status == 400
    assert b"expected" in body


def test_what_is_deleted_is_gone(page: Served) -> None:
    assert page.post("/page/history/1/delete")[0] == 200
    assert page.post("/page/history/1/delete")[0] == 404
    assert page.post("/page/history/clear") == (200, {"deleted": 129})
    assert page.get("/page/history")["appearances"] == []


def test_without_a_history_nothing_is_made(tmp_path: Path) -> None:
    with served(tmp_path, history={"enabled": False}) as page:
        said = page.get("/page/history")
        assert (said["appearances"], said["kept"]["enabled"]) == ([], False)
        assert page.status("/page/history/1") == 404
        assert not list(tmp_path.glob("history*"))
