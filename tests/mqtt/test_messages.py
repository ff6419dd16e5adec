"""What travels is what the design says; what comes from outside is read whole or refused with a reason."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rigs.events import ALICE, an_event

from edge.core.errors import InputError
from edge.core.types import CustomLabel, FaceAttribute, IdentityState, Queued
from edge.mqtt import messages
from edge.mqtt.messages import (
    CameraPresenceDocument,
    CameraStats,
    DeliveryMark,
    DeviceStatus,
    Info,
    PresenceEntry,
    Reported,
    Stats,
    WireEvent,
    event_json,
    parse,
    to_json,
)
from edge.mqtt.outbox import store as codec

DOCUMENTS = [
    DeviceStatus(True, 3),
    Info("porch", "0.1.0", 3, cameras=("door",), models={"face": "ab"}, capabilities=("snapshots",)),
    CameraPresenceDocument(
        "door", "ok", 1763800000.1, (PresenceEntry("3-1", "face", IdentityState.KNOWN, "alice", 0.83),), {"face": 1}
    ),
    Stats(1763800000.1, 12.5, {"door": CameraStats("ok", 4.9, 100, 2)}, {"detect": {"p50": 12.0}}, {"waiting": 0}),
    Reported("2026-11-22.1", "probation", progress=0.5),
    DeliveryMark(3, 4711),
]


def wire(**changes: Any) -> dict[str, Any]:
    document = json.loads(event_json("porch", Queued(1, 3, 4711, 4700, an_event("new", identity=ALICE))))
    return document | changes  # type: ignore[no-any-return]


def test_custom_labels_travel_and_come_back_and_are_absent_where_there_are_none() -> None:
    told = (CustomLabel("forklift", 0.81234, "yard/2"),)
    event = dataclasses.replace(an_event("new"), custom_labels=told, whole=True)
    document = json.loads(event_json("porch", Queued(1, 3, 4711, 4700, event)))
    assert document["custom_labels"] == [{"name": "forklift", "score": 0.8123, "version": "yard/2"}]
    assert document["whole"] is True
    back = parse(WireEvent, json.dumps(document).encode()).event
    assert (back.custom_labels, back.whole) == ((CustomLabel("forklift", 0.8123, "yard/2"),), True)
    assert codec.load(codec.dump(event)) == event
    assert wire().keys().isdisjoint({"custom_labels", "whole"})


def test_attributes_of_a_face_travel_and_come_back_and_are_absent_where_there_are_none() -> None:
    seen = (FaceAttribute("smile", "yes", 0.91), FaceAttribute("age_range", "25-40", 0.0))
    event = dataclasses.replace(an_event("new"), attributes=seen)
    document = json.loads(event_json("porch", Queued(1, 3, 4711, 4700, event)))
    assert document["attributes"][0] == {"name": "smile", "value": "yes", "score": 0.91}
    assert parse(WireEvent, json.dumps(document).encode()).event.attributes == seen
    assert codec.load(codec.dump(event)) == event
    assert "attributes" not in wire()


def test_the_text_of_a_word_travels_and_comes_back_and_is_absent_where_there_is_none() -> None:
    event = dataclasses.replace(an_event("new"), label="text", text="AB-123")
    document = json.loads(event_json("porch", Queued(1, 3, 4711, 4700, event)))
    assert document["text"] == "AB-123"
    assert parse(WireEvent, json.dumps(document).encode()).event.text == "AB-123"
    assert codec.load(codec.dump(event)) == event
    assert "text" not in wire()


def test_an_event_is_written_as_the_design_draws_it() -> None:
    event = an_event("new", "3-12", identity=ALICE, time=1763800000.1234, started=1763799999.8, release="2026-11-22.1")
    document = json.loads(event_json("porch", Queued(9, 3, 4711, 4700, event)))
    assert document == {
        "v": 1,
        "id": "porch/3/4711",
        "device": "porch",
        "epoch": 3,
        "seq": 4711,
        "type": "new",
        "camera": "door",
        "track": "3-12",
        "label": "face",
        "score": 0.93,
        "box": {"left": 0.41, "top": 0.22, "width": 0.12, "height": 0.22},
        "zones": ["mat"],
        "identity": {
            "state": "known",
            "subject": "alice",
            "similarity": 0.8312,
            "runner_up": 0.31,
            "face_id": "face-1",
            "collection": "staff",
        },
        "time": 1763800000.123,
        "started": 1763799999.8,
        "ended": None,
        "clock": "synced",
        "release": "2026-11-22.1",
    }


def test_what_only_some_events_have_is_only_in_those() -> None:
    ended = Queued(9, 3, 12, 11, an_event("end", reason="left", video_time=3.20004))
    document = json.loads(event_json("porch", ended, with_after=True))
    assert (document["reason"], document["video_time"], document["after"]) == ("left", 3.2, 11)


def test_an_event_comes_back_as_it_went() -> None:
    for event in (an_event("new", identity=ALICE), an_event("end", reason="restart", clock="unsynced")):
        back = parse(WireEvent, event_json("porch", Queued(9, 3, 12, 11, event))).event
        assert dataclasses.astuple(back.box) == pytest.approx(dataclasses.astuple(event.box), abs=1e-4)
        assert back.identity.similarity == pytest.approx(event.identity.similarity, abs=1e-4)
        rounded = {"box": back.box, "identity": back.identity, "started": back.started}
        assert back == dataclasses.replace(event, **rounded)
        assert back.started == pytest.approx(event.started, abs=1e-3)


@pytest.mark.parametrize("name", ["\ud800", "x" * 10_000, "../x", "🙂", "a\x00b", '"}'])
def test_no_name_of_a_subject_or_label_keeps_an_event_from_traveling(name: str) -> None:
    identity = dataclasses.replace(ALICE, subject=name)
    event = an_event("new", identity=identity, label=name)
    assert parse(WireEvent, event_json("porch", Queued(1, 3, 1, 0, event))).type == "new"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: type(document).__name__)
def test_every_document_comes_back_as_it_went(document: Any) -> None:
    assert parse(type(document), to_json(document)) == document


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: type(document).__name__)
def test_fields_that_are_not_known_are_ignored(document: Any) -> None:
    values = json.loads(to_json(document)) | {"new_in_v1_1": {"x": 1}}
    assert parse(type(document), json.dumps(values).encode()) == document


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"v": 2}, "v"),
        ({"type": "gone"}, "type"),
        ({"device": "../x"}, "device"),
        ({"camera": "a/b"}, "camera"),
        ({"epoch": 0}, "epoch"),
        ({"seq": "12"}, "seq"),
        ({"seq": True}, "seq"),
        ({"seq": 10**400}, "seq"),
        ({"score": 1.5}, "score"),
        ({"score": math.nan}, "score"),
        ({"box": [0, 0, 1, 1]}, "box"),
        ({"identity": {"state": "sure"}}, "identity.state"),
        ({"zones": "mat"}, "zones"),
        ({"time": -1}, "time"),
        ({"label": ""}, "label"),
        ({"label": "x" * 256}, "label"),
    ],
)
def test_an_event_that_breaks_a_rule_is_refused_by_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError, match=field) as refused:
        parse(WireEvent, json.dumps(wire(**changes)).encode())
    assert len(refused.value.message) <= 300


def test_numbers_that_are_not_finite_are_not_written() -> None:
    with pytest.raises(InputError):
        to_json(Stats(math.inf, 0.0))


def test_a_message_that_is_too_large_is_not_even_read() -> None:
    with pytest.raises(InputError, match="at most"):
        parse(WireEvent, b" " * (messages.MAX_EVENT + 1))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
@example(b"[" * 10_000)
@example(b'{"v":1e999}')
@example(b'{"epoch":' + b"9" * 5000 + b"}")
@example(b'"\\ud800"')
@example(b"")
def test_any_bytes_are_a_document_or_an_input_error(payload: bytes) -> None:
    for kind in (WireEvent, DeviceStatus, Info, CameraPresenceDocument, Stats, Reported, DeliveryMark):
        try:
            parse(kind, payload)
        except InputError:
            continue


@given(st.sampled_from(sorted(wire())), JSON)
def test_an_event_with_any_field_changed_is_read_or_refused(field: str, value: Any) -> None:
    try:
        event = parse(WireEvent, json.dumps(wire(**{field: value})).encode())
    except InputError:
        return
    assert event.event.camera == event.camera


def test_the_types_give_a_json_schema() -> None:
    schema = messages.adapter(WireEvent).json_schema()
    assert set(wire()) <= set(schema["properties"])
    assert {"device", "epoch", "seq", "type"} <= set(schema["required"])
