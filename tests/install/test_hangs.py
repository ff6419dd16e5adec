"""The places of ``rigs/hangs.py``, where threads are stopped in a box, are places of the program."""

from __future__ import annotations

import importlib

import pytest
from rigs import hangs

from edge.inference import validation
from edge.sources.synthetic import Synthetic


@pytest.mark.parametrize("name", hangs.PLACES)
def test_each_place_where_a_thread_is_stopped_exists(name: str) -> None:
    module, owner, method = hangs.PLACES[name]
    assert callable(getattr(getattr(importlib.import_module(module), owner), method))


def test_the_trial_of_a_model_and_the_frames_of_a_source_exist() -> None:
    assert callable(validation._verdict)
    assert callable(Synthetic.frames)
