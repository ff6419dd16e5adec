"""The smallest hub: remembers every event by its key, and tells each device how far it has all of them."""

from __future__ import annotations

import threading

from edge.core.settings.messaging import MqttSettings
from edge.mqtt import topics
from edge.mqtt.client import MqttClient
from edge.mqtt.messages import DeliveryMark, WireEvent, parse, to_json
from edge.mqtt.subscriptions import Incoming
from edge.mqtt.topics import Topics


class Hub:
    """A contiguous mark: an event with ``after`` a and ``seq`` s moves a mark m with a <= m < s to s."""

    def __init__(self, settings: MqttSettings) -> None:
        self.events: list[WireEvent] = []
        """in the order in which they came, each once"""
        self.received = 0
        self.muted = False
        """stores, and does not acknowledge"""
        self.deaf = False
        """does not even store"""
        self._seen: set[str] = set()
        self._gaps: dict[tuple[str, int], list[tuple[int, int]]] = {}
        self._marks: dict[tuple[str, int], int] = {}
        self._lock = threading.Lock()
        self.client = MqttClient(settings, "hub")
        self.client.subscribe(topics.reports(kind="event"), self._on_event)
        self.client.start()

    def stop(self) -> None:
        self.client.stop()

    def _on_event(self, message: Incoming) -> None:
        if self.deaf:
            return
        event = parse(WireEvent, message.payload)
        with self._lock:
            self.received += 1
            if event.id not in self._seen:
                self._seen.add(event.id)
                self.events.append(event)
        assert event.after is not None
        mark = self._advance((event.device, event.epoch), event.after, event.seq)
        if not self.muted:
            self.client.publish(Topics(event.device).ack, to_json(DeliveryMark(event.epoch, mark)))

    def _advance(self, key: tuple[str, int], after: int, seq: int) -> int:
        gaps = self._gaps.setdefault(key, [])
        gaps.append((after, seq))
        mark = self._marks.get(key, 0)
        moved = True
        while moved:
            moved = False
            for gap in list(gaps):
                if gap[1] <= mark:
                    gaps.remove(gap)
                elif gap[0] <= mark:
                    mark, moved = gap[1], True
                    gaps.remove(gap)
        self._marks[key] = mark
        return mark
