"""From pictures to a device that runs the release, with real models; and releases that must not get that far."""

from __future__ import annotations

import hashlib
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from rigs.release_simulator import Site

from edge.core.errors import ConflictError, EdgeError, ReleaseError, SpaceError
from edge.core.settings.schema import Settings
from edge.hub.publishing.publisher import ReleasePublisher
from edge.pipeline.health import Health
from edge.pipeline.loader import LoadedModels
from edge.recognition.store.collections import Collections
from edge.releases import activation as release_contents
from edge.releases import verification as release_trial
from edge.releases.manager import ReleaseManager
from edge.releases.manifest import Blob, Deployment, Release, to_bytes
from edge.releases.release_store import ReleaseStore
from edge.releases.update_state import UpdateState
from edge.releases.updater import Synced, Updater

PORTRAITS = Path(__file__).parents[3] / "edge/data/portraits"
DETECTOR, EMBEDDER, OTHER = "rfb-320", "mobilefacenet-112-int8", "mobilefacenet-112-float"


@dataclass
class World:
    desk: ReleasePublisher
    settings: Settings
    site: Site
    state: Path

    def sync(self) -> Synced:
        return Updater(self.settings, self.state).run()

    def deploy(self, release: str) -> None:
        self.desk.deploy(Deployment("all", 1, release))

    def publish(self, release: Release) -> None:
        """Signed, and not proved at the hub: what a careless or evil owner could do."""
        self.desk.repository.add_targets("targets", {f"releases/{release.id}.json": to_bytes(release)})
        self.deploy(release.id)

    def with_file(self, release: Release, model: str, name: str, change: Callable[[bytes], bytes]) -> Release:
        """The release with one file of a model changed."""
        models = []
        for one in release.models:
            if one.name == model:
                path = self.desk.repository.blobs / one.files[name].sha256
                data = change(path.read_bytes())
                blob = Blob(hashlib.sha256(data).hexdigest(), len(data))
                (self.desk.repository.blobs / blob.sha256).write_bytes(data)
                one = replace(one, files={**one.files, name: blob})
            models.append(one)
        return replace(release, models=tuple(models))


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, shared_models: Path) -> Path:
    """A hub that has published its first release: two models, a subject, a probe."""
    folder = tmp_path_factory.mktemp("desk")
    desk = ReleasePublisher(folder / "hub", settings(shared_models, "", None))
    desk.repository.init()
    desk.add_model(DETECTOR)
    desk.add_model(EMBEDDER)
    assert [one.status for one in desk.add_collection("staff", PORTRAITS / "grace-hopper", "face", "grace")]
    desk.add_probe(next((PORTRAITS / "grace-hopper").glob("*.jpg")), "face")
    desk.publish()
    return folder


def settings(models: Path, url: str, root: Path | None) -> Settings:
    values = {
        "device": {"name": "porch"},
        "models": {"path": [models], "threads": 1},
        "cameras": [{"name": "door", "source": "synthetic", "detectors": [DETECTOR]}],
        "labels": {"face": {"embedder": EMBEDDER, "collection": "staff"}},
        "sync": {"url": url, "root": root, "reserve_bytes": 0},
    }
    return Settings.model_validate(values)


@pytest.fixture
def world(published: Path, tmp_path: Path, shared_models: Path) -> Iterator[World]:
    shutil.copytree(published / "hub", tmp_path / "hub")
    site = Site(tmp_path / "hub/public")
    chosen = settings(shared_models, site.url, tmp_path / "hub/public/metadata/1.root.json")
    yield World(ReleasePublisher(tmp_path / "hub", chosen), chosen, site, tmp_path / "device")
    site.close()


def first(world: World) -> Release:
    name = world.desk.repository.targets("targets")[0].removeprefix("releases/").removesuffix(".json")
    return world.desk.release(name)


def bad(world: World, release: Release, words: str) -> None:
    """It ends in words, changes nothing, and is not tried again."""
    good = first(world)
    world.deploy(good.id)
    world.sync()
    world.publish(release)
    with pytest.raises(ReleaseError, match=words):
        world.sync()
    assert ReleaseStore(world.state).current == good.id
    assert world.sync().outcome == "held"
    assert world.sync().received == 0


def test_a_subject_more_costs_a_device_its_segment_alone(world: World) -> None:
    before = first(world)
    world.deploy(before.id)
    assert world.sync().received == sum(before.blobs().values())
    list(world.desk.add_collection("staff", PORTRAITS / "eileen-collins", "face", "eileen"))
    planned = world.desk.publish(dry=True)
    assert not planned.written
    after = world.desk.publish().release
    (new,) = after.blobs().keys() - before.blobs().keys()
    assert planned.new_blobs == {new: after.blobs()[new]}
    world.deploy(after.id)
    world.site.sent = 0
    assert world.sync().received == after.blobs()[new]
    metadata = world.site.sent - after.blobs()[new]
    assert metadata < 40_000
    with pytest.raises(ConflictError, match="nothing has changed"):
        world.desk.publish()


