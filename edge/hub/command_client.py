"""Client of the remote commands: sends commands to devices and waits for their answers."""

from __future__ import annotations

import base64
import json
import queue
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.core.errors import ConflictError, DeliveryError, InputError
from edge.core.settings.messaging import MqttSettings
from edge.core.storage import files
from edge.mqtt.client import MqttClient
from edge.mqtt.command_auth import EXPIRY, UNSIGNED, Command, CommandAnswer, public_text, sign, to_json
from edge.mqtt.messages import parse
from edge.mqtt.subscriptions import Incoming
from edge.mqtt.topics import Topics, reports
from edge.recognition.enrollment_export import REFUSED

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from typing_extensions import Self


def make_key(path: Path) -> str:
    """Write a new private key to ``path``. Returns the public key for ``commands.keys``. Raises ConflictError."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    if path.exists():
        raise ConflictError(f"{path} exists already", "choose another file")
    private = Ed25519PrivateKey.generate()
    files.write_bytes(path, base64.b64encode(private.private_bytes_raw()) + b"\n")
    return public_text(private)


def read_key(path: Path) -> Ed25519PrivateKey:
    """The private key of ``make_key``. Raises InputError."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    try:
        return Ed25519PrivateKey.from_private_bytes(base64.b64decode(path.read_bytes().strip(), validate=True))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a private key"
        raise InputError(f"key {path}: {reason}", "make one with 'edge hub key FILE'") from error


class CommandClient:
    """One connection for commands to any number of devices, from any thread; a context manager.

    ``responses``: topic filter of the answers, by default those of all devices.
    """

    def __init__(self, mqtt: MqttSettings, responses: str = "") -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, list[queue.SimpleQueue[Incoming]]] = {}
        """topic of an answer -> those who wait for one"""
        # a client id of its own: with MQTT 3.1.1 the response topic is shared by all clients
        self._client = MqttClient(mqtt, f"edge-ask-{secrets.token_hex(4)}", session_seconds=0)
        self._client.subscribe(responses or reports(kind="rsp"), self._on_answer)

    def __enter__(self) -> Self:
        self._client.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.stop(1.0)

    def ask(
        self, device: str, operation: str, arguments: dict[str, Any], *,
        private: Ed25519PrivateKey | None = None, timeout: float = 15.0,
    ) -> CommandAnswer:  # fmt: skip
        """Send a command to ``device`` and wait for its answer.

        ``private`` signs operations that need it. Raises DeliveryError where there is no answer within ``timeout``
        seconds.
        """
        topics, until = Topics(device), time.monotonic() + timeout
        where, correlation = topics.response(operation), secrets.token_bytes(16)
        answers: queue.SimpleQueue[Incoming] = queue.SimpleQueue()
        with self._lock:
            self._waiting.setdefault(where, []).append(answers)
        try:
            _await_broker(self._client, until)
            command = Command(arguments=arguments)
            if private is not None and operation not in UNSIGNED:
                command = sign(private, device, operation, arguments)
            command = replace(command, id=secrets.token_hex(8))
            self._client.publish(
                topics.command(operation), to_json(command), expiry=EXPIRY, response_topic=where,
                correlation=correlation,
            )  # fmt: skip
            return _answer(answers, command.id, correlation, until, device)
        finally:
            with self._lock:
                self._waiting[where].remove(answers)
                if not self._waiting[where]:
                    del self._waiting[where]

    def _on_answer(self, message: Incoming) -> None:
        with self._lock:
            for one in self._waiting.get(message.topic, ()):
                one.put(message)


def ask(
    mqtt: MqttSettings, device: str, operation: str, arguments: dict[str, Any], *,
    private: Ed25519PrivateKey | None = None, timeout: float = 15.0,
) -> CommandAnswer:  # fmt: skip
    """As ``CommandClient.ask``, with a connection for this command alone."""
    with CommandClient(mqtt, Topics(device).response(operation)) as client:
        return client.ask(device, operation, arguments, private=private, timeout=timeout)


def checked(device: str, answer: CommandAnswer, refused: str, remedy: str) -> CommandAnswer:
    """``answer`` where it is ok. Raises ConflictError (device and ``refused``) where it is disabled, DeliveryError."""
    if answer.code == "ok":
        return answer
    if answer.data.get("reason") == REFUSED:
        raise ConflictError(f"{device} {refused}", remedy)
    raise DeliveryError(f"{device} answers {answer.code}: {answer.message}", "check its log")


def hint(mqtt: MqttSettings, devices: Sequence[str], document: Mapping[str, object], timeout: float = 15.0) -> None:
    """Publish a retained hint that a new release is available; carries no authority. Raises DeliveryError."""
    client = MqttClient(mqtt, f"edge-hint-{secrets.token_hex(4)}", session_seconds=0)
    client.start()
    try:
        _await_broker(client, time.monotonic() + timeout)
        for device in devices:
            client.retain(Topics(device).desired, json.dumps(document).encode())
    finally:
        client.stop(3.0)


def _await_broker(client: MqttClient, until: float) -> None:
    while not client.online:
        if time.monotonic() > until:
            health = client.health()
            raise DeliveryError(f"the broker is {health.link}: {health.detail or 'no answer yet'}", health.hint)
        time.sleep(0.02)


def _answer(
    answers: queue.SimpleQueue[Incoming], identity: str, correlation: bytes, until: float, device: str
) -> CommandAnswer:
    while (left := until - time.monotonic()) > 0:
        try:
            message = answers.get(timeout=left)
            answer = parse(CommandAnswer, message.payload)
        except queue.Empty:
            break
        except InputError:
            continue  # not an answer to this client
        if message.correlation == correlation or (not message.correlation and answer.id in (identity, "")):
            return answer
    raise DeliveryError(f"device {device} did not answer", "check with 'edge hub status' whether it is online")
