"""What Home Assistant is told: complete, valid by its documentation, and taken back when it is no more."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rigs.events import ALICE, an_event

from edge.core.types import IdentityState
from edge.mqtt import homeassistant as discovery
from edge.mqtt.homeassistant import CameraEntities, DeviceDescription, RecognizedTracks

REQUIRED = {
    "binary_sensor": {"state_topic"},
    "sensor": {"state_topic"},
    "event": {"state_topic", "event_types"},
    "image": {"image_topic"},
    "switch": {"command_topic"},
    "update": {"state_topic"},
}
"""what each platform must have, by Home Assistant's documentation"""
KNOWN = {
    "p", "name", "unique_id", "state_topic", "value_template", "device_class", "entity_category", "icon", "state_class",
    "unit_of_measurement", "event_types", "image_topic", "content_type", "command_topic", "payload_on", "payload_off",
    "state_on", "state_off",
}  # fmt: skip


def described(**changes: object) -> DeviceDescription:
    cameras = (CameraEntities("door", ("face", "person"), True), CameraEntities("yard", ("person",)))
    values: dict[str, object] = {"subjects": ("alice", "bob"), "switches": True, "cameras": cameras} | changes
    return DeviceDescription("porch", "1.2", "Raspberry Pi 5", **values)  # type: ignore[arg-type]


def test_every_entity_has_what_its_platform_needs_and_an_id_of_its_own() -> None:
    message = discovery.config(described())
    assert message["dev"]["ids"] == ["edge_porch"]
    assert message["o"]["name"] == "edge"
    ids = [one["unique_id"] for one in message["cmps"].values()]
    assert len(set(ids)) == len(ids)
    for name, one in message["cmps"].items():
        assert re.fullmatch(r"[A-Za-z0-9_-]+", name)
        assert REQUIRED[one["p"]] <= one.keys()
        assert one.keys() <= KNOWN


def test_there_is_an_entity_for_everything_that_is_promised() -> None:
    components = discovery.config(described())["cmps"]
    count = [one["p"] for one in components.values()]
    assert {kind: count.count(kind) for kind in REQUIRED} == {
        "binary_sensor": 2 + 2 + 2 * 2,  # occupancy and somebody unknown by camera, presence by camera and subject
        "sensor": 4 + 2 * 4 + 3,  # the device's, the cameras', and counts by camera and label
        "event": 2 * 2,
        "image": 1,
        "switch": 2,
        "update": 1,
    }
    assert components["door_image"]["image_topic"] == "edge/v1/porch/up/snapshot/door"


def test_pictures_and_switches_are_there_only_where_they_are_wanted() -> None:
    bare = described(cameras=(CameraEntities("door", ("face",)),), switches=False)
    assert {one["p"] for one in discovery.config(bare)["cmps"].values()}.isdisjoint({"image", "switch"})


def test_a_custom_label_is_there_or_not_and_one_of_the_whole_picture_is_nobody() -> None:
    jinja2 = pytest.importorskip("jinja2", reason="needs jinja2, which runs Home Assistant's templates")
    camera = CameraEntities("yard", ("person",), custom_labels=("gate open", "forklift"))
    components = discovery.config(described(cameras=(camera,)))["cmps"]
    state = {"present": [{"whole": True}], "counts": {"gate open": 1}, "subjects": [], "status": "live"}

    def value(name: str) -> str:
        return str(jinja2.Environment(autoescape=False).from_string(components[name]["value_template"]).render(
            value_json=state
        ))  # fmt: skip

    assert value(f"yard_custom_{discovery.subject_id('gate open')}") == "ON"
    assert value(f"yard_custom_{discovery.subject_id('forklift')}") == "OFF"
    assert value("yard_occupancy") == "OFF"


def test_a_switch_asks_for_what_the_device_understands() -> None:
    switch = discovery.config(described())["cmps"]["door_enabled"]
    assert switch["command_topic"] == "edge/v1/porch/down/cmd/camera"
    assert json.loads(switch["payload_off"]) == {"arguments": {"camera": "door", "enabled": False}}


