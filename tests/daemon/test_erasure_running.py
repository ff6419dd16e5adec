"""Somebody is forgotten, while the daemon runs or not: nothing of her is left in any file or in what is said."""

from __future__ import annotations

import json
import re
import sqlite3
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from rigs.device import Subscriber
from rigs.mosquitto import Mosquitto
from rigs.running import Running
from rigs.waiting import eventually

from edge.mqtt import erasure_notices

GRACE = "grace-hopper"
UP = "edge/v1/porch/up"


@pytest.fixture
def porch(tmp_path: Path, broker: Mosquitto) -> Iterator[Running]:
    one = Running(tmp_path / "device", camera={"realtime": True, "loop": True, "snapshots": True})
    one.settings |= {
        "mqtt": {"host": "127.0.0.1", "port": broker.port, "reconnect_seconds": 1.0},
        "review": {"enabled": True, "crops": True, "audit": 1},
        "strangers": {"enabled": True},
        "api": {"enabled": True, "port": 0},
    }
    one.enroll()
    one.start()
    yield one
    one.close()


def rows(state: Path, file: str, query: str) -> list[tuple[object, ...]]:
    if not (state / file).exists():
        return []
    with closing(sqlite3.connect(f"file:{state / file}?mode=ro", uri=True)) as db:
        made = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'anchors' OR name = 'removed'").fetchone()
        return db.execute(query).fetchall() if made else []


def traces(state: Path) -> set[bytes]:
    """What files hold of her: name, FaceIds, embeddings, pictures."""
    wanted = {GRACE.encode()}
    for face_id, vector in rows(
        state, "collections.sqlite", f"SELECT face_id, vector FROM faces WHERE subject = '{GRACE}'"
    ):
        wanted |= {str(face_id).encode(), vector}  # type: ignore[arg-type]
    for vector, crop in rows(state, "review.sqlite", f"SELECT vector, crop FROM doubts WHERE subject = '{GRACE}'"):
        wanted |= {vector, crop}  # type: ignore[arg-type]
    return wanted


def holding(state: Path, wanted: set[bytes]) -> dict[str, int]:
    """File -> how many of them are in it."""
    found = {path.name: path.read_bytes() for path in state.rglob("*") if path.is_file()}
    counted = {name: sum(one in data for one in wanted) for name, data in found.items()}
    return {name: count for name, count in counted.items() if count}


def asked(state: Path) -> list[str]:
    return [str(subject) for (subject,) in rows(state, "review.sqlite", "SELECT subject FROM doubts")]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("running", [True, False], ids=["the daemon runs", "the daemon is stopped"])
def test_nothing_of_a_forgotten_person_is_left(porch: Running, broker: Mosquitto, running: bool) -> None:
    state = porch.folder / "state"
    other = Subscriber(broker.port, f"{UP}/#")
    assert eventually(lambda: GRACE in asked(state), 90), porch.log
    assert eventually(lambda: any(GRACE.encode() in one for one in other.on(f"{UP}/state/door")))
    wanted = traces(state)
    assert len(wanted) >= 5
    before = holding(state, wanted)
    assert before, "the search would find what is there"
    if not running:
        porch.stop()

    done = porch.edge("forget", GRACE, "--yes", "--json")

    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["faces"] == 1
    assert answer["questions"] >= 1
    assert holding(state, wanted) == {}
    if running:
        still_running(porch, other)
        porch.stop()
        assert holding(state, wanted) == {}, "nothing was written on the way out"
    other.stop()
    if not running:
        assert porch.edge("forget", GRACE, "--yes").returncode == 3, "there is nothing any more"


def still_running(porch: Running, other: Subscriber) -> None:
    """What the daemon says from now on does not know her; a hub hears who it is without the name."""
    port = re.findall(r"listens on http://127\.0\.0\.1:(\d+)", porch.log)[-1]
    page = urllib.request.urlopen(f"http://127.0.0.1:{port}/page/state", timeout=30).read()
    assert GRACE.encode() not in page
    assert eventually(lambda: GRACE.encode() not in other.on(f"{UP}/state/door")[-1])
    assert eventually(lambda: other.on(f"{UP}/forgotten"))
    (told,) = json.loads(other.on(f"{UP}/forgotten")[-1])["forgotten"]
    assert told["digest"] == erasure_notices.digest("porch", GRACE)
    events = len(porch.events)
    ends = lambda: [one for one in porch.events[events:] if one["type"] == "end"]  # noqa: E731
    assert eventually(lambda: len(ends()) >= 2, 60), "it goes on"
    assert not any(one["identity"]["subject"] == GRACE for one in porch.events[events:])
    assert {one["identity"]["subject"] for one in porch.events[events:]} & {"eileen-collins"}, "others are known"
