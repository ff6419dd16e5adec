"""Looks at one track, over time, become an identity.

Each embedding of a track is a look. For each subject among its matches a look holds evidence: the natural logarithm of
how much likelier such a match is for the subject than for a stranger. Evidence of a track for a subject is

    gain(n) * weighted mean of the best SHARE of the looks,        gain(n) = n / (1 + (n - 1) * CORRELATION)

* A blurred or turned face loses its likeness, so the lowest of the looks are left out; a share of the looks, and not
  the best one, because the best of ever more looks of a stranger is ever better.
* Looks at the same face err the same way. A look that shows nearly the same as an earlier one, by the cosine of their
  embeddings, weighs less and adds little to ``n``, the number of independent looks. The gain has a bound: staying long
  proves nothing.
* A subject that is not among the matches of a look gets the least evidence of that look, and none at most.
* All looks count since the track began, or the ``HELD`` best by quality: there is no window that slides, so a stranger
  who stays gets no further chances.

Identity from that:

* known as X: evidence for X reaches what a name needs; at least ``votes`` good looks are for X; looks for X have most
  of the weight; and X leads everybody else by ``margin`` in the mean cosine. A look of less than ``good_quality``
  counts as evidence but is no vote: poor looks alone never make a name.
* retracted: X was known, the last ``votes`` good looks are not for X, and evidence has fallen below ``HOLD`` of what a
  name needs, or looks for X weigh no more than half; or the last ``patience`` good looks are not for X, whatever was
  before. Nothing else ends a name.
* uncertain: more than ``votes`` looks, somebody has ``DOUBT`` of the evidence that a name needs and ``DOUBT_SHARE`` of
  the weight, and it is no name.
* unknown: as many looks, and nobody has that much.
* pending: fewer looks.

Where the latest looks resemble each other and none of the looks before, the track has changed hands: evidence starts
again from them, as it does when ``patience`` has retracted a name. Each start needs ``RESTART`` more than the one
before, so that all together err no more often than twice the first.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge.core.types import Identity, IdentityState, Match

if TYPE_CHECKING:
    from edge.core.types import FloatArray

CORRELATION = 0.7
"""of the evidence of two looks at one face that show it as differently as two photos taken on different days"""
NEW, SAME = 0.67, 0.94
"""cosine of two looks at one face that are independent photos, and of two that show the same"""
LEAST_NOVELTY = 0.35
"""by which a look counts in the mean at least"""
LEAST_WEIGHT = 0.05
"""the same of its quality"""
SHARE = 0.6
"""of the looks, those whose evidence for a subject counts: the best"""
MAJORITY = 0.5
"""of the weight of all looks, that looks for a subject must exceed to name it"""
CANDIDATES = 3
"""subjects whose evidence is compared"""
HELD = 24
"""looks that count; of more, those of the best quality"""
HOLD = 0.5
"""share of the evidence of a name from which it is kept"""
DOUBT = 0.5
"""the same, from which a subject is worth a question"""
SUPPORT = 1 / 3
"""the same, of one look, from which it is for its best subject"""
DOUBT_SHARE = 1 / 3
"""of the weight of all looks, that looks for a subject must have for it to be worth a question"""
RESTART = math.log(2.0)
CHANGED = 0.3
"""cosine below which the latest looks show somebody else than the looks before"""
REMEMBERED = 8
"""looks whose embeddings are held"""


def _nothing() -> float:
    return 0.0


@dataclass(frozen=True, slots=True)
class VotingRules:
    """When looks make a name."""

    evidence: Callable[[Match], float]
    """nats: logarithm of the likelihood ratio, same subject over stranger"""
    needed: Callable[[], float] = _nothing
    """nats that a name needs now: it grows with the subjects enrolled"""
    margin: float = 0.0
    """cosine by which the best subject must lead the second"""
    votes: int = 2
    """good looks for a subject that make a track known"""
    good_quality: float = 0.0
    """quality 0..1 from which a look is a vote"""

    @property
    def patience(self) -> int:
        """Good looks in a row that are not for a known subject, after which its name is retracted."""
        return 2 * self.votes + 3


@dataclass(frozen=True, slots=True)
class VotingLook:
    """What one embedding's matches say."""

    best: Match | None
    """None: the collection had nobody"""
    other: float | None
    """cosine of the best other subject; None: none was among the matches"""
    evidence: dict[str, float]
    """nats by subject, of those among the matches"""
    cosines: dict[str, float]
    quality: float
    vector: FloatArray | None

    @classmethod
    def of(cls, matches: Sequence[Match], quality: float, vector: FloatArray | None, rules: VotingRules) -> VotingLook:
        """From any number of matches, several of them perhaps of one subject, in any order."""
        evidence: dict[str, float] = {}
        cosines: dict[str, float] = {}
        best, most = None, -math.inf
        for match in matches:
            name, cosine, nats = match.name, match.similarity, rules.evidence(match)
            if nats > evidence.get(name, -math.inf):
                evidence[name] = nats
            if cosine > cosines.get(name, -math.inf):
                cosines[name] = max(cosine, -1.0)
            if nats > most or (nats == most and cosine > (best.similarity if best else -1.0)):
                best, most = match, nats
        others = [cosine for name, cosine in cosines.items() if name != best.name] if best else []
        other = max(others, default=None)
        return cls(best, other, evidence, cosines, quality, vector)

    def supports(self, subject: str, needed: float) -> bool:
        """Whether ``subject`` is the best, and by a share of what a name needs."""
        return self.best is not None and self.best.name == subject and self.evidence[subject] >= SUPPORT * needed


