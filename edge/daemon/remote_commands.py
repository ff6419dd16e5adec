"""Remote commands: the operations behind ``down/cmd/<operation>``.

Commands run on a thread of their own, one after another, so that neither cameras nor network wait.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge import __version__
from edge.core import subjects
from edge.core.errors import InputError, NotFoundError
from edge.core.imaging import image as pictures
from edge.core.settings.schema import Settings
from edge.core.storage import layout
from edge.core.system.heartbeat import Heartbeat
from edge.core.types import Frame
from edge.inference.pool import ModelPool
from edge.mqtt.client import MqttClient
from edge.mqtt.command_auth import CommandAnswer, Counters, Done, Gate, response_topic, to_json
from edge.mqtt.inflight import Ack
from edge.mqtt.messages import Stats
from edge.mqtt.subscriptions import Incoming
from edge.mqtt.topics import Topics, parse
from edge.recognition.enrollment import HINTS, Enroller
from edge.recognition.store.collections import Collections

if TYPE_CHECKING:
    from edge.daemon.engine import Engine
    from edge.daemon.erasure import ErasureReport
    from edge.daemon.shared_review import SharedReview

log = logging.getLogger(__name__)

WAITING = 16
"""pending commands; more are answered with ``busy``"""
ANSWER_SECONDS = 2.0
"""that a command which ends the daemon waits for its answer to be sent"""
IDLE_SECONDS = 60.0
"""without a command, after which the models of commands are unloaded"""


Forgets = Callable[[str], "ErasureReport"]


@dataclass(frozen=True)
class CommandContext:
    """Parts of the daemon that commands use."""

    settings: Settings
    state: Path
    collections: Collections
    cameras: Engine
    stats: Callable[[], Stats]
    picture: Callable[[Frame], bytes]
    """a frame as a small JPEG"""
    forget: Forgets
    """removes a subject from everything on this device"""
    reload: Callable[[], None]
    restart: Callable[[], None]
    models: ModelPool
    """of the thread that runs commands"""
    review: SharedReview | None = None
    """None: review questions are not shared with the hub"""


class RemoteCommands:
    """Answers commands from ``start`` to ``stop``. What comes before ``start`` waits: the broker keeps our session."""

    def __init__(self, client: MqttClient, topics: Topics) -> None:
        self.pulse = Heartbeat()
        self._client, self._topics = client, topics
        self._waiting: queue.Queue[tuple[str, Incoming] | None] = queue.Queue(WAITING)
        client.subscribe(topics.commands, self._on_command)

    def start(self, host: CommandContext) -> None:
        """Start to run commands."""
        settings = host.settings
        switches = settings.homeassistant.enabled and settings.homeassistant.switches
        gate = Gate(
            self._topics.device, settings.commands.keys, operations(host), Counters(host.state / layout.COMMANDS.name),
            signed_seconds=settings.commands.signed_seconds, trusted={"camera"} if switches else (),
        )  # fmt: skip
        self._thread = threading.Thread(target=self._run, args=(gate, host.models), name="commands", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish the current command; pending ones are discarded."""
        while not self._waiting.empty():
            self._waiting.get_nowait()
        self._waiting.put(None)
        self._thread.join(10)

    def _on_command(self, message: Incoming) -> None:
        try:
            operation = parse(message.topic).name
        except InputError as error:
            log.warning("command refused: %s", error.message)
            return
        try:
            self._waiting.put_nowait((operation, message))
        except queue.Full:
            self._say(
                operation, message, CommandAnswer(operation, "busy", "too many commands wait: try again later"), None
            )

    def _run(self, gate: Gate, models: ModelPool) -> None:
        while (one := self._next(models)) is not None:
            self.pulse.beat()
            operation, message = one
            try:
                answer, then = gate.answer(operation, message)
            except Exception as error:
                log.exception("command %s failed", operation)
                answer, then = CommandAnswer(operation, "failed", f"{type(error).__name__}: see the log"), None
            self._say(operation, message, answer, then)
            self.pulse.rest()

    def _next(self, models: ModelPool) -> tuple[str, Incoming] | None:
        """The next command, None to stop; where none comes for a while, ``models`` are unloaded."""
        while True:
            try:
                return self._waiting.get(timeout=IDLE_SECONDS if len(models) else None)
            except queue.Empty:
                models.clear()

    def _say(self, operation: str, message: Incoming, answer: CommandAnswer, then: Callable[[], None] | None) -> None:
        said = threading.Event()

        def heard(_ack: Ack) -> None:
            said.set()

        topic = response_topic(self._topics, operation, message)
        sent = self._client.publish(topic, to_json(answer), correlation=message.correlation, acknowledged=heard)
        if then is not None:
            if sent:
                said.wait(ANSWER_SECONDS)
            then()


