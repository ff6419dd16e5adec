"""A hundred simulated devices in three groups; pure, so a rollout of days takes no time."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from edge.core.errors import InputError
from edge.hub.publishing.rollout import RolloutPolicy, Word, grown, judge, start, stopped
from edge.releases.manifest import Deployment

GROUPS = {"cameras": 60, "doors": 30, "lab": 10}
POLICY = RolloutPolicy()


@dataclass
class Device:
    """What a device does with a deployment: takes what it is to run, or goes back and says why."""

    name: str
    release: str = "r1"
    bad: set[str] = field(default_factory=set)
    word: Word = field(default_factory=lambda: Word("r1", "committed", "r1"))

    def sync(self, deployment: Deployment, breaks: set[str]) -> None:
        wanted = deployment.wanted(self.name)
        if not wanted or wanted == self.release or wanted in self.bad:
            return
        if wanted in breaks:
            self.bad.add(wanted)
            self.word = Word(self.release, "rolled_back", wanted, "lost quality")
        else:
            self.release = wanted
            self.word = Word(wanted, "committed", wanted)


def fleet(group: str) -> list[Device]:
    return [Device(f"{group}-{i}") for i in range(GROUPS[group])]


def words(devices: list[Device]) -> dict[str, Word]:
    return {device.name: device.word for device in devices}


@pytest.mark.parametrize("group", GROUPS)
def test_a_good_release_reaches_everybody_in_three_steps(group: str) -> None:
    devices = fleet(group)
    deployment = start(group, "r2", "r1", [device.name for device in devices], 5.0)
    shares = []
    for _ in range(10):
        for device in devices:
            device.sync(deployment, set())
        shares.append((deployment.percent, sum(device.release == "r2" for device in devices)))
        verdict = judge(deployment, words(devices), POLICY)
        if verdict.action == "done":
            break
        assert verdict.action == "grow"
        deployment = grown(deployment, POLICY)
    assert [percent for percent, _ in shares] == [5.0, 50.0, 100.0]
    assert 1 <= shares[0][1] <= 0.2 * len(devices)
    assert 0.2 * len(devices) <= shares[1][1] <= 0.8 * len(devices)
    assert shares[2][1] == len(devices)


@pytest.mark.parametrize("group", GROUPS)
def test_a_bad_release_stops_at_the_canaries(group: str) -> None:
    devices = fleet(group)
    deployment = start(group, "r2", "r1", [device.name for device in devices], 5.0)
    for device in devices:
        device.sync(deployment, breaks={"r2"})
    tried = [device for device in devices if "r2" in device.bad]
    assert 1 <= len(tried) <= 0.2 * len(devices)
    verdict = judge(deployment, words(devices), POLICY)
    assert verdict.action == "stop"
    assert verdict.reasons == ("lost quality",)
    deployment = stopped(deployment)
    for device in devices:
        device.sync(deployment, breaks={"r2"})
    assert {device.release for device in devices} == {"r1"}
    assert [device for device in devices if "r2" in device.bad] == tried


def test_one_failure_of_many_does_not_stop_it() -> None:
    devices = fleet("cameras")
    deployment = Deployment("cameras", 1, "r2", "r1", 100.0)
    for device in devices:
        device.sync(deployment, breaks={"r2"} if device.name == "cameras-7" else set())
    verdict = judge(deployment, words(devices), POLICY)
    assert (verdict.action, verdict.failed, verdict.committed) == ("done", 1, 59)


def test_it_waits_for_devices_that_are_away_and_does_not_count_them_as_failed() -> None:
    devices = fleet("cameras")
    deployment = Deployment("cameras", 1, "r2", "r1", 100.0)
    for device in devices[:30]:
        device.sync(deployment, set())
    assert judge(deployment, words(devices), POLICY).action == "wait"


def test_a_failure_of_another_release_is_not_this_one_s() -> None:
    word = Word("r1", "rolled_back", "r0", "old story")
    assert judge(Deployment("lab", 1, "r2", "r1"), {"lab-1": word}, POLICY).action == "wait"


def test_without_known_devices_a_share_needs_a_canary() -> None:
    with pytest.raises(InputError, match="may select none"):
        start("lab", "r2", "r1", [], 5.0)
    assert start("lab", "r2", "r1", [], 5.0, ["lab-1"]).wanted("lab-1") == "r2"


def test_a_stopped_first_release_is_held_where_there_is_nothing_to_go_back_to() -> None:
    assert stopped(Deployment("lab", 1, "r1")).hold
    assert replace(stopped(Deployment("lab", 1, "r2", "r1")), number=1) == Deployment("lab", 1, "r1", "r1", 100.0)
