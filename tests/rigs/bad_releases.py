"""Releases that must not stay: a signed hub offers them to a running daemon, with real models; and how each ends.

``World`` is a hub, its web server, and ``edge run`` on a good release. Needs the models of ``../shared``.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rigs import settings_files
from rigs.release_simulator import Site
from rigs.running import ROOT, Running
from rigs.waiting import eventually

from edge.core.settings import loader as config
from edge.hub.publishing.publisher import ReleasePublisher
from edge.releases.manifest import Blob, Deployment, Release, ShippedModel, to_bytes
from edge.releases.release_store import ReleaseStore

FACES, OBJECTS, HEAVY, EMBEDDER = "edge-face-detector-1", "yolov8n-224", "yolov8n-416", "edge-face-embedder-1"
CAMERA = {"detectors": [FACES, OBJECTS], "fps": 100.0, "width": 320, "height": 180, "realtime": True, "loop": True}
"""more frames than this machine can look at: what a slower model costs shows in their number"""
LABELS: dict[str, Any] = {"face": {"embedder": EMBEDDER, "collection": "faces"}, "person": {}}
PROBATION = 30.0
PATIENCE = 240.0
"""seconds, on a machine that has other things to do"""


@dataclass(frozen=True)
class Ended:
    """How a release ended."""

    stage: str
    """``trial``: it was never in use; ``probation``: it was taken back; empty: it is in use"""
    reason: str
    seconds: float
    """from the beginning of ``edge sync`` to the old one being the one in use"""
    held: bool
    """another ``edge sync`` did not fetch or try it again"""


@dataclass(frozen=True)
class Bad:
    """A release that is bad, the stage that must find out, and what it must say."""

    name: str
    stage: str
    words: str
    make: Callable[[World, Release], Release]


class World:
    """Close it."""

    def __init__(self, folder: Path, models: Path) -> None:
        self._models = models
        hub = settings_files.write(folder / "desk", models, CAMERA, labels=LABELS)
        self.desk = ReleasePublisher(folder / "hub", config.read(hub))
        root = self.desk.repository.init()
        for name in (FACES, OBJECTS, EMBEDDER):
            self.desk.add_model(name)
        portraits = ROOT / "edge/data/portraits/grace-hopper"
        list(self.desk.add_collection("faces", portraits, "face", "grace"))
        self.desk.add_probe(next(portraits.glob("*.jpg")), "face")
        self.good = self.desk.publish().release
        self.site = Site(folder / "hub/public")
        sync = {"url": self.site.url, "root": str(root), "reserve_bytes": 0, "probation": PROBATION}
        settings = {"labels": LABELS, "sync": sync, "log": {"repeat_seconds": 0.0}}
        """each takeover says the same line, and is waited for"""
        self.device = Running(folder / "device", models, CAMERA, settings)
        self.slots = ReleaseStore(folder / "device/state")
        self.surroundings = {"PYTHONPATH": f"{Path(__file__).parent}"}
        self.device.config()
        self.device.start(**self.surroundings)

    def settle(self) -> None:
        """Until the good release is in use and has proved itself."""
        assert eventually(lambda: "watching door" in self.device.log, PATIENCE), self.device.log
        self.desk.deploy(Deployment("all", 1, self.good.id))
        assert self.sync()["outcome"] == "installed"
        assert eventually(lambda: f"release {self.good.id} committed" in self.device.log, PATIENCE), self.device.log

    def sync(self) -> dict[str, Any]:
        done = self.device.edge("sync", "--json", **self.surroundings)
        return dict(json.loads(done.stdout)) if done.returncode == 0 else {"outcome": "refused", "error": done.stderr}

    def offer(self, release: Release) -> None:
        """Signed, and not proved at the hub: what a careless or evil owner could do."""
        self.desk.repository.add_targets("targets", {f"releases/{release.id}.json": to_bytes(release)})
        self.desk.deploy(Deployment("all", 1, release.id))

    def carry_out(self, bad: Bad) -> Ended:
        """What becomes of a bad release."""
        release = bad.make(self, replace(self.good, id=f"bad-{bad.name.replace(' ', '-')}"))
        self.offer(release)
        back = f"release {self.good.id} is in use"
        taken_over = self.device.log.count(back)
        began = time.monotonic()
        said = self.sync()
        if said["outcome"] == "refused":
            stage, reason = "trial", said["error"].splitlines()[0]
        else:
            proved = re.compile(rf"release {release.id}( failed its probation: .*| committed)")
            assert eventually(lambda: proved.search(self.device.log), PATIENCE), self.device.log
            reason = re.findall(proved, self.device.log)[-1].strip()
            stage = "probation" if "failed its probation" in reason else ""
            assert not stage or eventually(lambda: self.device.log.count(back) > taken_over, PATIENCE), self.device.log
        seconds = time.monotonic() - began
        held = self.slots.current == self.good.id and self.sync()["outcome"] == "held"
        time.sleep(12.0)  # the measures of the good one, for the next to be compared with
        return Ended(stage, reason, seconds, held)

    def with_file(self, release: Release, model: str, name: str, change: Callable[[bytes], bytes]) -> Release:
        """The release with one file of a model changed; its card says no digest any more."""
        models = []
        for one in release.models:
            if one.name == model:
                files = dict(one.files)
                for key, blob in one.files.items():
                    data = (self.desk.repository.blobs / blob.sha256).read_bytes()
                    data = change(data) if key == name else data
                    files[key] = self.blob(without_digest(data) if key == "card.toml" else data)
                one = replace(one, files=files)
            models.append(one)
        return replace(release, models=tuple(models))

    def instead(self, release: Release, model: str, by: str, card: bytes, file: bytes) -> Release:
        """The release with another model in the place of one."""
        name = next(line.split(b'"')[1].decode() for line in card.splitlines() if line.startswith(b"file"))
        shipped = ShippedModel(by, "detector", {"card.toml": self.blob(without_digest(card)), name: self.blob(file)})
        kept = tuple(one for one in release.models if one.name != model)
        return replace(release, models=(*kept, shipped), replaces={**release.replaces, model: by})

    def blob(self, data: bytes) -> Blob:
        digest = hashlib.sha256(data).hexdigest()
        (self.desk.repository.blobs / digest).write_bytes(data)
        return Blob(digest, len(data))

    def card(self, name: str) -> bytes:
        return (ROOT / "models" / name / "card.toml").read_bytes()

    def file(self, name: str) -> bytes:
        return (self._models / name).read_bytes()

    def close(self) -> None:
        self.device.close()
        self.site.close()


def without_digest(card: bytes) -> bytes:
    return b"\n".join(line for line in card.splitlines() if not line.startswith((b"sha256", b"size =")))


def _crashes(world: World, release: Release) -> Release:
    crash = world.file("neg_crash_keyword_scrambled_8bit.tflite")
    return world.with_file(release, EMBEDDER, "model.tflite", lambda _: crash)


def _wrong_size(world: World, release: Release) -> Release:
    change = lambda card: card.replace(b"dimensions = 128", b"dimensions = 64")  # noqa: E731
    return world.with_file(release, EMBEDDER, "card.toml", change)


def _lost_quality(world: World, release: Release) -> Release:
    file = world.file("neg_degraded_face_slim320_int8.tflite")
    release = world.instead(release, FACES, "rfb-320", world.card("rfb-320"), file)
    return replace(release, probes=tuple(replace(probe, detector="rfb-320") for probe in release.probes))


def _too_slow(world: World, release: Release) -> Release:
    return world.instead(release, OBJECTS, HEAVY, world.card(HEAVY), world.file("det_yolov8n_coco_416_int8.tflite"))


def _leaks(world: World, release: Release) -> Release:
    card = world.card(OBJECTS).replace(OBJECTS.encode(), b"leaking", 1)
    card = card.replace(b'name = "yolov8"', b'name = "leaking:decode"')
    return world.instead(release, OBJECTS, "leaking", card, world.file("det_yolov8n_coco_224_int8.tflite"))


BAD = [
    Bad("crashes the interpreter", "trial", "crashed the validation process|the file takes|expected input", _crashes),
    Bad("wrong embedding size", "trial", "64|128", _wrong_size),
    Bad("lost its quality", "trial", "does not find|another embedding", _lost_quality),
    Bad("too slow", "probation", "too slow", _too_slow),
    Bad("leaks memory", "probation", "memory", _leaks),
]
