"""Matches over time, of one track, become an identity.

Each embedding's matches are one vote, weighted by the quality of its crop:

=========  =====================================================================================
for X      X is best, reaches ``match``, and leads the best other subject by ``margin``
towards X  X is best and reaches ``uncertain``, but it is not a vote for X
unknown    nobody reaches ``uncertain``
=========  =====================================================================================

Over the latest votes (a window, so that a track that changes hands is noticed):

* known as X: at least ``votes`` votes for X, they weigh more than all votes against X (unknown ones count, votes
  towards somebody else count half), and X leads everybody else by ``margin`` in the mean over all votes too. One
  look alone makes a name only where ``votes`` is 1, however good it is: the next frame costs little, and a single
  bad crop is what wrong names come from.
* retracted: X was known, at least ``votes`` votes speak against it, and they weigh more than those for it, or
  somebody else leads in the mean. Nothing else ends a name. After it, the track may become known, uncertain or
  unknown as the votes say.
* unknown: at least ``votes`` + 1 votes, and unknown ones weigh more than all others.
* uncertain: as many votes, somebody is named by them, and neither of the above holds.
* pending: too few votes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from edge.core.types import Identity, IdentityState, Match

LEAST_WEIGHT = 0.05


@dataclass(frozen=True, slots=True)
class VotingRules:
    """When votes make a name. Cosines are those of the embedder's space."""

    match: float
    """cosine from which the best subject is a match"""
    uncertain: float
    """cosine from which the best subject is at least worth a doubt; below ``match``"""
    margin: float
    """cosine by which the best subject must lead the second"""
    votes: int = 2
    """agreeing votes that make a track known"""

    @property
    def window(self) -> int:
        """Latest votes that count."""
        return 2 * self.votes + 3


@dataclass(frozen=True, slots=True)
class Vote:
    """What one embedding's matches say."""

    subject: str | None
    """the best subject; None: the collection had nobody"""
    similarity: float
    """cosine of ``subject``"""
    other: float | None
    """cosine of the best other subject; None: none was among the matches"""
    face_id: str | None
    weight: float
    similarities: dict[str, float]
    """best cosine by subject, of the subjects among the matches"""
    agrees: bool
    """it is a vote for ``subject``, not only towards"""
    unknown: bool

    @classmethod
    def of(cls, matches: Sequence[Match], quality: float, rules: VotingRules) -> Vote:
        """The vote of one search result: any number of faces, several of them perhaps of one subject."""
        best: Match | None = None
        similarities: dict[str, float] = {}
        for match in matches:
            name, similarity = match.name, match.similarity
            if similarity > similarities.get(name, -2.0):
                similarities[name] = similarity
            if best is None or similarity > best.similarity:
                best = match
        weight = min(1.0, max(LEAST_WEIGHT, quality))
        if best is None:
            return cls(None, -1.0, None, None, weight, {}, agrees=False, unknown=True)
        other = max((s for name, s in similarities.items() if name != best.name), default=None)
        leads = other is None or best.similarity - other >= rules.margin
        return cls(
            best.name, best.similarity, other, best.face_id, weight, similarities,
            agrees=best.similarity >= rules.match and leads, unknown=best.similarity < rules.uncertain,
        )  # fmt: skip


