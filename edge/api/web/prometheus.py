"""The daemon's metrics in the Prometheus text format, version 0.0.4.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge import __version__
from edge.core.system import hardware as board
from edge.pipeline.health import Health

TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class MetricFamily:
    """A metric and its values."""

    name: str
    kind: Literal["counter", "gauge", "summary"]
    help: str
    samples: Iterable[tuple[Labels, float]]


def text(families: Iterable[MetricFamily]) -> str:
    """The exposition text; families without values are left out."""
    lines: list[str] = []
    for family in families:
        samples = [f"{family.name}{_labels(labels)} {value:.10g}" for labels, value in family.samples]
        if samples:
            lines += [f"# HELP {family.name} {_escaped(family.help)}", f"# TYPE {family.name} {family.kind}", *samples]
    return "\n".join(lines) + "\n"


def of_daemon(
    health: Health, outbox: Mapping[str, object], mqtt: Mapping[str, object], faces: Mapping[str, int], release: str
) -> Iterator[MetricFamily]:
    """All metrics. ``outbox`` and ``mqtt`` are the documents of ``up/stats``."""
    now, cameras = time.monotonic(), health.cameras
    yield MetricFamily(
        "edge_build_info", "gauge", "1, with what runs.", [({"version": __version__, "release": release}, 1)]
    )
    for name, kind, words, field in CAMERAS:
        yield MetricFamily(
            name, kind, words, [({"camera": c}, float(getattr(one, field))) for c, one in cameras.items()]
        )
    rates = {name: one.rates(now) for name, one in cameras.items()}
    for name, words, field in RATES:
        yield MetricFamily(
            name, "gauge", words, [({"camera": c}, float(getattr(one, field))) for c, one in rates.items()]
        )
    live = [({"camera": name}, float(one.state == "live")) for name, one in cameras.items()]
    yield MetricFamily("edge_camera_live", "gauge", "1 while the camera delivers.", live)
    stages = [
        ({"stage": stage, "quantile": quantile}, known[key] / 1e3)
        for stage, known in health.latency_ms().items()
        for quantile, key in (("0.5", "p50"), ("0.99", "p99"))
    ]
    yield MetricFamily("edge_stage_seconds", "gauge", "Time of each stage a frame, of the latest 512.", stages)
    declined = [({"reason": reason}, float(count)) for reason, count in list(health.declined.items())]
    yield MetricFamily("edge_crops_declined_total", "counter", "Crops not worth embedding.", declined)
    for name, kind, words, key in OUTBOX:
        yield MetricFamily(name, kind, words, _numbers(outbox, key))
    yield MetricFamily(
        "edge_outbox_ok", "gauge", "1 while the disk takes events.", [({}, float(outbox.get("state") == "ok"))]
    )
    for name, kind, words, key in MQTT:
        yield MetricFamily(name, kind, words, _numbers(mqtt, key))
    counts = [({"collection": name}, float(count)) for name, count in faces.items()]
    yield MetricFamily("edge_collection_faces", "gauge", "Faces of a collection.", counts)
    yield MetricFamily("edge_problems", "gauge", "Parts that do not work.", [({}, float(len(health.problems)))])
    level = [({"what": health.shed.what}, float(health.shed.level))]
    yield MetricFamily("edge_shedding_level", "gauge", "Steps of work given up: heat, or no room.", level)
    yield from _of_board(health.sys)


def _of_board(sys: Path | None) -> Iterator[MetricFamily]:
    heat = board.temperature(sys)
    yield MetricFamily(
        "edge_board_temperature_celsius", "gauge", "The hottest zone.", [] if heat is None else [({}, heat)]
    )
    flags = [({"flag": flag}, 1.0) for flag in board.throttled(sys)]
    yield MetricFamily("edge_board_throttled", "gauge", "What the firmware holds back now.", flags)
    synced = float(board.clock() == "synced")
    yield MetricFamily("edge_clock_synced", "gauge", "1 where wall time can be trusted.", [({}, synced)])
    resident = float(board.memory().resident)
    yield MetricFamily("process_resident_memory_bytes", "gauge", "Resident memory of the daemon.", [({}, resident)])
    yield MetricFamily("process_cpu_seconds_total", "counter", "CPU time of the daemon.", [({}, time.process_time())])


Row = tuple[str, Literal["counter", "gauge"], str, str]
CAMERAS: tuple[Row, ...] = (
    ("edge_camera_frames_total", "counter", "Frames that were processed.", "frames"),
    ("edge_camera_looked_total", "counter", "Frames that a detector looked at.", "looked"),
    ("edge_camera_dropped_frames_total", "counter", "Frames that a newer one took the place of.", "dropped"),
)
RATES = (
    ("edge_camera_frame_rate", "Frames a second, lately.", "fps"),
    ("edge_camera_look_rate", "Frames a second that a detector looked at, lately.", "looks"),
    ("edge_camera_thread_share", "Share share of the inference thread, recently.", "share"),
)
OUTBOX: tuple[Row, ...] = (
    ("edge_outbox_waiting_events", "gauge", "Events that wait for the broker or the hub.", "waiting"),
    ("edge_outbox_bytes", "gauge", "Bytes on disk.", "bytes"),
    ("edge_outbox_lost_events_total", "counter", "Events dropped by the caps.", "lost"),
)
MQTT: tuple[Row, ...] = (
    ("edge_mqtt_sent_total", "counter", "Publishes of events, those sent again included.", "sent"),
    ("edge_mqtt_delivered_events_total", "counter", "Events that left the outbox.", "delivered"),
    ("edge_mqtt_unmarked_events", "gauge", "Events that the broker has and the hub has not stored.", "unmarked"),
    ("edge_mqtt_refused_events_total", "counter", "Events that the broker refused.", "refused"),
    ("edge_mqtt_resends_total", "counter", "Times that what has no answer was sent again.", "resends"),
)


def _numbers(document: Mapping[str, object], key: str) -> list[tuple[Labels, float]]:
    value = document.get(key)
    return [({}, float(value))] if isinstance(value, int | float) else []


def _labels(labels: Labels) -> str:
    inside = ",".join(f'{name}="{_quoted(value)}"' for name, value in labels.items())
    return f"{{{inside}}}" if inside else ""


def _quoted(value: str) -> str:
    return _escaped(value).replace('"', r"\"")


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n")
