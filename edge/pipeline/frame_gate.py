"""Frame gating: whether detectors run on a frame, and on which tiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from edge.core.settings.vision import CameraSettings
from edge.core.types import WHOLE, Box, Detection, Frame, Track
from edge.inference.tiling import Tiling
from edge.pipeline.load_shedding import LEAST_MOTION, NOTHING, ShedLevel
from edge.pipeline.masks import Masks
from edge.pipeline.motion import MotionDetector, MotionResult, place_view

if TYPE_CHECKING:
    from edge.core.types import FloatArray
    from edge.inference.protocols import DetectionModel
    from edge.pipeline.tracking.stillness import View

LOOK_AT_NOTHING = 5.0
"""seconds between two detections in a still scene without tracks"""
LOOK_AT_TRACKS = 1.0
"""seconds between two detections in a still scene with tracks, so that resting subjects stay present"""


class FrameGate:
    """Frame gate of one camera. One thread at a time."""

    def __init__(self, camera: CameraSettings) -> None:
        self.shed: ShedLevel = NOTHING
        """what load shedding switches off, from the next frame on"""
        self.moving = True
        """whether motion was detected in the latest frame, where motion detection is on"""
        self._masks = Masks(camera.masks) if camera.masks else None
        self._planes = MotionDetector(masks=self._masks)
        self._motion = self._planes if camera.motion else None
        self._tiling = Tiling(camera.tiles) if camera.tiles else None
        self._regions: Sequence[Box] = (WHOLE,)
        self._looked = -1e9

    def worth(self, frame: Frame, tracks: Sequence[Track]) -> bool:
        """Whether detectors run: on motion, for unsettled tracks, and periodically."""
        if self._motion is None:
            return True
        seen = self._motion.look(frame)
        self.moving = self._is_motion(seen)
        waited = frame.monotonic - self._looked
        unsettled = any(not track.confirmed or (track.seen < self._looked and not track.resting) for track in tracks)
        due = waited >= (LOOK_AT_TRACKS if tracks else LOOK_AT_NOTHING)
        self._regions = [*seen.regions, *(track.box for track in tracks)] or (WHOLE,)
        return self.moving or due or unsettled

    def view(self, frame: Frame) -> View:
        """Brightness of places of this frame, for the tracker."""
        plane: list[FloatArray] = []

        def view(box: Box) -> FloatArray | None:
            if not plane:
                plane.append(self._planes.plane(frame))
            return place_view(plane[0], box)

        return view

    def looks(self, frame: Frame) -> None:
        """Record that a detector has run on this frame."""
        self._looked = frame.monotonic

    def closer(
        self, detector: DetectionModel, frame: Frame, found: list[Detection], scores: Mapping[str, float]
    ) -> list[Detection]:
        """``found`` in the whole frame, and what its parts show where something moves or is followed, but for masks."""
        if self._tiling is not None and self.shed.regions:
            found = self._tiling.add(detector, found, frame.main, self._regions, scores)
        return self._masks.visible(found) if self._masks is not None else found

    def _is_motion(self, seen: MotionResult) -> bool:
        return seen.moving and (self.shed.regions or sum(region.area for region in seen.regions) >= LEAST_MOTION)
