"""The daemon's components, and the settings that enable them.

A module is imported only where its component is wanted (``tests/test_lazy_imports.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from edge.core import plugins
from edge.core.storage import layout
from edge.core.types import Event
from edge.daemon.component import Component
from edge.daemon.context import DeviceContext
from edge.daemon.control import BROKER, BROKER_SECONDS
from edge.daemon.reporter import small_jpeg
from edge.daemon.watchdog import LONG
from edge.mqtt.client import MqttClient
from edge.mqtt.messages import to_json
from edge.mqtt.topics import Topics
from edge.pipeline.frame_result import FrameResult
from edge.releases.activation import in_force

if TYPE_CHECKING:
    from edge.core.settings.schema import Settings
    from edge.daemon.remote_commands import RemoteCommands

ANNOUNCED = layout.HOMEASSISTANT.name
"""in the state folder: entities announced to Home Assistant"""

SPARE = 2
"""free space below which the history gives way, in reserves of the outbox"""

Create = Callable[[DeviceContext], Component | None]
"""returns the component, or None where the settings disable it"""


class OutboxStatus(Component):
    """Publishes statistics at once when the status of the outbox's disk changes."""

    def __init__(self, context: DeviceContext) -> None:
        self._context = context

    def tick(self, _now: float, /) -> None:
        if self._context.health.storage(self._context.outbox.state):
            self._context.publish_stats()


class ReleaseUpdates(Component):
    """Takes over a release that was installed, and reports its progress."""

    def __init__(self, context: DeviceContext) -> None:
        self._context = context

    def start(self) -> None:
        self._context.client.subscribe(self._context.topics.desired, lambda _: self._context.release_manager.hinted())

    def tick(self, now: float) -> None:
        context = self._context
        context.release_manager.tick(now, context.switch)
        if (report := context.release_manager.report()) is not None:
            context.client.retain(context.topics.reported, to_json(report))


class IndexStatus(Component):
    """Tells health which collections have an index under construction."""

    def __init__(self, context: DeviceContext) -> None:
        self._context = context
        self._wanted = sorted({one.collection for one in context.settings.labels.values() if one.embedder})

    def tick(self, _now: float, /) -> None:
        collections = self._context.collections
        there = (name for name in self._wanted if name in collections)
        self._context.health.building = tuple(name for name in there if collections.get(name).state.building)


class ReviewSampling(Component):
    """Queues doubtful tracks for review."""

    def __init__(self, context: DeviceContext) -> None:
        from edge.pipeline.review_sampling import ReviewSampler
        from edge.recognition.review.queue import ReviewQueue

        self._queue = ReviewQueue(context.state, context.settings.review)
        self._sampler = ReviewSampler(self._queue, context.settings)

    def on_frame(self, result: FrameResult) -> None:
        self._sampler.look(result)

    def on_events(self, events: Sequence[Event]) -> None:
        self._sampler.ended(events)

    def tick(self, _now: float, /) -> None:
        self._sampler.flush()

    def erase(self, subject: str) -> None:
        self._sampler.erase(subject)

    def close(self) -> None:
        self._sampler.flush()
        self._queue.close()


class HistoryRecording(Component):
    """Records the history for the owner's page."""

    def __init__(self, context: DeviceContext) -> None:
        from edge.pipeline.history import HistoryStore
        from edge.pipeline.history_recorder import HistoryRecorder

        settings = context.settings.history
        spare = SPARE * context.settings.outbox.reserve_bytes
        self._recorder = HistoryRecorder(HistoryStore(context.state, settings, spare), settings)

    def on_frame(self, result: FrameResult) -> None:
        self._recorder.on_frame(result)

    def on_events(self, events: Sequence[Event]) -> None:
        self._recorder.on_events(events)

    def tick(self, now: float, /) -> None:
        self._recorder.tick(now)

    def erase(self, subject: str) -> None:
        self._recorder.erase(subject)

    def close(self) -> None:
        self._recorder.close()


class StrangerRecognition(Component):
    """Re-identifies unknown faces, and stores them."""

    def __init__(self, context: DeviceContext) -> None:
        from edge.pipeline.strangers import StrangerRecognizer
        from edge.recognition.review.queue import ReviewQueue

        self._queue = ReviewQueue(context.state, context.settings.review)
        self._recognizer = StrangerRecognizer(self._queue.strangers, context.settings.strangers)
        context.engine.remember(self._recognizer)

    def tick(self, _now: float, /) -> None:
        self._recognizer.flush()

    def close(self) -> None:
        self._recognizer.close()
        self._queue.close()


