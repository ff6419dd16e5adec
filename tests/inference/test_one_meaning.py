"""A likeness means the same in every card: shipped and ready embedders beside each other."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from edge.core.imaging import image as pictures
from edge.core.resources import CHECKOUT_MODELS
from edge.core.settings.vision import ModelSettings
from edge.inference import model
from edge.inference.calibration import MEANING, false_match_rate
from edge.inference.card import CARD, Card, read_card
from edge.inference.load import load_detector, load_embedder
from edge.inference.scoring import MOST_BYTES, read_cohort

FACES = [
    card
    for card in (read_card(path) for path in sorted(CHECKOUT_MODELS.glob(f"*/{CARD}")))
    if card.kind == "embedder" and card.embedding is not None and card.embedding.crop == "arcface"
]
DETECTORS = dict.fromkeys(("edge-face-embedder-1", "edge-face-embedder-2"), "edge-face-detector-2")
PEOPLE = 240


@pytest.mark.parametrize("card", FACES, ids=lambda card: card.name)
def test_every_face_embedder_has_a_calibration_at_the_likenesses_that_have_a_meaning(card: Card) -> None:
    assert card.calibration is not None
    assert [likeness for _, likeness in card.calibration.points] == [likeness for likeness, _ in MEANING]
    assert [likeness for likeness, _ in card.calibration.accepted] == [likeness for likeness, _ in MEANING]
    assert "scripts/calibrate" in card.calibration.fitted


@pytest.mark.parametrize("card", FACES, ids=lambda card: card.name)
def test_every_face_embedder_brings_a_cohort_of_nobody(card: Card) -> None:
    assert card.cohort is not None
    assert card.embedding is not None
    path = CHECKOUT_MODELS / card.name / card.cohort.file
    assert path.stat().st_size <= MOST_BYTES
    assert hashlib.sha256(path.read_bytes()).hexdigest() == card.cohort.sha256
    cohort = read_cohort(path, card.cohort, card.embedding.dimensions)
    assert cohort.size >= 500
    assert "so of nobody" in card.cohort.made
    assert 0.1 < card.cohort.usual[0] < 0.6


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("card", FACES, ids=lambda card: card.name)
def test_strangers_reach_a_likeness_as_often_as_it_says(
    card: Card, shared_models: Path, shared_data: Path, tmp_path: Path
) -> None:
    """People of lfw_dev, which no card was fitted on: 57,000 comparisons of different people."""
    settings = ModelSettings(path=(shared_models,), check=False)
    if model.find_file(card, CHECKOUT_MODELS / card.name, model.folders(settings, tmp_path)) is None:
        pytest.skip(f"{card.file} is not here")
    detector = load_detector(DETECTORS.get(card.name, "ulffd-landmark-320"), settings, tmp_path)
    embedder = load_embedder(card.name, settings, tmp_path)
    vectors = []
    for person in sorted((shared_data / "lfw_dev").iterdir())[:PEOPLE]:
        picture = pictures.read(next(path for path in sorted(person.iterdir()))) if person.is_dir() else None
        found = detector.detect(picture) if picture else []
        if picture and found:
            vectors.append(embedder.embed(picture, found[:1], still=True)[0].vector)
    stacked = np.stack(vectors)
    scores = [embedder.scorer.compare(one, np.delete(stacked, row, 0)) for row, one in enumerate(stacked)]
    likenesses = np.concatenate(scores)
    for likeness in (60.0, 80.0):
        share = float((likenesses >= likeness).mean())
        assert share <= 3 * false_match_rate(likeness) + 4 / len(likenesses), (likeness, share)
    assert float((likenesses >= 99.0).mean()) <= 4 / len(likenesses)