class IdentityVotes:
    """The votes of one track. Reading ``identity`` costs nothing; ``add`` decides anew."""

    def __init__(self, rules: VotingRules, collection: str | None = None) -> None:
        self._rules = rules
        self._collection = collection
        self._votes = deque[Vote](maxlen=rules.window)
        self.identity = Identity(collection=collection)

    def add(self, matches: Sequence[Match], quality: float) -> Identity:
        """Count the matches (cosines, best first or not) of a crop of this quality 0..1; returns what is known now."""
        self._votes.append(Vote.of(matches, quality, self._rules))
        known = self.identity.state is IdentityState.KNOWN
        self.identity = self._still_known() if known else self._decided()
        return self.identity

    def forget(self, rules: VotingRules | None = None) -> None:
        """Start again, by other rules perhaps: the collection or the embedder changed. A name stays until disproved."""
        self._rules = rules or self._rules
        self._votes = deque(maxlen=self._rules.window)

    def erase(self, subject: str) -> bool:
        """Know nothing of a subject, his name included; whether there was anything to know."""
        named = self.identity.subject == subject
        if not named and not any(subject in vote.similarities for vote in self._votes):
            return False
        self.forget()
        if named:
            self.identity = Identity(collection=self._collection)
        return named

    @property
    def in_doubt(self) -> bool:
        """Whether the latest vote speaks against a name that stands."""
        if self.identity.state is not IdentityState.KNOWN or not self._votes:
            return False
        return self._votes[-1].unknown or self._votes[-1].subject != self.identity.subject

    @property
    def close(self) -> bool:
        """Whether the latest vote is for a subject and one more like it might make the name."""
        return bool(self._votes) and self._votes[-1].agrees and self.identity.state is not IdentityState.KNOWN

    def _decided(self) -> Identity:
        subject = self._leader()
        if subject is not None and self._is_known(subject):
            return self._named(IdentityState.KNOWN, subject)
        if len(self._votes) <= self._rules.votes:
            return self.identity
        unknown = sum(vote.weight for vote in self._votes if vote.unknown)
        if subject is None or unknown > sum(vote.weight for vote in self._votes if not vote.unknown):
            similarity = max(vote.similarity for vote in self._votes)
            return Identity(IdentityState.UNKNOWN, None, similarity, collection=self._collection)
        return self._named(IdentityState.UNCERTAIN, subject)

    def _still_known(self) -> Identity:
        subject = self.identity.subject
        if subject is None or self._is_disproved(subject):
            old = self.identity
            return Identity(
                IdentityState.RETRACTED, subject, old.similarity, old.runner_up, old.face_id, self._collection
            )
        if any(vote.agrees and vote.subject == subject for vote in self._votes):
            return self._named(IdentityState.KNOWN, subject)
        return self.identity

    def _is_known(self, subject: str) -> bool:
        agreeing = sum(vote.agrees and vote.subject == subject for vote in self._votes)
        return (
            agreeing >= self._rules.votes
            and self._support(subject) > self._against(subject)
            and self._lead(subject) >= self._rules.margin
        )

    def _is_disproved(self, subject: str) -> bool:
        speaking = sum(vote.unknown or vote.subject != subject for vote in self._votes)
        if speaking < self._rules.votes:
            return False
        return self._against(subject) > self._support(subject) or self._lead(subject) < 0.0

    def _leader(self) -> str | None:
        """The subject that the votes name: by agreeing weight, then by the mean similarity, then by who came first."""
        named = dict.fromkeys(vote.subject for vote in self._votes if vote.subject is not None and not vote.unknown)
        return max(named, key=lambda name: (self._support(name), self._mean(name)), default=None)

    def _support(self, subject: str | None) -> float:
        return sum(vote.weight for vote in self._votes if vote.agrees and vote.subject == subject)

    def _against(self, subject: str) -> float:
        """Weight of the votes against: unknown ones and those for others in full, those towards others by half."""
        weight = 0.0
        for vote in self._votes:
            if vote.unknown:
                weight += vote.weight
            elif vote.subject != subject:
                weight += vote.weight if vote.agrees else vote.weight / 2
        return weight

    def _mean(self, subject: str) -> float:
        """Mean cosine of a subject over the votes. Where it is not among the matches, the least of them stands in."""
        total = weight = 0.0
        for vote in self._votes:
            if vote.similarities:
                least = min(vote.similarities.values())
                total += vote.weight * vote.similarities.get(subject, least)
                weight += vote.weight
        return total / weight if weight else -1.0

    def _lead(self, subject: str) -> float:
        """Cosine by which a subject leads everybody else, in the mean over all votes."""
        others = {name for vote in self._votes for name in vote.similarities if name != subject}
        if not others:
            return 2.0
        return self._mean(subject) - max(self._mean(name) for name in others)

    def _named(self, state: IdentityState, subject: str) -> Identity:
        """``subject`` beside its best vote. ``runner_up`` comes from the same votes that ``similarity`` comes from."""
        votes = [vote for vote in self._votes if vote.subject == subject and not vote.unknown]
        votes = [vote for vote in votes if vote.agrees] or votes
        best = max(votes, key=lambda vote: vote.similarity)
        others = [vote.other for vote in votes if vote.other is not None]
        return Identity(
            state, subject, best.similarity, max(others) if others else None, best.face_id, self._collection
        )
