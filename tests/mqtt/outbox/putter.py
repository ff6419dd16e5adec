"""Puts events until it is killed, and says on stdout, after each put has returned, what is now promised."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

from rigs.events import an_event

from edge.core.settings.messaging import OutboxSettings
from edge.mqtt.outbox.outbox import Outbox


def main() -> None:
    run, path = sys.argv[1], Path(sys.argv[2])
    outbox = Outbox(path, OutboxSettings(commit_seconds=0))
    print("open", flush=True)
    for number in itertools.count():
        track = f"{run}-{number}"
        for kind in ("new", "update", "end") if number % 3 else ("new", "update"):
            outbox.put([an_event(kind, track)])  # type: ignore[arg-type]
            print(kind, track, flush=True)


if __name__ == "__main__":
    main()
