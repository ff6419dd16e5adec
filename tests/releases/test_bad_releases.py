from __future__ import annotations

import re
from pathlib import Path

import pytest
from rigs.bad_releases import BAD, World


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_running_daemon_is_soon_back_on_the_good_release_and_tries_no_bad_one_again(
    tmp_path: Path, shared_models: Path
) -> None:
    world = World(tmp_path, shared_models)
    try:
        world.settle()
        for bad in BAD:
            ended = world.carry_out(bad)
            print(f"{bad.name}: {ended.stage}, {ended.seconds:.1f} s: {ended.reason}")
            assert ended.stage == bad.stage, ended
            assert re.search(bad.words, ended.reason), ended
            assert ended.held
    finally:
        world.close()
