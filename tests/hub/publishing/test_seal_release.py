"""Published collections are read by devices with a key, and by nobody else who reaches the served folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from numpy.typing import NDArray
from rigs.release_simulator import Site, changed, cut, says

from edge.cli.doctor.finding import DoctorContext
from edge.cli.doctor.releases import releases
from edge.core.errors import ConflictError, EdgeError, FetchError, ReleaseError, SettingsError, TrustError
from edge.core.settings.loader import Loaded
from edge.core.settings.schema import Settings
from edge.core.types import Box, Space
from edge.hub.publishing.publisher import ReleasePublisher
from edge.recognition.store.face_rows import NewFace
from edge.releases.manifest import Deployment, Probe, ProbeBox, Release
from edge.releases.release_store import ReleaseStore
from edge.releases.sealing import FOLDER, FleetKey, FleetKeys, device_file, new_key
from edge.releases.updater import Synced, Updater

SPACE, NAMES = Space("ab" * 32, "litert", 1, 8), ("Zerlina Quux", "Ödön von Horváth")
PROBE_EMBEDDING = (0.12345, 0.54321)


def vector(seed: int) -> NDArray[np.float32]:
    made = np.random.default_rng(seed).normal(size=8).astype(np.float32)
    return made / np.linalg.norm(made)


@dataclass
class Hub:
    """A hub with two people, its file server, and its devices."""

    desk: ReleasePublisher
    site: Site
    state: Path

    def enroll(self, subjects: dict[int, str]) -> None:
        new = [
            NewFace(vector(seed), name, hashlib.sha256(name.encode()).hexdigest(), Box(0, 0, 1, 1), 0.9, 0.8)
            for seed, name in subjects.items()
        ]
        with self.desk.collections() as collections:
            collections.get_or_create("guests").add(new, SPACE)
        with self.desk.changing() as draft:
            draft.use("guests", "face")

    def publish(self) -> Release:
        release = self.desk.publish().release
        self.desk.deploy(Deployment("all", 1, release.id))
        return release

    def settings(self, device: str = "porch", key: str | None = None) -> Settings:
        root = self.state / "1.root.json"
        root.write_bytes((self.desk.repository.public / "metadata/1.root.json").read_bytes())
        secret = self.desk.fleet_keys.device_key(device) if key is None else key
        sync = {"url": self.site.url, "root": str(root), "reserve_bytes": 0, "key": secret}
        return Settings.model_validate({"device": {"name": device}, "labels": {"person": {}}, "sync": sync})

    def sync(self, device: str = "porch", key: str | None = None) -> Synced:
        return Updater(self.settings(device, key), self.state / device).run()

    def public_files(self) -> dict[str, bytes]:
        public = self.desk.repository.public
        return {str(path.relative_to(public)): path.read_bytes() for path in public.rglob("*") if path.is_file()}

    def running(self, device: str = "porch") -> str:
        return ReleaseStore(self.state / device).current

    def faces(self, device: str = "porch") -> bytes:
        store = ReleaseStore(self.state / device)
        (shipped,) = store.manifest(store.current).collections
        return b"".join(store.read(one.sha256) for one in shipped.segments)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    desk = ReleasePublisher(tmp_path / "hub", Settings())
    desk.init()
    hub = Hub(desk, Site(desk.repository.public), tmp_path)
    hub.enroll(dict(enumerate(NAMES)))
    with mock.patch("edge.releases.verification.attempt"):
        yield hub
    hub.site.close()


def secrets_in(files: dict[str, bytes]) -> dict[str, list[str]]:
    """File -> what it betrays of the people: names, embeddings, the collection, a probe."""
    wanted = {name: name.encode() for name in NAMES} | {"escaped": json.dumps(NAMES[1])[1:-1].encode()}
    wanted |= {f"embedding {seed}": vector(seed).tobytes() for seed in range(len(NAMES))}
    wanted |= {"collection": b"guests", "probe's embedding": str(PROBE_EMBEDDING[0]).encode(), "probe": b"\xff\xd8\xff"}
    found = {path: [what for what, data in wanted.items() if data in content] for path, content in files.items()}
    return {path: what for path, what in found.items() if what}


def with_probe(hub: Hub) -> None:
    blob = hub.desk.repository.put_private_blob(b"\xff\xd8\xff a picture of a face")
    boxes = (ProbeBox("face", (0.1, 0.1, 0.2, 0.2)),)
    with hub.desk.changing() as draft:
        draft.release = replace(draft.release, probes=(Probe(blob, "d", boxes),))


def test_the_served_folder_shows_no_name_no_embedding_no_picture_and_devices_have_them(hub: Hub) -> None:
    with_probe(hub)
    proved = tuple(replace(one, embeddings={"e": PROBE_EMBEDDING}) for one in hub.desk.draft().release.probes)
    with mock.patch("edge.hub.publishing.probes.expected", return_value=proved):
        hub.publish()
    assert secrets_in(hub.public_files()) == {}
    assert hub.sync().outcome == "installed"
    assert all(name.encode() in hub.faces() for name in NAMES)
    assert all(vector(seed).tobytes() in hub.faces() for seed in range(len(NAMES)))
    store = ReleaseStore(hub.state / "porch")
    assert store.manifest(store.current).probes == proved


def test_a_device_on_the_machine_of_the_hub_needs_no_key_where_it_may_read_the_hubs(hub: Hub) -> None:
    hub.publish()
    root = hub.desk.repository.public / "metadata/1.root.json"
    settings = hub.settings(key="")
    settings = settings.model_copy(update={"sync": settings.sync.model_copy(update={"root": root})})
    assert Updater(settings, hub.state / "porch").run().outcome == "installed"
    hub.desk.fleet_keys.path.unlink()
    with pytest.raises(SettingsError, match="has no key for it"):
        Updater(settings, hub.state / "mat").run()


def test_the_same_release_is_readable_where_sealing_is_off_so_the_search_above_can_fail(hub: Hub) -> None:
    with_probe(hub)
    hub.desk.fleet_keys.switch(enabled=False)
    with mock.patch("edge.hub.publishing.probes.expected", return_value=hub.desk.draft().release.probes):
        hub.publish()
    betrayed = {what for found in secrets_in(hub.public_files()).values() for what in found}
    assert {NAMES[0], "embedding 0", "collection", "probe"} <= betrayed
    assert hub.sync(key="").outcome == "installed"


@pytest.mark.parametrize(
    ("device", "key", "words", "hint"),
    [
        ("porch", "", "has no key for it", "edge hub sealing key porch"),
        ("porch", new_key(), "were not sealed for porch", "edge hub sealing key porch"),
        ("stranger", new_key(), "no keys for a device named stranger", "device.name must be the same"),
    ],
    ids=["no key", "another key", "another device"],
)
def test_a_device_without_the_key_says_so_and_keeps_its_release(
    hub: Hub, device: str, key: str, words: str, hint: str
) -> None:
    hub.desk.fleet_keys.device_key("porch")
    hub.desk.fleet_keys.switch(enabled=False)
    before = hub.publish()
    assert hub.sync(device, key="").release == before.id
    hub.desk.fleet_keys.switch(enabled=True)
    hub.enroll({3: "third"})
    hub.publish()
    with pytest.raises(EdgeError, match=words) as refused:
        hub.sync(device, key)
    assert hint in refused.value.hint
    assert hub.running(device) == before.id
    settings = hub.settings(device, key)
    patient = DoctorContext(Loaded(settings, None, {}, {}, {}, {}), hub.state / device)
    assert any(words in f"{one.what} {one.why}" and hint in one.try_ for one in _examined(patient))


def _examined(patient: DoctorContext) -> list[object]:
    from edge.cli.doctor import examination

    with mock.patch.object(examination, "PARTS", {"sync": releases}):
        return list(examination.examine(patient))


def flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def other_ring(_: bytes) -> bytes:
    return FleetKey(new_key()).seal(b"{}", "x")


def test_what_is_changed_on_the_way_is_refused_and_nothing_is_installed(hub: Hub) -> None:
    hub.publish()
    for part in ("/blobs/", f"/{FOLDER}/"):
        for change in (flipped, other_ring, lambda data: data[:20], lambda _: b"<html>login</html>"):
            hub.site.rules = {part: changed(change)}
            with pytest.raises((TrustError, FetchError)):
                hub.sync()
    assert hub.running() == ""
    hub.site.rules.clear()
    assert hub.sync().outcome == "installed"


def test_keys_of_another_device_open_nothing_here(hub: Hub) -> None:
    hub.publish()
    hub.desk.fleet_keys.device_key("hall")
    folder = hub.desk.repository.public / FOLDER
    hub.site.rules[device_file("porch")] = says((folder / device_file("hall")).read_bytes())
    with pytest.raises(TrustError, match="not sealed for porch"):
        hub.sync("porch")
    with pytest.raises(TrustError):
        hub.sync("porch", hub.desk.fleet_keys.device_key("hall"))


def test_a_sealed_file_is_not_taken_for_another_one() -> None:
    key = FleetKey(new_key())
    sealed = key.seal(b"alice", "one")
    assert FleetKeys((key,)).open(sealed, "one") == b"alice"
    with pytest.raises(TrustError):
        FleetKeys((key,)).open(sealed, "two")
    with pytest.raises(ReleaseError, match=key.id):
        FleetKeys((FleetKey(new_key()),)).open(sealed, "one")


def test_a_new_key_comes_with_the_release_and_no_file_of_faces_is_fetched_again(hub: Hub) -> None:
    hub.publish()
    hub.sync()
    old = hub.desk.fleet_keys.ring().keys[0].id
    with pytest.raises(ConflictError):
        hub.desk.publish()
    hub.desk.fleet_keys.rotate()
    after = hub.publish()
    assert after.sealing is not None
    assert after.sealing.key != old
    assert (hub.sync().received, hub.running()) == (0, after.id)


def test_old_keys_from_an_old_mirror_do_not_open_the_new_release(hub: Hub) -> None:
    first = hub.publish()
    hub.sync()
    folder = hub.desk.repository.public / FOLDER
    stale = (folder / device_file("porch")).read_bytes()
    hub.desk.fleet_keys.rotate()
    hub.enroll({3: "third"})
    after = hub.publish()
    hub.site.rules[f"/{FOLDER}/"] = says(stale)
    with pytest.raises(ReleaseError, match="does not have"):
        hub.sync()
    assert hub.running() == first.id
    hub.site.rules.clear()
    assert hub.sync().release == after.id


def test_a_device_that_was_removed_reads_nothing_that_is_published_afterwards(hub: Hub) -> None:
    hub.publish()
    stolen = hub.desk.fleet_keys.device_key("porch")
    hub.sync("porch")
    hub.sync("hall")
    ring = hub.desk.fleet_keys.ring()
    hub.desk.fleet_keys.remove("porch")
    hub.enroll({3: "third"})
    after = hub.publish()
    with pytest.raises(SettingsError, match="no keys for a device"):
        hub.sync("porch", stolen)
    assert hub.sync("hall").release == after.id
    sealed = [data for path, data in hub.public_files().items() if path.startswith("blobs/")]
    assert after.sealing is not None
    mine = [blob.sha256 for blob in after.sealing.files.values()]
    for data in sealed:
        if hashlib.sha256(data).hexdigest() in mine:
            with pytest.raises(ReleaseError):
                ring.open(data, "any")


def test_a_sealed_download_goes_on_where_it_was_cut(hub: Hub) -> None:
    hub.enroll({seed: f"person {seed}" for seed in range(10, 400)})
    release = hub.publish()
    assert release.sealing is not None
    (blob,) = release.sealing.files.values()
    hub.site.rules[blob.sha256] = cut(1000)
    with pytest.raises(FetchError):
        hub.sync()
    hub.site.rules.clear()
    assert hub.sync().received == blob.size - 1000


def test_an_older_edge_refuses_a_sealed_release_in_words_and_keeps_its_own(hub: Hub) -> None:
    hub.publish()
    with mock.patch("edge.releases.updater.__version__", "0.1.0"), pytest.raises(ReleaseError, match="update edge"):
        hub.sync()


def test_sealing_that_is_turned_on_takes_readable_releases_out_of_the_folder(hub: Hub) -> None:
    hub.desk.fleet_keys.switch(enabled=False)
    readable = hub.publish()
    assert secrets_in(hub.public_files())
    hub.desk.fleet_keys.switch(enabled=True)
    hub.enroll({3: "third"})
    hub.publish()
    assert f"releases/{readable.id}.json" not in hub.desk.repository.targets("targets")
    served = {path: data for path, data in hub.public_files().items() if not path.startswith("targets/")}
    assert secrets_in(served) == {}
    assert hub.sync().outcome == "installed"


def test_a_release_of_models_alone_needs_no_key(tmp_path: Path) -> None:
    desk = ReleasePublisher(tmp_path / "hub", Settings())
    desk.init()
    hub = Hub(desk, Site(desk.repository.public), tmp_path)
    with mock.patch("edge.releases.verification.attempt"):
        assert hub.publish().sealing is None
        assert hub.sync(key="").outcome == "installed"
    hub.site.close()


def test_a_hub_that_was_made_before_sealing_publishes_as_before(tmp_path: Path) -> None:
    desk = ReleasePublisher(tmp_path / "hub", Settings())
    desk.repository.init()
    assert desk.fleet_keys.key is None
    assert desk.fleet_keys.read().devices == {}
