"""Everything that somebody between hub and device, or with some of the keys, may try; and how each must end."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from unittest import mock

from rigs.release_simulator import (
    Fleet,
    Site,
    changed,
    cut,
    drip,
    endless,
    headers_drip,
    says,
    some_faces,
    stall,
)
from tuf.api.metadata import Metadata, Snapshot, Timestamp

from edge.core.errors import ClockError, EdgeError, FetchError, ReleaseError, TrustError
from edge.releases.release_store import ReleaseStore
from edge.releases.updater import Updater

QUICK = {
    "edge.core.system.http.GAP": 0.3,
    "edge.core.system.http.ANSWER": 0.6,
    "edge.releases.tuf_client.DEADLINE": 0.5,
    "edge.releases.blob_download.WINDOW": 0.5,
}
"""time limits for attacks that only take time"""
SLOW = ("drip", "stalls")
"""words in the names of these"""


@dataclass(frozen=True)
class Attack:
    """What is done to a hub that offers r2 to a device that runs r1, and the error in which a sync must end."""

    name: str
    wanted: type[EdgeError]
    act: Callable[[World], Any]
    """may return a context manager that holds while the device syncs"""
    seen: bool = False
    """the device has seen the metadata of r2 before"""


@dataclass
class World:
    fleet: Fleet
    state: Path
    old: dict[str, bytes]
    """metadata as it was with r1"""

    @property
    def metadata(self) -> Path:
        return self.fleet.repository.public / "metadata"

    def newest(self, role: str) -> Path:
        if role == "timestamp":
            return self.metadata / "timestamp.json"
        return max(self.metadata.glob(f"*.{role}.json"), key=lambda path: int(path.name.split(".")[0]))

    def forge(self, role: str, change: Callable[[Any], None], *, sign: bool) -> None:
        """Change the newest metadata of a role in place; with ``sign`` by its stolen key."""
        path = self.newest(role)
        metadata: Metadata[Any] = Metadata.from_bytes(path.read_bytes())
        change(metadata.signed)
        if sign:
            metadata.sign(self.fleet.repository.keys.signer(role))
        path.write_bytes(metadata.to_bytes())

    def big_blob(self) -> str:
        """The digest of r2's new segment."""
        target = self.fleet.repository.target("targets", "releases/r2.json")
        assert target
        return str(json.loads(target)["collections"][0]["segments"][1]["sha256"])


def _bad_signature(role: str) -> Callable[[World], None]:
    def act(world: World) -> None:
        path = world.newest(role)
        document = json.loads(path.read_bytes())
        signature = document["signatures"][0]["sig"]
        document["signatures"][0]["sig"] = ("0" if signature[0] != "0" else "1") + signature[1:]
        path.write_text(json.dumps(document))

    return act


def _zeroed(world: World) -> None:
    path = world.newest("timestamp")
    document = json.loads(path.read_bytes())
    document["signatures"][0]["sig"] = "00" * 64
    path.write_text(json.dumps(document))


def _rule(part: str, answer: Any) -> Callable[[World], None]:
    def act(world: World) -> None:
        world.fleet.site.rules[part] = answer

    return act


def _blob(answer: Any) -> Callable[[World], None]:
    def act(world: World) -> None:
        world.fleet.site.rules[world.big_blob()] = answer

    return act


def _old_timestamp(world: World) -> None:
    world.newest("timestamp").write_bytes(world.old["timestamp.json"])


def _old_snapshot(world: World) -> None:
    """By whoever stole the timestamp key."""
    world.forge("timestamp", lambda s: (setattr(s, "version", s.version + 1), _point(s, world, "snapshot")), sign=True)


def _point(signed: Timestamp | Snapshot, world: World, role: str) -> None:
    old = max(int(name.split(".")[0]) for name in world.old if name.endswith(f".{role}.json"))
    if isinstance(signed, Timestamp):
        signed.snapshot_meta.version = old
    else:
        signed.meta[f"{role}.json"].version = old


def _old_targets(world: World) -> None:
    """By whoever stole both online keys."""

    def change(signed: Snapshot) -> None:
        signed.version += 1
        _point(signed, world, "targets")

    path = world.newest("snapshot")
    metadata: Metadata[Any] = Metadata.from_bytes(path.read_bytes())
    change(metadata.signed)
    metadata.sign(world.fleet.repository.keys.signer("snapshot"))
    (world.metadata / f"{metadata.signed.version}.snapshot.json").write_bytes(metadata.to_bytes())

    def follow(signed: Timestamp) -> None:
        signed.version += 1
        signed.snapshot_meta.version = metadata.signed.version

    world.forge("timestamp", follow, sign=True)


def _expired(role: str) -> Callable[[World], None]:
    def expire(signed: Any) -> None:
        signed.expires = datetime.now(timezone.utc).replace(microsecond=0) - timedelta(days=1)

    return lambda world: world.forge(role, expire, sign=True)


