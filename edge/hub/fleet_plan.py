"""What a fleet needs: broker, ingests, database and the download of releases, by the number of devices.

Costs are linear in the events and in the devices that are connected, fitted to runs of the simulator
(``scripts/bench_ingest --fleet``), which ``edge/data/fleet_runs.json`` holds. CPU time is of the machine of those runs.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources

import numpy as np
import numpy.typing as npt

from edge.core.errors import InputError

Array = npt.NDArray[np.float64]
USED = 0.6
"""share of a core that one broker or ingest should use at most; each has one thread that works"""
DAY = 86400


@dataclass(frozen=True, slots=True)
class FleetRun:
    """A measured run of simulated devices."""

    database: str
    """``sqlite`` or ``postgresql``"""
    devices: int
    seconds: float
    events: int
    broker_cpu: float
    """CPU time (s)"""
    ingest_cpu: float
    database_cpu: float
    """of PostgreSQL (s)"""
    broker_mb: float
    """resident memory"""
    received: int
    """bytes that the broker received, from devices and ingest"""
    sent: int
    """bytes that the broker sent"""
    row_bytes: float
    """bytes per stored event, indexes included"""

    @property
    def rate(self) -> float:
        """Events per second and device."""
        return self.events / self.seconds / self.devices


@dataclass(frozen=True, slots=True)
class LinearCost:
    """A cost that grows with events, and with time for each connected device."""

    per_event: float
    per_device: float
    """per second"""

    def per_second(self, demand: FleetDemand) -> float:
        return self.per_event * demand.events + self.per_device * demand.devices


@dataclass(frozen=True, slots=True)
class FleetDemand:
    """What is asked of the hub."""

    devices: int
    rate: float
    """events per second and device"""
    keep_days: float = 30.0
    """days that the database keeps events"""
    release_mb: float = 0.0
    """bytes of a release that a device fetches, in MB"""
    spread: float = 3600.0
    """seconds over which the devices look for a release"""

    @property
    def events(self) -> float:
        """Events per second."""
        return self.devices * self.rate


@dataclass(frozen=True, slots=True)
class FleetCost:
    """What a fleet needs."""

    devices: int
    events_per_second: float
    connections: int
    """at the broker"""
    broker_mb: float
    """memory of the broker"""
    broker_cores: float
    brokers: int
    """at ``USED`` of a core each"""
    ingest_cores: float
    ingests: int
    database_cores: float
    """of PostgreSQL"""
    rows_per_day: float
    database_gb: float
    """events of the kept days, indexes included"""
    received_mbit: float
    """Mbit/s that the broker receives"""
    sent_mbit: float
    release_gb: float
    """of all devices together"""
    release_mbit: float
    """Mbit/s of the file server or its cache while the devices fetch a release"""


@dataclass(frozen=True, slots=True)
class CostModel:
    """Costs fitted to runs."""

    broker: LinearCost
    """CPU time (s)"""
    ingest: LinearCost
    database: LinearCost
    received: LinearCost
    """bytes"""
    sent: LinearCost
    broker_mb: float
    """memory without devices"""
    device_mb: float
    """memory of the broker per device"""
    row_bytes: float

    @staticmethod
    def fit(runs: Sequence[FleetRun]) -> CostModel:
        """Fit to runs with one database. Raises InputError with runs of fewer than two numbers of devices."""
        if len({one.devices for one in runs}) < 2:
            raise InputError(
                f"a cost model needs runs with two numbers of devices, got {len(runs)} runs",
                "measure with scripts/bench_ingest --fleet",
            )
        work = np.array([(one.events, one.devices * one.seconds) for one in runs], np.float64)

        def linear(cost: Callable[[FleetRun], float]) -> LinearCost:
            return LinearCost(*_fitted(work, np.array([cost(one) for one in runs], np.float64)))

        memory = np.array([(1.0, one.devices) for one in runs])
        fixed, device = _fitted(memory, np.array([one.broker_mb for one in runs], np.float64))
        return CostModel(
            broker=linear(lambda one: one.broker_cpu),
            ingest=linear(lambda one: one.ingest_cpu),
            database=linear(lambda one: one.database_cpu),
            received=linear(lambda one: one.received),
            sent=linear(lambda one: one.sent),
            broker_mb=fixed,
            device_mb=device,
            row_bytes=float(np.median([one.row_bytes for one in runs])),
        )

    def cost(self, demand: FleetDemand) -> FleetCost:
        """What ``demand`` needs."""
        broker, ingest = self.broker.per_second(demand), self.ingest.per_second(demand)
        return _cost(
            demand,
            broker=broker,
            ingest=ingest,
            database=self.database.per_second(demand),
            received=self.received.per_second(demand),
            sent=self.sent.per_second(demand),
            broker_mb=self.broker_mb + self.device_mb * demand.devices,
            row_bytes=self.row_bytes,
        )


def measured_cost(run: FleetRun, demand: FleetDemand) -> FleetCost:
    """What a run needed, in the form of an estimate. ``demand``: kept days, size and spread of releases."""
    own = FleetDemand(run.devices, run.rate, demand.keep_days, demand.release_mb, demand.spread)
    return _cost(
        own,
        broker=run.broker_cpu / run.seconds,
        ingest=run.ingest_cpu / run.seconds,
        database=run.database_cpu / run.seconds,
        received=run.received / run.seconds,
        sent=run.sent / run.seconds,
        broker_mb=run.broker_mb,
        row_bytes=run.row_bytes,
    )


def runs(database: str) -> list[FleetRun]:
    """The runs that edge brings, with ``sqlite`` or ``postgresql``, by devices."""
    text = resources.files("edge").joinpath("data/fleet_runs.json").read_text(encoding="utf-8")
    found = [FleetRun(**one) for one in json.loads(text)["runs"]]
    return sorted((one for one in found if one.database == database), key=lambda one: one.devices)


def _cost(
    demand: FleetDemand,
    *,
    broker: float,
    ingest: float,
    database: float,
    received: float,
    sent: float,
    broker_mb: float,
    row_bytes: float,
) -> FleetCost:
    ingests = max(1, math.ceil(ingest / USED))
    rows = demand.events * DAY
    release = demand.devices * demand.release_mb
    return FleetCost(
        devices=demand.devices,
        events_per_second=round(demand.events, 1),
        connections=demand.devices + ingests,
        broker_mb=round(broker_mb, 1),
        broker_cores=round(broker, 3),
        brokers=max(1, math.ceil(broker / USED)),
        ingest_cores=round(ingest, 3),
        ingests=ingests,
        database_cores=round(database, 3),
        rows_per_day=round(rows),
        database_gb=round(rows * demand.keep_days * row_bytes / 1e9, 2),
        received_mbit=round(received * 8 / 1e6, 2),
        sent_mbit=round(sent * 8 / 1e6, 2),
        release_gb=round(release / 1e3, 2),
        release_mbit=round(release * 8 / demand.spread, 2),
    )


def _fitted(factors: Array, costs: Array) -> tuple[float, float]:
    """Two coefficients of a least-squares fit, none below 0."""
    first, second = np.linalg.lstsq(factors, costs, rcond=None)[0]
    if second < 0:
        return max(0.0, _only(factors[:, 0], costs)), 0.0
    if first < 0:
        return 0.0, max(0.0, _only(factors[:, 1], costs))
    return float(first), float(second)


def _only(factor: Array, costs: Array) -> float:
    return float(factor @ costs / (factor @ factor))
