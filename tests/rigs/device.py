"""A device's side of the wire, put together as the daemon does, and somebody else's client to look at it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from rigs.waiting import eventually

from edge.core.settings.messaging import MqttSettings, OutboxSettings
from edge.mqtt.client import MqttClient, of_device
from edge.mqtt.delivery import Delivery
from edge.mqtt.outbox.outbox import Outbox


@dataclass
class Device:
    outbox: Outbox
    client: MqttClient
    delivery: Delivery

    @classmethod
    def make(cls, chosen: MqttSettings, folder: Path, name: str = "porch") -> Device:
        outbox = Outbox(folder / name / "outbox.db", OutboxSettings(commit_seconds=0))
        client = of_device(chosen, name, outbox.session)
        return cls(outbox, client, Delivery(outbox, client, name, chosen.acknowledge))

    def start(self) -> None:
        self.client.start()
        self.delivery.start()

    def stop(self) -> None:
        self.delivery.stop()
        self.client.stop(1.0)
        self.outbox.close()


class Subscriber:
    """Somebody else's client: paho alone, MQTT 5, a session that outlives its connection."""

    def __init__(self, port: int, *filters: str, name: str = "subscriber", **login: str) -> None:
        self.messages: list[tuple[str, bytes, bool]] = []
        """topic, payload, retained"""
        self._filters = [(one, 1) for one in filters]
        self._subscribed = False
        self.client = paho.Client(CallbackAPIVersion.VERSION2, name, protocol=MQTTProtocolVersion.MQTTv5)
        if login:
            self.client.username_pw_set(login["username"], login["password"])
        self.client.on_connect = lambda client, *_: client.subscribe(self._filters)
        self.client.on_subscribe = self._on_subscribe
        self.client.on_message = self._on_message
        self.client.reconnect_delay_set(1, 1)
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = 600
        self.client.connect("127.0.0.1", port, clean_start=False, properties=properties)
        self.client.loop_start()
        assert eventually(lambda: self._subscribed)

    def _on_subscribe(self, *_: object) -> None:
        self._subscribed = True

    def _on_message(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        self.messages.append((message.topic, message.payload, message.retain))

    def on(self, topic: str) -> list[bytes]:
        return [payload for name, payload, _ in list(self.messages) if name == topic]

    def stop(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()
