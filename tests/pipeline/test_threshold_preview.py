"""A threshold is tried on the looks of the history by the pipeline's own vote."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from edge.core.settings.services import HistorySettings
from edge.inference.calibration import Calibration
from edge.pipeline.history import Appearance, HistoryStore, Look
from edge.pipeline.threshold_preview import NamingVote, preview

VOTE = NamingVote(Calibration().log_likelihood_ratio, votes=2, good_quality=0.4)


def appearance(track: str, likeness: float, state: str = "unknown", needed: float = 95.0, looks: int = 6) -> Appearance:
    """A subject near alice; ``likeness`` of each look."""
    found = [Look(float(n), "alice", likeness, 20.0, needed, 0.8) for n in range(looks)]
    subject = "alice" if state == "known" else None
    return Appearance(track, "door", "face", time.time() - 60, state=state, subject=subject, looks=found)


@pytest.mark.parametrize(
    ("one", "needed", "after"),
    [
        (appearance("1", 90.0), 95.0, None),
        (appearance("1", 90.0), 80.0, "alice"),
        (appearance("1", 99.0, "known"), 95.0, "alice"),
        (appearance("1", 86.0, "known", needed=80.0), 99.9, None),
        (appearance("1", 99.0, looks=1), 80.0, None),
        (appearance("1", 99.0, looks=0), 0.0, None),
    ],
)
def test_what_would_have_been_named(one: Appearance, needed: float, after: str | None) -> None:
    assert preview([one], needed, VOTE)[0].after == after


def test_a_threshold_as_it_was_changes_no_name() -> None:
    """A retracted name, say, whose looks alone would give one."""
    retracted = appearance("1", 99.0, "retracted")
    assert preview([retracted], 95.0, VOTE)[0].after is None


def test_poor_looks_alone_make_no_name() -> None:
    poor = appearance("1", 99.0)
    poor.looks = [Look(one.offset, one.subject, one.likeness, one.runner_up, one.needed, 0.2) for one in poor.looks]
    assert preview([poor], 80.0, VOTE)[0].after is None


def test_the_history_gives_the_looks_of_a_label(tmp_path: Path) -> None:
    store = HistoryStore(tmp_path, HistorySettings())
    old = appearance("old", 90.0)
    old.started -= 100_000
    store.put([appearance("1", 90.0), appearance("2", 91.0, looks=0), old])
    found = store.looked_at("face", time.time() - 86400, 10)
    assert [(one.track, len(one.looks)) for one in found] == [("1", 6)]
    assert store.looked_at("car", 0, 10) == []
    store.close()
