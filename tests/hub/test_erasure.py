"""What a hub does when a device forgets somebody: by digest, in the past and in what comes late, no more than set."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from rigs.events import ALICE, NOW, an_event
from rigs.waiting import eventually

from edge.core.errors import StoreError, TransientError
from edge.core.settings.messaging import HubSettings, MqttSettings
from edge.core.types import Identity, IdentityState, Queued
from edge.hub import databases
from edge.hub import queries as reading
from edge.hub.erasure import PAGE, FleetErasure
from edge.hub.ingest import Ingest, event_of
from edge.hub.store import Arrived, EventStore
from edge.mqtt import erasure_notices
from edge.mqtt.erasure_notices import digest
from edge.mqtt.messages import ErasureNotice, ErasureNotices, event_json, to_json
from edge.mqtt.subscriptions import Delivered, Incoming
from edge.mqtt.topics import Topics, parse

BOB = Identity(IdentityState.KNOWN, "bob", 0.7, None, "face-2", "staff")


def arrived(device: str, seq: int, identity: Identity, moment: float = NOW) -> Arrived:
    event = an_event("new", f"7-{seq}", identity=identity, time=moment)
    return event_of(parse(Topics(device).event("door")), event_json(device, Queued(seq, 9, seq, 0, event)))


@pytest.fixture
def store(tmp_path: Path) -> EventStore:
    made = EventStore(databases.connect("", tmp_path))
    made.add([arrived("porch", 1, ALICE), arrived("porch", 2, BOB), arrived("hall", 1, ALICE)])
    return made


def said(*subjects: str, device: str = "porch", moment: float = NOW + 1) -> ErasureNotices:
    return ErasureNotices(tuple(ErasureNotice(digest(device, one), moment) for one in subjects))


def names(store: EventStore) -> list[tuple[str, str | None]]:
    return [(row.device, row.subject) for row in reading.events(store.database, reading.EventQuery())]


def files(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())


def test_a_devices_own_events_lose_the_name_and_no_file_holds_it_then(store: EventStore, tmp_path: Path) -> None:
    hall = tmp_path / "hall"
    alone = EventStore(databases.connect(str(hall / "hub.sqlite"), hall))
    alone.add([arrived("porch", n, ALICE) for n in range(1, 40)])
    FleetErasure(HubSettings(), alone).told("porch", said("alice"))
    assert names(alone) == [("porch", None)] * 39
    assert b"alice" not in files(hall)
    assert b"face-1" not in files(hall)
    FleetErasure(HubSettings(), store).told("porch", said("alice"))
    assert names(store) == [("hall", "alice"), ("porch", None), ("porch", "bob")]


@pytest.mark.parametrize(
    ("hub", "left"),
    [
        (HubSettings(forget="off"), [("hall", "alice"), ("porch", "alice"), ("porch", "bob")]),
        (HubSettings(forget="fleet"), [("hall", None), ("porch", None), ("porch", "bob")]),
        (HubSettings(forgotten="delete"), [("hall", "alice"), ("porch", "bob")]),
    ],
    ids=["off", "fleet", "delete"],
)
def test_how_much_goes_is_the_hubs_to_say(store: EventStore, hub: HubSettings, left: list[Any]) -> None:
    FleetErasure(hub, store).told("porch", said("alice"))
    assert names(store) == left


def test_what_comes_late_is_cleansed_also_after_a_restart_and_who_is_enrolled_again_is_not(store: EventStore) -> None:
    FleetErasure(HubSettings(), store).told("porch", said("alice"))
    later = FleetErasure(HubSettings(), store)
    late, again, other = (
        arrived("porch", 5, ALICE, NOW), arrived("porch", 6, ALICE, NOW + 50), arrived("hall", 7, ALICE, NOW)
    )  # fmt: skip
    cleansed = later.cleansed([late, again, other])
    assert [one.event.identity.subject for one in cleansed if one.event] == [None, "alice", "alice"]
    assert "alice" not in cleansed[0].body
    assert json.loads(cleansed[0].body)["identity"] == {"state": "unknown", "subject": None, "collection": "staff"}
    later.told("porch", said("alice"))
    store.add(cleansed)
    assert ("porch", "alice") in names(store), "told twice is told once"


def unread(device: str, seq: int, subject: str, **more: object) -> Arrived:
    """As a newer device sends it: this hub reads the key alone, and keeps the rest as it came."""
    identity = {"state": "known", "subject": subject, "face_id": "face-1", "faces": [{"name": subject}]}
    document = {"v": 2, "device": device, "epoch": 9, "seq": seq, "after": 0, "identity": identity} | more
    return event_of(parse(Topics(device).event("door")), json.dumps(document).encode())


def kept_unread(store: EventStore) -> dict[tuple[str, int], str]:
    with store.database.transaction() as transaction:
        rows = transaction.execute("SELECT device, seq, body FROM unreadable")
    return {(device, seq): body for device, seq, body in rows}


@pytest.mark.parametrize("forgotten", ["unname", "delete"])
def test_what_could_not_be_read_loses_the_name_as_well(store: EventStore, tmp_path: Path, forgotten: str) -> None:
    hall = tmp_path / "hall"
    store = EventStore(databases.connect(str(hall / "hub.sqlite"), hall))
    store.add([unread("porch", n, "alice") for n in range(10, 2 * PAGE)])
    store.add([unread("porch", 1, "bob"), unread("hall", 2, "alice"), unread("porch", 3, "x", identity=7)])
    FleetErasure(HubSettings(forgotten=forgotten), store).told("porch", said("alice"))
    kept = kept_unread(store)
    assert "alice" in kept["hall", 2]
    assert "bob" in kept["porch", 1]
    assert not any(
        "alice" in body or "face-1" in body for key, body in kept.items() if key[0] == "porch" and key[1] > 3
    )
    assert len(kept) == (3 if forgotten == "delete" else 2 * PAGE - 10 + 3)
    FleetErasure(HubSettings(forget="fleet", forgotten=forgotten), store).told("porch", said("alice", moment=NOW + 2))
    assert b"alice" not in files(hall)


def test_what_comes_late_and_cannot_be_read_is_cleansed_too(store: EventStore) -> None:
    FleetErasure(HubSettings(), store).told("porch", said("alice"))
    late, again, other = (
        unread("porch", 5, "alice", time=NOW), unread("porch", 6, "alice", time=NOW + 50), unread("porch", 7, "bob")
    )  # fmt: skip
    untimed = unread("porch", 8, "alice")
    bodies = [one.body for one in FleetErasure(HubSettings(), store).cleansed([late, again, other, untimed])]
    assert ["alice" in body for body in bodies] == [False, True, False, False]
    assert "bob" in bodies[2]


def test_a_database_that_fails_while_it_is_asked_who_was_forgotten_is_asked_again(store: EventStore) -> None:
    FleetErasure(HubSettings(), store).told("porch", said("alice"))
    later, late = FleetErasure(HubSettings(), store), arrived("porch", 5, ALICE)
    execute = databases._SqliteTransaction.execute

    def failing(self: databases._SqliteTransaction, statement: str, values: Sequence[object] = ()) -> list[Any]:
        if statement.startswith("SELECT f.device, f.digest"):
            raise sqlite3.OperationalError("disk I/O error")
        return execute(self, statement, values)

    with mock.patch.object(databases._SqliteTransaction, "execute", failing), pytest.raises(TransientError):
        later.cleansed([late])
    assert "alice" not in later.cleansed([late])[0].body


def test_a_published_subject_is_forgotten_only_where_the_fleet_may_be_told(store: EventStore) -> None:
    asked: list[list[str]] = []

    def published(wanted: Callable[[str], bool]) -> None:
        asked.append([name for name in ("alice", "bob") if wanted(name)])

    FleetErasure(HubSettings(), store, published).told("porch", said("alice"))
    assert asked == []
    FleetErasure(HubSettings(forget="fleet"), store, published).told("hall", said("bob", device="hall"))
    assert asked == [["bob"]]


def test_what_is_published_cannot_be_changed_now_and_events_are_stored_all_the_same(store: EventStore) -> None:
    def refused(_wanted: Callable[[str], bool]) -> None:
        raise StoreError("no space left on the device")

    one = Ingest(MqttSettings(), HubSettings(forget="fleet"), store, refused)
    topics = Topics("porch")
    one.start()
    one._take([Delivered(Incoming(topics.forgotten, to_json(said("alice"))), 1, 1, 1)])
    late = an_event("new", "7-9", identity=BOB)
    one._take([Delivered(Incoming(topics.event("door"), event_json("porch", Queued(9, 9, 9, 0, late))), 2, 1, 1)])
    assert eventually(lambda: one.counts.stored == 1)
    one.stop()
    again: list[bool] = []
    FleetErasure(HubSettings(forget="fleet"), store, lambda wanted: again.append(wanted("alice"))).told(
        "porch", said("alice")
    )
    assert again == [True], "the device says it again at the next connect, and it is still to be done"


def test_a_device_can_make_the_hub_forget_nothing_of_another_device(store: EventStore) -> None:
    FleetErasure(HubSettings(), store).told("hall", said("bob", device="porch"))
    assert ("porch", "bob") in names(store)


@pytest.mark.parametrize("forget", ["off", "device", "fleet"])
def test_what_comes_late_is_cleansed_where_the_page_has_erased_a_subject_meanwhile(
    store: EventStore, forget: str
) -> None:
    hub = HubSettings.model_validate({"forget": forget})
    ingest, page = FleetErasure(hub, store), FleetErasure(hub, store)
    store.add([unread("yard", 1, "alice")])
    assert [one.event.identity.subject for one in ingest.cleansed([arrived("yard", 2, ALICE)]) if one.event] == [
        "alice"
    ]

    assert page.erase("alice", NOW + 1) == 3

    late = [arrived("yard", 3, ALICE), arrived("yard", 4, BOB), arrived("yard", 5, ALICE, NOW + 2)]
    assert [one.event.identity.subject for one in ingest.cleansed(late) if one.event] == [None, "bob", "alice"]
    assert "alice" not in ingest.cleansed([unread("yard", 6, "alice")])[0].body
    assert names(store) == [("hall", None), ("porch", None), ("porch", "bob")]


def test_over_a_real_broker_a_hub_that_was_away_hears_of_it(
    tmp_path: Path, ingest: Any, device: Any, stored: Callable[[], list[reading.Row]]
) -> None:
    porch = device()
    first = ingest()
    porch.outbox.put([an_event("new", "7-1", identity=ALICE), an_event("new", "7-2", identity=BOB)])
    assert eventually(lambda: len(stored()) == 2)
    first.stop()
    erasure_notices.note(tmp_path, "porch", "alice")
    porch.client.retain(Topics("porch").forgotten, to_json(erasure_notices.read(tmp_path)))
    time.sleep(0.5)
    ingest("2")
    assert eventually(lambda: sorted(str(row.subject) for row in stored()) == ["None", "bob"])


@pytest.mark.parametrize("moment", [NOW - 3600, 1577836800.0, NOW + 4e7], ids=["an hour behind", "in 2020", "ahead"])
@pytest.mark.parametrize("hub", [HubSettings(), HubSettings(forgotten="delete")], ids=["unname", "delete"])
def test_a_devices_clock_does_not_matter_where_it_says_up_to_which_event(
    store: EventStore, hub: HubSettings, moment: float
) -> None:
    notice = ErasureNotices((ErasureNotice(digest("porch", "alice"), moment, 9, 40),))
    FleetErasure(hub, store).told("porch", notice)
    assert ("porch", "alice") not in names(store)
    assert ("hall", "alice") in names(store) or moment > NOW + 1e6
    later = FleetErasure(hub, store)
    late, again = arrived("porch", 30, ALICE, NOW), arrived("porch", 41, ALICE, NOW + 50)
    late, again = replace(late, epoch=9), replace(again, epoch=9)
    assert [one.event.identity.subject for one in later.cleansed([late, again]) if one.event] == [None, "alice"]


def test_forgetting_again_with_a_clock_behind_counts(store: EventStore) -> None:
    erasure = FleetErasure(HubSettings(), store)
    erasure.told("porch", ErasureNotices((ErasureNotice(digest("porch", "alice"), NOW, 9, 40),)))
    store.add([arrived("porch", 50, ALICE)])
    erasure.told("porch", ErasureNotices((ErasureNotice(digest("porch", "alice"), NOW - 3600, 9, 60),)))
    assert ("porch", "alice") not in names(store)


def test_a_fleets_other_devices_forget_by_our_clock_where_the_device_has_none(store: EventStore) -> None:
    notice = ErasureNotice(digest("porch", "alice"), 1577836800.0, 9, 40, "unsynced")
    FleetErasure(HubSettings(forget="fleet"), store).told("porch", ErasureNotices((notice,)))
    assert ("hall", "alice") not in names(store)


def test_notices_are_told_for_90_days_of_time_that_passed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [NOW]
    monkeypatch.setattr("edge.mqtt.erasure_notices.trusted_now", lambda _: now[0])
    monkeypatch.setattr("time.time", lambda: 1577836800.0)
    erasure_notices.note(tmp_path, "porch", "alice", (9, 40))
    (said_,) = erasure_notices.read(tmp_path).forgotten
    assert (said_.epoch, said_.seq) == (9, 40)
    now[0] += 91 * 86400
    assert erasure_notices.read(tmp_path).forgotten == ()
