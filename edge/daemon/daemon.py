"""The daemon: starts everything once, in order, and stops it in reverse from the same list."""

from __future__ import annotations

import enum
import logging
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

from edge import __version__
from edge.core.errors import EdgeError, SourceError
from edge.core.settings.schema import Settings
from edge.core.storage.lock import Lock
from edge.core.storage.repair import repair
from edge.core.system import page_address, systemd
from edge.core.types import Event
from edge.daemon import components
from edge.daemon.components import RunningComponents
from edge.daemon.context import DeviceContext
from edge.daemon.engine import Engine
from edge.daemon.reload import SettingsChange
from edge.daemon.reporter import Reporter
from edge.daemon.watchdog import Watchdog
from edge.mqtt.client import MqttClient, of_device
from edge.mqtt.delivery import Delivery
from edge.mqtt.outbox.outbox import Outbox
from edge.mqtt.outbox.store import FILE as OUTBOX
from edge.mqtt.topics import Topics
from edge.pipeline.health import Health
from edge.pipeline.loader import LoadedModels
from edge.recognition.store.collections import Collections
from edge.releases.activation import in_force
from edge.releases.manager import ReleaseManager
from edge.sources.reconnect import retry_now

log = logging.getLogger(__name__)

TICK = 1.0
"""seconds between two rounds of the main thread, at most"""
STATUS_SECONDS = 5.0
SLOW_DISK = 25.0
"""seconds that a write may take: an SD card at its worst is slow, not hung"""
DRAIN_SECONDS = 10.0
"""for the last events to reach the broker, once all sources have ended"""
FAREWELL_SECONDS = 2.0
"""the same when the daemon is told to stop"""

Read = Callable[[], tuple[Settings, Path]]


class Ending(enum.Enum):
    """Why the daemon stopped."""

    STOPPED = "stopped"
    RELOAD = "reload"
    RESTART = "restart"
    """the whole process anew, by command"""
    FINISHED = "finished"
    """every stored source has ended"""


