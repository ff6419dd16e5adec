from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from rigs.release_simulator import Fleet, cut, offering, some_faces

from edge.core.errors import ClockError, ConflictError, FetchError, ReleaseError, SettingsError
from edge.core.settings.schema import Settings
from edge.releases import trusted_time as clock
from edge.releases.release_store import ReleaseStore
from edge.releases.update_state import UpdateState
from edge.releases.updater import Progress, Updater


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with offering(tmp_path / "hub", 50) as fleet:
        yield fleet


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "device"


def test_a_clock_that_jumps_installs_nothing_until_it_is_right_again(fleet: Fleet, state: Path) -> None:
    for wrong in (0.0, 1e9):
        with mock.patch("edge.releases.trusted_time.time.time", return_value=wrong), pytest.raises(ClockError):
            fleet.sync(state)
    with mock.patch("edge.core.system.hardware.clock", return_value="unsynced"):
        with pytest.raises(ClockError):
            fleet.sync(state)
        assert ReleaseStore(state).current == ""
        assert fleet.sync(state, trust_clock=True).outcome == "installed"


def test_a_clock_that_was_ahead_does_not_make_the_right_one_wrong(fleet: Fleet, state: Path) -> None:
    ahead = time.time() + 20 * 86400
    with mock.patch("edge.releases.trusted_time.time.time", return_value=ahead):
        assert fleet.sync(state).outcome == "installed"
    fleet.publish(fleet.release("r2", fleet.segment(some_faces(5, 3))))
    assert fleet.sync(state).release == "r2"
    ledger = UpdateState(state / "sync")
    assert ledger.get(clock.TIME) == pytest.approx(time.time(), abs=60)
    with mock.patch("edge.releases.trusted_time.time.time", return_value=time.time() - 3600), pytest.raises(ClockError):
        fleet.sync(state)
    ledger.close()


def test_a_broken_line_is_no_fault_of_the_release(fleet: Fleet, state: Path) -> None:
    fleet.site.rules["/blobs/"] = cut(100)
    with pytest.raises(FetchError):
        fleet.sync(state)
    fleet.site.rules.clear()
    assert fleet.sync(state).outcome == "installed"
    assert fleet.sync(state).outcome == "up_to_date"


def test_what_failed_its_trial_is_not_fetched_or_tried_again_until_it_changes(fleet: Fleet, state: Path) -> None:
    with (
        mock.patch("edge.releases.verification.attempt", side_effect=ReleaseError("crashes")) as trial,
        pytest.raises(ReleaseError),
    ):
        fleet.sync(state)
    assert trial.call_count == 1
    assert fleet.sync(state).outcome == "held"
    fleet.publish(fleet.release("r2", fleet.segment(some_faces(50))))
    assert fleet.sync(state).release == "r2"


def test_pins_and_holds_and_other_groups(fleet: Fleet, state: Path) -> None:
    fleet.publish(fleet.release("r2", fleet.segment(some_faces(5, 1))), pins={"porch": "r1"})
    assert fleet.sync(state).release == "r1"
    fleet.deploy("r2", hold=True)
    assert fleet.sync(state).release == "r1"
    assert fleet.sync(state, group="lab").outcome == "up_to_date"
    fleet.deploy("r2")
    assert fleet.sync(state).release == "r2"


def test_a_dry_run_says_what_would_come_and_leaves_no_release(fleet: Fleet, state: Path) -> None:
    seen = Updater(fleet.settings(), state).run(dry=True)
    assert seen.planned == sum(path.stat().st_size for path in fleet.repository.blobs.iterdir())
    assert ReleaseStore(state).installed() == []
    assert not any("/blobs/" in path for path in fleet.site.requests)


def test_progress_is_told_and_remembered_for_the_daemon(fleet: Fleet, state: Path) -> None:
    told: list[Progress] = []
    Updater(fleet.settings(), state, told.append).run()
    assert [one.phase for one in told][-1] == "staged"
    assert {one.phase for one in told} == {"downloading", "verifying", "staged"}
    shares = [one.share for one in told if one.phase == "downloading"]
    assert shares == sorted(shares)
    ledger = UpdateState(state / "sync")
    assert ledger.get("progress")["desired"] == "r1"
    ledger.close()


def test_two_at_once_are_one_too_many(fleet: Fleet, state: Path) -> None:
    with ReleaseStore(state).locked(), pytest.raises(ConflictError, match="is running"):
        fleet.sync(state)


def test_without_an_address_it_says_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"sync\.url"):
        Updater(Settings(), tmp_path)


def test_a_release_too_large_for_the_device_is_refused_before_the_first_byte(fleet: Fleet, state: Path) -> None:
    fleet.publish(fleet.release("big", fleet.segment(some_faces(6000, 7))))
    with pytest.raises(ReleaseError, match="max_bytes"):
        fleet.sync(state, max_bytes=1 << 20)
    assert not any("/blobs/" in path for path in fleet.site.requests)


def test_the_daemon_never_imports_tuf() -> None:
    program = (
        "import sys, edge.daemon.daemon, edge.releases.manager\n"
        "print([n for n in sys.modules if n.split('.')[0] == 'tuf'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
