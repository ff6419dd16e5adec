"""Events that wait are changed wherever they wait: on the way to the disk, on it, in memory, and in the journal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rigs.events import ALICE, an_event

from edge.core.settings.messaging import OutboxSettings
from edge.core.subjects import nameless
from edge.core.types import Identity, IdentityState
from edge.mqtt.outbox import store as codec
from edge.mqtt.outbox.outbox import Outbox

BOB = Identity(IdentityState.KNOWN, "bob", 0.7, None, "face-2", "staff")


def without_alice(body: str) -> str | None:
    event = nameless(codec.load(body), "alice")
    return None if event is None else codec.dump(event)


def test_names_go_and_the_order_the_keys_and_everybody_else_stay(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    outbox = Outbox(path, OutboxSettings(commit_seconds=0))
    outbox.put([an_event("new", "1-1", identity=ALICE), an_event("new", "1-2", identity=BOB)])
    before = outbox.read(0, 10)
    generation = outbox.generation

    assert outbox.rewrite(without_alice) == 2, "a row holds her, and the journal knows her open track"

    after = outbox.read(0, 10)
    assert [one.key for one in after] == [one.key for one in before]
    assert [one.event.identity.subject for one in after] == [None, "bob"]
    assert after[1].event == before[1].event
    assert outbox.generation != generation, "delivery reads again"
    files = b"".join(one.read_bytes() for one in tmp_path.iterdir())
    assert b"alice" not in files
    assert b"bob" in files
    outbox.close()
    again = Outbox(path, OutboxSettings(commit_seconds=0))
    ends = [one.event for one in again.read(0, 10) if one.event.type == "end"]
    assert [end.identity.subject for end in ends] == [None, "bob"], "the tracks that were open end without her name"
    again.close()


def test_events_that_no_disk_took_are_changed_in_memory(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    outbox = Outbox(blocked / "outbox.sqlite", OutboxSettings(commit_seconds=0))
    outbox.put([an_event("new", "1-1", identity=ALICE), replace(an_event("update", "1-1", identity=ALICE))])
    assert outbox.stats().in_memory == 2
    assert outbox.rewrite(without_alice) == 2
    assert {one.event.identity.subject for one in outbox.read(0, 10)} == {None}
    outbox.close()
