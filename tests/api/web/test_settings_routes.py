"""Settings over a real connection: the file keeps its comments, and nobody overwrites anybody."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rigs.page import Served, served

from edge.core.compat import tomllib
from edge.core.settings.services import HistorySettings
from edge.pipeline.history import Appearance, HistoryStore, Look

FILE = """# the porch
[device]
name = "porch"  # as on the label

[mqtt]
host = "broker.lan"
password = "hunter2-secret"

[[cameras]]
name = "door"  # the front door
source = "rtsp://admin:sw0rdfish@192.0.2.1/stream"
"""


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "edge.toml"
    file.write_text(FILE)
    monkeypatch.setenv("EDGE_CONFIG", str(file))
    return file


@pytest.fixture
def page(tmp_path: Path, path: Path) -> Iterator[Served]:
    with served(tmp_path / "state") as made:
        yield made


def post(page: Served, action: str, *changes: tuple[list[Any], Any], base: str = "") -> tuple[int, dict[str, Any]]:
    rows = [{"path": path, "value": value} for path, value in changes]
    return page.post(f"/page/settings/{action}", {"base": base or page.get("/page/settings")["base"], "changes": rows})


ZONE = (["cameras", 0, "zones", "mat"], [[0.1, 0.5], [0.9, 0.5], [0.5, 1.0]])


def test_a_change_is_shown_before_it_is_written(page: Served, path: Path) -> None:
    status, said = post(page, "preview", (["log", "level"], "debug"))
    assert status == 200
    assert said["diff"].splitlines()[-2:] == ["+[log]", '+level = "debug"']
    assert path.read_text() == FILE


def test_a_change_keeps_the_comments_and_tells_the_daemon(page: Served, path: Path) -> None:
    told: list[str] = []
    page.page.begin(lambda: None, tuple, lambda _: None, str, reload=lambda: told.append("reload"))  # type: ignore[arg-type,return-value]
    status, _ = post(page, "apply", ZONE, (["device", "name"], "gate"), (["mqtt", "port"], 8883))
    assert (status, told) == (200, ["reload"])
    text = path.read_text()
    for comment in ("# the porch", "# as on the label", "# the front door"):
        assert comment in text
    values = tomllib.loads(text)
    assert values["cameras"][0]["zones"]["mat"] == ZONE[1]
    assert (values["device"]["name"], values["mqtt"]["port"]) == ("gate", 8883)
    assert page.get("/page/history/changes")["changes"][0]["what"] == "settings: cameras, device, mqtt"


def test_one_press_undoes_the_last_change(page: Served, path: Path) -> None:
    post(page, "apply", (["log", "level"], "debug"))
    assert page.get("/page/settings")["undoable"]
    assert page.post("/page/settings/undo", {})[0] == 200
    assert path.read_text() == FILE
    assert page.post("/page/settings/undo", {})[0] == 409


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ((["log", "level"], "loud"), "log.level"),
        ((["log", "lvel"], "info"), "lvel"),
        ((["cameras", 0, "zones", "mat"], [[0, 0], [1, 1]]), "at least 3 corners"),
        ((["cameras", 0, "zones", "mat"], [[0, 0], [1, 7], [0, 1]]), "zones"),
        ((["cameras", 5, "fps"], 2), "no entry 5"),
        ((["cameras", 1], {"name": "door", "source": "auto"}), "two cameras"),
    ],
)
def test_a_value_that_breaks_a_rule_is_refused_by_the_same_rules(
    page: Served, path: Path, change: tuple[list[Any], Any], rule: str
) -> None:
    for action in ("preview", "apply"):
        status, said = post(page, action, change)
        assert status >= 400
        assert rule in said["error"]
    assert path.read_text() == FILE


def test_a_file_that_was_edited_by_hand_meanwhile_is_not_overwritten(page: Served, path: Path) -> None:
    base = page.get("/page/settings")["base"]
    path.write_text(FILE + "# by hand\n")
    status, said = post(page, "apply", (["log", "level"], "debug"), base=base)
    assert (status, said["error"]) == (409, f"{path} was changed meanwhile")
    assert path.read_text().endswith("# by hand\n")


def test_of_two_browsers_that_change_the_same_the_second_is_told(page: Served) -> None:
    base = page.get("/page/settings")["base"]
    assert post(page, "apply", (["log", "level"], "debug"), base=base)[0] == 200
    assert post(page, "apply", (["log", "level"], "error"), base=base)[0] == 409


def test_a_full_disk_leaves_the_file_and_what_was_undoable(
    page: Served, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    base = page.get("/page/settings")["base"]
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        status, said = post(page, "apply", (["log", "level"], "debug"), base=base)
    assert (status, said["error"]) == (500, f"{path}: cannot be written: No space left on device")
    assert path.read_text() == FILE
    assert post(page, "apply", (["log", "level"], "debug"), base=base)[0] == 200


def test_no_secret_is_told(page: Served) -> None:
    said = page.ask("GET", "/page/settings")[2]
    _, preview = post(page, "preview", (["mqtt", "username"], "me"), (["cameras", 0, "fps"], 2.0))
    for secret in ("hunter2", "sw0rdfish"):
        assert secret.encode() not in said
        assert secret not in preview["diff"]
    assert page.get("/page/settings")["sources"] == ["rtsp://***@192.0.2.1/stream"]


def test_a_camera_is_added_to_a_file_with_one(page: Served, path: Path) -> None:
    assert post(page, "apply", (["cameras", 1], {"name": "yard", "source": "synthetic"}))[0] == 200
    assert [one["name"] for one in tomllib.loads(path.read_text())["cameras"]] == ["door", "yard"]


def test_a_value_is_removed(page: Served, path: Path) -> None:
    assert post(page, "apply", (["mqtt", "password"], None))[0] == 200
    assert "password" not in tomllib.loads(path.read_text())["mqtt"]


def test_a_new_camera_shows_a_picture_or_says_why_not(page: Served) -> None:
    status, headers, body = page.ask(
        "POST", "/page/cameras/test", b'{"name": "yard", "source": "synthetic"}', X_Edge_Page="1"
    )
    assert (status, headers["content-type"], body[:2]) == (200, "image/jpeg", b"\xff\xd8")
    for wrong in ({"name": "a b", "source": "auto"}, {"name": "x", "source": "video:/nowhere.mp4"}, {"fps": -1}):
        status, said = page.post("/page/cameras/test", wrong)
        assert status in (400, 422)
        assert said["error"]


def test_rubbish_is_refused(page: Served, path: Path) -> None:
    base = page.get("/page/settings")["base"]
    for rows in ([], None, [7], [{"path": []}], [{"path": [1]}], [{"path": ["a"] * 9}], [{"path": ["log", True]}]):
        assert page.post("/page/settings/apply", {"base": base, "changes": rows})[0] == 400
    assert page.post("/page/settings/apply", {"base": 7, "changes": [{"path": ["log"], "value": {}}]})[0] == 400
    assert path.read_text() == FILE


def test_without_a_file_one_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_CONFIG", str(tmp_path / "new.toml"))
    with served(tmp_path / "state") as page:
        assert post(page, "apply", (["cameras", 0], {"name": "door", "source": "synthetic"}))[0] == 200
    assert tomllib.loads((tmp_path / "new.toml").read_text()) == {"cameras": [{"name": "door", "source": "synthetic"}]}


def test_a_threshold_is_tried_on_the_last_day(tmp_path: Path, page: Served) -> None:
    store = HistoryStore(tmp_path / "state", HistorySettings())
    looks = [Look(float(n), "alice", 90.0, 20.0, 95.0, 0.8) for n in range(6)]
    store.put([Appearance("1-1", "door", "face", time.time() - 60, state="unknown", looks=looks)])
    store.close()
    low, high = (page.get(f"/page/settings/thresholds?label=face&likeness={likeness}") for likeness in (70, 96))
    assert (low["appearances"], low["named"], low["would_be_named"], low["needed"]) == (1, 0, 1, 95.0)
    assert [(one["before"], one["after"], one["camera"]) for one in low["changed"]] == [(None, "alice", "door")]
    assert (high["would_be_named"], high["changed"]) == (0, [])
    assert high["one_in"] > low["one_in"] > 100


@pytest.mark.parametrize("query", ["", "?label=car&likeness=80", "?label=face&likeness=x", "?label=face&likeness=101"])
def test_a_threshold_that_is_none_is_refused(page: Served, query: str) -> None:
    assert page.status(f"/page/settings/thresholds{query}") in (400, 404)
