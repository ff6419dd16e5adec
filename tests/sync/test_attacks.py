from __future__ import annotations

from pathlib import Path

import pytest
from rigs.ota_attacks import ATTACKS, Attack, carry_out, prepare


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("attacks")
    prepare(folder)
    return folder


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name.replace(" ", "_").replace("/", "_"))
def test_ends_in_its_error_and_leaves_the_running_release_alone(attack: Attack, prepared: Path, tmp_path: Path) -> None:
    assert isinstance(carry_out(attack, prepared, tmp_path), attack.wanted)
