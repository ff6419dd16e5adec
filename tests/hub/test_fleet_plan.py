"""The cost model of a fleet: fitted to runs, linear in devices and events."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge.core.errors import InputError
from edge.hub.fleet_plan import CostModel, FleetDemand, FleetRun, measured_cost, runs


def run(devices: int, events: int, seconds: float = 20.0) -> FleetRun:
    """A run of a hub whose costs are known."""
    time_of_devices = devices * seconds
    return FleetRun(
        database="postgresql",
        devices=devices,
        seconds=seconds,
        events=events,
        broker_cpu=30e-6 * events + 1e-6 * time_of_devices,
        ingest_cpu=50e-6 * events,
        database_cpu=40e-6 * events + 2e-6 * time_of_devices,
        broker_mb=5.0 + 0.004 * devices,
        received=600 * events + 3 * devices,
        sent=700 * events,
        row_bytes=900.0,
    )


RUNS = [run(100, 20_000), run(1000, 18_000), run(5000, 21_000)]


def test_costs_of_events_and_of_devices_are_told_apart() -> None:
    model = CostModel.fit(RUNS)
    assert (model.broker.per_event, model.broker.per_device) == pytest.approx((30e-6, 1e-6), rel=1e-3)
    assert (model.ingest.per_event, model.ingest.per_device) == pytest.approx((50e-6, 0.0), abs=1e-9)
    assert (model.broker_mb, model.device_mb) == pytest.approx((5.0, 0.004), rel=1e-3)


def test_a_million_devices_cost_what_the_model_says() -> None:
    cost = CostModel.fit(RUNS).cost(FleetDemand(1_000_000, 0.1, keep_days=10, release_mb=5.0, spread=3600.0))
    assert cost.events_per_second == 100_000
    assert (cost.broker_cores, cost.brokers) == pytest.approx((4.0, 7), rel=1e-3)
    assert (cost.ingest_cores, cost.ingests) == pytest.approx((5.0, 9), rel=1e-3)
    assert cost.connections == 1_000_009
    assert cost.broker_mb == pytest.approx(4005, rel=1e-3)
    assert cost.rows_per_day == pytest.approx(8.64e9)
    assert cost.database_gb == pytest.approx(8.64e9 * 10 * 900 / 1e9, rel=1e-3)
    assert (cost.release_gb, cost.release_mbit) == pytest.approx((5000.0, 5e6 * 8 / 3600), rel=1e-3)


def test_the_estimate_of_a_measured_run_is_the_run() -> None:
    one = RUNS[1]
    demand = FleetDemand(one.devices, one.rate)
    estimate, measured = CostModel.fit(RUNS).cost(demand), measured_cost(one, demand)
    assert estimate.broker_cores == pytest.approx(measured.broker_cores, rel=0.01)
    assert estimate.broker_mb == pytest.approx(measured.broker_mb, rel=0.01)
    assert estimate.rows_per_day == measured.rows_per_day


def test_noise_never_makes_a_cost_negative() -> None:
    noisy = [
        replace(one, broker_cpu=one.broker_cpu * factor) for one, factor in zip(RUNS, (1.4, 1.0, 0.6), strict=True)
    ]
    model = CostModel.fit(noisy)
    assert model.broker.per_device == 0.0
    assert model.broker.per_event > 0.0


def test_runs_of_one_size_are_not_enough() -> None:
    with pytest.raises(InputError, match="two numbers of devices"):
        CostModel.fit([run(100, 10), run(100, 20)])


@pytest.mark.parametrize("database", ["postgresql", "sqlite"])
def test_the_runs_that_edge_brings_are_of_three_sizes_and_near_their_estimates(database: str) -> None:
    found = runs(database)
    assert [one.devices for one in found] == [100, 1000, 5000]
    model = CostModel.fit(found)
    for one in found:
        demand = FleetDemand(one.devices, one.rate)
        estimate, measured = model.cost(demand), measured_cost(one, demand)
        assert estimate.broker_mb == pytest.approx(measured.broker_mb, rel=0.5)
        assert estimate.ingest_cores == pytest.approx(measured.ingest_cores, rel=0.5)
        assert estimate.received_mbit == pytest.approx(measured.received_mbit, rel=0.5)
