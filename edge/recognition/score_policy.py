"""Score policy: the likeness that a match requires.

It increases with the number of subjects, as each adds to the false match rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge.core.settings.vision import LabelSettings
from edge.inference.calibration import likeness_at

if TYPE_CHECKING:
    from edge.core.settings.schema import Settings

HIGHEST = 99.9
"""maximum required likeness: that of the same picture"""
DOUBT = 0.9
"""fraction of the required likeness from which a match is queued for review"""


@dataclass(frozen=True, slots=True)
class ScorePolicy:
    """Requirements of a match."""

    false_names: float = 0.001
    """maximum share of strangers that get a name"""
    likeness: float | None = None
    """fixed required likeness 0..100; None: derived from ``false_names``"""
    margin: float = 0.06
    """minimum lead in cosine of the best subject over the second best"""

    def needed(self, subjects: int) -> float:
        """Likeness 0..100 that a match must reach in a collection of this many subjects."""
        if self.likeness is not None:
            return self.likeness
        return min(HIGHEST, likeness_at(self.false_names / max(1, subjects)))


def policy_of(settings: Settings, label: str, likeness: float | None = None) -> ScorePolicy:
    """The policy of a label: ``likeness`` if given, else the label's ``similarity``, else ``false_names``."""
    section = settings.labels.get(label, LabelSettings())
    fixed = section.similarity if likeness is None else likeness
    return ScorePolicy(settings.recognition.false_names, fixed, section.margin)
