"""Questions travel from devices to the hub and answers back: over a real broker, through the real command gate."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from rigs.device import Subscriber
from rigs.mosquitto import Mosquitto
from rigs.review_faces import CROP, look
from rigs.sharing_device import KEY, SharingDevice, mqtt, sharing_device
from rigs.waiting import eventually

from edge.core.errors import ConflictError, DeliveryError
from edge.core.settings.messaging import HubSettings
from edge.hub.command_client import CommandClient
from edge.hub.review.exchanger import ReviewExchanger
from edge.hub.review.questions import grouped
from edge.hub.review.store import FleetQuestions
from edge.hub.review.sync import ReviewExchange, exchange


@dataclass
class Fleet:
    """Two devices that share their questions, and the hub's store."""

    port: int
    porch: SharingDevice
    hall: SharingDevice
    store: FleetQuestions

    def exchange(self, device: SharingDevice) -> ReviewExchange:
        with CommandClient(mqtt(self.port)) as client:
            return exchange(client, device.name, KEY, self.store, timeout=20)

    def faces(self) -> dict[int, list[tuple[str, int]]]:
        found = grouped(self.store.looks(), self.store.answers())
        return {face: sorted((each.device, each.look.id) for each in one.looks) for face, one in found.items()}


@pytest.fixture
def fleet(tmp_path: Path, broker: Mosquitto) -> Iterator[Fleet]:
    with ExitStack() as stack:
        porch, hall = (stack.enter_context(sharing_device(tmp_path, name, broker.port)) for name in ("porch", "hall"))
        store = FleetQuestions(tmp_path, HubSettings())
        stack.callback(store.close)
        yield Fleet(broker.port, porch, hall, store)


def test_one_answer_at_the_hub_is_applied_on_every_device_that_asks(fleet: Fleet) -> None:
    fleet.porch.enroll(alice=0)
    mine, other = fleet.porch.ask(look(0, 4), "alice"), fleet.porch.ask(look(2, 5))
    theirs = fleet.hall.ask(look(0, 5))
    assert fleet.exchange(fleet.porch).new == 2
    assert fleet.exchange(fleet.hall).new == 1
    assert fleet.exchange(fleet.porch) == ReviewExchange("porch", 2, 0, 0, 0)
    first, second = fleet.faces()
    assert fleet.faces() == {first: [("hall", theirs), ("porch", mine)], second: [("porch", other)]}
    assert fleet.store.crop(fleet.store.looks(first)[0].number) == CROP

    fleet.store.answer(first, "name", "alice", who="kim (review)")
    for device in (fleet.porch, fleet.hall):
        assert fleet.exchange(device).applied == 1
    assert fleet.porch.staff.subjects() == {"alice": 3}
    assert fleet.hall.staff.subjects() == {"alice": 1}, "a device that does not know the subject enrolls it"
    assert (fleet.porch.queue.count(), fleet.hall.queue.count()) == (1, 0)
    assert list(fleet.faces()) == [second]


def test_what_is_answered_on_the_device_leaves_the_hub_and_the_hub_cannot_answer_it_again(fleet: Fleet) -> None:
    numbers = [fleet.porch.ask(look(person)) for person in (0, 1)]
    fleet.exchange(fleet.porch)
    _, given = fleet.faces()
    fleet.store.answer(given, "discard")
    for number in numbers:
        fleet.porch.queue.remove([number])
    done = fleet.exchange(fleet.porch)
    assert (done.pending, done.applied) == (0, 0)
    assert (fleet.faces(), fleet.store.answers()) == ({}, [])


def test_a_refused_answer_is_open_again_with_the_reason_of_the_device(fleet: Fleet) -> None:
    fleet.porch.enroll(alice=0, bob=1)
    fleet.porch.ask(look(1, 5, like=0, share=0.6))
    fleet.exchange(fleet.porch)
    (face,) = fleet.faces()
    fleet.store.answer(face, "name", "alice")
    assert fleet.exchange(fleet.porch).refused == 1
    (question,) = grouped(fleet.store.looks(), fleet.store.answers()).values()
    assert "more like bob" in question.refused[0].error
    assert fleet.porch.staff.subjects() == {"alice": 2, "bob": 2}


def test_a_device_whose_owner_has_not_agreed_gives_nothing(tmp_path: Path, broker: Mosquitto) -> None:
    store = FleetQuestions(tmp_path, HubSettings())
    with sharing_device(tmp_path, "porch", broker.port, shares=False) as porch:
        porch.ask(look(0))
        with (
            pytest.raises(ConflictError, match="shares no review questions") as caught,
            CommandClient(mqtt(broker.port)) as client,
        ):
            exchange(client, "porch", KEY, store, timeout=20)
        assert "edge hub review key porch" in caught.value.hint
    store.close()


def test_whoever_listens_at_the_broker_sees_neither_name_nor_picture(fleet: Fleet) -> None:
    fleet.porch.enroll(alice=0)
    fleet.porch.ask(look(0, 4), "alice")
    listener = Subscriber(fleet.port, "edge/v1/#")
    assert eventually(lambda: listener._subscribed)
    fleet.exchange(fleet.porch)
    (face,) = fleet.faces()
    fleet.store.answer(face, "name", "alice")
    fleet.exchange(fleet.porch)
    assert eventually(lambda: any("rsp/review_answer" in topic for topic, *_ in listener.messages))
    listener.client.loop_stop()
    wire = b"".join(payload for _, payload, _ in listener.messages)
    assert b"alice" not in wire
    assert base64.b64encode(CROP)[4:20] not in wire


def test_an_answer_waits_for_a_device_that_is_away(fleet: Fleet, tmp_path: Path) -> None:
    fleet.porch.ask(look(0))
    fleet.exchange(fleet.porch)
    (face,) = fleet.faces()
    fleet.store.answer(face, "discard")
    with pytest.raises(DeliveryError), CommandClient(mqtt(1)) as client:
        exchange(client, "porch", KEY, fleet.store, timeout=0.5)
    assert len(fleet.store.outgoing("porch", 10)) == 1
    assert fleet.exchange(fleet.porch).applied == 1


def test_the_hub_asks_only_devices_that_report_a_change_or_have_an_answer(fleet: Fleet) -> None:
    reported = {"porch": fleet.porch.shared.counts, "hall": fleet.hall.shared.counts, "gate": None}

    def counts() -> dict[str, tuple[int, int] | None]:
        return {name: (told()["waiting"], told()["newest"]) if told else None for name, told in reported.items()}

    asked = Subscriber(fleet.port, "edge/v1/+/down/cmd/review")
    assert eventually(lambda: asked._subscribed)
    exchanger = ReviewExchanger(mqtt(fleet.port), KEY, fleet.store, counts)
    with CommandClient(mqtt(fleet.port)) as client:
        fleet.porch.ask(look(0))
        exchanger.once(client)
        assert fleet.faces()
        assert eventually(lambda: len(asked.messages) >= 3)  # hall has none: one request; porch: identities, and a page
        before = len(asked.messages)
        exchanger.once(client)
        fleet.porch.ask(look(1))
        exchanger.once(client)
        assert eventually(lambda: len(asked.messages) == before + 2)
        (face, *_) = fleet.faces()
        fleet.store.answer(face, "discard")
        exchanger.once(client)
        assert eventually(lambda: fleet.porch.queue.count() == 1)
        reported["porch"] = None  # the key was taken out of its settings
        exchanger.once(client)
        assert fleet.store.devices() == set()
    asked.client.loop_stop()
