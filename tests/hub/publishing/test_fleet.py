"""A hundred devices that really sync: one signed hub, one web server, three groups, a rollout in three steps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from unittest import mock

import pytest
from rigs.release_simulator import Fleet, some_faces

from edge.core.errors import ReleaseError
from edge.hub.publishing.rollout import RolloutPolicy, Word, grown, judge, start, stopped
from edge.releases import activation as release_contents
from edge.releases.manifest import Deployment
from edge.releases.release_store import ReleaseStore
from edge.releases.update_state import UpdateState
from edge.releases.updater import Updater
from edge.releases.verification import Place

GROUPS = {"cameras": 60, "doors": 30, "lab": 10}
POLICY = RolloutPolicy()


class Device:
    """``edge sync`` on a state folder of its own; its daemon finds every release good."""

    def __init__(self, fleet: Fleet, name: str, group: str, folder: Path) -> None:
        self.name = name
        self._state = folder / name
        self._settings = fleet.settings(name, group=group)

    def sync(self) -> Word:
        """What the device then says."""
        with suppress(ReleaseError):
            Updater(self._settings, self._state).run()
        slots, ledger = ReleaseStore(self._state), UpdateState(self._state / "sync")
        told = ledger.get("progress")
        if told["phase"] == "staged":
            release_contents.commit(slots, ledger)
        phase = "failed" if told["phase"] == "failed" else "committed"
        ledger.close()
        return Word(slots.current, phase, told["desired"], told["error"])


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path / "hub")
    yield fleet
    fleet.close()


def trial(place: Place, *_: object) -> None:
    if place.folder.name == "bad":
        raise ReleaseError("release bad: the model has lost quality")


def deployed(fleet: Fleet, deployment: Deployment) -> None:
    fleet.deploy(deployment.release, deployment.group, base=deployment.base, percent=deployment.percent,
                 canaries=deployment.canaries)  # fmt: skip


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_hundred_devices_take_a_rollout_in_steps_and_a_bad_release_stops_at_the_canaries(
    fleet: Fleet, tmp_path: Path
) -> None:
    devices = {
        group: [Device(fleet, f"{group}-{i}", group, tmp_path / "devices") for i in range(count)]
        for group, count in GROUPS.items()
    }
    first, second = fleet.segment(some_faces(50)), fleet.segment(some_faces(5, 1))
    with mock.patch("edge.releases.verification.attempt", trial):
        for group, members in devices.items():
            fleet.publish(fleet.release("r1", first), group)
            assert {device.sync().release for device in members} == {"r1"}
        fleet.publish(fleet.release("r2", first, second), "nobody")
        fleet.publish(fleet.release("bad", first, second), "nobody")
        for group, members in devices.items():
            names = [device.name for device in members]
            deployment, shares, words = start(group, "r2", "r1", names, 5.0), [], {}
            for _ in range(3):
                deployed(fleet, deployment)
                words = {device.name: device.sync() for device in members}
                shares.append((deployment.percent, sum(word.release == "r2" for word in words.values())))
                if judge(deployment, words, POLICY).action == "grow":
                    deployment = grown(deployment, POLICY)
            print(f"{group}: {shares} of {len(members)}")
            assert judge(deployment, words, POLICY).action == "done"
            assert [percent for percent, _ in shares] == [5.0, 50.0, 100.0]
            assert 1 <= shares[0][1] < shares[1][1] < shares[2][1] == len(members)

            deployment = start(group, "bad", "r2", names, 5.0)
            deployed(fleet, deployment)
            words = {device.name: device.sync() for device in members}
            verdict = judge(deployment, words, POLICY)
            print(f"{group}: bad release tried by {verdict.failed} of {len(members)}, then: {verdict.action}")
            assert (verdict.action, verdict.reasons) == ("stop", ("release bad: the model has lost quality",))
            assert 1 <= verdict.failed <= 0.2 * len(members)
            deployed(fleet, stopped(deployment))
            assert {device.sync().release for device in members} == {"r2"}
