"""Notifications: one per track, over MQTT and to a webhook.

A track is notified about when it is decided whose it is: a subject, or unknown; one whose label has no collection at
its first event. The inference thread chooses and makes the picture, the main thread publishes, and the webhook has a
thread of its own: no frame waits for the network.
"""

from __future__ import annotations

import base64
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from edge.core.settings.messaging import NotifySettings
from edge.core.settings.schema import Settings
from edge.core.system.page_address import network_address
from edge.core.types import Event, Frame, IdentityState
from edge.daemon.component import Component
from edge.daemon.context import DeviceContext
from edge.daemon.reporter import small_jpeg
from edge.daemon.webhook import Webhook, WebhookDocument
from edge.mqtt.messages import MAX_PICTURE, Notification, to_json, wire_labels
from edge.pipeline.frame_result import FrameResult

MAX_HANDLED = 1000
"""remembered tracks that were handled, the newest"""
MAX_PENDING = 100
"""pending notifications for the main thread, the newest"""
PROBLEM = "notify.webhook"


class NotificationFilter:
    """Which event of a track is worth a notification. One thread at a time."""

    def __init__(self, settings: Settings, now: Callable[[], time.struct_time] = time.localtime) -> None:
        """``now``: the time of day in the time zone of the device."""
        self._wanted = settings.notify
        self._recognized = {name for name, label in settings.labels.items() if label.embedder}
        self._now = now
        self._handled: dict[str, None] = {}
        self._latest: dict[tuple[str, str | None], float] = {}
        """camera and subject -> time of the latest notification"""

    def accepts(self, event: Event) -> bool:
        """Whether to notify about this event; True once per track at most."""
        if event.type == "end" or event.track in self._handled or not self._is_wanted(event):
            return False
        self._remember(event.track)
        if event.clock == "synced" and is_quiet(self._wanted, self._now()):
            return False
        key = (event.camera, event.identity.subject or event.identity.pseudonym or event.label)
        repeated = abs(event.time - self._latest.get(key, -1e12)) < self._wanted.repeat_seconds
        if not repeated:
            self._latest = {one: at for one, at in self._latest.items() if abs(event.time - at) < 86400}
            self._latest[key] = event.time
        return not repeated

    def _is_wanted(self, event: Event) -> bool:
        wanted = self._wanted
        labels = {event.label, *(label.name for label in event.custom_labels)}
        if wanted.labels and not labels & set(wanted.labels):
            return False
        if wanted.cameras and event.camera not in wanted.cameras:
            return False
        if wanted.zones and not set(event.zones) & set(wanted.zones):
            return False
        return self._is_decided(event)

    def _is_decided(self, event: Event) -> bool:
        identity = event.identity
        if identity.state is IdentityState.KNOWN:
            return not self._wanted.subjects or identity.subject in self._wanted.subjects
        if event.label not in self._recognized:
            return not self._wanted.subjects
        return identity.state is IdentityState.UNKNOWN and self._wanted.unknown

    def _remember(self, track: str) -> None:
        self._handled[track] = None
        while len(self._handled) > MAX_HANDLED:
            del self._handled[next(iter(self._handled))]


def is_quiet(settings: NotifySettings, now: time.struct_time) -> bool:
    """Whether a time of day is in the quiet hours; those that end before they begin go past midnight."""
    clock = f"{now.tm_hour:02}:{now.tm_min:02}"
    spans = ((one[:5], one[6:]) for one in settings.quiet_hours)
    return any(begin <= clock < end if begin < end else clock >= begin or clock < end for begin, end in spans)


class Notifications(Component):
    """Chooses on the inference thread, publishes on the main thread."""

    def __init__(self, context: DeviceContext) -> None:
        settings = context.settings
        self._context, self._settings = context, settings.notify
        self._filter = NotificationFilter(settings)
        self._page = network_address(settings)
        self._pending: deque[Notification] = deque(maxlen=MAX_PENDING)
        address = settings.notify.webhook.get_secret_value()
        self._webhook = (
            Webhook(address, settings.notify.timeout, settings.notify.attempts, self._report) if address else None
        )

    def on_frame(self, result: FrameResult) -> None:
        for event in result.events:
            if self._filter.accepts(event):
                picture = _picture(result.frame) if self._settings.pictures else None
                self._pending.append(notification(self._context.settings.device.name, event, self._page, picture))
                self._context.reporter.wake.set()

    def tick(self, _now: float, /) -> None:
        while self._pending:
            one = self._pending.popleft()
            if self._settings.mqtt:
                self._publish(one)
            if self._webhook is not None:
                self._webhook.post(WebhookDocument(to_json(one), one.subject))

    def erase(self, subject: str) -> None:
        kept = [one for one in self._pending if one.subject != subject]
        self._pending.clear()
        self._pending.extend(kept)
        if self._webhook is not None:
            self._webhook.erase(subject)

    def close(self) -> None:
        self.tick(time.monotonic())
        if self._webhook is not None:
            self._webhook.close()
        self._context.health.settled(PROBLEM)  # of these settings: others may have another webhook, or none

    def _publish(self, one: Notification) -> None:
        """A broker may accept only small messages: then the picture stays here."""
        client, topic = self._context.client, self._context.topics.notification(one.camera)
        payload = to_json(one)
        if len(payload) > client.most_bytes:
            payload = to_json(replace(one, picture=None))
        client.publish(topic, payload)

    def _report(self, problem: str) -> None:
        if problem:
            self._context.health.trouble(PROBLEM, problem)
        else:
            self._context.health.settled(PROBLEM)


def notification(device: str, event: Event, page: str = "", picture: str | None = None) -> Notification:
    """The document about an event. ``picture``: JPEG in base64."""
    identity = event.identity
    return Notification(
        device=device, camera=event.camera, track=event.track, label=event.label, state=identity.state, time=event.time,
        text=f"{_named(event)} at {event.camera}"[:512], subject=identity.subject, pseudonym=identity.pseudonym,
        likeness=None if identity.likeness is None else round(identity.likeness, 1), zones=event.zones,
        custom_labels=wire_labels(event.custom_labels), clock=event.clock, page=page, picture=picture,
    )  # fmt: skip


def _named(event: Event) -> str:
    identity = event.identity
    if identity.subject or identity.pseudonym:
        return str(identity.subject or identity.pseudonym)
    customs = ", ".join(label.name for label in event.custom_labels)
    return customs or (f"unknown {event.label}" if identity.state is IdentityState.UNKNOWN else event.label)


def _picture(frame: Frame) -> str | None:
    text = base64.b64encode(small_jpeg(frame)).decode("ascii")
    return text if len(text) <= MAX_PICTURE else None
