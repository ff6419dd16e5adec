"""Remote commands over MQTT, and their authentication.

A command that changes something carries an Ed25519 signature over the canonical JSON (sorted keys, no spaces,
ASCII) of ``arguments, counter, device, expires, operation``. The counter of a key only increases; the device saves it
with fsync before it runs the command, so that a command runs at most once, even if it is replayed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import ConfigDict, Field, StrictInt, StrictStr

from edge.core.errors import EdgeError, InputError, NotFoundError, StoreError
from edge.core.storage import files
from edge.mqtt.messages import V1, VERSION, parse
from edge.mqtt.subscriptions import Incoming
from edge.mqtt.topics import Topics

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

log = logging.getLogger(__name__)

UNSIGNED = frozenset({"ping", "stats"})
"""operations that change nothing and reveal no more than ``up/stats``"""
REMEMBERED = 256
"""recent commands whose response is repeated instead of running them again"""
LARGE = 4096
"""size in bytes above which a response is not cached, only that it was sent"""
DECIDED = ("ok", "not_found", "invalid", "failed")
"""codes of accepted commands"""
EXPIRY = 60
"""seconds that an MQTT 5 broker keeps a command for an offline device"""

Code = Literal[
    "ok", "malformed", "retained", "unknown_operation", "unsigned", "unknown_key", "bad_signature", "wrong_device",
    "expired", "replayed", "disabled", "busy", "not_found", "invalid", "failed",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Command:
    """``down/cmd/<operation>``. An empty payload is a command without arguments."""

    __pydantic_config__ = ConfigDict(extra="ignore", allow_inf_nan=False)
    v: V1 = VERSION
    arguments: dict[str, Any] = field(default_factory=dict)
    id: Annotated[StrictStr, Field(max_length=64)] = ""
    """repeated in the response, because MQTT 3.1.1 has no correlation data"""
    device: Annotated[StrictStr, Field(max_length=63)] = ""
    counter: Annotated[StrictInt, Field(ge=0, le=2**63 - 1)] = 0
    """increases with each command of a key; usually nanoseconds since the epoch"""
    expires: Annotated[StrictInt, Field(ge=0, le=10**11)] = 0
    """seconds since the epoch"""
    key: Annotated[StrictStr, Field(max_length=44)] = ""
    """the public key, base64"""
    signature: Annotated[StrictStr, Field(max_length=88)] = ""
    """base64"""


@dataclass(frozen=True, slots=True)
class CommandAnswer:
    """``up/rsp/<operation>``, or the response topic of MQTT 5."""

    operation: str
    code: Code
    message: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    id: str = ""
    v: V1 = VERSION


@dataclass(frozen=True, slots=True)
class Done:
    """Result of a handler. ``then`` is called after the response was sent, or after a timeout."""

    data: dict[str, Any] = field(default_factory=dict)
    then: Callable[[], None] | None = None


Handlers = Mapping[str, Callable[[dict[str, Any]], Done]]
"""operation -> handler; raises EdgeError"""


def signed_bytes(device: str, operation: str, command: Command) -> bytes:
    """The canonical JSON that is signed."""
    content = {
        "arguments": command.arguments,
        "counter": command.counter,
        "device": device,
        "expires": command.expires,
        "operation": operation,
    }
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def sign(
    private: Ed25519PrivateKey, device: str, operation: str, arguments: dict[str, Any], seconds: int = EXPIRY
) -> Command:
    """A signed command, valid for ``seconds``."""
    plain = Command(
        arguments=arguments, device=device, counter=time.time_ns(), expires=int(time.time()) + seconds,
        key=public_text(private),
    )  # fmt: skip
    signature = base64.b64encode(private.sign(signed_bytes(device, operation, plain))).decode()
    return Command(**(asdict(plain) | {"signature": signature}))


def to_json(document: Command | CommandAnswer) -> bytes:
    """As JSON."""
    return json.dumps(asdict(document), separators=(",", ":"), allow_nan=False).encode()


def public_text(private: Ed25519PrivateKey) -> str:
    """The public key in the format of ``commands.keys``: base64."""
    return base64.b64encode(private.public_key().public_bytes_raw()).decode()


EVERY_KEY = ""
"""key in the file: minimum counter of keys without an own one, after the file was damaged"""


class Counters:
    """The highest counter of each key, saved to disk before ``take`` returns."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._values: dict[str, int] | None = None

    def take(self, key: str, counter: int) -> bool:
        """Consume ``counter``; False where it is not above the last one. Raises StoreError where it cannot be saved."""
        if self._values is None:
            self._values = self._read()
        if counter <= self._values.get(key, self._values.get(EVERY_KEY, -1)):
            return False
        values = self._values | {key: counter}
        try:
            files.write_bytes(self._path, json.dumps(values).encode())
        except OSError as error:
            raise StoreError(
                f"{self._path}: the counter of commands cannot be written: {error.strerror}", "check the disk"
            ) from error
        self._values = values
        return True

    def _read(self) -> dict[str, int]:
        try:
            found = json.loads(self._path.read_bytes())
            return {str(key): int(value) for key, value in found.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, AttributeError, TypeError) as error:
            # an empty table would accept old commands again
            raise StoreError(
                f"{self._path}: the counters of commands cannot be read: {error}",
                "start the daemon again: it sets the file aside, and refuses what was signed before",
            ) from error


