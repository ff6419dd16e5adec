"""Real processes under a wall clock that is wrong, and jumps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from rigs.release_simulator import Fleet, some_faces
from rigs.running import Running
from rigs.waiting import eventually
from rigs.wallclock import WallClock

from edge.releases.release_store import ReleaseStore


@dataclass
class World:
    fleet: Fleet
    device: Running
    clock: WallClock

    def sync(self) -> str:
        """The outcome, or the error."""
        done = self.device.edge("sync", "--json", **self.clock.surroundings)
        assert "Traceback" not in done.stderr, done.stderr
        return str(json.loads(done.stdout)["outcome"]) if done.returncode == 0 else done.stderr

    def publish(self, name: str, seed: int) -> None:
        self.fleet.publish(self.fleet.release(name, self.fleet.segment(some_faces(20, seed))))

    @property
    def current(self) -> str:
        return ReleaseStore(self.device.folder / "state").current


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    clock = WallClock(tmp_path)
    fleet = Fleet(tmp_path / "hub")
    sync = {"url": fleet.site.url, "root": str(fleet.root), "reserve_bytes": 0, "probation": 5.0}
    camera = {"realtime": True, "loop": True, "fps": 2.0}
    device = Running(tmp_path / "device", None, camera, {"sync": sync})
    yield World(fleet, device, clock)
    device.close()
    fleet.close()


@pytest.mark.long
@pytest.mark.timeout(600)
def test_with_a_wrong_clock_nothing_is_installed_and_with_the_right_one_all_is(world: World) -> None:
    world.publish("r1", 1)
    for wrong, words in ((-20000, "the clock is wrong"), (400, "expired"), (-300, "the clock is wrong")):
        world.clock.set(wrong)
        assert words in world.sync(), wrong
        assert world.current == ""
    world.clock.set(0)
    assert world.sync() == "installed"
    assert world.current == "r1"
    world.publish("r2", 2)
    for wrong, words in ((-1, "the clock is wrong"), (400, "expired")):
        world.clock.set(wrong)
        assert words in world.sync(), wrong
        assert world.current == "r1"
    world.clock.set(0)
    assert world.sync() == "installed"
    assert world.current == "r2"


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_clock_that_was_three_weeks_ahead_and_is_right_again_is_believed(world: World) -> None:
    world.publish("r1", 1)
    world.clock.set(20)  # no signature has expired: nobody can tell
    assert world.sync() == "installed"
    world.clock.set(0)
    world.publish("r2", 2)
    assert world.sync() == "installed"
    assert world.current == "r2"


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_clock_that_jumps_while_the_daemon_runs_stops_nothing_and_installs_come_after(world: World) -> None:
    device = world.device
    device.config()
    device.start(**world.clock.surroundings)
    assert eventually(lambda: "watching door" in device.log, 120), device.log
    world.publish("r1", 1)
    for offset in (-20000, 400, -1, 20000):
        world.clock.set(offset)
        seen = len(device.events)
        assert world.sync() != "installed" or offset == -1
        assert eventually(lambda seen=seen: len(device.events) > seen, 120), f"no events at {offset}: {device.log}"
        assert device.process
        assert device.process.poll() is None, device.log
    world.clock.set(0)
    world.publish("r2", 2)
    assert world.sync() == "installed"
    assert eventually(lambda: "release r2 committed" in device.log, 120), device.log
    assert "Traceback" not in device.log
    assert device.stop() == 0
