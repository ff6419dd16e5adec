"""Live phase: the daemon's threads process the source in real time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from edge.core.settings.schema import Settings
from edge.core.types import Event
from edge.daemon.engine import Engine
from edge.mqtt.outbox.outbox import Outbox
from edge.pipeline.frame_result import FrameResult
from edge.pipeline.health import Health
from edge.pipeline.loader import LoadedModels

OPENING = 60.0
"""timeout (s) of the first frame of a source"""


def watch_live(
    settings: Settings, assembled: LoadedModels, outbox: Outbox, seconds: float, progress: Callable[[float], None]
) -> dict[str, Any]:
    """Run the daemon's threads in real time for ``seconds``; measures dropped frames, CPU and latency of events."""
    if not seconds:
        return {}
    camera = settings.cameras[0].model_copy(update={"realtime": True, "loop": True})
    alone = settings.model_copy(update={"cameras": (camera,)})
    health = Health([camera.name])
    watch = Engine(alone, assembled.model_set, 1, health, ToOutbox(outbox))
    watch.start()
    opened = time.monotonic() + OPENING
    while not health.cameras[camera.name].frames and time.monotonic() < opened and not watch.wait(0.02):
        progress(0)
    cpu = time.process_time()
    ends = time.monotonic() + seconds
    while time.monotonic() < ends and not watch.wait(0.25):
        progress(0)
    watch.stop()
    cpu = time.process_time() - cpu
    counted = health.cameras[camera.name]
    return {
        "seconds": seconds,
        "fps_wanted": camera.fps,
        "frames": counted.frames,
        "looked_at": counted.looked,
        "dropped": counted.dropped,
        "cpu_percent_of_a_core": round(100 * cpu / seconds, 1),
        "exposure_to_outbox_ms": health.latency_ms().get("latency", {}),
    }


class ToOutbox:
    """Reporter that only fills the outbox."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def events(self, events: Sequence[Event]) -> None:
        self._outbox.put(events)

    def left(self, camera: str) -> None:
        """Not reported."""

    def seen(self, result: FrameResult) -> None:
        """Not reported."""
