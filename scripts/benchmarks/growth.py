"""What a frame costs as the load grows: more faces in view, other detectors."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import cv2
import numpy as np

from benchmarks import rival
from edge.cli.bench.cycle import WARM_UP, run_cycle
from edge.cli.bench.stand import BenchSetup
from edge.core.imaging import image as pictures
from edge.core.settings.vision import CameraSettings, LabelSettings
from edge.core.types import Frame, Picture
from edge.inference import model as models
from edge.pipeline.loader import load_model_set
from edge.sources import synthetic_scene as scene
from edge.sources.base import fitted
from edge.sources.synthetic_script import PortraitPose

if TYPE_CHECKING:
    from edge.core.types import ByteArray

SEED = 3
FACE = 0.15
"""height of a face, of the frame's: 108 of 720 pixels, so that sixteen find room"""
SWAY = 0.01
"""of the frame's width, to either side"""
KEPT = ("fps", "cpu_ms_per_frame", "invoke_cpu_ms_per_frame", "cpu_over_invokes", "fps_share")


def by_faces(stand: BenchSetup) -> dict[str, Any]:
    """By number of people who stand in view; each beside a plain script on the same frames."""
    found = {}
    for count in stand.plan.in_view:
        crowd = crowded(stand.camera, count, stand.plan.frames + WARM_UP)
        cycle, _, _ = run_cycle(
            stand.camera, stand.settings, stand.assembled, crowd, stand.outbox, lambda _: stand.progress(0)
        )
        script = rival.beside(stand.settings, stand.camera, stand.assembled, crowd, cycle, stand.progress)
        found[str(count)] = _kept(cycle) | {
            "detections_per_frame": round(cycle["detections"] / cycle["frames"], 2),
            "embeddings_per_frame": round(script["embeddings_of_ours"] / cycle["frames"], 2),
            "script_embeddings_per_frame": round(script["embeddings"] / cycle["frames"], 2),
            "script_cpu_ms_per_frame": script["cpu_ms_per_frame"],
            "fps_over_script": script["our_fps_over_its"],
        }
    return found


def by_detector(stand: BenchSetup) -> dict[str, Any]:
    """By detector, in place of those of the settings; all that it can find matters."""
    found = {}
    for name in stand.plan.detectors:
        decoder = models.find(name, models.folders(stand.settings.models, stand.state)).card.decoder
        labels = {label: LabelSettings() for label in (decoder.labels if decoder else ())} | stand.settings.labels
        camera = stand.camera.model_copy(update={"detectors": (name,)})
        chosen = stand.settings.model_copy(update={"cameras": (camera,), "labels": labels})
        assembled = load_model_set(chosen, stand.state, stand.collections)
        cycle, _, _ = run_cycle(camera, chosen, assembled, stand.frames, stand.outbox, lambda _: stand.progress(0))
        found[name] = _kept(cycle)
    return found


def crowded(camera: CameraSettings, people: int, count: int) -> list[Frame]:
    """Frames of so many people who stand side by side in rows and sway a little."""
    folder = Path(str(resources.files("edge") / "data" / "portraits"))
    portraits = scene.portraits(folder)
    width, height = camera.width // 2 * 2, camera.height // 2 * 2
    small = fitted((width, height), (camera.small_width, camera.small_height))
    room = scene.room(width, height, SEED)
    chance = np.random.default_rng(SEED)
    grain = np.abs(chance.normal(0, 3, (height, width))).astype(np.uint8)
    start, wall, frames = time.monotonic(), time.time(), []
    for number in range(count):
        at = number / camera.fps
        canvas = room.copy()
        for index, (x, y) in enumerate(_places(people)):
            portrait = portraits[index % len(portraits)]
            sway = SWAY * math.sin(1.3 * at + index)
            pose = PortraitPose(x + sway, y, FACE, 3.0 * math.sin(0.7 * at + index), 0.0)
            scene.add_person(canvas, portrait, pose, 0.0)
        planes = cast("ByteArray", cv2.cvtColor(canvas, cv2.COLOR_RGB2YUV_I420))
        cv2.add(planes[:height], np.roll(grain, 37 * number), dst=planes[:height])
        main = Picture(planes, "i420", width, height)
        frames.append(
            Frame(camera.name, number, start + at, wall + at, main, pictures.resized(main, *small), video_time=at)
        )
    return frames


def _places(people: int) -> list[tuple[float, float]]:
    """Where their faces are: rows from the back to the front, fractions of the frame."""
    columns = math.ceil(math.sqrt(2 * people))
    rows = math.ceil(people / columns)
    return [
        ((column + 0.5) / min(columns, people - row * columns), (row + 0.5) / rows)
        for row in range(rows)
        for column in range(min(columns, people - row * columns))
    ]


def _kept(cycle: Mapping[str, Any]) -> dict[str, Any]:
    return {name: cycle[name] for name in KEPT}
