"""A state folder that is encrypted tells nothing to whoever has not its key, and everything to whoever has."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest
from click.testing import CliRunner
from rigs.review_faces import BOX, CROP, SPACE, look
from rigs.well_known import ANNOY, EXTERNAL, LOOKS, PROBE, SHIPPED, SUBJECT, USER, build, found

from edge.api.rekognition.videos.store import JobStore
from edge.cli.main import edge
from edge.core.errors import ConflictError, SettingsError, StoreError
from edge.core.settings.messaging import OutboxSettings
from edge.core.settings.services import ReviewSettings
from edge.core.settings.template import written
from edge.core.storage import keys as vault_keys
from edge.core.storage import vault
from edge.core.storage.lock import Lock
from edge.daemon import encryption
from edge.daemon.erasure import forget
from edge.labels.examples import Annotation
from edge.mqtt.outbox.outbox import Outbox
from edge.recognition.review.face_crops import FaceCropStore
from edge.recognition.review.pictures import ProposedBox, ReviewPicture
from edge.recognition.review.queue import ReviewQueue
from edge.recognition.review.rejections import RejectionIndex
from edge.recognition.store import index_manager as upkeep
from edge.recognition.store.collections import Collections
from edge.recognition.store.face_rows import NewFace
from edge.recognition.store.users import Users
from edge.releases.release_store import ReleaseStore

KEY, OTHER = vault_keys.new_key(), vault_keys.new_key()
FILES = {"collections.sqlite", "review.sqlite", "outbox.sqlite", "videos.sqlite", "api.sqlite"}


@pytest.fixture(autouse=True)
def _keys() -> Iterator[None]:
    vault_keys.use(KEY)
    yield
    vault_keys.use("")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Not encrypted yet."""
    folder = tmp_path / "state"
    build(folder)
    return folder


@pytest.fixture
def encrypted(state: Path) -> Path:
    encryption.turn_on(ANNOY, state)
    return state


def what_is_known(state: Path) -> dict[str, object]:
    """Everything that the product says of a state folder."""
    with Collections(state, ANNOY.collection, maintain=False) as collections:
        staff = collections.get("staff")
        users = Users(collections.store, "staff", staff.number)
        matches = staff.search(LOOKS[1][None], 3)[0]
        listed, _ = users.faces(user_id=USER)
        known: dict[str, object] = {
            "subjects": staff.subjects(), "kind": staff.state.kind, "faces": staff.faces(),
            "vectors": staff.vectors([face.face_id for face in staff.faces()]).tobytes(),
            "matches": [(match.subject, round(match.similarity, 5)) for match in matches],
            "user": [(face.external_image_id, owner) for face, owner in listed],
            "users": [user.user_id for user in users.page()], "user vector": users.vector(USER).tobytes(),  # type: ignore[union-attr]
        }  # fmt: skip
    with ReviewQueue(state, ReviewSettings()) as queue:
        known["questions"] = [(one.subject, one.nearest, one.crop, one.vector.tobytes()) for one in queue.doubts()]
        known["answers"] = [(one.subject, one.crop) for one in queue.answers()]
        known["strangers"] = [(one.name, one.looks.tobytes()) for one in queue.strangers.all()]
    anchors = RejectionIndex(state)
    known["held away"] = anchors.held_away("staff", SPACE.fingerprint, LOOKS[4][None], [staff_matches(state)])
    anchors.close()
    portraits = FaceCropStore(state)
    known["portraits"] = {who: list(map(portraits.picture, kept.values())) for who, kept in portraits.all().items()}
    portraits.close()
    outbox = Outbox(state / "outbox.sqlite", OutboxSettings(commit_seconds=0))
    known["events"] = [(item.event.track, item.event.type, item.event.identity.subject) for item in outbox.read(0, 100)]
    outbox.close()
    videos = JobStore(state)
    known["findings"] = [one.document for one in videos.findings("j1", "time", 0, 10)]
    known["job"] = videos.get("j1").request  # type: ignore[union-attr]
    videos.close()
    slots = ReleaseStore(state)
    known["blobs"] = {sha256: slots.read(sha256) for sha256 in slots.manifest("r1").private()}
    return known


def staff_matches(state: Path) -> list:
    with Collections(state, ANNOY.collection, maintain=False) as collections:
        return collections.get("staff").search(LOOKS[4][None], 3)[0]


def test_the_folder_of_these_tests_holds_all_kinds_of_secrets(state: Path) -> None:
    held = found(state)
    assert {*held} > FILES
    kinds = {what for secrets in held.values() for what in secrets}
    assert kinds >= {SUBJECT, USER, EXTERNAL, SHIPPED, "crop", "probe", "look 0"}
    assert any(name.endswith(".annoy") for name in held)


def test_no_name_no_embedding_and_no_picture_is_in_any_file(encrypted: Path) -> None:
    assert found(encrypted) == {}
    assert any((encrypted / "indexes").glob("*.annoy")), "the index is there, and sealed"


