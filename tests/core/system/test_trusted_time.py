"""Trusted time under clocks that are behind, ahead, set, and jump."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.system.trusted_time import BUILT, FILE, ClockReading, TrustedClock, advanced

NOW = 1_796_000_000.0
DAY = 86400.0
IN_2020 = 1577836800.0


@dataclass
class Board:
    """Clocks that do as they are told."""

    wall: float = NOW
    since_boot: float = 10.0
    boot: int = 1
    synchronized: bool = True

    def read(self) -> ClockReading:
        return ClockReading(str(self.boot), self.since_boot, self.wall, self.synchronized)

    def live(self, seconds: float) -> None:
        self.wall += seconds
        self.since_boot += seconds

    def restart(self, off: float, wall: float | None = None, synchronized: bool = True) -> None:
        """Off for ``off`` seconds; then the wall clock says ``wall``."""
        self.boot, self.since_boot = self.boot + 1, 5.0
        self.wall = self.wall + off if wall is None else wall
        self.synchronized = synchronized


def test_without_jumps_it_moves_as_wall_time_does(tmp_path: Path) -> None:
    board = Board()
    clock = TrustedClock(tmp_path, board.read)
    began = clock.now()
    board.live(3600)
    assert began == NOW
    assert clock.now() - began == 3600


@pytest.mark.parametrize("jump", [40 * DAY, -40 * DAY, 3600, -3600, IN_2020 - NOW])
def test_a_jump_within_a_start_is_no_time(tmp_path: Path, jump: float) -> None:
    board = Board()
    clock = TrustedClock(tmp_path, board.read)
    began = clock.now()
    board.live(60)
    board.wall += jump
    board.live(60)
    assert clock.now() - began == 120


def test_a_board_that_boots_in_2020_and_gets_the_time_ages_nothing(tmp_path: Path) -> None:
    board = Board(wall=IN_2020, synchronized=False)
    clock = TrustedClock(tmp_path, board.read)
    began = clock.now()
    assert began == BUILT
    board.live(30)
    board.wall, board.synchronized = NOW, True
    assert clock.now() - began == 30


def test_time_without_power_counts_once_wall_time_is_synchronized(tmp_path: Path) -> None:
    board = Board()
    began = TrustedClock(tmp_path, board.read).now()
    board.restart(off=10 * DAY, wall=IN_2020, synchronized=False)
    clock = TrustedClock(tmp_path, board.read)
    assert clock.now() == began
    board.live(100)
    assert clock.now() - began == 100
    board.wall, board.synchronized = NOW + 10 * DAY + 100, True
    assert clock.now() - began == 10 * DAY + 100


def test_an_old_time_after_a_restart_takes_nothing_back(tmp_path: Path) -> None:
    board = Board()
    began = TrustedClock(tmp_path, board.read).now()
    board.restart(off=0, wall=IN_2020)
    clock = TrustedClock(tmp_path, board.read)
    assert clock.now() == began
    board.live(50)
    assert clock.now() - began == 50


def test_processes_of_one_start_agree(tmp_path: Path) -> None:
    board = Board()
    one = TrustedClock(tmp_path, board.read)
    one.now()
    board.live(30)
    board.wall += 40 * DAY
    assert TrustedClock(tmp_path, board.read).now() == one.now()


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"garbage", b'{"boot": "1", "since_boot": "x"}', bytes(64)])
def test_a_damaged_file_begins_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    board = Board()
    assert TrustedClock(tmp_path, board.read).now() == NOW
    assert json.loads((tmp_path / FILE).read_bytes())["trusted"] == NOW


def test_a_folder_in_its_place_costs_nothing_but_the_file(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    assert TrustedClock(tmp_path, Board().read).now() == NOW


MOVES = st.lists(
    st.tuples(st.sampled_from(["live", "jump", "restart"]), st.floats(-1e8, 1e8), st.booleans()), max_size=20
)


@given(MOVES)
def test_it_never_goes_back_and_never_runs_within_a_start(moves: list[tuple[str, float, bool]]) -> None:
    board, state = Board(), None
    state = advanced(state, board.read())
    for kind, amount, synchronized in moves:
        before, lived, boot, was = state.trusted, board.since_boot, board.boot, board.synchronized
        board.synchronized = synchronized
        if kind == "live":
            board.live(abs(amount))
        elif kind == "jump":
            board.wall += amount
        else:
            board.restart(off=amount, synchronized=synchronized)
        state = advanced(state, board.read())
        assert state.trusted >= before
        if board.boot == boot and was:
            assert state.trusted - before == pytest.approx(board.since_boot - lived, abs=1e-3)
