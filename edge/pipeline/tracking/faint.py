"""What scores too little to start a track, and lies where nothing is followed: something may have been missed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edge.core.types import Detection, Track

SAME_PLACE = 0.2
"""intersection over union from which a detection is of a track that is followed"""


def unfollowed(
    detections: Sequence[Detection], tracks: Sequence[Track], lowest: Mapping[str, float], starts: Mapping[str, float]
) -> list[Detection]:
    """Those of the labels of ``lowest`` that score from it on and below ``starts``, and are of no track. Best first."""
    found = [one for one in detections if lowest.get(one.label, 2.0) <= one.score < starts.get(one.label, 0.0)]
    alone = [one for one in found if all(one.box.iou(track.box) < SAME_PLACE for track in tracks)]
    return sorted(alone, key=lambda one: -one.score)
