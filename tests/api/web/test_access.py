"""Roles: who may look, answer and change; sessions that end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from rigs.page import ELSEWHERE, MARK, Served, asked, enrolled, served

from edge.core.settings.services import HistorySettings
from edge.pipeline.history import Appearance, HistoryStore

TOKENS = {"owner": "t0ken-of-the-owner", "lou": "l00k-only-secret", "rev": "rev1ew-only-secret"}
USERS = {"lou": {"token": TOKENS["lou"]}, "rev": {"token": TOKENS["rev"], "role": "review"}}


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path, page={"token": TOKENS["owner"], "users": USERS}, review={"enabled": True}) as made:
        yield made


def as_user(page: Served, name: str, method: str, path: str, body: bytes = b"{}") -> int:
    return page.ask(method, path, body, Authorization=f"Bearer {TOKENS[name]}", **MARK)[0]


ANSWERS = b'{"answers": [{"id": 1, "answer": "discard"}]}'


@pytest.mark.parametrize(
    ("name", "look", "review", "manage"), [("lou", 200, 403, 403), ("rev", 200, 200, 403), ("owner", 200, 200, 200)]
)
def test_each_role_may_what_its_name_says(page: Served, name: str, look: int, review: int, manage: int) -> None:
    assert as_user(page, name, "GET", "/page/state") == look
    assert as_user(page, name, "GET", "/page/history") == look
    assert as_user(page, name, "POST", "/page/review/answers", ANSWERS) == review
    assert as_user(page, name, "POST", "/page/review/delete") == manage
    assert as_user(page, name, "POST", "/page/history/clear") == manage
    assert as_user(page, name, "GET", "/page/settings") == manage
    assert as_user(page, name, "GET", "/page/device/log") == manage


def login(page: Served, name: str) -> str:
    body = json.dumps({"token": TOKENS[name]}).encode()
    status, headers, said = page.ask("POST", "/page/login", body, host=ELSEWHERE, **MARK)
    assert (status, json.loads(said)["who"]) == (200, name)
    return headers["set-cookie"].split(";")[0]


def test_the_page_is_told_who_looks(page: Served) -> None:
    said = json.loads(page.ask("GET", "/page/door", Cookie=login(page, "rev"))[2])
    assert said == {"login": False, "who": "rev", "role": "review"}
    assert json.loads(page.ask("GET", "/page/door")[2]) == {"login": True}


def test_a_session_ends_when_its_user_logs_out(page: Served) -> None:
    cookie = login(page, "owner")
    assert page.status("/page/state", Cookie=cookie) == 200
    assert page.ask("POST", "/page/logout", Cookie=cookie, **MARK)[0] == 200
    assert page.status("/page/state", Cookie=cookie) == 401


def test_a_session_that_nobody_uses_ends(tmp_path: Path) -> None:
    with served(tmp_path, page={"token": TOKENS["owner"], "idle_days": 1e-9}) as page:
        cookie = login(page, "owner")
        assert page.status("/page/state", Cookie=cookie) == 401


def test_what_changed_is_recorded_with_who_did_it(page: Served) -> None:
    assert as_user(page, "owner", "POST", "/page/device/restart") == 409, "no daemon runs here"
    page.page.begin(lambda: None, tuple, lambda _: None, str, restart=lambda: None)  # type: ignore[arg-type,return-value]
    assert as_user(page, "owner", "POST", "/page/device/restart") == 200
    status, _, body = page.ask("GET", "/page/history/changes", Authorization=f"Bearer {TOKENS['lou']}")
    (change,) = json.loads(body)["changes"]
    assert (status, change["who"], change["what"]) == (200, "owner", "restart")


def test_updates_that_are_not_set_up_say_so(page: Served) -> None:
    assert as_user(page, "owner", "POST", "/page/device/update") == 409
    assert as_user(page, "owner", "POST", "/page/device/fly") == 404


def test_every_change_is_recorded_with_who_made_it(tmp_path: Path) -> None:
    users = {"kim": {"token": "kims-token", "role": "review"}, "lee": {"token": "lees-token", "role": "manage"}}
    kim, lee = ({"Authorization": f"Bearer {one}s-token"} for one in ("kim", "lee"))
    asked(tmp_path, 3)
    store = HistoryStore(tmp_path, HistorySettings())
    store.put([Appearance(str(n), "door", "face", float(n)) for n in range(2)])
    store.close()
    with served(tmp_path, page={"users": users}, review={"enabled": True}) as page:
        enrolled(page.collections)
        answers = [{"id": 1, "answer": "confirm", "subject": "alice"}, {"id": 2, "answer": "discard"}]
        assert page.post("/page/review/answers", {"answers": answers}, **kim)[0] == 200
        assert page.post("/page/review/undo", {"ids": [2]}, **kim)[0] == 200
        assert page.post("/page/history/1/delete", **lee)[0] == 200
        assert page.post("/page/history/clear", **lee)[0] == 200
        assert page.post("/page/review/delete", {}, **lee)[0] == 200
        told = json.loads(page.ask("GET", "/page/history/changes", **lee)[2])["changes"]
    assert [(one["who"], one["what"], one["subject"]) for one in reversed(told)] == [
        ("kim (review)", "review: confirm", "alice"),
        ("kim (review)", "review: discard", None),
        ("kim (review)", "review: undo", None),
        ("lee (manage)", "history: deleted", None),
        ("lee (manage)", "history: deleted all", None),
        ("lee (manage)", "review: deleted all", None),
    ]