def _expired_root(world: World) -> None:
    metadata: Metadata[Any] = Metadata.from_bytes(world.newest("root").read_bytes())
    metadata.signed.version += 1
    metadata.signed.expires = datetime.now(timezone.utc).replace(microsecond=0) - timedelta(days=1)
    metadata.sign(world.fleet.repository.keys.signer("root"))
    (world.metadata / f"{metadata.signed.version}.root.json").write_bytes(metadata.to_bytes())


def _mixed(role: str) -> Callable[[World], None]:
    def act(world: World) -> None:
        name = max((n for n in world.old if n.endswith(f".{role}.json")), key=lambda n: int(n.split(".")[0]))
        world.newest(role).write_bytes(world.old[name])

    return act


def _flipped(data: bytes) -> bytes:
    return data[:40] + bytes([data[40] ^ 1]) + data[41:]


def _refused(world: World) -> None:
    world.fleet.site.close()


def _lost_memory_then_rollback(world: World) -> None:
    """A power cut emptied the device's metadata, and the server offers what was true before."""
    for path in (world.state / "sync/metadata").rglob("*.json"):
        path.unlink()
    _serve_old(world)


def _serve_old(world: World) -> None:
    for path in world.metadata.iterdir():
        path.unlink()
    for name, data in world.old.items():
        (world.metadata / name).write_bytes(data)


def _unpublished(world: World) -> None:
    """By whoever stole the hub's online keys: a release that the offline key never signed."""
    world.fleet.deploy("evil")


def _published_by_deployers(world: World) -> None:
    """The same, with its manifest signed by the key for deployments."""
    world.fleet.repository.add_targets("deploy", {"releases/evil.json": b'{"id": "evil", "created": 0}'})
    world.fleet.deploy("evil")


def _traversal(world: World) -> None:
    world.fleet.deploy("../../etc/passwd")


def _traversal_in_files(world: World) -> None:
    """By an owner gone mad: a file name that leaves the folder."""
    blob = {"sha256": "0" * 64, "size": 1}
    model = {"name": "m", "kind": "detector", "files": {"../../evil": blob}}
    data = json.dumps({"id": "r3", "created": 0, "models": [model]}).encode()
    world.fleet.repository.add_targets("targets", {"releases/r3.json": data})
    world.fleet.deploy("r3")


def _renamed(world: World) -> None:
    """r1's manifest under r3's name, signed."""
    data = world.fleet.repository.target("targets", "releases/r1.json")
    assert data
    world.fleet.repository.add_targets("targets", {"releases/r3.json": data})
    world.fleet.deploy("r3")


def _before_erasure(world: World) -> None:
    from edge.releases.update_state import UpdateState

    ledger = UpdateState(world.state / "sync")
    ledger.put({"erasure": 1})
    ledger.close()


def _other_group(world: World) -> None:
    """Another group's deployment where ours belongs."""
    data = world.fleet.repository.target("deploy", "deploy/all.json")
    assert data
    other = json.loads(data) | {"group": "lab"}
    world.fleet.repository.add_targets("deploy", {"deploy/all.json": json.dumps(other).encode()})


def _other_repository(world: World) -> None:
    stranger = Fleet(world.fleet.folder.parent / "stranger")
    world.fleet.site.folder = stranger.repository.public
    stranger.publish(stranger.release("r2", stranger.segment(some_faces(3))))
    stranger.close()


@contextmanager
def _clock(offset: float) -> Iterator[None]:
    """Wall time is off by so many seconds, for our code and for TUF's."""
    real = time.time

    class Shifted(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) + timedelta(seconds=offset)

    with (
        mock.patch("edge.releases.trusted_time.time.time", side_effect=lambda: real() + offset),
        mock.patch("tuf.ngclient._internal.trusted_metadata_set.datetime.datetime", Shifted),
    ):
        yield


def _unsynced(world: World) -> Any:
    return mock.patch("edge.core.system.hardware.clock", return_value="unsynced")


