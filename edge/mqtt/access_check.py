"""What a running daemon's own connection says of the broker: how the link is, its limits, and the access list.

``edge doctor`` asks for it while a daemon runs: a broker that binds client ids to certificates would end the daemon's
connection for another one with the same certificate.
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
"""last level of the topics that are tried: nothing listens there"""
PROBE_EXPIRY = 10
"""seconds"""
NO_ANSWER = "no answer"


@dataclass(frozen=True, slots=True)
class AccessCheck:
    """What the daemon knows of its broker."""

    health: LinkHealth
    limits: BrokerLimits
    own_half: str = ""
    """why a publish below ``up/`` was refused; empty: it was taken, or not tried"""
    other_half: str = ""
    """the same below ``down/``, where a refusal is right"""
    heard: bool = True
    """whether the broker sends what is for this device"""

    def document(self) -> dict[str, Any]:
        """For the control socket."""
        return asdict(self)

    @staticmethod
    def of(document: dict[str, Any]) -> AccessCheck:
        """What ``document`` made. Raises KeyError, TypeError, ValueError."""
        health = dict(document["health"])
        health["link"] = Link(health["link"])
        parts = {"health": LinkHealth(**health), "limits": BrokerLimits(**document["limits"])}
        return AccessCheck(**{**document, **parts})


def check_access(client: MqttClient, topics: Topics, seconds: float) -> AccessCheck:
    """Publish one empty message into each half of the device's topics; waits ``seconds`` for each answer."""
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
    """Why the broker refused a publish; empty when it did not."""
    answers: queue.SimpleQueue[Ack] = queue.SimpleQueue()
    retain = client.limits.retain  # retained and empty: as the daemon publishes, and nothing stays
    if not client.publish(topic, b"", retain=retain, expiry=PROBE_EXPIRY, acknowledged=answers.put, probe=True):
        return NO_ANSWER
    try:
        ack = answers.get(timeout=seconds)
    except queue.Empty:
        return NO_ANSWER
    return "" if ack.accepted else ack.reason or NO_ANSWER
