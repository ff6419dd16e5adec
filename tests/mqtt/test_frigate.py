"""Frigate's shapes, from our events."""

from __future__ import annotations

import json
from typing import Any

from rigs.events import ALICE, an_event

from edge.core.types import Box, Event
from edge.mqtt.frigate import FrigateMessage, Translator

FIELDS = {
    "id", "camera", "frame_time", "snapshot", "label", "sub_label", "top_score", "false_positive", "start_time",
    "end_time", "score", "computed_score", "box", "area", "ratio", "region", "active", "stationary",
    "motionless_count", "position_changes", "current_zones", "entered_zones", "has_clip", "has_snapshot", "attributes",
    "current_attributes", "current_estimated_speed", "average_estimated_speed", "velocity_angle", "path_data",
    "recognized_license_plate",
}  # fmt: skip
"""of ``before`` and ``after``, as Frigate 0.16 sends them"""


def a_translator() -> Translator:
    return Translator("frigate", {"door": (1280, 720), "yard": (640, 480)}, frozenset({"door"}))


def said(translator: Translator, *events: Event) -> list[dict[str, Any]]:
    messages = [one for event in events for one in translator.messages(event)]
    return [json.loads(one.payload) for one in messages if one.topic == "frigate/events"]


def test_a_track_is_new_then_updated_then_ended_under_one_id() -> None:
    story = said(
        a_translator(), an_event("new"), an_event("update", identity=ALICE, zones=("mat", "step")), an_event("end")
    )
    assert [one["type"] for one in story] == ["new", "update", "end"]
    assert len({one["after"]["id"] for one in story}) == 1
    for one in story:
        assert one["before"].keys() == one["after"].keys() == FIELDS
    assert story[1]["before"]["sub_label"] is None
    assert story[1]["after"]["sub_label"] == ["alice", 0.8312]
    assert story[1]["after"]["entered_zones"] == ["mat", "step"]
    assert story[2]["before"] == story[1]["after"]
    assert story[1]["after"]["end_time"] is None
    assert story[2]["after"]["end_time"] is not None


def test_boxes_are_pixels_inside_the_frame() -> None:
    (one,) = said(a_translator(), an_event("new", box=Box(-0.1, 0.5, 0.5, 1.2)))
    assert one["after"]["box"] == [0, 360, 640, 720]
    assert one["after"]["area"] == 640 * 360
    assert one["after"]["ratio"] == 1.78


def test_counts_are_told_when_they_change_and_only_then() -> None:
    translator = a_translator()
    events = [
        an_event("new", "1"),
        an_event("new", "2"),
        an_event("update", "1"),
        an_event("end", "1"),
        an_event("end", "2"),
    ]
    messages = [one for event in events for one in translator.messages(event)]
    counts = [(one.topic, one.payload) for one in messages if one.topic == "frigate/door/face"]
    assert counts == [("frigate/door/face", number) for number in (b"1", b"2", b"1", b"0")]
    assert [one.payload for one in messages if one.topic == "frigate/door/all"] == [b"1", b"2", b"1", b"0"]


def test_an_end_without_a_beginning_is_not_told() -> None:
    assert said(a_translator(), an_event("end")) == []


def test_a_track_first_heard_of_by_an_update_is_new() -> None:
    assert [one["type"] for one in said(a_translator(), an_event("update"))] == ["new"]


def test_no_label_reaches_a_topic_that_does_not_fit_in_one() -> None:
    messages = a_translator().messages(an_event("new", label="a/#+b"))
    assert {one.topic for one in messages} == {"frigate/events", "frigate/door/all"}
    assert a_translator().snapshot("door", "a/b", b"jpeg") == []
    assert a_translator().snapshot("door", "face", b"jpeg") == [
        FrigateMessage("frigate/door/face/snapshot", b"jpeg", True)
    ]
