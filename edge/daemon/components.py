"""What runs inside the daemon, and the parts that run only where the settings ask for them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from edge import __version__
from edge.core import plugins as extras
from edge.core.settings.schema import Settings
from edge.core.system import hardware as board
from edge.daemon.engine import Engine
from edge.daemon.reporter import Reporter, small_jpeg
from edge.daemon.watchdog import LONG, Watchdog
from edge.inference.interpreter import choose
from edge.mqtt.client import MqttClient
from edge.mqtt.delivery import Delivery
from edge.mqtt.messages import Info, Stats, to_json
from edge.mqtt.outbox.outbox import Outbox
from edge.mqtt.topics import Topics
from edge.pipeline.health import Health
from edge.pipeline.loader import LoadedModels
from edge.recognition.store.collections import Collections
from edge.releases.manager import ReleaseManager

if TYPE_CHECKING:
    from edge.api.rekognition.endpoint import ApiServer
    from edge.api.web.routes import StatusPage
    from edge.daemon.remote_commands import CommandContext, Forgets, RemoteCommands

ANNOUNCED = "homeassistant.json"
"""in the state folder: what Home Assistant was told"""

Round = Callable[[float], None]
"""a part's share of each round of the main thread; takes monotonic seconds"""


@dataclass(slots=True)
class DeviceContext:
    """What every daemon has, in the order of its start."""

    settings: Settings
    state: Path
    health: Health
    outbox: Outbox
    topics: Topics
    client: MqttClient
    delivery: Delivery
    collections: Collections
    switcher: ReleaseManager
    chosen: Settings
    """the settings under the release in use: what is not switched later goes by them"""
    reports: Reporter
    watch: Engine
    watchdog: Watchdog
    release: str = ""
    assembled: LoadedModels | None = None
    """what looks"""
    erasers: list[Callable[[str], None]] = field(default_factory=list)
    """what holds names of subjects, besides; called on the inference thread when one is forgotten"""

    def stats(self) -> Stats:
        """The document of ``up/stats``."""
        return self.health.stats(asdict(self.outbox.stats()), asdict(self.delivery.stats()))

    def publish_stats(self) -> None:
        self.client.publish(self.topics.stats, to_json(self.stats()), qos=0)

    def switched(self, now: LoadedModels) -> None:
        """Another bundle looks: say what the device is now."""
        self.release, self.assembled = now.bundle.release, now
        self.health.settle("custom_labels ", now.problems)
        self.client.retain(self.topics.info, to_json(self._info(now)))

    def _info(self, assembled: LoadedModels) -> Info:
        return Info(
            device=self.settings.device.name,
            version=__version__,
            session=self.outbox.session,
            release=assembled.bundle.release,
            hardware=board.model(),
            runtime=choose(self.settings.models.runtime),
            cameras=tuple(self.health.cameras),
            labels=tuple(self.settings.labels),
            collections=tuple(self.collections.names()),
            custom_labels=tuple(sorted({teller.version for teller in assembled.bundle.tellers.values()})),
            models=dict(assembled.models),
            acknowledge=self.settings.mqtt.acknowledge,
        )


def releases(parts: DeviceContext) -> Round:
    """Takes a release over when one was installed, and says how it is going."""

    def tick(now: float) -> None:
        parts.switcher.tick(now, parts.watch.switch, parts.switched)
        if (said := parts.switcher.report()) is not None:
            parts.client.retain(parts.topics.reported, to_json(said))

    return tick


def learning(parts: DeviceContext, stack: ExitStack) -> Round | None:
    """What takes over custom labels that came into use, and learns from answers; None where no camera tells any."""
    if not any(camera.custom_labels for camera in parts.settings.cameras if camera.enabled):
        return None
    from edge.daemon import label_updates as learning

    return learning.started(parts, stack)


def storage(parts: DeviceContext) -> Round:
    """Says at once when the disk begins or ceases to take events."""

    def tick(_now: float) -> None:
        if parts.health.storage(parts.outbox.state):
            parts.publish_stats()

    return tick


def indexes(parts: DeviceContext) -> Round:
    """Knows which collections get an index now."""
    wanted = {label.collection for label in parts.settings.labels.values() if label.embedder}

    def tick(_now: float) -> None:
        there = sorted(name for name in wanted if name in parts.collections)
        parts.health.building = tuple(name for name in there if parts.collections.get(name).state.building)

    return tick