@dataclass(frozen=True, slots=True)
class _BestMatch:
    match: Match
    other: float | None
    """cosine of the best other subject in the same look"""


@dataclass(frozen=True, slots=True)
class _CountedLook:
    """A look, and how much it counts."""

    look: VotingLook
    weight: float
    novelty: float
    """0..1"""
    least: float
    """nats of a subject that is not among its matches"""
    supported: str | None
    """the subject that it is for"""
    good: bool


class _Tally:
    """The looks that count."""

    def __init__(self) -> None:
        self._counted: list[_CountedLook] = []
        self._weight = 0.0
        self._independent = 0.0
        """looks, each by its novelty"""
        self._nats: dict[str, float] = {}
        """evidence by subject, of the looks counted so far: it is read in every frame"""

    def add(self, look: VotingLook, novelty: float, needed: float, good: bool) -> None:
        """Count a look; where ``HELD`` are counted, in the place of the poorest, unless it is poorer still."""
        if len(self._counted) == HELD:
            poorest = min(self._counted, key=_quality)
            if look.quality <= poorest.look.quality:
                return
            self._counted.remove(poorest)
        self._nats.clear()
        weight = max(LEAST_WEIGHT, min(1.0, look.quality)) * max(LEAST_NOVELTY, novelty)
        least = min(0.0, min(look.evidence.values(), default=0.0))
        supported = look.best.name if look.best is not None and look.supports(look.best.name, needed) else None
        self._counted.append(_CountedLook(look, weight, novelty, least, supported, good))
        self._weight = sum([one.weight for one in self._counted])
        self._independent = max(1.0, sum([one.novelty for one in self._counted]))

    def has(self, subject: str) -> bool:
        """Whether a subject is among the matches of any look."""
        return any(subject in one.look.cosines for one in self._counted)

    def leader(self) -> str | None:
        """The subject with most evidence, of the ``CANDIDATES`` that are the best of most looks; then the first one."""
        bests: dict[str, int] = {}
        for one in self._counted:
            if (best := one.look.best) is not None:
                bests[best.name] = bests.get(best.name, 0) + 1
        if len(bests) < 2:
            return next(iter(bests), None)
        return max(sorted(bests, key=bests.__getitem__, reverse=True)[:CANDIDATES], key=self.nats)

    def nats(self, subject: str) -> float:
        """Evidence for a subject."""
        if subject not in self._nats:
            self._nats[subject] = self._evidence(subject)
        return self._nats[subject]

    def _evidence(self, subject: str) -> float:
        found = sorted([(one.look.evidence.get(subject, one.least), one.weight) for one in self._counted], reverse=True)
        best = found[: math.ceil(SHARE * len(found))]
        total = sum([weight for _, weight in best])
        mean = sum([nats * weight for nats, weight in best]) / total if total else 0.0
        return mean * self._independent / (1.0 + (self._independent - 1.0) * CORRELATION)

    def lead(self, subject: str) -> float:
        """Mean cosine by which a subject leads everybody else; 2 where there is nobody else."""
        sums: dict[str, float] = {}
        for one in self._counted:
            least = min(one.look.cosines.values(), default=0.0)
            for name, cosine in one.look.cosines.items():
                sums[name] = sums.get(name, 0.0) + one.weight * (cosine - least)
        others = [cosine for name, cosine in sums.items() if name != subject]
        return (sums.get(subject, 0.0) - max(others)) / self._weight if others else 2.0

    def share(self, subject: str) -> float:
        """Of the weight of all looks, that of the looks for a subject."""
        supporting = sum([one.weight for one in self._counted if one.supported == subject])
        return supporting / self._weight if self._weight else 0.0

    def votes(self, subject: str) -> int:
        """Good looks for a subject."""
        return len([one for one in self._counted if one.good and one.supported == subject])


