"""What a threshold would have named, by the looks that the history keeps.

The vote is the pipeline's own, over the likenesses that each look had. The history has no embeddings: looks of one
track are taken to resemble each other by ``ALIKE``, and the lead over the second subject is not looked at. Both err
alike with the threshold as it was and as it would be, so only appearances for which the two differ are said to change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge.core.types import IdentityState, Match
from edge.pipeline.history import Appearance, Look
from edge.pipeline.tracking.identity_voting import IdentityVotes, VotingRules

if TYPE_CHECKING:
    from edge.core.types import FloatArray

ALIKE = 0.9
"""cosine between two detections at one track"""
OTHER = "\0other"
"""stands for the second nearest subject of a look, whose name is not kept"""


@dataclass(frozen=True, slots=True)
class PreviewedName:
    """One appearance under two thresholds."""

    appearance: Appearance
    before: str | None
    """the name that it has"""
    after: str | None
    """the name that it would have had"""


@dataclass(frozen=True, slots=True)
class NamingVote:
    """How looks become a name."""

    nats: Callable[[float], float]
    """natural logarithm of the likelihood ratio of a likeness 0..100: ``Calibration.log_likelihood_ratio``"""
    votes: int
    """good looks that a name needs"""
    good_quality: float
    """quality 0..1 from which a look is a vote"""

    def name(self, looks: Sequence[Look], needed: float | None) -> str | None:
        """The name that looks give in the end; ``needed``: likeness of a match, None: as it was at each look."""
        threshold = 0.0 if needed is None else needed
        rules = VotingRules(
            evidence=lambda match: self.nats(match.likeness),
            needed=lambda: self.nats(threshold),
            votes=self.votes,
            good_quality=self.good_quality,
        )
        votes = IdentityVotes(rules)
        for look, vector in zip(looks, _vectors(len(looks)), strict=True):
            if needed is None:
                threshold = look.needed or 0.0
            votes.add(_matches(look), look.quality, vector)
        found = votes.identity
        return found.subject if found.state is IdentityState.KNOWN and found.subject != OTHER else None


def preview(appearances: Sequence[Appearance], needed: float, vote: NamingVote) -> list[PreviewedName]:
    """Each appearance with the name it has, and the one that a match from likeness ``needed`` on would have given."""
    found = []
    for one in appearances:
        now = one.subject if one.state == IdentityState.KNOWN else None
        was, would = vote.name(one.looks, None), vote.name(one.looks, needed)
        found.append(PreviewedName(one, now, now if was == would else would))
    return found


def _vectors(count: int) -> FloatArray:
    """(count, count + 1) unit vectors, any two of which have the cosine ``ALIKE``."""
    own = np.sqrt(1 - ALIKE) * np.eye(count, dtype=np.float32)
    return np.hstack([np.full((count, 1), np.sqrt(ALIKE), np.float32), own])


def _matches(look: Look) -> list[Match]:
    pairs = ((look.subject, look.likeness), (OTHER, look.runner_up))
    return [Match(name, name, likeness / 100, likeness) for name, likeness in pairs if name and likeness is not None]