class HttpEndpoint(Component):
    """The Rekognition endpoint and the owner's page."""

    def __init__(self, context: DeviceContext) -> None:
        from edge.api.rekognition.endpoint import ApiServer
        from edge.api.web.routes import StatusPage
        from edge.daemon.erasure import SubjectEraser

        def publish(processor: str, payload: bytes) -> bool:
            return context.client.publish(context.topics.rekognition(processor), payload)

        plugins.want("api", "api.enabled needs")
        settings = context.settings
        self._context, self._watched = context, settings.page.enabled
        self._page = StatusPage(settings, context.state, context.collections, context.health)
        self._page.begin(
            context.stats,
            context.reporter.present,
            context.engine.latest,
            lambda: context.release,
            context.client.health,
            SubjectEraser(context).forget,
            context.restart,
            context.reload,
        )
        self._server = ApiServer(
            context.effective_settings, context.state, collections=context.collections, publish=publish,
            pages=self._page.routes() if self._watched else (),
        )  # fmt: skip
        self._page.serve(self._server.service.queues["models"], self._server.service.models)

    def start(self) -> None:
        self._context.watchdog.watch("api", self._server.pulse)
        for queue in self._server.service.queues.values():
            for thread, pulse in queue.pulses.items():
                self._context.watchdog.watch(thread, pulse, LONG)
        self._server.start()

    def on_frame(self, result: FrameResult) -> None:
        if self._watched:
            self._page.live.observe(result)
        self._server.processors.observe(result)

    def on_events(self, events: Sequence[Event]) -> None:
        if self._watched:
            self._page.feed.listen(events)

    def erase(self, subject: str) -> None:
        self._page.erase(subject)

    def close(self) -> None:
        with ExitStack() as stack:
            stack.callback(self._server.stop)
            stack.callback(self._page.close)


def _broker(context: DeviceContext) -> dict[str, Any]:
    """For ``edge doctor``: the broker, by the connection of this process."""
    from edge.mqtt.access_check import check_access

    return check_access(context.client, context.topics, BROKER_SECONDS).document()


class LocalControl(Component):
    """Answers commands on this machine, and erases subjects while the daemon runs."""

    def __init__(self, context: DeviceContext) -> None:
        from edge.daemon.control import Control
        from edge.daemon.erasure import SubjectEraser

        self._eraser = SubjectEraser(context)
        operations = self._eraser.operations() | {BROKER: lambda _: _broker(context)}
        self._control = Control(context.state, operations)

    def start(self) -> None:
        self._eraser.say()
        self._control.start()

    def close(self) -> None:
        self._control.stop()


class CommandService(Component):
    """Answers remote commands over MQTT once everything else has started."""

    def __init__(self, context: DeviceContext, commands: RemoteCommands) -> None:
        self._context, self._commands = context, commands

    def start(self) -> None:
        from edge.daemon.erasure import SubjectEraser
        from edge.daemon.remote_commands import CommandContext
        from edge.inference.pool import ModelPool

        context = self._context
        context.watchdog.watch("commands", self._commands.pulse, LONG)
        if context.settings.commands.review_key.get_secret_value():
            from edge.daemon.shared_review import SharedReview

            context.review = SharedReview(context.effective_settings, context.state, context.collections)
        self._commands.start(
            CommandContext(
                settings=context.effective_settings,
                state=context.state,
                collections=context.collections,
                cameras=context.engine,
                stats=context.stats,
                picture=small_jpeg,
                forget=SubjectEraser(context).forget,
                reload=context.reload,
                restart=context.restart,
                models=ModelPool(context.effective_settings.models, context.state, threads=1),
                review=context.review,
            )
        )

    def close(self) -> None:
        self._commands.stop()
        if self._context.review is not None:
            self._context.review.close()


def _housekeeping(context: DeviceContext) -> Component:
    from edge.daemon.housekeeping import Housekeeping, expire

    return Housekeeping(context.collections.warm, lambda: expire(context.settings, context.state))


