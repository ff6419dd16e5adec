"""The daemon's life: everything is started once, in order, and stopped in reverse from the same list."""

from __future__ import annotations

import enum
import logging
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from edge import __version__, board, sdnotify
from edge.assembly import Assembled
from edge.collection import Collections
from edge.errors import EdgeError
from edge.health import Health
from edge.inference.interpreter import choose
from edge.lock import Lock
from edge.mqtt.client import Client, of_device
from edge.mqtt.delivery import Delivery
from edge.mqtt.messages import Info, Stats, to_json
from edge.mqtt.topics import Topics
from edge.outbox import Outbox
from edge.release_contents import in_force
from edge.reports import DeviceReports, small_jpeg
from edge.settings import Settings
from edge.switcher import Switcher
from edge.types import Event
from edge.watch import Watch

if TYPE_CHECKING:
    from edge.api.server import ApiServer
    from edge.commands import Commands, Host
    from edge.page import StatusPage

log = logging.getLogger(__name__)

TICK = 1.0
"""seconds between two rounds of the main thread, at most"""
STATUS_SECONDS = 5.0
DRAIN_SECONDS = 10.0
"""for the last events to reach the broker, once all sources have ended"""
Read = Callable[[], tuple[Settings, Path]]

ANNOUNCED = "homeassistant.json"
"""in the state folder: what Home Assistant was told"""
FAREWELL_SECONDS = 2.0
"""the same when the daemon is told to stop"""


class Ending(enum.Enum):
    """Why the daemon stopped."""

    STOPPED = "stopped"
    RELOAD = "reload"
    RESTART = "restart"
    """the whole process anew, by command"""
    FINISHED = "finished"
    """every stored source has ended"""