def test_an_entity_that_is_no_more_is_taken_back_by_its_platform_alone() -> None:
    before = discovery.platforms(discovery.config(described()))
    message = discovery.config(described(subjects=("alice",)), before)
    gone = f"door_subject_{discovery.subject_id('bob')}"
    assert message["cmps"][gone] == {"p": "binary_sensor"}
    assert gone not in discovery.platforms(message)


def test_the_number_of_subjects_is_bounded() -> None:
    names = [f"subject {number}" for number in range(500)]
    assert len(discovery.described_subjects(names, 32)) == 32


@given(st.text(min_size=1, max_size=40))
def test_no_name_of_a_subject_can_end_its_template(name: str) -> None:
    literal = discovery.quoted(name)
    assert re.fullmatch(r'"([A-Za-z0-9]|\\u[0-9a-f]{4}|\\U[0-9a-f]{8})*"', literal)
    if not any(0xD800 <= ord(c) <= 0xDFFF for c in name):
        assert literal[1:-1].encode("ascii").decode("unicode_escape") == name


def test_templates_give_what_the_entities_expect() -> None:
    jinja2 = pytest.importorskip("jinja2", reason="needs jinja2, which runs Home Assistant's templates")
    components = discovery.config(described(subjects=("al'ice \" }}",)))["cmps"]

    def value(name: str, document: object) -> str:
        template = jinja2.Environment(autoescape=False).from_string(components[name]["value_template"])
        return str(template.render(value_json=document))

    state = {"present": [{"whole": False}], "counts": {"face": 2}, "subjects": ["al'ice \" }}"], "status": "live"}
    subject = discovery.subject_id("al'ice \" }}")
    assert value("door_occupancy", state) == "ON"
    assert value("door_occupancy", state | {"present": []}) == "OFF"
    assert value(f"door_subject_{subject}", state) == "ON"
    assert value(f"door_subject_{subject}", state | {"subjects": []}) == "OFF"
    assert value(f"door_count_{discovery.subject_id('face')}", state) == "2"
    assert value(f"door_count_{discovery.subject_id('person')}", state) == "0"
    assert value("door_enabled", state | {"status": "off"}) == "OFF"
    event = {"type": "new", "label": "face", "score": 0.9, "identity": {"subject": None, "state": "pending"},
             "zones": [], "track": "1-1", "id": "a/1/1"}  # fmt: skip
    assert json.loads(value("door_event", event))["event_type"] == "new"
    assert value("door_last_who", event) == "face"
    assert value("door_last_who", event | {"custom_labels": [{"name": "forklift"}]}) == "forklift"
    assert json.loads(value("door_event", event | {"custom_labels": [{"name": "forklift"}]}))["custom_labels"] == [
        "forklift"
    ]
    reported = {"release": "r1", "desired": "r2", "phase": "downloading", "progress": 0.5}
    assert json.loads(value("release", reported))["latest_version"] == "r2"
    assert (
        json.loads(value("release", {"release": "", "desired": "", "phase": "idle", "progress": 0}))[
            "installed_version"
        ]
        == "none"
    )


def test_somebody_unknown_and_zones_have_entities() -> None:
    jinja2 = pytest.importorskip("jinja2", reason="needs jinja2, which runs Home Assistant's templates")
    cameras = (
        CameraEntities("door", ("face",), zones=("mat", "it's \" }}")),
        CameraEntities("yard", ("dog",), recognizes=False),
    )
    components = discovery.config(described(cameras=cameras))["cmps"]
    assert not any(name.startswith("yard") and name.endswith(("unknown", "recognized")) for name in components)
    present = [{"state": "unknown", "zones": ["mat"], "whole": False}, {"state": "known", "zones": [], "whole": False}]

    def value(name: str, there: list[dict[str, object]]) -> str:
        template = jinja2.Environment(autoescape=False).from_string(components[name]["value_template"])
        return str(template.render(value_json={"present": there}))

    assert value("door_unknown", present) == "ON"
    assert value("door_unknown", present[1:]) == "OFF"
    mat, other = (f"door_zone_{discovery.subject_id(zone)}" for zone in cameras[0].zones)
    assert value(mat, present) == "ON"
    assert value(mat, present[1:]) == "OFF"
    assert value(other, present) == "OFF"


