from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


def _load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


fake_picamera2 = _load("fake_picamera2", Path(__file__).with_name("fake_picamera2.py"))


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> fake_picamera2.FakeBoard:
    """A Raspberry Pi with one camera."""
    return fake_picamera2.install(monkeypatch)