def test_the_same_is_known_before_and_after_on_rotate_and_off(state: Path) -> None:
    before = what_is_known(state)
    assert before["kind"] == "annoy"
    encryption.turn_on(ANNOY, state)
    assert what_is_known(state) == before
    vault_keys.use(f"{OTHER}\n{KEY}")
    assert encryption.rotate(ANNOY, state).damaged == 0
    vault_keys.use(OTHER)
    assert what_is_known(state) == before
    assert found(state) == {}
    encryption.turn_off(ANNOY, state)
    vault_keys.use("")
    assert what_is_known(state) == before
    assert not (state / vault.FILE).exists()


def test_what_is_written_afterwards_is_encrypted_from_the_start(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    encryption.turn_on(ANNOY, folder)
    build(folder)
    # the release of this test was put there by hand, and not fetched
    assert {name for name in found(folder) if not name.startswith("sync/blobs/")} == set()


@pytest.mark.parametrize("keys", ["", OTHER], ids=["none", "other"])
def test_without_its_key_nothing_opens_nothing_is_lost_and_it_is_said(encrypted: Path, keys: str) -> None:
    name = vault.state(encrypted).key  # type: ignore[union-attr]
    before = what_is_known(encrypted)
    vault_keys.use(keys)
    for opening in (
        lambda: Collections(encrypted, ANNOY.collection),
        lambda: Outbox(encrypted / "outbox.sqlite", OutboxSettings()),
        lambda: ReviewQueue(encrypted, ReviewSettings()),
        lambda: JobStore(encrypted),
        lambda: encryption.turn_on(ANNOY, encrypted),
        lambda: encryption.turn_off(ANNOY, encrypted),
        lambda: forget(SUBJECT, ANNOY, encrypted),
    ):
        with pytest.raises(SettingsError, match=name) as refused:
            opening()
        assert "storage-key" in refused.value.hint
    vault_keys.use(KEY)
    assert what_is_known(encrypted) == before


def test_a_mark_that_is_lost_is_made_again(encrypted: Path) -> None:
    before = what_is_known(encrypted)
    (encrypted / vault.FILE).unlink()
    with pytest.raises(StoreError, match="is gone"):
        Collections(encrypted, ANNOY.collection)
    encryption.turn_on(ANNOY, encrypted)
    assert what_is_known(encrypted) == before


def test_faces_and_names_cannot_be_exchanged(encrypted: Path) -> None:
    with contextlib.closing(sqlite3.connect(encrypted / "collections.sqlite", isolation_level=None)) as db:
        rows = db.execute("SELECT row, vector FROM faces ORDER BY row LIMIT 2").fetchall()
        (one, mine), (other, yours) = rows
        db.execute("UPDATE faces SET vector = ? WHERE row = ?", (yours, one))
        db.execute("UPDATE faces SET vector = ? WHERE row = ?", (mine, other))
        alice = db.execute("SELECT subject FROM faces WHERE row = ?", (one,)).fetchone()[0]
        last = db.execute("SELECT max(row) FROM faces").fetchone()[0]
        db.execute("UPDATE faces SET subject = ? WHERE row = ?", (alice, last))
    shutil.rmtree(encrypted / "indexes")
    with Collections(encrypted, ANNOY.collection, maintain=False) as collections:
        staff = collections.get("staff")
        assert staff.count == 5, "the three that were touched are left out"
        assert staff.search(look(0, 1)[None], 1)[0][0].similarity < 0.9
        with pytest.raises(StoreError, match="damaged, or was moved"):
            staff.vectors([face.face_id for face in staff.faces()])


def test_damaged_values_do_not_hold_up_the_others(encrypted: Path) -> None:
    with contextlib.closing(sqlite3.connect(encrypted / "collections.sqlite", isolation_level=None)) as db:
        db.execute("UPDATE faces SET vector = substr(vector, 1, 40) WHERE row = 1")
    assert encryption.turn_off(ANNOY, encrypted).damaged == 1
    with Collections(encrypted, ANNOY.collection, maintain=False) as collections:
        assert collections.get("staff").subjects()["bobby"] == 2


def test_a_program_that_was_open_before_writes_nothing_plain(state: Path) -> None:
    with Collections(state, ANNOY.collection, maintain=False) as collections:
        staff = collections.get("staff")
        assert staff.count
        # another process changes it meanwhile; here the write-ahead log is still shared, and it says so
        with contextlib.suppress(StoreError):
            encryption.turn_on(ANNOY, state)
        with pytest.raises(StoreError, match=r"encrypted meanwhile"):
            staff.add([NewFace(look(5), "late", "5" * 64, BOX)], SPACE)
    encryption.change(ANNOY, state, vault_keys.known()[next(iter(vault_keys.known()))])
    assert found(state) == {}


def test_a_large_index_is_built_by_a_child_that_is_told_the_key(
    encrypted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "APART", 1)
    shutil.rmtree(encrypted / "indexes")
    with Collections(encrypted, ANNOY.collection, maintain=False) as collections:
        staff = collections.get("staff")
        staff.rebuild()
        assert staff.state.kind == "annoy"
        assert staff.search(LOOKS[1][None], 1)[0][0].subject == SUBJECT
    assert found(encrypted) == {}


def test_forgetting_works_and_looks_for_what_is_left(encrypted: Path) -> None:
    gone = forget(SUBJECT, ANNOY, encrypted)
    assert (gone.faces, gone.events, gone.left) == (4, 2, ())
    known = vault.of(encrypted).name(SUBJECT)
    assert isinstance(known, bytes)
    assert not [path for path in encrypted.rglob("*") if path.is_file() and known in path.read_bytes()]
    (encrypted / "kept").write_bytes(b"x" + known)
    assert forget(SUBJECT, ANNOY, encrypted).left == (encrypted / "kept",)


def test_a_running_daemon_must_be_stopped_first(state: Path) -> None:
    with Lock(state), pytest.raises(ConflictError, match="in use"):
        encryption.turn_on(ANNOY, state)
    assert vault.state(state) is None


def kill_at(step: int, state: Path) -> bool:
    """Turn it on in a process of its own that is killed before its ``step``-th write; whether it came so far."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    left = step

    def watch(_: FrameType, event: str, called: object) -> None:
        nonlocal left
        name = getattr(called, "__name__", "")
        if event == "c_call" and name in {"execute", "executescript", "fsync", "replace", "unlink", "write", "rename"}:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(watch)
    try:
        encryption.change(ANNOY, state, next(iter(vault_keys.known().values())))
    finally:
        sys.setprofile(None)
        os._exit(0)


def test_killed_anywhere_nothing_is_lost_and_the_same_command_goes_on(state: Path, tmp_path: Path) -> None:
    before = what_is_known(state)
    kills = 0
    for step in range(1, 1000, 9):
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(state, copy, symlinks=True)
        if not kill_at(step, copy):
            break
        kills += 1
        if vault.state(copy) is not None and vault.state(copy).changing:  # type: ignore[union-attr]
            with pytest.raises(StoreError, match="interrupted"):
                Collections(copy, ANNOY.collection)
        with contextlib.suppress(ConflictError):  # it may have been done but for the index
            encryption.turn_on(ANNOY, copy)
        assert found(copy) == {}
        encryption.turn_off(ANNOY, copy)
        assert what_is_known(copy) == before
    assert 5 < kills < 100


def test_a_whole_life_on_the_command_line(state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    config = tmp_path / "edge.toml"
    config.write_text(written({"state": str(state)}))

    def run(*words: str) -> tuple[int, dict, str]:
        done = CliRunner().invoke(edge, ["--config", str(config), "encryption", *words, "--json"])
        return done.exit_code, json.loads(done.stdout or "{}"), str(done.exception or "")

    assert run("status")[1]["encrypted"] is False
    assert "there is no key" in run("on")[2]
    key = run("key")[1]["key"]
    (credentials / "storage-key").write_text(key + "\n")
    assert {*run("on")[1]["files"]} == FILES
    status = run("status")
    assert (status[0], status[1]["encrypted"], status[1]["known"]) == (0, True, [status[1]["key"]])
    assert "encrypted already" in run("on")[2]
    assert "first one" in run("rotate")[2]
    (credentials / "storage-key").write_text(f"{run('key')[1]['key']}\n{key}\n")
    assert run("rotate")[1]["key"] != status[1]["key"]
    (credentials / "storage-key").write_text(key)
    code, said, _ = run("status")
    assert code == 1
    assert "is encrypted with key" in said["trouble"]
    (credentials / "storage-key").write_text("not a key")
    assert "encryption.key" in run("status")[2]


def test_the_kept_picture_of_an_answer_opens(encrypted: Path) -> None:
    portraits = FaceCropStore(encrypted)
    pictures = [portraits.picture(number) for faces in portraits.all().values() for number in faces.values()]
    portraits.close()
    assert pictures == [CROP]
    slots = ReleaseStore(encrypted)
    assert PROBE in [slots.read(sha256) for sha256 in slots.manifest("r1").private()]


def test_pictures_with_corrected_boxes_are_encrypted_and_read_again(state: Path) -> None:
    proposed = (ProposedBox("helmet-of-bob", BOX, 0.9, True),)
    with ReviewQueue(state, ReviewSettings()) as queue:
        number = queue.pictures.put(ReviewPicture("helmets", 1.0, CROP * 9, proposed))
        queue.pictures.correct(number, [Annotation("visor-of-bob", BOX)])
        before = queue.pictures.get(number)
    encryption.turn_on(ANNOY, state)
    with ReviewQueue(state, ReviewSettings()) as queue:
        assert queue.pictures.get(number) == before
        queue.compact()
    stored = (state / "review.sqlite").read_bytes()
    assert not [word for word in (CROP * 9, b"helmet-of-bob", b"visor-of-bob") if word in stored]
