"""The daemon's side of forgetting: what it holds in memory lets go of a name, and a hub is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from edge.core.errors import InputError
from edge.core.subjects import checked
from edge.daemon.erasure import Forgotten, document, forget
from edge.mqtt import erasure_notices as farewells
from edge.mqtt.messages import to_json

if TYPE_CHECKING:
    from edge.daemon.components import Parts
    from edge.mqtt.outbox.rows import Change
    from edge.pipeline.pipeline import Pipeline
    from edge.recognition.store import Collections


class Eraser:
    """Forgets subjects while the daemon runs. Any thread but the inference thread."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    @property
    def collections(self) -> Collections:
        return self._parts.collections

    def say(self) -> None:
        """Tell the hub who was forgotten lately, now and whenever the link comes back."""
        said = farewells.read(self._parts.state)
        if said.forgotten:
            self._parts.client.retain(self._parts.topics.forgotten, to_json(said))

    def forget(self, subject: str) -> Forgotten:
        """Raises StoreError, BusyError: what was removed until then is removed."""
        gone = forget(subject, self._parts.settings, self._parts.state, self)
        self.say()
        return gone

    def erase(self, subject: str) -> None:
        parts = self._parts
        rest = list(parts.erasers)

        def let_go(pipeline: Pipeline) -> None:
            pipeline.erase(subject)
            while rest:
                rest.pop(0)(subject)

        parts.watch.between(let_go)
        parts.reports.erase(subject)

    def rewrite(self, change: Change) -> int:
        return self._parts.outbox.rewrite(change)

    def operations(self) -> dict[str, Callable[[dict[str, Any]], dict[str, Any]]]:
        """For ``edge.daemon.control``."""
        return {"forget": self._asked}

    def _asked(self, given: dict[str, Any]) -> dict[str, Any]:
        subject = given.get("subject")
        if not isinstance(subject, str):
            raise InputError("subject: expected text", "give the argument 'subject'", code="subject")
        return document(self.forget(checked(subject)))