def test_the_daemon_s_side_loads_it_and_finds_who_came_with_it(world: World) -> None:
    release = first(world)
    world.deploy(release.id)
    world.sync()
    with Collections(world.state, world.settings.collection, maintain=False) as collections:
        switcher = ReleaseManager(world.settings, world.state, collections, Health(["door"]))
        assembled = switcher.start()
        assert assembled.model_set.release == release.id
        assert str(ReleaseStore(world.state).path(release.id)) in str(
            assembled.model_set.detectors[DETECTOR].model.path
        )  # type: ignore[attr-defined]
        assert collections.get("staff").subjects() == {"grace": 1}
        said = switcher.report()
        assert said
        assert (said.release, said.phase) == (release.id, "probation")
        switcher.close()


class Switched:
    """Stands for the threads that look: takes bundles."""

    def __init__(self) -> None:
        self.bundles: list[str] = []

    def __call__(self, loaded: LoadedModels) -> None:
        self.bundles.append(loaded.model_set.release)


def test_a_running_daemon_takes_over_a_release_watches_it_and_goes_back(world: World) -> None:
    health, watch, phases = Health(["door"]), Switched(), list[str]()
    now = 1000.0
    with Collections(world.state, world.settings.collection, maintain=False) as collections:
        switcher = ReleaseManager(world.settings, world.state, collections, health)

        def run(until: Callable[[], bool]) -> None:
            nonlocal now
            for _ in range(3000):
                now += 1.0
                switcher.tick(now, watch)
                if (said := switcher.report()) is not None and said.phase not in phases[-1:]:
                    phases.append(said.phase)
                if until():
                    return
                time.sleep(0.01)
            raise AssertionError(phases)

        assert switcher.start().model_set.release == ""
        run(lambda: True)
        release = first(world)
        world.deploy(release.id)
        world.sync()
        run(lambda: watch.bundles == [release.id])
        assert collections.get("staff").count == 1
        run(lambda: phases[-1] == "committed")
        second = replace(release, id="r2")
        world.publish(second)
        world.sync()
        run(lambda: watch.bundles[-1] == "r2")
        health.trouble("labels.face", "the embedder gives up")
        run(lambda: watch.bundles[-1] == release.id and phases[-1] == "rolled_back")
        there = ["idle", "staged", "probation", "committed"]
        assert phases == [*there, "staged", "probation", "rolled_back", "staged", "rolled_back"]
        assert world.sync().outcome == "held"
        switcher.close()


@pytest.mark.long
def test_three_starts_without_proof_and_the_release_is_taken_back(world: World) -> None:
    release = first(world)
    world.deploy(release.id)
    world.sync()
    with Collections(world.state, world.settings.collection, maintain=False) as collections:
        seen = []
        for _ in range(4):
            switcher = ReleaseManager(world.settings, world.state, collections, Health(["door"]))
            seen.append(switcher.start().model_set.release)
            said = switcher.report()  # and no close: it was killed
        assert seen == [release.id] * 3 + [""]
        assert said
        assert (said.phase, said.desired) == ("rolled_back", release.id)
        assert "3 starts" in said.error
        assert collections.get("staff").count == 0


def test_a_release_that_the_disk_damaged_is_left_and_fetched_again(world: World) -> None:
    release = first(world)
    world.deploy(release.id)
    world.sync()
    file = ReleaseStore(world.state).path(release.id) / "models" / EMBEDDER / "emb_mobilefacenet_112_int8.tflite"
    data = bytearray(file.read_bytes())
    data[5000] ^= 1
    file.write_bytes(data)
    with Collections(world.state, world.settings.collection, maintain=False) as collections:
        switcher = ReleaseManager(world.settings, world.state, collections, Health(["door"]))
        assert switcher.start().model_set.release == ""
        switcher.close()
        assert world.sync().outcome == "installed"
        switcher = ReleaseManager(world.settings, world.state, collections, Health(["door"]))
        assert switcher.start().model_set.release == release.id
        switcher.close()


@pytest.mark.long
def test_starts_that_end_as_they_should_say_nothing_against_a_release(world: World) -> None:
    world.deploy(first(world).id)
    world.sync()
    with Collections(world.state, world.settings.collection, maintain=False) as collections:
        for _ in range(5):
            switcher = ReleaseManager(world.settings, world.state, collections, Health(["door"]))
            assert switcher.start().model_set.release == first(world).id
            switcher.close()


