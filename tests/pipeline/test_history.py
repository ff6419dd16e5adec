"""The history of a device: bounded, sealed, erased with the subject, quick to filter."""

from __future__ import annotations

import random
import sqlite3
import time
from dataclasses import replace
from pathlib import Path

import pytest
from rigs.small_disk import small_disk

from edge.core.errors import NotFoundError, StoreError
from edge.core.settings.services import HistorySettings
from edge.core.storage import keys, vault
from edge.pipeline.history import FILE, Appearance, HistoryFilter, HistoryStore, Look

__all__ = ["small_disk"]

ON = HistorySettings(pictures=True)
NOW = time.time()


def appearance(number: int = 1, **more: object) -> Appearance:
    looks = [Look(0.2, "alice", 97.5, 61.0, 94.0, 0.8), Look(0.6, "bob", 55.0, None, 94.0, 0.4)]
    values: dict[str, object] = {
        "track": f"1-{number}", "camera": "door", "label": "face", "started": NOW - number, "ended": NOW - number + 5,
        "state": "known", "subject": "alice", "likeness": 97.5, "zones": ("mat",), "reason": "left", "boot": "b",
        "picture": b"\xff\xd8 alice \xff\xd9", "looks": looks, **more,
    }  # fmt: skip
    return Appearance(**values)  # type: ignore[arg-type]


def found(store: HistoryStore, **wanted: object) -> list[str]:
    return [one.track for one in store.find(HistoryFilter(**wanted))]  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path) -> HistoryStore:
    made = HistoryStore(tmp_path, ON)
    made.put([
        appearance(1), appearance(2, subject="bob", camera="yard", zones=(), picture=b"\xff\xd8 bob"),
        appearance(3, subject=None, state="unknown", looks=[], picture=b""),
        appearance(4, subject=None, label="person", state="pending", looks=[], picture=b"", zones=("gate", "mat")),
    ])  # fmt: skip
    return made


def test_an_appearance_is_kept_with_every_look_and_its_picture(store: HistoryStore) -> None:
    first = store.find(HistoryFilter())[0]
    kept = store.get(first.id)
    assert (kept.subject, kept.likeness, kept.zones, kept.reason) == ("alice", 97.5, ("mat",), "left")
    assert kept.looks == appearance().looks
    assert store.picture(first.id) == appearance().picture
    with pytest.raises(NotFoundError, match="no picture"):
        store.picture(store.find(HistoryFilter(state="unknown"))[0].id)


def test_an_update_keeps_the_looks_and_the_picture(store: HistoryStore) -> None:
    store.put(
        [appearance(1, state="retracted", subject=None, picture=b"", looks=[Look(0.9, None, None, None, 94.0, 0.5)])]
    )
    one = store.get(store.find(HistoryFilter())[0].id)
    assert (one.state, len(one.looks), len(store.picture(one.id)) > 0) == ("retracted", 3, True)


def test_filters_go_together(store: HistoryStore) -> None:
    assert found(store) == ["1-1", "1-2", "1-3", "1-4"]
    assert found(store, subject="bob") == ["1-2"]
    assert found(store, state="unknown") == ["1-3"]
    assert found(store, camera="yard") == ["1-2"]
    assert found(store, label="person") == ["1-4"]
    assert found(store, since=NOW - 2.5, until=NOW - 1.5) == ["1-2"]
    assert found(store, text="ALI") == ["1-1"]
    assert found(store, text="gate") == ["1-4"]
    assert found(store, text="%") == []
    assert found(store, text="b", camera="door") == []
    assert store.choices() == {"cameras": ["door", "yard"], "labels": ["face", "person"]}
    assert store.subjects() == ["alice", "bob"]
    assert store.last_seen(["alice", "nobody"]) == {"alice": (NOW - 1, "door")}


def test_pages_follow_each_other(store: HistoryStore) -> None:
    first = store.find(HistoryFilter(), limit=3)
    rest = store.find(HistoryFilter(), (first[-1].started, first[-1].id), 3)
    assert [one.track for one in (*first, *rest)] == ["1-1", "1-2", "1-3", "1-4"]


def test_an_erased_subject_is_in_no_row_and_no_byte(tmp_path: Path, store: HistoryStore) -> None:
    assert store.forget("alice") == 1
    assert found(store) == ["1-2", "1-3", "1-4"]
    assert store.get(store.find(HistoryFilter(subject="bob"))[0].id).looks[0].subject is None
    store.close()
    assert b"alice" not in b"".join(file.read_bytes() for file in tmp_path.glob(f"{FILE}*"))


def test_a_renamed_subject_has_the_new_name_in_the_past(store: HistoryStore) -> None:
    store.rename("alice", "Alice Doe")
    assert found(store, subject="Alice Doe") == ["1-1"]


def test_names_and_pictures_are_sealed_where_the_folder_is_encrypted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = next(iter(keys._parsed(keys.new_key())))
    monkeypatch.setattr(vault, "known", lambda: {key.name: key})
    vault.write_state(tmp_path, key.name, changing=False)
    store = HistoryStore(tmp_path, ON)
    store.put([appearance()])
    store.note("owner", "renamed a subject", "alice")
    assert found(store, subject="alice") == found(store, text="lic") == ["1-1"]
    assert store.picture(1) == appearance().picture
    assert store.changes()[0].subject == "alice"
    store.close()
    assert b"alice" not in b"".join(file.read_bytes() for file in tmp_path.glob(f"{FILE}*"))


