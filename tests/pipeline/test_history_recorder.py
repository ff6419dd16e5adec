"""What the daemon records while it watches: every track once, with its looks and the reason for its name."""

from __future__ import annotations

from pathlib import Path

import pytest
from rigs.fakes import CountsEmbeddings, KnowsAlice, a_frame, a_model_set, ids

from edge.core.settings.schema import Settings
from edge.core.settings.services import HistorySettings
from edge.core.settings.vision import CameraSettings
from edge.core.system import hardware
from edge.core.types import Quality
from edge.pipeline.history import Appearance, HistoryFilter, HistoryStore
from edge.pipeline.history_recorder import HistoryRecorder
from edge.pipeline.pipeline import Pipeline


def recorded(folder: Path, similarity: float, pictures: bool = False, erased: str = "") -> list[Appearance]:
    """A face that stands before the camera for two seconds, ``similarity`` to alice."""
    settings = Settings(
        cameras=(CameraSettings(name="door", detectors=("fake",)),), history=HistorySettings(pictures=pictures)
    )
    model_set = a_model_set(embedder=CountsEmbeddings(Quality(0.9)), collection=KnowsAlice(similarity))
    pipeline = Pipeline(settings.cameras[0], settings, model_set, ids())
    store = HistoryStore(folder, settings.history)
    recorder = HistoryRecorder(store, settings.history)
    for number in range(10):
        result = pipeline.process(a_frame(number))
        recorder.on_events(result.events)
        recorder.on_frame(result)
        recorder.tick(float(number))
    if erased:
        recorder.erase(erased)
    recorder.on_events(pipeline.finish())
    recorder.flush()
    found = [store.get(one.id) for one in store.find(HistoryFilter())]
    recorder.close()
    return found


def test_a_known_subject_is_one_appearance_with_the_looks_that_named_it(tmp_path: Path) -> None:
    (one,) = recorded(tmp_path, 0.9)
    assert (one.state, one.subject, one.camera, one.label) == ("known", "alice", "door", "face")
    assert one.ended is not None
    assert len(one.looks) >= 2
    for look in one.looks:
        assert (look.subject, look.quality, look.needed) == ("alice", 0.9, 80.0)
        assert look.likeness is not None
        assert look.runner_up is not None
        assert look.likeness > 80 > look.runner_up
    assert one.picture == b"", "no picture is kept unless the settings say so"


def test_an_unknown_face_tells_by_how_much_nobody_matched(tmp_path: Path) -> None:
    (one,) = recorded(tmp_path, 0.2)
    assert (one.state, one.subject) == ("unknown", None)
    assert all(look.likeness is not None and look.likeness < 80 for look in one.looks)


def test_a_picture_is_kept_where_the_settings_say_so(tmp_path: Path) -> None:
    (one,) = recorded(tmp_path, 0.9, pictures=True)
    store = HistoryStore(tmp_path, HistorySettings(pictures=True))
    assert store.picture(one.id).startswith(b"\xff\xd8")
    store.close()


def test_a_subject_that_is_erased_meanwhile_is_not_written_again(tmp_path: Path) -> None:
    recorded(tmp_path, 0.9, erased="alice")
    store = HistoryStore(tmp_path, HistorySettings())
    store.forget("alice")
    store.close()
    assert b"alice" not in b"".join(file.read_bytes() for file in tmp_path.glob("history.sqlite*"))


def test_a_disk_that_refuses_costs_the_history_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = HistoryStore(tmp_path, HistorySettings())
    recorder = HistoryRecorder(store, HistorySettings())
    recorder._changed["x"] = Appearance("x", "door", "face", 1.0)
    store._db._db.execute("PRAGMA query_only = ON")
    recorder.tick(100.0)
    assert "history is lost" in caplog.text
    store._db._db.execute("PRAGMA query_only = OFF")
    recorder._changed["y"] = Appearance("y", "door", "face", 1.0)
    recorder.tick(200.0)
    assert store.count() == 1


def test_the_time_is_put_right_when_the_clock_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = "unsynced"
    monkeypatch.setattr(hardware, "clock", lambda: clock)
    store = HistoryStore(tmp_path, HistorySettings())
    recorder = HistoryRecorder(store, HistorySettings())
    early = Appearance("1-1", "door", "face", 100.0, 110.0, boot=recorder._boot, monotonic=7.0, synced=False)
    store.put([early])
    recorder.tick(10.0)
    assert not store.get(1).synced
    clock = "synced"
    recorder.tick(20.0)
    one = store.get(1)
    assert one.synced
    assert one.started > 1e9
    assert one.ended == pytest.approx(one.started + 10)
