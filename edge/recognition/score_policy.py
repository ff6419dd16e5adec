"""When a likeness is a name.

What is asked of a match grows with the number of subjects: each is one more chance to err.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge.core.settings.vision import LabelSettings
from edge.inference.calibration import likeness_at

if TYPE_CHECKING:
    from edge.core.settings.schema import Settings

HIGHEST = 99.9
"""likeness that is never asked for more than: what the very same picture has"""
DOUBT = 0.9
"""share of the likeness that makes a match, from which a subject is worth a question"""


@dataclass(frozen=True, slots=True)
class ScorePolicy:
    """Requirements of a match."""

    false_names: float = 0.001
    """share of strangers that may be given any name"""
    likeness: float | None = None
    """0..100, asked for whatever the number of subjects is; None: ``false_names`` decides"""
    margin: float = 0.06
    """cosine by which the best subject must lead the second best"""

    def needed(self, subjects: int) -> float:
        """Likeness 0..100 that a match must reach in a collection of that many subjects."""
        if self.likeness is not None:
            return self.likeness
        return min(HIGHEST, likeness_at(self.false_names / max(1, subjects)))


def policy_of(settings: Settings, label: str, likeness: float | None = None) -> ScorePolicy:
    """The policy of a label: ``likeness`` where given, else the label's ``similarity``, else ``false_names``."""
    section = settings.labels.get(label, LabelSettings())
    fixed = section.similarity if likeness is None else likeness
    return ScorePolicy(settings.recognition.false_names, fixed, section.margin)