def test_forgetting_somebody_reaches_the_device_and_the_bytes_go(world: World) -> None:
    list(world.desk.add_collection("staff", PORTRAITS / "eileen-collins", "face", "eileen"))
    world.desk.publish()
    assert world.desk.forget("grace") == {"staff": 1}
    assert world.desk.forget("nobody") == {}
    release = world.desk.publish().release
    (shipped,) = release.collections
    assert (release.erasure, len(shipped.tombstones), shipped.count) == (1, 1, 1)
    world.deploy(release.id)
    world.sync()
    with Collections(world.state, world.settings.collection, maintain=False) as collections:
        switcher = ReleaseManager(world.settings, world.state, collections, Health(["door"]))
        switcher.start()
        assert collections.get("staff").subjects() == {"eileen": 1}
        release_contents.commit(ReleaseStore(world.state), UpdateState(world.state / "sync"))
        switcher.close()
    compacted = world.desk.publish(compact_days=0.0).release
    assert compacted.collections[0].tombstones == ()
    # the older releases are signed no more, and nothing served holds the face
    kept = {path.name for path in world.desk.repository.blobs.iterdir()}
    assert len(first(world).collections[0].segments) == 1 or kept
    assert not {one.sha256 for one in shipped.segments[:1]} & set(compacted.blobs())


def test_a_collection_is_not_published_with_an_embedder_that_did_not_make_it(world: World) -> None:
    world.desk.add_model(OTHER, EMBEDDER)
    with pytest.raises(SpaceError, match="does not match model"):
        world.desk.publish()
    list(world.desk.add_collection("staff", PORTRAITS / "grace-hopper", "face", "grace"))
    release = world.desk.publish().release
    assert release.replaces == {EMBEDDER: OTHER}
    world.deploy(release.id)
    world.sync()
    assert ReleaseStore(world.state).current == release.id


def test_a_trial_that_is_killed_says_by_what() -> None:
    killed = subprocess.CompletedProcess([], -signal.SIGSEGV, b"", b"")
    with pytest.raises(ReleaseError, match=r"killed its verification process \(SIGSEGV\)"):
        release_trial._verdict("r1", killed)
    with pytest.raises(ReleaseError, match="failed: no room"):
        release_trial._verdict("r1", subprocess.CompletedProcess([], 1, b"", b"Traceback\nno room\n"))


def test_a_model_that_kills_its_process_is_refused(world: World, shared_models: Path) -> None:
    crash = (shared_models / "neg_crash_keyword_scrambled_8bit.tflite").read_bytes()
    release = replace(first(world), id="bad")
    file = "emb_mobilefacenet_112_int8.tflite"
    release = world.with_file(release, EMBEDDER, file, lambda _: crash)
    bad(
        world,
        world.with_file(release, EMBEDDER, "card.toml", without_digest),
        "crashed the validation process|the file takes|expected input",  # some runtimes read it without a crash
    )


@pytest.mark.long
def test_a_wrong_embedding_size_is_caught(world: World) -> None:
    release = replace(first(world), id="bad")
    change = lambda card: card.replace(b"dimensions = 128", b"dimensions = 64")  # noqa: E731
    bad(world, world.with_file(release, EMBEDDER, "card.toml", change), "64|128")


def test_a_detector_that_lost_its_quality_does_not_find_the_probe(world: World, shared_models: Path) -> None:
    degraded = (shared_models / "neg_degraded_face_slim320_int8.tflite").read_bytes()
    release = replace(first(world), id="bad")
    release = world.with_file(release, DETECTOR, "face_rfb320_int8.tflite", lambda _: degraded)
    bad(world, world.with_file(release, DETECTOR, "card.toml", without_digest), "does not find|decoder|tensor")


@pytest.mark.long
def test_an_embedder_that_gives_something_else_than_its_publisher_saw_is_caught(world: World) -> None:
    release = first(world)
    probe = release.probes[0]
    vector = tuple(-x for x in probe.embeddings[EMBEDDER])
    bad(world, replace(release, id="bad", probes=(replace(probe, embeddings={EMBEDDER: vector}),)), "cosine -")


def test_a_release_for_a_newer_edge_is_refused_and_taken_once_it_fits(world: World) -> None:
    world.publish(replace(first(world), id="later", minimum="99.0"))
    with pytest.raises(EdgeError, match=r"needs edge 99\.0"):
        world.sync()
    assert ReleaseStore(world.state).current == ""


def without_digest(card: bytes) -> bytes:
    return b"\n".join(line for line in card.splitlines() if not line.startswith((b"sha256", b"size")))
