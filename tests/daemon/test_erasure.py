"""Whoever is forgotten is found nowhere in any file of the state folder."""

from __future__ import annotations

import json
import time
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from rigs.review_faces import BOX, CROP, SPACE, look

from edge.api.rekognition.state_store import ApiState
from edge.api.rekognition.videos.store import Job, JobStore, VideoFinding
from edge.cli.main import edge
from edge.core.errors import ConflictError
from edge.core.settings.messaging import OutboxSettings
from edge.core.settings.schema import Settings
from edge.core.settings.services import HistorySettings
from edge.core.settings.template import written
from edge.core.storage.lock import Lock
from edge.core.types import Event, Identity, IdentityState
from edge.daemon.erasure import forget
from edge.mqtt import erasure_notices
from edge.mqtt.outbox.outbox import Outbox
from edge.pipeline.history import Appearance, HistoryStore, Look
from edge.recognition.review.answers import ReviewService
from edge.recognition.review.queue import ReviewQueue
from edge.recognition.review.stranger_store import Stranger
from edge.recognition.store.collection import Collection
from edge.recognition.store.collections import Collections
from edge.recognition.store.users import Users
from edge.releases.manifest import subject_digest
from edge.releases.release_store import ReleaseStore
from edge.releases.update_state import UpdateState

SUBJECT = "Żaneta Müller"
FACE_OF = [look(3, number) for number in range(3)]


def event(kind: str, track: str, subject: str) -> Event:
    who = Identity(IdentityState.KNOWN, subject, 0.8, 0.1, "f1", "staff")
    return Event(kind, "door", track, "face", 0.9, BOX, who, (), time.time(), time.time())  # type: ignore[arg-type]


@pytest.fixture
def state(
    tmp_path: Path,
    staff: Collection,
    collections: Collections,
    queue: ReviewQueue,
    answers: ReviewService,
    ask: Callable[..., int],
) -> Path:
    """A state folder that knows somebody in every way there is."""
    answers.new(ask(FACE_OF[0]), SUBJECT)
    answers.confirm(ask(FACE_OF[1], SUBJECT))
    answers.reject(ask(FACE_OF[2], SUBJECT))
    ask(look(0, 7), SUBJECT)
    ask(look(0, 6), "alice")
    Users(collections.store, "staff", staff.number).create(SUBJECT)
    history = HistoryStore(tmp_path, HistorySettings(pictures=True))
    vote = Look(0.1, SUBJECT, 97.0, 40.0, 92.0, 0.8)
    history.put([
        Appearance("1-1", "door", "face", 1.0, 2.0, "known", SUBJECT, 97.0, boot="b", picture=b"jpeg", looks=[vote]),
        Appearance("1-2", "door", "face", 1.0, 2.0, "known", "alice", 97.0, boot="b", looks=[vote]),
    ])  # fmt: skip
    history.note("owner", "rename", SUBJECT)
    history.close()
    outbox = Outbox(tmp_path / "outbox.sqlite", OutboxSettings(commit_seconds=0))
    outbox.put([event("new", "1-1", SUBJECT), event("new", "1-2", "alice"), event("update", "1-1", SUBJECT)])
    outbox.close()
    api = ApiState(tmp_path)
    api.remember("CreateUser", "token", {}, {"UserId": SUBJECT})
    api.close()
    videos = JobStore(tmp_path)
    videos.add(Job("j1", "StartFaceSearch", {}, "SUCCEEDED"))
    videos.save(videos.get("j1"), [VideoFinding(0, "", {"FaceMatches": [{"Face": {"UserId": SUBJECT}}]})])  # type: ignore[arg-type]
    videos.close()
    queue.close()
    collections.close()
    return tmp_path


def traces(state: Path) -> dict[str, str]:
    """File -> what of the subject is in it."""
    wanted = {
        "name": SUBJECT.encode(),
        "name in JSON": json.dumps(SUBJECT)[1:-1].encode(),
        **{f"embedding {n}": vector.tobytes() for n, vector in enumerate(FACE_OF)},
    }
    found = {}
    for path in state.rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        held = [what for what, one in wanted.items() if one in data]
        if held:
            found[path.name] = ", ".join(held)
    return found


def test_nothing_of_a_forgotten_subject_is_left(state: Path) -> None:
    before = traces(state)
    assert {
        "collections.sqlite",
        "review.sqlite",
        "history.sqlite",
        "outbox.sqlite",
        "api.sqlite",
        "videos.sqlite",
    } <= {name.removesuffix("-wal") for name in before}
    gone = forget(SUBJECT, Settings(), state)
    assert (gone.faces, gone.events, gone.left) == (2, 3, ())
    assert gone.questions >= 4
    assert traces(state) == {}


