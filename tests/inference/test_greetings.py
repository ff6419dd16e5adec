from __future__ import annotations

import os

import pytest

from edge.inference.interpreter import without_greetings


def test_greetings_are_dropped_and_everything_else_is_said(capfd: pytest.CaptureFixture[str]) -> None:
    with without_greetings():
        os.write(2, b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\nERROR: bad file\n")

    assert capfd.readouterr().err == "ERROR: bad file\n"


def test_an_error_in_the_block_passes_and_stderr_is_back(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="refused"), without_greetings():
        raise ValueError("refused")
    os.write(2, b"after\n")

    assert capfd.readouterr().err == "after\n"
