"""Diagnosis of this device: findings with cause and hint, as errors have them.

Each part is a small function that yields findings; ``PARTS`` is the order in which they run.
Nothing is changed but a file that is written and removed in the state folder, and one message in the device's own half
of the broker's topics.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from edge.cli.doctor import (
    board,
    broker,
    cameras,
    collections,
    custom_labels,
    disk,
    encryption,
    models,
    releases,
    service,
)
from edge.cli.doctor.finding import DoctorContext, Finding, Level
from edge.core.errors import EdgeError

PARTS: dict[str, Callable[[DoctorContext], Iterator[Finding]]] = {
    "configuration": service.configuration,
    "state": disk.state,
    "state files": disk.state_files,
    "encryption": encryption.encryption,
    "disk": disk.space,
    "outbox": disk.outbox,
    "models": models.models,
    "collections": collections.collections,
    "custom_labels": custom_labels.custom_labels,
    "cameras": cameras.cameras,
    "clock": board.clock,
    "broker": broker.broker,
    "hub": broker.hub,
    "sync": releases.releases,
    "service": service.service,
    "watchdog": service.watchdog,
    "board": board.condition,
    "memory": board.memory,
}


def examine(context: DoctorContext) -> Iterator[Finding]:
    """Every finding, as it is made. An error of one part ends that part alone."""
    for part, look in PARTS.items():
        try:
            yield from look(context)
        except EdgeError as error:
            yield Finding.of(part, error)
        except OSError as error:
            what = f"{error.filename or part}: {error.strerror}"
            yield Finding(
                Level.ERROR, part, what, "the doctor could not look at it", "sudo edge doctor, or mend its owner"
            )
