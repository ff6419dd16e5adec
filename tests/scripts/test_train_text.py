"""What the trainer of the text models learns from: rendered words and scenes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from training.text_rendering import TextSource

pytest.importorskip("PIL", reason="the trainer needs Pillow")
SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


@pytest.fixture(autouse=True)
def training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(SCRIPTS)


@pytest.fixture
def source(training: None) -> TextSource:
    from PIL import ImageFont
    from training.text_rendering import SIZE, TextSource

    font: Any = ImageFont.load_default(SIZE)
    picture = np.random.default_rng(1).integers(60, 190, (200, 260, 3), np.uint8)
    return TextSource([[font]], ["exit", "parcel", "Station"], [picture])


def test_a_drawn_word_is_cut_at_its_ink_and_knows_its_baseline(source: TextSource) -> None:
    from training.text_rendering import drawn

    upper, lower = (drawn(text, source.families[0][0], np.random.default_rng(3)) for text in ("EXIT", "gap"))

    assert upper is not None
    assert lower is not None
    for ink in (upper, lower):
        assert ink.cover[[0, -1]].any(axis=1).all()
        assert ink.cover[:, [0, -1]].any(axis=0).all()
    assert upper.rise == pytest.approx(upper.cover.shape[0], abs=2)
    assert 0.4 * lower.cover.shape[0] < lower.rise < 0.85 * lower.cover.shape[0]


def test_words_fill_the_height_of_the_input_and_repeat_from_a_seed(source: TextSource) -> None:
    from training.text_rendering import ALPHABET, HEIGHT, WIDTH, fitted

    (image, text), (again, same) = (source.sample(np.random.default_rng(7)) for _ in range(2))

    assert image.shape == (HEIGHT, WIDTH, 3)
    assert set(text) <= set(ALPHABET)
    assert text == same
    assert (image == again).all()
    short, long = (fitted(np.zeros((16, width, 3), np.uint8)) for width in (32, 300))
    assert (short[:, 64:] == 127).all()
    assert (short[:, :64] == 0).all()
    assert (long == 0).all()


def test_center_areas_of_a_scene_lie_in_its_words_and_decode_to_them(source: TextSource) -> None:
    from training.text_scenes import SHRINK, STRIDE, Word, centers, scene

    from edge.inference.card import Decoder
    from edge.inference.decoders.text_regions import decode

    size = (256, 320)
    words = [word for seed in range(6) for word in scene(source, size, np.random.default_rng(seed))[1]]
    assert words
    assert all(word.corners.shape == (4, 2) and word.height > 0 for word in words)
    upright = Word(np.array([[40, 100], [160, 100], [160, 140], [40, 140]], np.float32), "EXIT")
    target, counts = centers([upright], size)

    assert target.shape == counts.shape == (size[0] // STRIDE, size[1] // STRIDE)
    options = {"stride": STRIDE, "shrink": SHRINK}
    card = Decoder("text_regions", ("#0",), ("text",), options=options, width=size[1], height=size[0])
    found = decode([target.reshape(-1, 1)], card, 0.5)
    corners = np.asarray(found.landmarks)[0] * (size[1], size[0])
    assert corners == pytest.approx(upright.corners, abs=5)


def test_families_words_and_pictures_kept_aside_are_in_no_training(training: None) -> None:
    from training.text_rendering import _family, _is_kept

    names = [
        "Open Sans",
        "Play Bold",
        "Roboto Condensed",
        "Roboto Mono",
        "Lato",
        "Dosis",
        "Cantarell",
        "PT Sans",
        "Jura",
    ]
    kept = [name for name in names if _is_kept(_family(name))]

    assert 0 < len(kept) < len(names)
    assert _family("Roboto Condensed") == _family("Roboto Mono") == _family("roboto-thin")
