"""Runs all checks of ``edge doctor``.

Each check is a function that yields findings; ``PARTS`` lists them in order. The only side effects are a temporary
file in the state folder, and empty messages below the device's own topics.
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
    """Yield findings as the checks run. An error ends only its own check."""
    for part, check in PARTS.items():
        try:
            yield from check(context)
        except EdgeError as error:
            yield Finding.of(part, error)
        except OSError as error:
            what = f"{error.filename or part}: {error.strerror}"
            yield Finding(Level.ERROR, part, what, "it could not be checked", "sudo edge doctor, or correct its owner")