def operations(host: CommandContext) -> Mapping[str, Callable[[dict[str, Any]], Done]]:
    """Operation -> handler."""
    return {
        "ping": lambda _: Done({"time": round(time.time(), 3), "version": __version__}),
        "stats": lambda _: Done(asdict(host.stats())),
        "snapshot": lambda given: _snapshot(host, given),
        "camera": lambda given: _camera(host, given),
        "enroll": lambda given: _enroll(host, given),
        "forget": lambda given: _forget(host, given),
        "enrolments": lambda given: _enrolments(host, given),
        "review": lambda given: _review(host).questions(given),
        "review_answer": lambda given: _review(host).answered(given),
        "reload": lambda _: Done(then=host.reload),
        "restart": lambda _: Done(then=host.restart),
    }


def _snapshot(host: CommandContext, given: dict[str, Any]) -> Done:
    camera = _text(given, "camera")
    frame = host.cameras.latest(camera)
    if frame is None:
        raise NotFoundError(f"camera {camera!r} has given no picture yet", "look at its state")
    return Done({"camera": camera, "time": frame.time, "jpeg": base64.b64encode(host.picture(frame)).decode()})


def _camera(host: CommandContext, given: dict[str, Any]) -> Done:
    camera, enabled = _text(given, "camera"), given.get("enabled")
    if not isinstance(enabled, bool):
        raise InputError(f"enabled: expected true or false, got {str(enabled)[:40]!r}", "give it", code="enabled")
    host.cameras.enable(camera, enabled)
    log.info("camera %s was %s by command", camera, "enabled" if enabled else "disabled")
    return Done({"camera": camera, "enabled": enabled})


def _enroll(host: CommandContext, given: dict[str, Any]) -> Done:
    from edge.recognition import extraction as finder

    label = _text(given, "label", "face")
    subject = subjects.checked(_text(given, "subject"))
    try:
        data = base64.b64decode(_text(given, "image"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError("image: expected a picture in base64", "encode the file's bytes", code="image") from error
    picture = pictures.decode(data, "image")
    section = host.settings.labels.get(label)
    name = _text(given, "collection", section.collection if section else "")
    extractor = finder.load(host.settings, host.state, label, models=host.models)
    collection = host.collections.get_or_create(name)
    done = Enroller(collection).enroll_picture(picture, hashlib.sha256(data).hexdigest(), subject, extractor)
    if done.face is None:
        why = HINTS.get(done.reason, done.reason).format(label=label)
        raise InputError(why, "send another picture", code=done.reason)
    log.info("a face was enrolled into %s by command", name)
    return Done({"collection": name, "subject": done.face.subject, "face_id": done.face.face_id, "new": done.added})


def _enrolments(host: CommandContext, given: dict[str, Any]) -> Done:
    """What was enrolled here, for the hub, where this device's owner has said so."""
    from edge.recognition import enrollment_export

    section = host.settings.labels.get("face")
    key = host.settings.commands.enrolments_key.get_secret_value()
    usual = section.collection if section else ""
    answer = enrollment_export.give(given, host.settings.device.name, key, host.collections, usual)
    log.info("the hub was given what was enrolled into %s", answer["collection"])
    return Done(answer)


def _review(host: CommandContext) -> SharedReview:
    if host.review is None:
        from edge.recognition.enrollment_export import REFUSED

        hint = "set commands.review_key there"
        raise InputError("review questions are not shared by this device", hint, code=REFUSED)
    return host.review


def _forget(host: CommandContext, given: dict[str, Any]) -> Done:
    """The subject's faces are removed from one collection; or the subject from everything here."""
    subject, only = _text(given, "subject"), _text(given, "collection", "")
    if only:
        gone = {only: len(host.collections.get(only).delete_subject(subject))}
        rest: dict[str, Any] = {}
    else:
        done = host.forget(subject)
        gone = done.by_collection
        rest = {"questions": done.questions, "events": done.events, "left": [path.name for path in done.left]}
    if not any((*gone.values(), *rest.values())):
        raise NotFoundError("no data of this subject", "check the name")
    log.info("a subject was removed by command: %d faces", sum(gone.values()))
    return Done({"subject": subject, "faces": {name: count for name, count in gone.items() if count}, **rest})


def _text(given: dict[str, Any], name: str, default: str | None = None) -> str:
    value = given.get(name, default)
    if not isinstance(value, str) or (not value and default != ""):
        raise InputError(f"{name}: expected text, got {str(value)[:40]!r}", f"give the argument {name!r}", code=name)
    return value