def test_everybody_else_stays(state: Path) -> None:
    forget(SUBJECT, Settings(), state)
    with Collections(state, Settings().collection, maintain=False) as collections:
        assert collections.get("staff").subjects() == {"alice": 2, "bob": 2}
    outbox = Outbox(state / "outbox.sqlite", OutboxSettings(commit_seconds=0))
    events = [queued.event for queued in outbox.read(0, 100)]
    outbox.close()
    assert [one.identity.subject for one in events if one.track == "1-2"] == ["alice", "alice"]
    nameless = [one for one in events if one.track == "1-1"]
    assert [one.type for one in nameless] == ["new", "update", "end"], "the track still gets its end"
    assert {one.identity.state for one in nameless} == {IdentityState.UNKNOWN}
    with ReviewQueue(state, Settings().review) as queue:
        assert [one.crop for one in queue.doubts()] == [CROP]


def test_a_running_daemon_must_be_stopped_first(state: Path) -> None:
    with Lock(state), pytest.raises(ConflictError, match="in use"):
        forget(SUBJECT, Settings(), state)


def test_what_cannot_be_removed_is_told(state: Path) -> None:
    (state / "releases").mkdir()
    (state / "releases" / "segment").write_bytes(b"x" * 1_048_570 + SUBJECT.encode())
    config = state.parent / "edge.toml"
    config.write_text(written({"state": str(state)}))
    run = CliRunner().invoke(edge, ["--config", str(config), "forget", SUBJECT, "--yes", "--json"])
    assert run.exit_code == 1
    assert json.loads(run.stdout)["left"] == [str(state / "releases" / "segment")]
    (state / "releases" / "segment").unlink()
    again = CliRunner().invoke(edge, ["--config", str(config), "forget", SUBJECT, "--yes"])
    assert again.exit_code == 3, "there was nothing any more"


def test_records_of_stream_processors_lose_the_lines_that_name_the_subject(state: Path) -> None:
    records = state / "rekognition"
    records.mkdir()
    lines = [{"MatchedFaces": [{"Face": {"ExternalImageId": name}}]} for name in (SUBJECT, "bob")]
    for name in ("door.jsonl", "door.jsonl.1"):
        (records / name).write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    assert forget(SUBJECT, Settings(), state).left == ()
    assert [(path.name, json.loads(path.read_text())) for path in sorted(records.iterdir())] == [
        ("door.jsonl", lines[1]), ("door.jsonl.1", lines[1]),
    ]  # fmt: skip


def test_the_hub_is_told_without_the_name_and_faces_of_a_release_do_not_come_back(state: Path) -> None:
    with Collections(state, Settings().collection, maintain=False) as collections:
        staff = collections.get("staff")
        face = staff.faces(subject=SUBJECT)[0]
        vector = staff.vectors([face.face_id])[0]
        shipped = replace(face, face_id="5f0e9a51-0000-5000-8000-000000000001", origin="hub")
        staff.merge([(shipped, vector)], SPACE.fingerprint, SPACE.dimensions)
    settings = Settings.model_validate({"device": {"name": "porch"}})
    forget(SUBJECT, settings, state)
    said = {one.digest for one in erasure_notices.read(state).forgotten}
    decomposed = unicodedata.normalize("NFD", SUBJECT)  # events of an older version may hold it at the hub
    assert said == {erasure_notices.digest("porch", name) for name in (SUBJECT, decomposed)}
    ledger = UpdateState(ReleaseStore(state).folder)
    erased = ledger.get("erased staff")["subjects"]
    ledger.close()
    assert set(erased) == {subject_digest("staff", SUBJECT)}
    assert traces(state) == {}


def test_a_stranger_is_forgotten_by_the_pseudonym(state: Path, queue: ReviewQueue) -> None:
    with ReviewQueue(state, Settings().review) as opened:
        looks = np.stack([look(6, 1)])
        one = Stranger(0, 7, "staff", "face", SPACE, time.time(), time.time(), 2, 0.9, looks)
        opened.strangers.put([one], Settings().strangers)
    assert forget("unknown-7", Settings(), state).questions == 1
    assert not any(looks.tobytes() in path.read_bytes() for path in state.rglob("*") if path.is_file())