def commands(client: MqttClient, topics: Topics, settings: Settings) -> RemoteCommands | None:
    """What hears commands; before the client starts, so that none is missed. None where the settings want none."""
    if not settings.commands.enabled:
        return None
    from edge.daemon.remote_commands import RemoteCommands

    return RemoteCommands(client, topics)


def host(
    parts: DeviceContext, forget: Forgets, reload: Callable[[], None], restart: Callable[[], None]
) -> CommandContext:
    """What commands may do here."""
    from edge.daemon.remote_commands import CommandContext

    return CommandContext(
        parts.chosen, parts.state, parts.collections, parts.watch, parts.stats, small_jpeg,
        forget=forget, reload=reload, restart=restart,
    )  # fmt: skip


def forgetting(parts: DeviceContext, stack: ExitStack) -> Forgets:
    """What forgets a subject while the daemon runs: asked by a command on this machine, or over MQTT."""
    from edge.daemon.control import Control
    from edge.daemon.erasure import SubjectEraser

    eraser = SubjectEraser(parts)
    eraser.say()
    control = Control(parts.state, eraser.operations())
    stack.callback(control.stop)
    control.start()
    return eraser.forget


def neighbors(parts: DeviceContext, stack: ExitStack) -> Round | None:
    """The systems next door; None where none is on, and none was that must be told so."""
    settings = parts.settings
    announced = (parts.state / ANNOUNCED).exists()
    if not (settings.homeassistant.enabled or settings.frigate.enabled or announced):
        return None
    from edge.daemon.integrations import Integrations

    made = Integrations(settings, parts.state, parts.collections, parts.client, small_jpeg, parts.watch.latest)
    stack.callback(made.stop)
    made.start(parts.reports.listeners)
    parts.erasers.append(made.erase)
    return made.tick


def doubts(parts: DeviceContext, stack: ExitStack) -> Round | None:
    """What keeps doubtful tracks for a person, and writes them; None where the settings want none."""
    if not parts.settings.review.enabled:
        return None
    from edge.pipeline.review_sampling import ReviewSampler
    from edge.recognition.review.queue import ReviewQueue

    queue = stack.enter_context(ReviewQueue(parts.state, parts.settings.review))
    made = ReviewSampler(queue, parts.settings)
    stack.callback(made.flush)
    parts.reports.observers.append(made.look)
    parts.reports.listeners.append(made.ended)
    parts.erasers.append(made.erase)
    return lambda _: made.flush()


def strangers(parts: DeviceContext, stack: ExitStack) -> Round | None:
    """What knows unknown faces again, and writes them; None where the settings want none."""
    if not parts.settings.strangers.enabled:
        return None
    from edge.pipeline.strangers import StrangerRecognizer
    from edge.recognition.review.queue import ReviewQueue

    queue = stack.enter_context(ReviewQueue(parts.state, parts.settings.review))
    made = StrangerRecognizer(queue.strangers, parts.settings.strangers)
    stack.callback(made.close)
    parts.watch.remember(made)
    return lambda _: made.flush()


def endpoint(parts: DeviceContext, stack: ExitStack) -> None:
    """The Rekognition endpoint and the status page, where the settings want them."""
    if not parts.settings.api.enabled:
        return
    extras.want("api", "api.enabled needs")
    page = _page(parts)
    stack.callback(_api(parts, page).stop)
    stack.callback(page.close)


def _page(parts: DeviceContext) -> StatusPage:
    from edge.api.web.routes import StatusPage

    page = StatusPage(parts.settings, parts.state, parts.collections, parts.health)
    page.begin(parts.stats, parts.reports.present, parts.watch.latest, lambda: parts.release)
    if parts.settings.page.enabled:
        parts.reports.observers.append(page.live.observe)
        parts.reports.listeners.append(page.feed.listen)
    parts.erasers.append(page.erase)
    return page


def _api(parts: DeviceContext, page: StatusPage) -> ApiServer:
    from edge.api.rekognition.endpoint import ApiServer

    def publish(processor: str, payload: bytes) -> bool:
        return parts.client.publish(parts.topics.rekognition(processor), payload)

    pages = page.routes() if parts.settings.page.enabled else ()
    server = ApiServer(parts.chosen, parts.state, collections=parts.collections, publish=publish, pages=pages)
    page.serve(server.service.lanes["models"])
    parts.watchdog.watch("api", server.pulse)
    for lane in server.service.lanes.values():
        for thread, pulse in lane.pulses.items():
            parts.watchdog.watch(thread, pulse, LONG)
    server.start()
    parts.reports.observers.append(server.processors.observe)
    return server
