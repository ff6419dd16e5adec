"""Notifications: one per track that is wanted, none in quiet hours, to a real broker and a real webhook."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt import client as paho
from rigs.events import ALICE, an_event
from rigs.mosquitto import Mosquitto
from rigs.running import Running
from rigs.waiting import eventually
from rigs.webhook_server import webhook_server

from edge.core.imaging import image as pictures
from edge.core.settings.schema import Settings
from edge.core.types import CustomLabel, Event, Identity, IdentityState
from edge.daemon.notifications import NotificationFilter, is_quiet, notification
from edge.mqtt import messages

UNKNOWN = Identity(IdentityState.UNKNOWN)
HELMET = (CustomLabel("helmet", 0.9, "h/1"),)


def chosen(*events: Event, clock: str = "12:00", **notify: Any) -> list[str]:
    """Tracks that are notified about at a time of day."""
    zones = dict.fromkeys(("mat", "gate"), ((0, 0), (1, 0), (1, 1)))
    settings = Settings.model_validate(
        {
            "notify": {"mqtt": True, **notify},
            "labels": {"face": {}, "car": {}, "person": {}},
            "cameras": [{"name": "door", "zones": zones}, {"name": "yard"}],
        }
    )
    now = time.strptime(clock, "%H:%M")
    wanted = NotificationFilter(settings, lambda: now)
    return [event.track for event in events if wanted.accepts(event)]


def test_a_track_is_notified_about_once_when_it_is_decided() -> None:
    first = an_event("new", "1", identity=Identity())
    named = an_event("update", "1", identity=ALICE)
    doubted = an_event("new", "2", identity=Identity(IdentityState.UNCERTAIN, "bob"))
    assert chosen(first, named, named, an_event("end", "1", identity=ALICE), doubted) == ["1"]


def test_a_label_without_a_collection_is_notified_about_at_once() -> None:
    car = an_event("new", "1", label="car", identity=Identity())
    assert chosen(car) == []
    assert chosen(car, labels=["car"]) == ["1"]
    assert chosen(car, labels=["car"], subjects=["alice"]) == []


@pytest.mark.parametrize(
    ("event", "notify", "wanted"),
    [
        (an_event("new", identity=ALICE), {"subjects": ["alice"]}, True),
        (an_event("new", identity=ALICE), {"subjects": ["bob"]}, False),
        (an_event("new", identity=UNKNOWN), {"subjects": ["bob"]}, True),
        (an_event("new", identity=UNKNOWN), {"unknown": False}, False),
        (an_event("new", identity=ALICE), {"zones": ["mat"]}, True),
        (an_event("new", identity=ALICE), {"zones": ["gate"]}, False),
        (an_event("new", identity=ALICE), {"cameras": ["door"]}, True),
        (an_event("new", identity=ALICE), {"cameras": ["yard"]}, False),
        (an_event("new", identity=ALICE), {"labels": []}, True),
        (an_event("new", label="person", identity=ALICE), {}, False),
        (an_event("new", label="person", custom_labels=HELMET), {"labels": ["helmet"]}, True),
    ],
)
def test_subjects_labels_cameras_and_zones_choose(event: Event, notify: dict[str, Any], wanted: bool) -> None:
    assert bool(chosen(event, **notify)) is wanted


def test_a_track_that_enters_the_zone_later_is_notified_about_then() -> None:
    outside, inside = (an_event("update", "1", identity=ALICE, zones=zones) for zones in ((), ("gate",)))
    assert chosen(outside, outside, inside, inside, zones=["gate"]) == ["1"]


@pytest.mark.parametrize(
    ("hours", "clock", "quiet"),
    [
        ("22:00-07:00", "23:30", True),
        ("22:00-07:00", "06:59", True),
        ("22:00-07:00", "07:00", False),
        ("13:00-14:00", "13:00", True),
        ("13:00-14:00", "14:00", False),
    ],
)
def test_quiet_hours_may_pass_midnight(hours: str, clock: str, quiet: bool) -> None:
    settings = Settings.model_validate({"notify": {"quiet_hours": [hours]}}).notify
    assert is_quiet(settings, time.strptime(clock, "%H:%M")) is quiet


def test_in_quiet_hours_nothing_is_sent_neither_later() -> None:
    night, morning = time.strptime("23:00", "%H:%M"), time.strptime("08:00", "%H:%M")
    times = iter((night, morning))
    settings = Settings.model_validate({"notify": {"mqtt": True, "quiet_hours": ["22:00-07:00"]}})
    wanted = NotificationFilter(settings, lambda: next(times))
    stays = an_event("new", "1", identity=ALICE)
    assert [wanted.accepts(stays), wanted.accepts(stays)] == [False, False]
    assert wanted.accepts(an_event("new", "2", identity=ALICE))


def test_while_the_clock_is_not_set_there_are_no_quiet_hours() -> None:
    quiet = {"clock": "23:00", "quiet_hours": ["22:00-07:00"]}
    assert chosen(an_event("new", "1", identity=ALICE, clock="unsynced"), **quiet) == ["1"]
    assert chosen(an_event("new", "1", identity=ALICE, clock="synced"), **quiet) == []


def test_one_subject_whose_track_is_lost_and_found_gives_one_notification() -> None:
    at = (0.0, 30.0, 100.0)
    events = [an_event("new", str(n), identity=ALICE, time=1.7e9 + moment) for n, moment in enumerate(at)]
    assert chosen(*events) == ["0", "2"]
    assert chosen(*events, repeat_seconds=0) == ["0", "1", "2"]


def test_a_camera_or_zone_that_does_not_exist_is_refused() -> None:
    for wanted in ({"cameras": ["yrad"]}, {"zones": ["gaet"]}):
        with pytest.raises(ValueError, match="does not have"):
            Settings.model_validate({"notify": wanted})


@pytest.mark.parametrize("hours", ["22-7", "24:00-07:00", "07:00-07:00", "7:00-8:00", ""])
def test_quiet_hours_that_are_none_are_refused(hours: str) -> None:
    with pytest.raises(ValueError, match="two different times of day"):
        Settings.model_validate({"notify": {"quiet_hours": [hours]}})


def test_the_address_of_the_webhook_is_never_shown() -> None:
    settings = Settings.model_validate({"notify": {"webhook": "https://hooks.example.org/s3cret"}})
    assert "s3cret" not in f"{settings} {settings.model_dump(mode='json')}"
    with pytest.raises(ValueError, match="begins with https:// or http://"):
        Settings.model_validate({"notify": {"webhook": "ftp://hooks.example.org"}})


def test_the_document_is_one_of_the_contract() -> None:
    for event in (an_event("new", identity=ALICE, custom_labels=HELMET), an_event("new", identity=UNKNOWN)):
        written = messages.to_json(notification("porch", event, "http://porch.local:8480/", "aGVsbG8="))
        assert messages.parse(messages.Notification, written).picture == "aGVsbG8="
    assert notification("porch", an_event("new", identity=ALICE)).text == "alice at door"
    assert notification("porch", an_event("new", identity=UNKNOWN)).text == "unknown face at door"


@pytest.mark.long
def test_a_running_daemon_notifies_once_per_track_by_broker_and_webhook(tmp_path: Path, broker: Mosquitto) -> None:
    heard: list[dict[str, Any]] = []
    listener = paho.Client(paho.CallbackAPIVersion.VERSION2)
    listener.on_message = lambda _client, _data, message: heard.append(json.loads(message.payload))
    listener.connect("127.0.0.1", broker.port)
    listener.subscribe("edge/v1/porch/up/notification/+", 1)
    listener.loop_start()
    with webhook_server([503]) as server:
        notify = {"mqtt": True, "webhook": f"{server.url}/s3cret", "pictures": True, "repeat_seconds": 0.0}
        daemon = Running(tmp_path, settings={"mqtt": {"host": "127.0.0.1", "port": broker.port}, "notify": notify})
        daemon.start()
        try:
            assert eventually(lambda: len(server.documents) >= 3 and len(heard) >= 2, 60), daemon.log
            assert daemon.stop() == 0
        finally:
            daemon.close()
            listener.loop_stop()
        tracks = [one["track"] for one in heard]
        assert len(tracks) == len(set(tracks))
        assert {one["track"] for one in server.documents} & set(tracks)
        first = heard[0]
        assert (first["device"], first["camera"], first["label"]) == ("porch", "door", "face")
        assert {one["text"] for one in heard} == {"unknown face at door"}
        assert pictures.decode(base64.b64decode(first["picture"])).height == 360
        assert "s3cret" not in daemon.log