class Gate:
    """Authenticates commands and runs them. Not thread-safe."""

    def __init__(
        self, device: str, keys: Collection[str], handlers: Handlers, counters: Counters, *,
        signed_seconds: float = 3600.0, trusted: Collection[str] = (),
    ) -> None:  # fmt: skip
        """``trusted``: operations that need no signature, in addition to ``UNSIGNED``."""
        self._device, self._keys, self._handlers, self._counters = device, frozenset(keys), handlers, counters
        self._signed_seconds = signed_seconds
        self._free = UNSIGNED | frozenset(trusted)
        self._answers: OrderedDict[bytes, CommandAnswer] = OrderedDict()

    def answer(self, operation: str, message: Incoming) -> tuple[CommandAnswer, Callable[[], None] | None]:
        """Run a command once, or refuse it; returns the response, and a function to call after it was sent."""
        # a flow may reuse one correlation for all commands: a repeat must be the same command
        again = hashlib.sha256(b"\0".join((operation.encode(), message.correlation, message.payload))).digest()
        if message.correlation and (known := self._answers.get(again)):
            return known, None
        free = False
        try:
            command = parse(Command, message.payload or b"{}")
        except InputError as error:
            answer, then = CommandAnswer(operation, "malformed", error.message), None
        else:
            answer, then = self._decide(operation, command, message.retained)
            free = operation in self._free and not command.signature
        if answer.code not in DECIDED:
            log.warning("command %s refused (%s): %s", operation[:64], answer.code, answer.message)
        if message.correlation and not free:
            self._remember(again, answer)
        return answer, then

    def _remember(self, command: bytes, answer: CommandAnswer) -> None:
        if len(to_json(answer)) > LARGE:
            answer = replace(answer, message="already done; send a new command for the data", data={})
        self._answers[command] = answer
        if len(self._answers) > REMEMBERED:
            self._answers.popitem(last=False)

    def _decide(
        self, operation: str, command: Command, retained: bool
    ) -> tuple[CommandAnswer, Callable[[], None] | None]:
        try:
            code, why = self._verdict(operation, command, retained)
            if code != "ok":
                return CommandAnswer(operation, code, why, id=command.id), None
            done = self._handlers[operation](command.arguments)
        except NotFoundError as error:
            return CommandAnswer(operation, "not_found", str(error), id=command.id), None
        except InputError as error:
            return CommandAnswer(operation, "invalid", error.message, {"reason": error.code}, command.id), None
        except EdgeError as error:
            return CommandAnswer(operation, "failed", str(error), id=command.id), None
        return CommandAnswer(operation, "ok", data=done.data, id=command.id), done.then

    def _verdict(self, operation: str, command: Command, retained: bool) -> tuple[Code, str]:
        """``ok``, or the reason. A valid signed command is consumed."""
        if retained:
            return "retained", "a retained command would run again at each connect"
        if operation not in self._handlers:
            return "unknown_operation", f"known operations: {', '.join(sorted(self._handlers))}"
        if operation in self._free and not command.signature:
            return "ok", ""
        if not command.signature:
            return "unsigned", f"{operation} changes something: it must be signed with one of commands.keys"
        if command.key not in self._keys:
            return "unknown_key", "the key is not one of commands.keys"
        if command.device != self._device:
            return "wrong_device", f"the command is for device {command.device[:63] or '(none)'}"
        if not _is_signed(operation, command):
            return "bad_signature", "the signature does not match the command"
        now = time.time()
        if not now <= command.expires <= now + self._signed_seconds:
            return "expired", f"the command is valid until {command.expires}, the device's time is {int(now)}"
        if not self._counters.take(command.key, command.counter):
            return "replayed", "the counter is not above the last one"
        return "ok", ""


def _is_signed(operation: str, command: Command) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(command.key, validate=True))
        content = signed_bytes(command.device, operation, command)
        key.verify(base64.b64decode(command.signature, validate=True), content)
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def response_topic(topics: Topics, operation: str, message: Incoming) -> str:
    """Topic of the response: the requested one where it is one of this device's responses, else the default."""
    own = topics.response(operation)
    asked = message.response_topic
    prefix = own.rpartition("/")[0] + "/"
    if not asked.startswith(prefix):
        return own
    try:
        return topics.response(asked.removeprefix(prefix))
    except InputError:
        return own
