"""Checks of the broker over a running daemon's own connection: link status, limits and access list.

``edge doctor`` requests it from a running daemon: a broker that binds client ids to certificates would close the
daemon's connection when another client uses the same certificate.
"""

from __future__ import annotations

import queue
from dataclasses import asdict, dataclass
from typing import Any

from edge.mqtt.client import MqttClient
from edge.mqtt.connection import BrokerLimits
from edge.mqtt.inflight import Ack
from edge.mqtt.link_state import Link, LinkHealth
from edge.mqtt.topics import Topics

PROBE = "doctor"
"""last level of the probe topics, without subscribers"""
PROBE_EXPIRY = 10
"""seconds"""
NO_ANSWER = "no answer"


@dataclass(frozen=True, slots=True)
class AccessCheck:
    """Results of the check."""

    health: LinkHealth
    limits: BrokerLimits
    own_half: str = ""
    """reason why a publish below ``up/`` was refused; empty: accepted, or not tried"""
    other_half: str = ""
    """the same below ``down/``, where a refusal is expected"""
    heard: bool = True
    """whether the broker delivers messages for this device"""

    def document(self) -> dict[str, Any]:
        """As JSON for the control socket."""
        return asdict(self)

    @staticmethod
    def of(document: dict[str, Any]) -> AccessCheck:
        """Parse the result of ``document``. Raises KeyError, TypeError, ValueError."""
        health = dict(document["health"])
        health["link"] = Link(health["link"])
        parts = {"health": LinkHealth(**health), "limits": BrokerLimits(**document["limits"])}
        return AccessCheck(**{**document, **parts})


def check_access(client: MqttClient, topics: Topics, seconds: float) -> AccessCheck:
    """Publish one empty message to each half of the device's topics; waits up to ``seconds`` for each response."""
    health, limits = client.health(), client.limits
    if not client.online:
        return AccessCheck(health, limits)
    below = topics.ack.rpartition("/")[0]
    return AccessCheck(
        health,
        limits,
        _refusal(client, topics.response(PROBE), seconds),
        _refusal(client, f"{below}/{PROBE}", seconds),
        not any(topic_filter.startswith(f"{below}/") for topic_filter in client.not_granted),
    )


def _refusal(client: MqttClient, topic: str, seconds: float) -> str:
    """Reason why the broker refused a publish; empty where it was accepted."""
    answers: queue.SimpleQueue[Ack] = queue.SimpleQueue()
    retain = client.limits.retain  # retained as the daemon's messages, and empty: nothing is stored
    if not client.publish(topic, b"", retain=retain, expiry=PROBE_EXPIRY, acknowledged=answers.put, probe=True):
        return NO_ANSWER
    try:
        ack = answers.get(timeout=seconds)
    except queue.Empty:
        return NO_ANSWER
    return "" if ack.accepted else ack.reason or NO_ANSWER