def _quality(one: _CountedLook) -> float:
    return one.look.quality


class IdentityVotes:
    """The looks at one track. Reading ``identity`` costs nothing; ``add`` decides anew."""

    def __init__(self, rules: VotingRules, collection: str | None = None) -> None:
        self._rules = rules
        self._collection = collection
        self._restarts = 0
        self._needed = 0.0
        """nats that a name needed at the latest look"""
        self.identity = Identity(collection=collection)
        self._begin()

    def add(self, matches: Sequence[Match], quality: float, vector: FloatArray | None = None) -> Identity:
        """Count the matches of a crop of this quality 0..1; returns what is known now.

        ``vector``: (dimensions,) its embedding, of length 1; without it every look counts as independent of the others.
        """
        look = VotingLook.of(matches, quality, vector, self._rules)
        self._needed = self._rules.needed() + RESTART * self._restarts
        self._remember(look)
        if self._has_changed_hands():
            self._restart()
        else:
            self._count(look)
        self._decide(look)
        return self.identity

    def forget(self, rules: VotingRules | None = None) -> None:
        """Start again, by other rules perhaps: the collection or the embedder changed. A name stays until disproved."""
        self._rules = rules or self._rules
        self._restarts = 0
        self._begin()

    def erase(self, subject: str) -> bool:
        """Remove a subject, from the identity as well; whether there was anything to remove."""
        named = self.identity.subject == subject
        if not named and not self._tally.has(subject):
            return False
        self.forget()
        if named:
            self.identity = Identity(collection=self._collection)
        return named

    @property
    def in_doubt(self) -> bool:
        """Whether the latest look speaks against a name that stands."""
        known = self.identity.subject if self.identity.state is IdentityState.KNOWN else None
        return known is not None and bool(self._looks) and not self._looks[-1].supports(known, self._needed)

    @property
    def close(self) -> bool:
        """Whether the latest look is for a subject, and one more like it might make the name."""
        if not self._looks or self.identity.state is IdentityState.KNOWN:
            return False
        best, other = self._looks[-1].best, self._looks[-1].other
        return (
            best is not None
            and self._looks[-1].evidence[best.name] >= self._needed
            and (other is None or best.similarity - other >= self._rules.margin)
            and self._tally.nats(best.name) >= HOLD * self._needed
        )

    def _begin(self) -> None:
        self._tally = _Tally()
        self._looks = deque[VotingLook](maxlen=REMEMBERED)
        self._alike = deque[list[float]](maxlen=REMEMBERED)
        """cosines of each of the looks with those before it, oldest first"""
        self._best: dict[str, _BestMatch] = {}
        self._counted = self._against = 0

    def _count(self, look: VotingLook) -> None:
        self._counted += 1
        good = look.quality >= self._rules.good_quality
        self._tally.add(look, self._novelty(), self._needed, good)
        if look.best is not None:
            held = self._best.get(look.best.name)
            if held is None or look.best.similarity > held.match.similarity:
                self._best[look.best.name] = _BestMatch(look.best, look.other)

    def _remember(self, look: VotingLook) -> None:
        """Hold a look, and how alike it and those before it are."""
        alike: list[float] = []
        if look.vector is not None:
            alike = [float(one.vector.dot(look.vector)) for one in self._looks if one.vector is not None]
        self._looks.append(look)
        self._alike.append(alike)

    def _novelty(self) -> float:
        """How much the latest look shows that earlier ones do not, 0..1."""
        alike = self._alike[-1]
        return min(1.0, max(0.0, (SAME - max(alike)) / (SAME - NEW))) if alike else 1.0

    def _has_changed_hands(self) -> bool:
        """Whether the latest looks are alike, and like none before."""
        latest = max(2, self._rules.votes)
        for back in range(1, latest + 1):
            if len(self._alike) < back or len(self._alike[-back]) < latest + 2 - back:
                return False
            since = latest - back
            alike = self._alike[-back]
            before, among = alike[: len(alike) - since], alike[len(alike) - since :]
            if max(before) >= CHANGED or (among and min(among) < CHANGED):
                return False
        return True

    def _restart(self) -> None:
        """Begin again with the latest looks."""
        kept = list(self._looks)[-max(2, self._rules.votes) :]
        against = self._against
        self._begin()
        self._restarts, self._needed = self._restarts + 1, self._needed + RESTART
        self._against = against
        for look in kept:
            self._remember(look)
            self._count(look)

    def _decide(self, look: VotingLook) -> None:
        if self.identity.state is IdentityState.KNOWN:
            self._keep_or_retract(look)
            return
        leader = self._tally.leader()
        if leader is not None and self._is_known(leader):
            self._against = 0
            self.identity = self._named(IdentityState.KNOWN, leader)
        elif self._counted > self._rules.votes:
            doubtful = leader is not None and self._is_doubtful(leader)
            self.identity = self._named(IdentityState.UNCERTAIN, leader) if leader and doubtful else self._unknown()

    def _keep_or_retract(self, look: VotingLook) -> None:
        subject = self.identity.subject or ""
        if look.supports(subject, self._needed):
            self._against = 0
        elif look.quality >= self._rules.good_quality:
            self._against += 1
        weak = self._tally.nats(subject) < HOLD * self._needed or self._tally.share(subject) <= MAJORITY
        lost = self._against >= self._rules.patience
        if lost or (weak and self._against >= self._rules.votes):
            if lost:
                self._restart()
            old = self.identity
            self.identity = Identity(
                IdentityState.RETRACTED, subject, old.similarity, old.runner_up, old.face_id, self._collection,
                likeness=old.likeness,
            )  # fmt: skip
        elif subject in self._best:
            self.identity = self._named(IdentityState.KNOWN, subject)

    def _is_doubtful(self, subject: str) -> bool:
        return self._tally.nats(subject) >= DOUBT * self._needed and self._tally.share(subject) > DOUBT_SHARE

    def _is_known(self, subject: str) -> bool:
        tally, rules = self._tally, self._rules
        return (
            tally.votes(subject) >= rules.votes
            and tally.nats(subject) >= self._needed
            and tally.share(subject) > MAJORITY
            and tally.lead(subject) >= rules.margin
        )

    def _unknown(self) -> Identity:
        if not self._best:
            return Identity(IdentityState.UNKNOWN, None, -1.0, collection=self._collection)
        best = max([one.match for one in self._best.values()], key=_cosine)
        return Identity(
            IdentityState.UNKNOWN, None, best.similarity, collection=self._collection, likeness=best.likeness
        )

    def _named(self, state: IdentityState, subject: str) -> Identity:
        """``subject`` beside its best look."""
        match, other = self._best[subject].match, self._best[subject].other
        return Identity(
            state, subject, match.similarity, other, match.face_id, self._collection, likeness=match.likeness
        )


def _cosine(match: Match) -> float:
    return match.similarity
