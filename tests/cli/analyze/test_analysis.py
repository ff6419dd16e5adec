"""Stored videos and pictures: events with the time of the video, who was there, a video and a page of it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import av
import pytest
from click.testing import CliRunner
from rigs.fakes import a_frame, a_model_set, ids
from rigs.settings_files import write

from edge.cli.analyze.analysis import Step, stored_files
from edge.cli.analyze.appearances import Appearances
from edge.cli.analyze.page import moment, page
from edge.cli.main import edge
from edge.core.errors import InputError
from edge.core.settings.schema import Settings
from edge.core.settings.vision import CameraSettings
from edge.pipeline.pipeline import Pipeline

DETECTOR = {"detectors": ["ulffd-landmark-320"]}
LABELS = {"face": {"embedder": "mobilefacenet-112-int8", "collection": "faces"}}


def steps_of(count: int, source: Path = Path("a.mp4")) -> list[Step]:
    settings = Settings(cameras=(CameraSettings(name="door", detectors=("fake",)),))
    pipeline = Pipeline(settings.cameras[0], settings, a_model_set(), ids())
    found = []
    for number in range(count):
        frame = a_frame(number)
        result = pipeline.process(frame)
        events = result.events
        if number == count - 1:
            events = [*events, *pipeline.finish()]
        found.append(Step(source, frame, result.tracks, events))
    return found


def test_who_was_there_has_a_name_a_time_and_a_picture() -> None:
    seen = Appearances()
    for step in steps_of(10):
        seen.look(step)
    (alice,) = seen.by_name()["alice"]
    assert alice.started == 0.0
    assert alice.ended == pytest.approx(1.8, abs=0.01)
    assert alice.jpeg.startswith(b"\xff\xd8")


def test_names_cannot_break_the_page() -> None:
    seen = Appearances()
    for step in steps_of(10, Path("<script>x.mp4")):
        seen.look(step)
    text = page("<b>", {"<i>alice": seen.ended})
    assert "&lt;i&gt;alice" in text
    assert "<script>" not in text
    assert "data:image/jpeg;base64," in text
    assert "Nobody" in page("nothing", {})


def test_times_read_as_people_write_them() -> None:
    assert [moment(0.04), moment(62.39), moment(3661)] == ["0:00.0", "1:02.3", "1:01:01"]


def test_a_path_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        stored_files([tmp_path / "x.mp4"])


def test_a_video_gives_events_a_video_and_a_page(shared: Path, tmp_path: Path) -> None:
    config = write(tmp_path, shared / "models", DETECTOR, labels=LABELS)
    videos = shared / "data" / "video"
    run = CliRunner()
    at = ["--config", str(config)]
    portrait = str(videos / "lin-manuel-miranda.png")
    assert run.invoke(edge, [*at, "enroll", "faces", portrait, "--subject", "lin"]).exit_code == 0
    out, index = tmp_path / "out.mp4", tmp_path / "who.html"
    clip = str(videos / "short_hamilton_clip.mp4")
    answer = run.invoke(edge, [*at, "analyze", clip, "--video", str(out), "--page", str(index)])
    assert answer.exit_code == 0, answer.stderr
    events = [json.loads(line) for line in answer.stdout.splitlines()]
    assert all(0 <= event["video_time"] <= 10 for event in events), "ends at the end of the video have one as well"
    kinds = Counter(event["type"] for event in events)
    assert kinds["new"] == kinds["end"] >= 4
    assert "lin" in {event["identity"]["subject"] for event in events if event["identity"]["state"] == "known"}
    assert ">lin</a>" in index.read_text()
    with av.open(str(out)) as video:
        assert 40 <= sum(1 for _ in video.decode(video=0)) <= 50, "9.2 seconds, 5 a second"
    assert not list(tmp_path.glob(".*part*"))


def test_a_picture_is_looked_at_by_itself_and_one_that_is_none_is_passed(shared: Path, tmp_path: Path) -> None:
    config = write(tmp_path, shared / "models", DETECTOR, labels=LABELS)
    bad = tmp_path / "pictures" / "bad.jpg"
    bad.parent.mkdir()
    bad.write_bytes(b"not a picture")
    portrait = shared / "data" / "video" / "lin-manuel-miranda.png"
    answer = CliRunner().invoke(edge, ["--config", str(config), "analyze", str(bad.parent), str(portrait)])
    assert answer.exit_code == 0, answer.stderr
    assert "skipped" in answer.stderr
    events = [json.loads(line) for line in answer.stdout.splitlines()]
    assert [event["type"] for event in events if event["type"] != "update"] == ["new", "end"]
    assert {event["source"] for event in events} == {str(portrait)}
