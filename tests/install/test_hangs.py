"""The hang points of ``rigs/hangs.py`` exist in the program."""

from __future__ import annotations

import importlib

import pytest
from rigs import hangs

from edge.inference import validation
from edge.sources.synthetic import Synthetic


@pytest.mark.parametrize("name", hangs.PLACES)
def test_each_hang_point_exists(name: str) -> None:
    module, owner, method = hangs.PLACES[name]
    assert callable(getattr(getattr(importlib.import_module(module), owner), method))


def test_the_trial_of_a_model_and_the_frames_of_a_source_exist() -> None:
    assert callable(validation._verdict)
    assert callable(Synthetic.frames)
