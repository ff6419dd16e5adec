"""``scripts/locks`` pins what pyproject.toml asks for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from edge.core.compat import tomllib

ROOT = Path(__file__).resolve().parents[2]
PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[a-z,]+\])?==([^ ;\\]+)(?: ; (.+?))? \\$", re.MULTILINE)
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
OWN = "rekognition-edge"


def wanted(extras: tuple[str, ...]) -> list[Requirement]:
    """The direct dependencies of those extras, our own extras resolved."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    texts = [*project["dependencies"], *(one for extra in extras for one in project["optional-dependencies"][extra])]
    found = [Requirement(text) for text in texts]
    nested = tuple(extra for one in found if one.name == OWN for extra in one.extras)
    return [one for one in found if one.name != OWN] + (wanted(nested) if nested else [])


def pins(lock: str, python: str) -> dict[str, Version]:
    """Versions that a lock installs on one Python, on Linux."""
    surroundings = {"python_full_version": f"{python}.1", "python_version": python, "sys_platform": "linux"}
    lines = PINNED.findall((ROOT / "scripts/locks" / lock).read_text())
    return {
        name.lower().replace("_", "-"): Version(version)
        for name, version, marker in lines
        if not marker or Requirement(f"x; {marker}").marker.evaluate(surroundings)  # type: ignore[union-attr]
    }


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize(
    ("lock", "extras"),
    [("board.txt", ("api", "sync")), ("tflite.txt", ("api", "sync", "tflite")), ("test.txt", ("test", "check"))],
)
def test_every_dependency_is_pinned_within_its_range(lock: str, extras: tuple[str, ...], python: str) -> None:
    pinned = pins(lock, python)
    surroundings = {"python_version": python, "python_full_version": f"{python}.1", "sys_platform": "linux"}
    asked = [one for one in wanted(extras) if one.marker is None or one.marker.evaluate(surroundings)]

    wrong = [
        str(one)
        for one in asked
        if one.name.lower() not in pinned or not one.specifier.contains(pinned[one.name.lower()], prereleases=True)
    ]
    assert len(asked) > 10
    assert wrong == [], "run scripts/lock"


def test_annoy_is_pinned_by_itself_since_a_board_may_be_unable_to_compile_it() -> None:
    [annoy] = [one for one in wanted(("annoy",)) if one.name == "annoy"]
    assert {name: version in annoy.specifier for name, version in pins("annoy.txt", "3.11").items()} == {"annoy": True}
    assert "annoy" not in pins("board.txt", "3.11")


def test_a_board_gets_numpy_2_and_tflite_runtime_only_where_it_is_chosen() -> None:
    board, chosen = pins("board.txt", "3.11"), pins("tflite.txt", "3.11")
    assert (board["numpy"].major, "tflite-runtime" in board) == (2, False)
    assert (chosen["numpy"].major, "tflite-runtime" in chosen) == (1, True)


@pytest.mark.parametrize("lock", ["board.txt", "tflite.txt", "test.txt"])
def test_every_pin_has_a_hash_and_no_address(lock: str) -> None:
    text = (ROOT / "scripts/locks" / lock).read_text()
    assert "://" not in text
    assert len(PINNED.findall(text)) > 20
    assert all("--hash=sha256:" in block for block in re.split(r"\n(?=\S)", text.strip()))
