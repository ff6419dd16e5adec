"""Outputs that stay as they are stored until a row is wanted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.inference.card import Decoder, Priors
from edge.inference.decoders import anchor_free_faces, prior_box_faces, yolov8
from edge.inference.tensors import QuantizedTensor, at_least, numbers, row

TYPES = [np.int8, np.uint8, np.int16]


def stored(dtype: type, *shape: int, seed: int = 1) -> np.ndarray:
    limits = np.iinfo(dtype)
    return np.random.default_rng(seed).integers(limits.min, limits.max, shape, dtype, endpoint=True)


@pytest.mark.parametrize("dtype", TYPES)
def test_a_row_is_worth_what_its_numbers_stand_for(dtype: type) -> None:
    quantized = QuantizedTensor(stored(dtype, 50, 4), 0.05, 3)

    assert quantized[7] == pytest.approx((quantized.stored[7].astype(float) - 3) * 0.05, abs=1e-3)
    assert row(quantized, 7) == pytest.approx(quantized[7].tolist())
    assert row(np.asarray(quantized), 7) == quantized[7].tolist()
    assert quantized[[3, 9]].dtype == np.float32
    assert np.array_equal(np.asarray(quantized)[5:9], quantized[5:9])
    assert (quantized.T.shape, quantized.ndim, len(quantized)) == ((4, 50), 2, 50)


@given(st.sampled_from(TYPES), st.integers(-128, 127), st.floats(1e-3, 0.1), st.floats(-20, 20))
def test_what_is_compared_as_stored_is_what_would_be_compared_as_real(
    dtype: type, zero_point: int, scale: float, least: float
) -> None:
    quantized = QuantizedTensor(stored(dtype, 300), scale, zero_point)
    real = (quantized.stored.astype(float) - zero_point) * scale

    found = set(at_least(numbers(quantized), quantized, least))

    clear = np.abs(real - least) > 2e-4 * scale
    assert found & set(np.flatnonzero(clear)) == set(np.flatnonzero(clear & (real >= least)))


def test_a_score_that_is_a_whole_number_of_steps_is_not_lost() -> None:
    quantized = QuantizedTensor(np.arange(-128, 128).astype(np.int8), 1 / 255, -128)
    for step in range(256):
        assert at_least(numbers(quantized), quantized, step / 255) == list(range(step, 256))


@pytest.mark.parametrize("least", [0.0, 0.3, 0.7, 5.0])
def test_decoders_find_the_same_in_quantized_outputs_as_in_real_ones(least: float) -> None:
    cells = 40 * 30 + 20 * 15 + 10 * 8
    scored = QuantizedTensor(stored(np.int8, cells, 1), 1 / 256, -128)
    pairs = QuantizedTensor(stored(np.int8, 12, 2), 1 / 256, -128)
    heads = [
        (anchor_free_faces, {"options": {"strides": (8, 16, 32)}}, [scored, _head(cells, 4), _head(cells, 10)]),
        (prior_box_faces, {"priors": (Priors(80.0, ((16.0, 16.0),)),)}, [_head(12, 4), pairs]),
        (yolov8, {"labels": ("cat", "dog")}, [QuantizedTensor(stored(np.int8, 6, 90), 1 / 128, -128)]),
    ]
    for decoder, options, outputs in heads:
        card = Decoder(decoder.__name__, ("a",), width=320, height=240, **options)  # type: ignore[arg-type]
        kept = decoder.decode(outputs, card, least)
        plain = decoder.decode([np.asarray(output) for output in outputs], card, least)
        assert np.array(kept.scores) == pytest.approx(np.array(plain.scores))
        assert np.array(kept.boxes) == pytest.approx(np.array(plain.boxes), rel=1e-5, abs=1e-7)
        assert (len(kept.scores) > 0) == (least < 1.0)


def _head(rows: int, width: int) -> QuantizedTensor:
    return QuantizedTensor(stored(np.int8, rows, width, seed=2), 0.02, 5)
