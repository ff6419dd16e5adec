"""Metrics of the fleet in the Prometheus text format: sums and counts, no series per device.

A fleet of 10,000 devices with a label per device would be 10,000 series a metric; each device serves its own metrics.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from edge import __version__
from edge.api.web.prometheus import Labels, MetricFamily
from edge.hub.queries import DeviceState
from edge.releases.manifest import Deployment

STATES = {True: "online", False: "offline", None: "unknown"}
QUIET = (3600, 86400)
"""seconds without an event"""
HOT = 80.0
"""degrees Celsius from which a device counts as hot"""


def of_fleet(devices: Sequence[DeviceState], deployments: Sequence[Deployment], now: float) -> Iterator[MetricFamily]:
    """All metrics. ``now``: seconds since the epoch."""
    yield MetricFamily("edge_hub_build_info", "gauge", "1, with what runs.", [({"version": __version__}, 1)])
    states = Counter(STATES[one.online] for one in devices)
    online = [({"state": name}, float(states[name])) for name in STATES.values()]
    yield MetricFamily("edge_fleet_devices", "gauge", "Devices known to the hub, by connection.", online)
    for name, help_text, field in COUNTED:
        counts = Counter(getattr(one, field) or "none" for one in devices)
        rows = [({field: value}, float(count)) for value, count in sorted(counts.items())]
        yield MetricFamily(name, "gauge", help_text, rows)
    troubles = Counter(trouble for one in devices for trouble in one.troubles)
    counted = [({"trouble": name}, float(n)) for name, n in sorted(troubles.items())]
    yield MetricFamily("edge_fleet_troubled_devices", "gauge", "Devices with a problem, by its kind.", counted)
    backlogs = [one.backlog for one in devices if one.backlog is not None]
    yield MetricFamily(
        "edge_fleet_backlog_events", "gauge", "Events that wait on devices.", [({}, float(sum(backlogs)))]
    )
    most = [float(max(backlogs))] if backlogs else []
    yield MetricFamily(
        "edge_fleet_backlog_max_events", "gauge", "Events that wait on one device, at most.", _plain(most)
    )
    lost = float(sum(one.lost or 0 for one in devices))
    yield MetricFamily("edge_fleet_lost_events_total", "counter", "Events dropped by devices.", [({}, lost)])
    quiet = [
        ({"seconds": str(limit)}, float(sum(one.last_event is None or now - one.last_event > limit for one in devices)))
        for limit in QUIET
    ]
    yield MetricFamily("edge_fleet_quiet_devices", "gauge", "Devices without an event for so long.", quiet)
    heat = [one.temperature for one in devices if one.temperature is not None]
    hot = [float(sum(value >= HOT for value in heat))]
    yield MetricFamily("edge_fleet_hot_devices", "gauge", f"Devices at {HOT:g} degrees Celsius or more.", _plain(hot))
    hottest = [max(heat)] if heat else []
    yield MetricFamily("edge_fleet_temperature_max_celsius", "gauge", "The hottest device.", _plain(hottest))
    yield from _of_rollouts(devices, deployments)


COUNTED = (
    ("edge_fleet_version_devices", "Devices by version of edge.", "version"),
    ("edge_fleet_release_devices", "Devices by release.", "release"),
    ("edge_fleet_phase_devices", "Devices by phase of an update.", "phase"),
)


def _plain(values: Sequence[float]) -> list[tuple[Labels, float]]:
    return [({}, value) for value in values]


def _of_rollouts(devices: Sequence[DeviceState], deployments: Sequence[Deployment]) -> Iterator[MetricFamily]:
    share, running = [], []
    for one in deployments:
        labels = {"group": one.group, "release": one.release}
        share.append((labels, 0.0 if one.hold else one.percent))
        running.append((labels, float(sum(each.release == one.release for each in devices if each.group == one.group))))
    yield MetricFamily("edge_fleet_rollout_percent", "gauge", "Share of the group that a rollout chooses.", share)
    yield MetricFamily("edge_fleet_rollout_devices", "gauge", "Devices of the group that run its release.", running)