@pytest.mark.parametrize(
    ("camera", "name"), [("door", "door occupancy"), ("porch", "Occupancy"), ("porch-door", "door occupancy"),
                         ("Porch_2", "2 occupancy"), ("porchlight", "porchlight occupancy")]
)  # fmt: skip
def test_the_name_of_the_device_is_not_repeated(camera: str, name: str) -> None:
    components = discovery.config(described(cameras=(CameraEntities(camera, ("face",)),)))["cmps"]
    assert components[f"{camera}_occupancy"]["name"] == name
    repeated = [one["name"] for one in components.values() if one["name"].lower().startswith("porch ")]
    assert not repeated


def test_the_page_is_linked_and_a_missing_sensor_has_no_entity() -> None:
    message = discovery.config(described(page="http://porch.local:8480/", temperature=False))
    assert message["dev"]["cu"] == "http://porch.local:8480/"
    assert "temperature" not in message["cmps"]
    assert "cu" not in discovery.config(described())["dev"]


@pytest.mark.parametrize(("cameras", "subjects", "most"), [(12, 120, 262_144), (21, 200, 262_144), (4, 200, 20_000)])
def test_however_many_entities_there_are_each_message_fits(cameras: int, subjects: int, most: int) -> None:
    many = described(
        cameras=tuple(CameraEntities(f"camera{n}", ("face", "person")) for n in range(cameras)),
        subjects=tuple(f"Person Number {n:03d}" for n in range(subjects)),
    )
    found = discovery.announcements("homeassistant", many, {}, most)
    assert len(found) == cameras + 1
    assert all(len(one.payload) <= most for one in found)
    named = {name for one in found for name in one.message["cmps"]}
    assert {f"camera{n}_occupancy" for n in range(cameras)} | {"release"} <= named
    ids = [part["unique_id"] for one in found for part in one.message["cmps"].values()]
    assert len(ids) == len(set(ids))
    present = [name for name in named if "_subject_" in name]
    assert len(present) == cameras * (subjects - found[1].left_out)
    assert (found[1].left_out > 0) == (most < 100_000)


def test_entities_that_moved_to_another_message_are_removed_from_the_first() -> None:
    few, many = described(subjects=()), described(subjects=tuple(f"p{n}" for n in range(200)))
    (whole,) = discovery.announcements("ha", few, {}, 60_000)
    gone = {whole.topic: discovery.platforms(whole.message)}
    first, *_ = discovery.announcements("ha", many, gone, 60_000)
    assert first.message["cmps"]["door_occupancy"] == {"p": "binary_sensor"}


def test_a_recognition_is_told_once_for_each_track() -> None:
    tracks = RecognizedTracks()
    bob = replace(ALICE, subject="bob")
    doubtful = replace(ALICE, state=IdentityState.UNCERTAIN)
    story = [
        (an_event("new", "1"), None),
        (an_event("update", "1", identity=doubtful), None),
        (an_event("update", "1", identity=ALICE), "alice"),
        (an_event("new", "2", identity=ALICE), "alice"),
        (an_event("update", "1", identity=ALICE), None),
        (an_event("update", "1", identity=doubtful), None),
        (an_event("update", "1", identity=ALICE), None),
        (an_event("update", "1", identity=bob), "bob"),
        (an_event("end", "1", identity=bob), None),
        (an_event("end", "2", identity=ALICE), None),
        (an_event("end", "3", identity=ALICE), "alice"),
    ]
    for number, (event, subject) in enumerate(story):
        told = tracks.message(event)
        assert (told.subject if told else None) == subject, number
    assert not tracks._named
