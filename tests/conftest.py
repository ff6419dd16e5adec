"""Fixtures that everybody uses. What needs ``../shared`` skips with a reason where it is absent."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from rigs.mosquitto import Mosquitto

hypothesis.settings.register_profile("edge", deadline=None)  # a busy machine is slow; no test asserts a time
hypothesis.settings.load_profile("edge")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    folder = Path(os.environ.get("EDGE_SHARED", ROOT.parent / "shared"))
    if not (folder / "models").is_dir():
        pytest.skip(f"needs the models and pictures of {folder}, which is not there")
    return folder


@pytest.fixture(scope="session")
def shared_models(shared: Path) -> Path:
    return shared / "models"


@pytest.fixture(scope="session")
def shared_data(shared: Path) -> Path:
    return shared / "data"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A real one, on a free loopback port."""
    with Mosquitto(tmp_path / "broker") as running:
        yield running


@pytest.fixture(autouse=True)
def _own_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees this machine's configuration or state."""
    for name in list(os.environ):
        if name.startswith("EDGE_") and name != "EDGE_SHARED":
            monkeypatch.delenv(name)
    for name in ("STATE_DIRECTORY", "CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