PORTAL = says(b"<html><title>Welcome to our guest network</title></html>")
ATTACKS = [
    *(Attack(f"bad signature on {role}", TrustError, _bad_signature(role)) for role in
      ("timestamp", "snapshot", "targets", "deploy")),
    Attack("zeroed signature", TrustError, _zeroed),
    Attack("a login page instead of the timestamp", FetchError, _rule("timestamp.json", PORTAL)),
    Attack("an empty timestamp", FetchError, _rule("timestamp.json", says(b""))),
    Attack("older timestamp (rollback)", TrustError, _old_timestamp, seen=True),
    Attack("new timestamp for an old snapshot", TrustError, _old_snapshot, seen=True),
    Attack("new snapshot for old targets", TrustError, _old_targets, seen=True),
    *(Attack(f"expired {role} (freeze)", TrustError, _expired(role)) for role in
      ("timestamp", "snapshot", "targets", "deploy")),
    Attack("expired new root (freeze)", TrustError, _expired_root),
    *(Attack(f"mix and match: old {role} under the new name", TrustError, _mixed(role)) for role in
      ("snapshot", "targets", "deploy")),
    Attack("everything of the day before", TrustError, _serve_old, seen=True),
    Attack("a bit of a segment flipped", TrustError, _blob(changed(_flipped))),
    Attack("a segment cut short", FetchError, _blob(changed(lambda data: data[:-10]))),
    Attack("a segment too long", TrustError, _blob(changed(lambda data: data + b"more"))),
    Attack("a segment without end", TrustError, _blob(endless)),
    Attack("a timestamp without end", TrustError, _rule("timestamp.json", endless)),
    Attack("the line cut in a segment", FetchError, _blob(cut(100))),
    Attack("the line cut in the snapshot", FetchError, _rule("snapshot.json", cut(100))),
    Attack("a segment that stalls", FetchError, _blob(stall)),
    Attack("metadata that stalls", FetchError, _rule("timestamp.json", stall)),
    Attack("a segment that drips", FetchError, _blob(drip)),
    Attack("a segment whose headers drip", FetchError, _blob(headers_drip)),
    Attack("metadata whose headers drip", FetchError, _rule("timestamp.json", headers_drip)),
    Attack("metadata that drips", FetchError, _rule("snapshot.json", drip)),
    Attack("connection refused", FetchError, _refused),
    *(Attack(f"status {status} for the timestamp", FetchError, _rule("timestamp.json", says(b"", status)))
      for status in (403, 404, 500, 503)),
    Attack("a missing segment", FetchError, _blob(says(b"", 404))),
    Attack("another manifest under the signed name", TrustError,
           _rule("/targets/releases/", changed(lambda data: data.replace(b"r2", b"r9")))),
    Attack("the device's memory lost in a power cut, then rollback", TrustError, _lost_memory_then_rollback,
           seen=True),
    Attack("somebody else's repository", TrustError, _other_repository),
    Attack("online keys stolen: an unsigned release", ReleaseError, _unpublished),
    Attack("online keys stolen: a release signed by them", ReleaseError, _published_by_deployers),
    Attack("../../etc/passwd as a release", ReleaseError, _traversal),
    Attack("../../evil as a file of a model", ReleaseError, _traversal_in_files),
    Attack("one release under the name of another", ReleaseError, _renamed),
    Attack("another group's deployment", ReleaseError, _other_group),
    Attack("a release from before somebody was forgotten", ReleaseError, _before_erasure),
    Attack("clock in 1970", ClockError, lambda _: _clock(-time.time() + 1e6)),
    Attack("clock a year back", ClockError, lambda _: _clock(-365 * 86400)),
    Attack("clock not synchronized", ClockError, _unsynced),
    Attack("clock a year ahead", TrustError, lambda _: _clock(365 * 86400)),
]  # fmt: skip


def prepare(folder: Path) -> None:
    """A hub that offers r2, and a device that runs r1."""
    fleet = Fleet(folder / "hub")
    first, second = fleet.segment(some_faces(20)), fleet.segment(some_faces(200, 1))
    fleet.publish(fleet.release("r1", first))
    fleet.sync(folder / "device")
    old = folder / "old"
    shutil.copytree(fleet.repository.public / "metadata", old)
    fleet.publish(fleet.release("r2", first, second))
    shutil.copytree(folder / "device", folder / "seen", symlinks=True)
    Updater(fleet.settings(), folder / "seen").run(dry=True)
    fleet.close()


def carry_out(attack: Attack, prepared: Path, folder: Path, quick: bool = True) -> EdgeError | None:
    """In which error an attack on a copy of what was prepared ended; None: it was let in.

    ``quick``: with short time limits instead of the real ones.
    """
    shutil.copytree(prepared / "hub", folder / "hub", symlinks=True)
    shutil.copytree(prepared / ("seen" if attack.seen else "device"), folder / "device", symlinks=True)
    fleet = Fleet.__new__(Fleet)
    from edge.hub.publishing.keys import Keys
    from edge.hub.publishing.repository import Repository

    fleet.folder = folder / "hub"
    fleet.repository = Repository(fleet.folder, Keys(fleet.folder / "keys/online", fleet.folder / "keys/offline"))
    fleet.root = fleet.repository.public / "metadata/1.root.json"
    root = folder / "root.json"
    shutil.copy(fleet.root, root)
    fleet.root = root
    fleet.site = Site(fleet.repository.public)
    old = {path.name: path.read_bytes() for path in (prepared / "old").iterdir()}
    world = World(fleet, folder / "device", old)
    slots = ReleaseStore(world.state)
    before = _contents(slots.releases)
    patches = [mock.patch(name, value) for name, value in QUICK.items() if quick]
    try:
        held = attack.act(world)
        if hasattr(held, "__enter__"):
            patches.append(held)
        for patch in patches:
            patch.__enter__()
        try:
            Updater(fleet.settings(), world.state).run()
        except EdgeError as error:
            assert slots.current == "r1", "the running release was replaced"
            assert _contents(slots.releases) == before, "the running release was touched"
            return error
        finally:
            for patch in reversed(patches):
                patch.__exit__(None, None, None)
        return None
    finally:
        fleet.site.close()


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