def test_what_is_too_old_or_too_much_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [NOW]
    monkeypatch.setattr("edge.pipeline.history.trusted_now", lambda _: now[0])
    store = HistoryStore(tmp_path, HistorySettings(days=1, max_bytes=1 << 20, pictures=True))
    store.put([appearance(1, started=NOW - 2 * 86400)])  # a label: what the clock said makes nothing old
    store.expire()
    assert store.count() == 1
    now[0] += 1.1 * 86400
    store.expire()
    assert store.count() == 0
    store.put([appearance(number, picture=bytes(20_000)) for number in range(100)])
    for _ in range(20):
        store.expire()
    assert 20 < store.count() < 55
    assert "1-0" in found(store), "the newest stay"
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_on_a_full_disk_the_history_gives_way_and_events_do_not(small_disk: Path) -> None:
    store = HistoryStore(small_disk, HistorySettings(pictures=True), spare_bytes=4 << 20)
    number = 0
    while not store.is_short:
        number += 1
        store.put([appearance(number, picture=random.Random(number).randbytes(50_000))])
    with pytest.raises(StoreError, match="expected 4 MB of free space"):
        store.put([appearance(5000)])
    kept = store.count()
    assert kept > 20
    store.make_room()
    assert store.count() < kept
    with (small_disk / "outbox.db").open("wb", buffering=0) as events:
        for _ in range(24):  # 6 MB, more than the history left free
            assert events.write(bytes(256 << 10)) == 256 << 10
            for _ in range(3):
                store.make_room()
    assert store.count() < kept - 20
    store.make_room()
    store.put([appearance(5000)])  # and it goes on
    assert "1-5000" in found(store)
    store.close()


def test_pictures_go_where_the_settings_keep_none_any_more(tmp_path: Path, store: HistoryStore) -> None:
    again = HistoryStore(tmp_path, HistorySettings())
    again.expire()
    with pytest.raises(NotFoundError):
        store.picture(1)


def test_a_clock_that_is_set_later_puts_its_boot_right(store: HistoryStore) -> None:
    store.put([appearance(9, started=100.0, ended=130.0, synced=False, boot="this", monotonic=50.0)])
    store.put([appearance(8, started=90.0, ended=None, synced=False, boot="earlier", monotonic=40.0)])
    assert store.correct_clock("this", NOW) == 1
    (one,) = [one for one in store.find(HistoryFilter()) if one.track == "1-9"]
    assert (one.started, one.ended, one.synced) == (NOW + 50, NOW + 80, True)
    assert not next(one for one in store.find(HistoryFilter()) if one.track == "1-8").synced


def test_a_damaged_value_costs_its_row_alone(tmp_path: Path, store: HistoryStore) -> None:
    key = next(iter(keys._parsed(keys.new_key())))
    sealed, plain = vault.Sealing(key), vault.PLAIN
    from edge.core.storage.sqlite import rewriting
    from edge.pipeline.history import reseal

    store.close()
    with sqlite3.connect(tmp_path / FILE) as db:
        db.execute("UPDATE appearances SET picture = 'no bytes' WHERE track = '1-2'")
    with rewriting(tmp_path / FILE) as db:
        assert reseal(db, vault.Resealing(plain, sealed)) == 1
    with sqlite3.connect(tmp_path / FILE) as db:
        names = [name for (name,) in db.execute("SELECT subject FROM appearances WHERE subject IS NOT NULL")]
    assert [sealed.named(name) for name in names] == ["alice"]


@pytest.mark.long
def test_a_hundred_thousand_appearances_are_filtered_in_200_ms(tmp_path: Path) -> None:
    chance = random.Random(1)
    store = HistoryStore(tmp_path, HistorySettings(max_bytes=1 << 30))
    names = [f"person {number}" for number in range(300)]
    for first in range(0, 100_000, 5000):
        store.put([
            replace(
                appearance(first + n, picture=b"", looks=[]), started=NOW - chance.uniform(0, 30 * 86400),
                camera=chance.choice(["door", "yard", "gate"]), subject=chance.choice(names),
            )
            for n in range(5000)
        ])  # fmt: skip
    filters = [
        {}, {"subject": "person 7"}, {"state": "known", "camera": "yard"}, {"text": "person 29"}, {"text": "yard"},
        {"text": "nothing like it"}, {"label": "face", "since": NOW - 20 * 86400, "until": NOW - 19 * 86400},
        {"subject": "person 7", "camera": "gate", "text": "mat"}, {"state": "unknown"},
    ]  # fmt: skip
    for wanted in filters:
        began = time.process_time()
        store.find(HistoryFilter(**wanted))  # type: ignore[arg-type]
        assert time.process_time() - began < 0.2, wanted
    for work in (store.choices, store.subjects, lambda: store.timeline(NOW - 86400, NOW)):
        began = time.process_time()
        work()
        assert time.process_time() - began < 0.2