class Daemon:
    """One run with one configuration.

    ``on_events`` sees each event after the outbox has it; ``read`` gives the settings for a reload.
    """

    def __init__(
        self,
        settings: Settings,
        state: Path,
        on_events: Callable[[Sequence[Event]], None] | None = None,
        read: Read | None = None,
    ) -> None:
        self._settings = self._chosen = settings
        self._state = state
        self._on_events = on_events
        self._read = read
        self._ending: Ending | None = None
        self._asked = threading.Event()
        self._reload_asked = threading.Event()
        self._health = Health([camera.name for camera in settings.cameras if camera.enabled])
        self._release = ""

    def ask(self, ending: Ending) -> None:
        """End the run soon. For signal handlers and other threads."""
        self._ending = self._ending or ending
        self._asked.set()

    def ask_reload(self) -> None:
        """Read the settings again soon; end the run only if they are good."""
        self._reload_asked.set()

    def run(self) -> Ending:
        """Watch until asked to end, or until all sources have. Raises EdgeError where the daemon cannot begin."""
        settings, state = self._settings, self._state
        with ExitStack() as stack:
            stack.enter_context(Lock(state))
            outbox = Outbox(state / "outbox.sqlite", settings.outbox)
            stack.callback(outbox.close)
            topics = Topics(settings.device.name)
            client = of_device(settings.mqtt, settings.device.name, outbox.session)
            commands = self._commands(client, topics)
            stack.callback(client.stop)
            client.start()
            delivery = Delivery(outbox, client, settings.device.name, settings.mqtt.acknowledge)
            stack.callback(self._deliver_last, delivery, client)
            delivery.start()
            collections = stack.enter_context(Collections(state, settings.collection))
            switcher = Switcher(settings, state, collections, self._health)
            stack.callback(switcher.close)
            assembled = switcher.start()
            # what is not switched later: the endpoint's models, and those of commands
            self._chosen = in_force(settings, state)
            self._health.problems.update(assembled.problems)
            reports = DeviceReports(settings, outbox, client, topics, self._health)
            stack.callback(reports.finish)
            if self._on_events:
                reports.listeners.append(self._on_events)
            watch = Watch(settings, assembled.bundle, outbox.session, self._health, reports)

            def stats() -> Stats:
                return self._health.stats(asdict(outbox.stats()), asdict(delivery.stats()))

            if settings.api.enabled:
                page = self._page(collections, watch, reports, stats)
                api = self._api(collections, client, topics, reports, page)
                stack.callback(api.stop)
                stack.callback(page.close)
            doubts = self._doubts(stack, reports)
            neighbours = self._neighbours(stack, reports, collections, client, watch)
            stack.callback(watch.stop)
            watch.start()
            if commands:
                stack.callback(commands.stop)
                commands.start(self._host(collections, watch, stats))

            def changed(now: Assembled) -> None:
                self._release = now.bundle.release
                client.retain(topics.info, to_json(self._info(now, collections, outbox.session)))

            changed(assembled)
            client.subscribe(topics.desired, lambda _: switcher.hinted())
            sdnotify.ready(self._health.status_line())
            log.info("watching %s as %s, state in %s", ", ".join(self._health.cameras), settings.device.name, state)

            def releases(now: float) -> None:
                self._releases(now, switcher, watch, client, topics, changed)

            def storage(_now: float) -> None:
                if self._health.storage(outbox.state):
                    client.publish(topics.stats, to_json(stats()), qos=0)

            rounds = (storage, neighbours, doubts, releases)
            self._live(watch, reports, client, topics, stats, rounds)
            sdnotify.stopping()
        return self._ending or Ending.STOPPED

    def _live(
        self, watch: Watch, reports: DeviceReports, client: Client, topics: Topics, stats: Callable[[], Stats],
        rounds: Sequence[Callable[[float], None]],
    ) -> None:  # fmt: skip
        """The main thread's rounds: publish what changed, count, and tell systemd that the pipeline moves."""
        period = min(TICK, (sdnotify.watchdog_seconds() or 60.0) / 4)
        next_status = next_stats = 0.0
        while not self._asked.is_set():
            if watch.wait(0):
                if watch.failed:
                    raise EdgeError("the inference thread ended by an error", "report the traceback above as a bug")
                self.ask(Ending.FINISHED)
                break
            reports.wake.wait(period)
            reports.flush()
            if self._reload_asked.is_set():
                self._reload()
            now = time.monotonic()
            for one in rounds:
                one(now)
            hung = self._health.hung(now)
            if hung:
                log.error("hung: %s; the watchdog is not fed", ", ".join(hung))
            else:
                sdnotify.alive()
            if now >= next_status:
                next_status = now + STATUS_SECONDS
                sdnotify.status(self._health.status_line())
            if now >= next_stats:
                next_stats = now + self._settings.mqtt.stats_seconds
                client.publish(topics.stats, to_json(stats()), qos=0)

    def _releases(
        self, now: float, switcher: Switcher, watch: Watch, client: Client, topics: Topics,
        changed: Callable[[Assembled], None],
    ) -> None:  # fmt: skip
        switcher.tick(now, watch, changed)
        if (said := switcher.report()) is not None:
            client.retain(topics.reported, to_json(said))

    def _reload(self) -> None:
        self._reload_asked.clear()
        try:
            if self._read:
                self._read()
        except EdgeError as error:
            log.error("reload: the old settings stay in force: %s", error)
            sdnotify.ready(self._health.status_line())
            return
        self.ask(Ending.RELOAD)

    def _commands(self, client: Client, topics: Topics) -> Commands | None:
        if not self._settings.commands.enabled:
            return None
        from edge.commands import Commands

        return Commands(client, topics)

    def _neighbours(
        self, stack: ExitStack, reports: DeviceReports, collections: Collections, client: Client, watch: Watch
    ) -> Callable[[float], None]:
        """The systems next door, and their round; none where none is on, and none was that must be told so."""
        settings = self._settings
        announced = (self._state / ANNOUNCED).exists()
        if not (settings.homeassistant.enabled or settings.frigate.enabled or announced):
            return lambda _: None
        from edge.neighbours import Neighbours

        neighbours = Neighbours(settings, self._state, collections, client, small_jpeg, watch.latest)
        stack.callback(neighbours.stop)
        neighbours.start(reports.listeners)
        return neighbours.tick

    def _host(self, collections: Collections, watch: Watch, stats: Callable[[], Stats]) -> Host:
        from edge.commands import Host

        return Host(
            self._chosen, self._state, collections, watch, stats, small_jpeg,
            reload=self.ask_reload, restart=lambda: self.ask(Ending.RESTART),
        )  # fmt: skip

    def _doubts(self, stack: ExitStack, reports: DeviceReports) -> Callable[[float], None]:
        """What keeps doubtful tracks for a person; its round, which writes them."""
        if not self._settings.review.enabled:
            return lambda _: None
        from edge.doubts import Doubts
        from edge.review import ReviewQueue

        queue = stack.enter_context(ReviewQueue(self._state, self._settings.review))
        doubts = Doubts(queue, self._settings)
        stack.callback(doubts.flush)
        reports.examiners.append(doubts.look)
        reports.listeners.append(doubts.ended)
        return lambda _: doubts.flush()

    def _page(
        self, collections: Collections, watch: Watch, reports: DeviceReports, stats: Callable[[], Stats]
    ) -> StatusPage:
        from edge.page import StatusPage

        page = StatusPage(self._settings, self._state, collections, self._health)
        page.begin(stats, reports.present, watch.latest, lambda: self._release)
        if self._settings.page.enabled:
            reports.observers.append(page.live.observe)
            reports.listeners.append(page.feed.listen)
        return page

    def _api(
        self, collections: Collections, client: Client, topics: Topics, reports: DeviceReports, page: StatusPage
    ) -> ApiServer:
        from edge.api.server import ApiServer

        def publish(processor: str, payload: bytes) -> None:
            client.publish(topics.rekognition(processor), payload)

        pages = page.routes() if self._settings.page.enabled else ()
        server = ApiServer(self._chosen, self._state, collections=collections, publish=publish, pages=pages)
        page.serve(server.service.lanes["models"])
        server.start()
        reports.observers.append(server.processors.observe)
        return server

    def _deliver_last(self, delivery: Delivery, client: Client) -> None:
        """Give the last events a chance to reach the broker; what does not is sent at the next start."""
        finished = self._ending is Ending.FINISHED and bool(self._settings.mqtt.host)
        deadline = time.monotonic() + DRAIN_SECONDS
        while finished and not client.online and time.monotonic() < deadline:
            time.sleep(0.02)
        delivery.stop(DRAIN_SECONDS if finished else FAREWELL_SECONDS)

    def _info(self, assembled: Assembled, collections: Collections, session: int) -> Info:
        settings = self._settings
        return Info(
            device=settings.device.name,
            version=__version__,
            session=session,
            release=assembled.bundle.release,
            hardware=board.model(),
            runtime=choose(settings.models.runtime),
            cameras=tuple(self._health.cameras),
            labels=tuple(settings.labels),
            collections=tuple(collections.names()),
            models=dict(assembled.models),
            acknowledge=settings.mqtt.acknowledge,
        )


def run(read: Read, on_events: Callable[[Sequence[Event]], None] | None = None) -> Ending:
    """Run until told to stop. SIGTERM and SIGINT ask, a second one insists; SIGHUP reads the settings again.

    ``read`` gives settings and state folder. At a reload that fails, the old settings stay in force. Raises EdgeError
    where the daemon cannot begin.
    """
    while True:
        settings, state = read()
        daemon = Daemon(settings, state, on_events, read)
        with _signals(daemon):
            ending = daemon.run()
        if ending is not Ending.RELOAD:
            return ending


class _signals:  # noqa: N801
    """While the block runs, signals end the daemon. Does nothing off the main thread."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._before: dict[int, object] = {}

    def __enter__(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self._before[number] = signal.signal(number, self._handle)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            sdnotify.reloading()
            self._daemon.ask_reload()
            return
        for again in (signal.SIGTERM, signal.SIGINT):
            signal.signal(again, signal.SIG_DFL)
        self._daemon.ask(Ending.STOPPED)
