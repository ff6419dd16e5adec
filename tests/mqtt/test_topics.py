"""No name from outside builds a topic that it may not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.errors import InputError
from edge.mqtt import topics
from edge.mqtt.topics import Address, Topics

BAD = ["", "a/b", "a+", "#", "+", "a b", "ä", "a\x00", "a\n", "x" * 300, "../x", "$SYS"]


def test_the_topics_are_those_of_the_design() -> None:
    porch = Topics("porch")
    assert porch.status == "edge/v1/porch/up/status"
    assert porch.event("door") == "edge/v1/porch/up/event/door"
    assert porch.state("door") == "edge/v1/porch/up/state/door"
    assert porch.rekognition("my.processor") == "edge/v1/porch/up/rekognition/my.processor"
    assert porch.ack == "edge/v1/porch/down/ack"
    assert porch.commands == "edge/v1/porch/down/cmd/+"
    assert topics.reports() == "edge/v1/+/up/#"
    assert topics.reports("porch", "event") == "edge/v1/porch/up/event/+"
    assert topics.reports(kind="status") == "edge/v1/+/up/status"


@pytest.mark.parametrize("name", BAD)
def test_a_name_that_may_not_be_in_a_topic_is_refused(name: str) -> None:
    porch = Topics("porch")
    for build in (Topics, porch.event, porch.state, porch.snapshot, porch.rekognition, porch.response, porch.command):
        with pytest.raises(InputError):
            build(name)
    with pytest.raises(InputError):
        topics.reports(name or "?", "event")
    with pytest.raises(InputError):
        topics.reports("porch", f"x{name}")


@pytest.mark.parametrize("name", ["Porch", "-porch", "po_rch", "x" * 64, "porch."])
def test_a_device_name_is_lower_case_and_may_be_a_host_name(name: str) -> None:
    with pytest.raises(InputError):
        Topics(name)


@given(st.from_regex(topics.CAMERA, fullmatch=True))
def test_what_is_built_can_be_taken_apart(camera: str) -> None:
    assert topics.parse(Topics("porch").event(camera)) == Address("porch", "up", "event", camera)


def test_topics_without_a_name_can_be_taken_apart() -> None:
    assert topics.parse("edge/v1/porch/down/ack") == Address("porch", "down", "ack")


@pytest.mark.parametrize(
    "topic",
    [
        *(
            "edge/v1/porch/up/event",
            "edge/v1/porch/up/status/door",
            "edge/v1/porch/down/event/door",
            "edge/v2/porch/up/x",
        ),
        *(
            "edge/v1/porch/up/event/door/x",
            "edge/v1//up/status",
            "edge/v1/porch/sideways/status",
            "edge/v1/porch/up/event/",
        ),
        *("", "/", "edge/v1/porch/up/event/" + "x" * 1000),
    ],
)
def test_a_topic_that_is_none_of_ours_is_an_input_error(topic: str) -> None:
    with pytest.raises(InputError):
        topics.parse(topic)


@given(
    st.text() | st.lists(st.sampled_from(["edge", "v1", "up", "down", "event", "+", "#", "\x00", "a"])).map("/".join)
)
def test_any_topic_is_an_address_or_an_input_error(topic: str) -> None:
    try:
        address = topics.parse(topic)
    except InputError:
        return
    assert topic == "/".join(
        part for part in ("edge/v1", address.device, address.half, address.kind, address.name) if part
    )
