from __future__ import annotations

import pytest

from edge.core.settings.schema import Settings
from edge.core.settings.vision import LabelSettings, RecognitionSettings
from edge.inference.calibration import false_match_rate
from edge.recognition.score_policy import HIGHEST, ScorePolicy, policy_of


@pytest.mark.parametrize("subjects", [1, 2, 8, 32, 125, 2000])
def test_the_chance_of_a_false_name_stays_the_same_whatever_the_number_of_subjects(subjects: int) -> None:
    needed = ScorePolicy(0.001).needed(subjects)
    assert subjects * false_match_rate(needed) == pytest.approx(0.001, rel=1e-6)


def test_more_is_never_asked_than_the_same_picture_has() -> None:
    assert ScorePolicy(1e-9).needed(1_000_000) == HIGHEST


def test_a_labels_own_similarity_stands_whatever_the_number_of_subjects() -> None:
    label = LabelSettings(embedder="x", collection="y", similarity=91, margin=0.2)
    settings = Settings(labels={"face": label}, recognition=RecognitionSettings(false_names=0.01))
    assert [policy_of(settings, "face").needed(n) for n in (1, 1000)] == [91, 91]
    assert policy_of(settings, "face", 99.0).needed(5) == 99
    assert policy_of(settings, "face").margin == 0.2
    assert policy_of(settings, "person").needed(10) == ScorePolicy(0.01).needed(10)
