"""A camera that shows frames held in memory: what many cameras cost, without the cost of making their pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge.core.errors import SourceError
from edge.core.imaging import image as pictures
from edge.core.types import Frame, Picture
from edge.sources.base import StoredClock

if TYPE_CHECKING:
    from edge.core.settings.vision import CameraSettings

GOLDEN = 0.6180339887
"""multiples of it, whole numbers taken off, are spread evenly over 0..1 however many there are"""
SHOTS = 8
"""pictures of a still scene, which differ by noise alone"""
NOISE = 2.0
"""of a still scene, steps of brightness"""


@dataclass(frozen=True)
class Film:
    """Frames that are shown again and again."""

    frames: Sequence[Frame]
    still: bool = False
    """nothing moves, so that its beginning follows on its end"""


_HELD: dict[str, Film] = {}
"""by the name that a source has for it: sources are built from text alone"""


@contextmanager
def held(name: str, film: Film) -> Iterator[str]:
    """While the block runs, the source whose text this gives shows ``film``; ``:NUMBER`` after it starts elsewhere."""
    _HELD[name] = film
    try:
        yield f"benchmarks.replay:Replay:{name}"
    finally:
        del _HELD[name]


class Replay:
    """A film, ``camera.fps`` frames a second. ``target``: ``NAME``, or ``NAME:NUMBER`` for camera NUMBER of many."""

    live = False

    def __init__(self, camera: CameraSettings, target: str) -> None:
        name, _, number = target.partition(":")
        if name not in _HELD:
            raise SourceError(f"replay {name}: no frames are held under that name", "choose another source")
        self.name = f"replay {name}"
        self._camera, self._film, self._number = camera, _HELD[name], int(number or 0)

    def frames(self) -> Iterator[Frame]:
        """Never ends. Cameras of one film are apart in what they show, and in when they show it."""
        clock, shown = StoredClock(realtime=True), self._film.frames
        phase = self._number * GOLDEN % 1.0
        start = int(phase * len(shown))
        sequence = 0
        while True:
            at = (start + sequence) % len(shown)
            monotonic, wall = clock.moment((phase + sequence) / self._camera.fps)
            again = at == 0 and sequence > 0 and not self._film.still
            yield Frame(self._camera.name, sequence, monotonic, wall, shown[at].main, shown[at].small, cut=again)
            sequence += 1

    def close(self) -> None:
        """Nothing is held open."""


def still(frame: Frame) -> Film:
    """The moment of ``frame``, seen through a noisy sensor for as long as one likes."""
    chance = np.random.default_rng(1)
    shots = []
    for sequence in range(SHOTS):
        main, small = _noisy(frame.main, chance), frame.small and _noisy(frame.small, chance)
        shots.append(Frame(frame.camera, sequence, 0.0, 0.0, main, small))
    return Film(shots, still=True)


def _noisy(picture: Picture, chance: np.random.Generator) -> Picture:
    if picture.layout == "i420":
        data = picture.data.copy()
        seen = pictures.planes(Picture(data, "i420", picture.width, picture.height))[0]
    else:
        seen = data = picture.data.copy()
    grain = chance.normal(0, NOISE, seen.shape[:2]).astype(np.int16)
    grain = grain[..., np.newaxis] if seen.ndim == 3 else grain
    seen[:] = np.clip(seen + grain, 0, 255).astype(np.uint8)
    return Picture(data, picture.layout, picture.width, picture.height)
