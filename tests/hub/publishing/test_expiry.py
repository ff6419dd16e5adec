"""Signatures that expire are said in time, with the command that renews them, at the hub and on the device."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest
from click.testing import CliRunner, Result
from rigs.release_simulator import Fleet, some_faces

from edge.cli.doctor import releases
from edge.cli.doctor.finding import DoctorContext
from edge.cli.main import edge as command
from edge.core.errors import ReleaseError, TrustError
from edge.hub.publishing import repository
from edge.pipeline.health import Health
from edge.recognition.store.collections import Collections
from edge.releases.expiry import REMEDIES, WARNING_DAYS, expiring
from edge.releases.manager import ReleaseManager


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """A hub whose root and targets expire in 50 days."""
    with mock.patch.dict(repository.DAYS, {"root": 50, "targets": 50}):
        fleet = Fleet(tmp_path / "hub")
        fleet.publish(fleet.release("r1", fleet.segment(some_faces(3))))
    with mock.patch("edge.releases.verification.attempt"):
        yield fleet
    fleet.close()


def hub(fleet: Fleet, *arguments: str) -> Result:
    return CliRunner().invoke(command, ["hub", *arguments, "--repository", str(fleet.folder)])


def test_roles_are_told_from_their_day_on() -> None:
    now = time.time()
    for role, days in WARNING_DAYS.items():
        assert expiring({role: now + (days + 1) * 86400}, now) == []
        (one,) = expiring({role: now + (days - 1) * 86400}, now)
        assert f"in {days - 2} days" in one.text(now + 1)
        assert "edge hub refresh" in REMEDIES[role]
    (gone,) = expiring({"root": now - 5}, now)
    assert "expired on" in gone.text(now)


def test_refresh_fails_while_the_offline_keys_are_away_and_renews_with_them(fleet: Fleet, tmp_path: Path) -> None:
    offline = fleet.folder / "keys/offline"
    drawer = offline.rename(tmp_path / "drawer")
    done = hub(fleet, "refresh")
    assert isinstance(done.exception, ReleaseError)
    assert "root expires on" in done.exception.message
    assert "targets expires on" in done.exception.message
    assert done.exception.hint == REMEDIES["root"]
    assert "snapshot" not in done.exception.message
    before = fleet.repository.versions()
    assert hub(fleet, "refresh", "--keys", str(drawer)).exit_code == 0
    after = fleet.repository.versions()
    assert after["root"][0] == before["root"][0] + 1
    assert (after["root"][1] - before["root"][1]).days > 300
    assert hub(fleet, "refresh").exit_code == 0
    assert fleet.sync(tmp_path / "device").release == "r1"


def test_an_expired_root_is_renewed_and_devices_follow(fleet: Fleet, tmp_path: Path) -> None:
    with mock.patch.dict(repository.DAYS, {"root": -1}):
        fleet.repository._write("root", fleet.repository._read("root"))
    with pytest.raises(TrustError, match="expired") as expired:
        fleet.sync(tmp_path / "device")
    assert REMEDIES["root"] in expired.value.hint
    assert hub(fleet, "refresh").exit_code == 0
    assert fleet.sync(tmp_path / "device").release == "r1"


def test_the_device_reports_it_and_the_doctor_names_the_command(fleet: Fleet, tmp_path: Path) -> None:
    state = tmp_path / "device"
    fleet.sync(state)
    settings = fleet.settings()
    collections = Collections(state, settings.collection, maintain=False)
    manager = ReleaseManager(settings, state, collections, Health([]))
    reported = manager.report()
    assert reported
    assert set(reported.expiring) == {"root", "targets"}
    manager.close()
    collections.close()
    found = list(releases.releases(DoctorContext(SimpleNamespace(settings=settings), state)))
    told = [one for one in found if "root expires on" in one.what]
    assert told
    assert told[0].try_ == REMEDIES["root"]


def test_status_warns(fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("EDGE_HUB__REPOSITORY", str(fleet.folder))
    done = CliRunner().invoke(command, ["hub", "status"])
    assert "warning: root expires on" in done.stderr
    assert "edge hub refresh --keys" in done.stderr