def _retained(context: DeviceContext) -> Component:
    from edge.daemon.retained import RetainedCleanup

    return RetainedCleanup(context.settings, context.state, context.client, context.topics)


def _overload(context: DeviceContext) -> Component | None:
    if not context.settings.shedding.enabled:
        return None
    from edge.daemon.overload import OverloadMonitor

    return OverloadMonitor(context.settings.shedding, context.engine, context.health, context.publish_stats)


def _integrations(context: DeviceContext) -> Component | None:
    settings = context.settings
    announced = (context.state / ANNOUNCED).exists()
    if not (settings.homeassistant.enabled or settings.frigate.enabled or announced):
        return None
    from edge.daemon.integrations import Integrations

    return Integrations(settings, context.state, context.collections, context.client, small_jpeg, context.engine.latest)


def _notifications(context: DeviceContext) -> Component | None:
    wanted = context.settings.notify
    if not (wanted.mqtt or wanted.webhook.get_secret_value()):
        return None
    from edge.daemon.notifications import Notifications

    return Notifications(context)


def _label_updates(context: DeviceContext) -> Component | None:
    if not any(camera.custom_labels for camera in context.settings.cameras if camera.enabled):
        return None
    from edge.daemon import label_updates

    return label_updates.create(context)


def _where(wanted: Callable[[Settings], bool], create: Create) -> Create:
    return lambda context: create(context) if wanted(context.settings) else None


COMPONENTS: dict[str, Create] = {
    "endpoint": _where(lambda settings: settings.api.enabled, HttpEndpoint),
    "outbox": OutboxStatus,
    "releases": ReleaseUpdates,
    "indexes": IndexStatus,
    "housekeeping": _housekeeping,
    "retained": _retained,
    "overload": _overload,
    "integrations": _integrations,
    "notify": _notifications,
    "review": _where(lambda settings: settings.review.enabled, ReviewSampling),
    "history": _where(lambda settings: settings.history.enabled, HistoryRecording),
    "strangers": _where(lambda settings: settings.strangers.enabled, StrangerRecognition),
    "label_updates": _label_updates,
    "control": LocalControl,
}
"""in the order of their start; they close in the reverse order"""

RESTARTABLE = {
    "endpoint": frozenset({"api", "page"}),
    "integrations": frozenset({"homeassistant", "frigate"}),
    "notify": frozenset({"notify"}),
}
"""component -> sections of the settings that it alone reads: a change of those restarts it, and not the cameras"""


def remote_commands(settings: Settings, client: MqttClient, topics: Topics) -> RemoteCommands | None:
    """Subscribe to commands before the client starts, so that none is missed; None where commands are disabled."""
    if not settings.commands.enabled:
        return None
    from edge.daemon.remote_commands import RemoteCommands

    return RemoteCommands(client, topics)


class RunningComponents:
    """The components of one run. Main thread only. Close it."""

    def __init__(self, context: DeviceContext) -> None:
        """Create and start them. Raises EdgeError; what was started until then is closed."""
        self._context = context
        self._running: dict[str, Component] = {}
        try:
            for name in COMPONENTS:
                self._create(name)
        except BaseException:
            self.close()
            raise

    @property
    def sections(self) -> dict[str, str]:
        """Section of the settings -> the component that can be restarted for it."""
        return {section: name for name, kind in RESTARTABLE.items() for section in kind}

    def tick(self, now: float) -> None:
        for component in self._running.values():
            component.tick(now)

    def restart(self, names: Sequence[str], settings: Settings) -> None:
        """Apply ``settings``: close and recreate those components. Raises EdgeError."""
        self._context.settings = settings
        self._context.effective_settings = in_force(settings, self._context.state)
        for name in names:
            if (old := self._running.pop(name, None)) is not None:
                self._publish()
                old.close()
            self._create(name)

    def close(self) -> None:
        """Close them in the reverse order of their start."""
        with ExitStack() as stack:
            for component in self._running.values():
                stack.callback(component.close)
            self._running = {}

    def _create(self, name: str) -> None:
        component = COMPONENTS[name](self._context)
        if component is None:
            return
        self._running[name] = component
        component.start()
        self._publish()

    def _publish(self) -> None:
        """Publish the running components to the threads; the list is replaced, never changed."""
        now = list(self._running.values())
        self._context.components = now
        self._context.reporter.components = now