ENDINGS = {
    Ending.STOPPED: "stopping",
    Ending.RELOAD: "reloading",
    Ending.RESTART: "restarting",
    Ending.FINISHED: "all sources have ended",
}
"""what the log says at the end of a run"""


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
        self._settings = settings
        self._state = state
        self._on_events = on_events
        self._read = read
        self._watchdog_seconds = systemd.watchdog_seconds()
        self.began = False
        """whether the daemon was ever ready"""
        self.next_settings: tuple[Settings, Path] | None = None
        """settings of the next run, after a reload"""
        self._ending: Ending | None = None
        self._asked = threading.Event()
        self._reload_asked = threading.Event()
        cameras = [camera.name for camera in settings.cameras if camera.enabled]
        self._health = Health(cameras, settings.shedding.board)

    def ask(self, ending: Ending) -> None:
        """End the run soon. For signal handlers and other threads."""
        self._ending = self._ending or ending
        self._asked.set()

    def ask_reload(self) -> None:
        """Read the settings again soon; end the run only if they are valid."""
        self._reload_asked.set()

    def run(self) -> Ending:
        """Watch until asked to end, or until all sources have. Raises EdgeError where nothing begins or comes."""
        systemd.starting()
        with ExitStack() as stack:
            stack.enter_context(Lock(self._state))
            for one in repair(self._state):
                self._health.problems[f"file {one.file.name}"] = str(one)
            outbox = Outbox(self._state / OUTBOX, self._settings.outbox)
            stack.callback(outbox.close)
            topics = Topics(self._settings.device.name)
            client = of_device(self._settings.mqtt, self._settings.device.name, outbox.session)
            commands = components.remote_commands(self._settings, client, topics)
            stack.callback(client.stop)
            client.start()
            context, loaded = self._started(stack, outbox, topics, client)
            running = RunningComponents(context)
            stack.callback(running.close)
            stack.callback(context.engine.stop)
            context.engine.start()
            if commands:
                service = components.CommandService(context, commands)
                stack.callback(service.close)
                service.start()
            context.announce(loaded)
            self.began = True
            systemd.ready(self._health.status_line())
            names = ", ".join(self._health.cameras)
            page = page_address.shown(self._settings)
            log.info(
                "edge %s is watching %s as %s, state in %s%s", __version__, names, self._settings.device.name,
                self._state, f", page on {page}" if page else "",
            )  # fmt: skip
            self._live(context, running)
            if self._ending not in (Ending.RELOAD, Ending.RESTART):
                # systemd accepts no READY=1 after it: a service that sends it has to end
                systemd.stopping()
            log.info("%s", ENDINGS[self._ending or Ending.STOPPED])
        return self._ending or Ending.STOPPED

    def _started(
        self, stack: ExitStack, outbox: Outbox, topics: Topics, client: MqttClient
    ) -> tuple[DeviceContext, LoadedModels]:
        """Parts of every daemon, the first model set included; the cameras are not opened yet."""
        settings, state = self._settings, self._state
        delivery = Delivery(outbox, client, settings.device.name, settings.mqtt.acknowledge)
        stack.callback(self._deliver_last, delivery, client)
        delivery.start()
        collections = stack.enter_context(Collections(state, settings.collection))
        manager = ReleaseManager(settings, state, collections, self._health)
        stack.callback(manager.close)
        loaded = manager.start()
        self._health.use_models(loaded.model_set, loaded.problems)
        reporter = Reporter(settings, outbox, client, topics, self._health, self._on_events)
        stack.callback(reporter.finish)
        watchdog = Watchdog(self._watchdog_seconds)
        engine = Engine(settings, loaded.model_set, outbox.session, self._health, reporter, watchdog)
        watchdog.watch("outbox", outbox.pulse, SLOW_DISK)
        watchdog.watch("delivery", delivery.pulse, SLOW_DISK)
        watchdog.watch("mqtt-work", client.work_pulse)
        watchdog.watch("mqtt-network", client.network_pulse)
        context = DeviceContext(
            settings, state, self._health, outbox, topics, client, delivery, collections, manager,
            in_force(settings, state), reporter, engine, watchdog,
            reload=self.ask_reload, restart=lambda: self.ask(Ending.RESTART),
        )  # fmt: skip
        return context, loaded

    def _live(self, context: DeviceContext, running: RunningComponents) -> None:
        """The main loop: publish changes, update counters, and feed systemd's watchdog."""
        period = min(TICK, (self._watchdog_seconds or 60.0) / 4)
        next_status = next_stats = 0.0
        while not self._asked.is_set():
            if context.engine.wait(0):
                if context.engine.failed:
                    raise EdgeError("the inference thread ended with an error", "report the traceback above as a bug")
                self.ask(Ending.FINISHED)
                if self._ending is Ending.FINISHED and not self._health.frames():
                    raise SourceError("no camera delivered a picture", "edge doctor checks each of them")
                break
            context.reporter.wake.wait(period)
            context.reporter.flush()
            if self._reload_asked.is_set():
                self._reload(context, running)
            now = time.monotonic()
            running.tick(now)
            self._health.hanging(context.watchdog.look(now))
            if now >= next_status:
                next_status = now + STATUS_SECONDS
                systemd.status(self._health.status_line())
            if now >= next_stats:
                next_stats = now + context.settings.mqtt.stats_seconds
                context.publish_stats()

    def _reload(self, context: DeviceContext, running: RunningComponents) -> None:
        """Apply new settings: to single components where that is enough, else by a new run."""
        self._reload_asked.clear()
        retry_now()
        if self._read is None:
            self.ask(Ending.RELOAD)
            return
        try:
            settings, state = self._read()
        except EdgeError as error:
            log.error("reload: the old settings stay in force: %s", error)
            systemd.ready(self._health.status_line())
            return
        change = SettingsChange.between(context.settings, settings, running.sections)
        if change.needs_new_run or state != self._state:
            log.info("reload: new run, because of %s", ", ".join(change.needs_new_run) or "the state folder")
            self.next_settings = (settings, state)
            self.ask(Ending.RELOAD)
            return
        try:
            running.restart(change.restarts, settings)
        except EdgeError as error:
            log.error("reload: the new settings cannot be applied: %s", error)
            running.restart(change.restarts, self._settings)
        else:
            self._settings = settings
            log.info("reload: %s", change)
        systemd.ready(self._health.status_line())

    def _deliver_last(self, delivery: Delivery, client: MqttClient) -> None:
        """Give the last events a chance to reach the broker; what does not is sent at the next start."""
        finished = self._ending is Ending.FINISHED and bool(self._settings.mqtt.host)
        deadline = time.monotonic() + DRAIN_SECONDS
        while finished and not client.online and time.monotonic() < deadline:
            time.sleep(0.02)
        delivery.stop(DRAIN_SECONDS if finished else FAREWELL_SECONDS)


def run(read: Read, on_events: Callable[[Sequence[Event]], None] | None = None) -> Ending:
    """Run until told to stop. SIGTERM and SIGINT ask, a second one insists; SIGHUP reads the settings again.

    ``read`` gives settings and state folder. At a reload that fails, the old settings stay in force, or are back where
    nothing begins with the new ones. Raises EdgeError where the daemon cannot begin.
    """
    current, before = read(), None
    while True:
        daemon = Daemon(*current, on_events, read)
        try:
            with _signals(daemon):
                ending = daemon.run()
            if ending is not Ending.RELOAD:
                return ending
            before = current
            current = daemon.next_settings or read()
        except EdgeError as error:
            if before is None or (daemon.began and current is not before):
                raise
            log.error("reload: start failed with the new settings, the old ones are restored: %s", error)
            current, before = before, None


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
            systemd.reloading()
            self._daemon.ask_reload()
            return
        for again in (signal.SIGTERM, signal.SIGINT):
            signal.signal(again, signal.SIG_DFL)
        self._daemon.ask(Ending.STOPPED)
