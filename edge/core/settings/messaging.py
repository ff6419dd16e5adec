"""Settings of what is reported, and to whom."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import (
    AfterValidator,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)

from edge.core.settings.address import SecretAddress
from edge.core.settings.base import CAMERA_NAME, Seconds, Section

_BROKER = re.compile(
    r"(?:(?P<scheme>[A-Za-z0-9+]+)://)?(?:[^/]*@)?(?P<host>\[[0-9A-Fa-f:.%\w]+\]|[^:/@\s]+)(?::(?P<port>\d{1,5}))?/?"
)
_BROKER_SCHEMES: dict[str, dict[str, bool]] = {
    "": {}, "mqtt": {}, "tcp": {}, "mqtts": {"tls": True}, "ssl": {"tls": True}, "tls": {"tls": True},
}  # fmt: skip
"""scheme of an address -> what it sets"""


class BrokerAddress(NamedTuple):
    """Host and TCP port of a broker."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class MqttSettings(Section):
    """[mqtt]: the broker."""

    host: str = Field("", description="Host name or address of the broker; empty: no broker, events stay here.")
    port: int = Field(0, ge=0, le=65535, description="0: 1883, or 8883 with TLS.")
    fallback_hosts: tuple[str, ...] = Field(
        (),
        examples=[("broker-2.lan", "broker-3.lan:1884")],
        description="Further brokers of the same cluster, tried in turn while host cannot be reached. Port, login and "
        "TLS are those of host, unless an entry names a port.",
    )
    version: Literal["auto", "5", "3.1.1"] = Field("auto", description="'auto': 5, and 3.1.1 where 5 is refused.")
    username: str = Field("", description="Empty: no user name is sent.")
    password: SecretStr = Field(SecretStr(""), description="Also read from the credential 'mqtt-password'.")
    client_id: str = Field("", max_length=128, description="'edge-<device>' when not set.")
    keepalive: int = Field(30, ge=5, le=3600, description="Seconds; a dead link is noticed within two of them.")
    tls: bool = Field(False, examples=[True], description="Encrypt, and verify the broker's certificate.")
    ca: Path | None = Field(
        None, examples=["/etc/edge/ca.pem"], description="CA certificates; the system's when not set. Needs tls."
    )
    certificate: Path | None = Field(
        None, examples=["/etc/edge/client.pem"], description="Client certificate. Needs tls and key."
    )
    key: Path | None = Field(None, examples=["/etc/edge/client.key"], description="Key of the client certificate.")
    insecure: bool = Field(False, description="Do not check the broker's host name. For tests.")
    reconnect_seconds: Seconds = Field(
        5.0, description="A lost link is tried again after a random part of this; 60 spreads a fleet of hundreds."
    )
    acknowledge: Literal["broker", "hub"] = Field(
        "broker", description="Who must have an event before it leaves the outbox."
    )
    stats_seconds: Seconds = Field(30.0, description="Seconds between two messages of up/stats.")

    @model_validator(mode="before")
    @classmethod
    def _address(cls, values: object) -> object:
        """``host`` as people write it: ``mqtts://broker.lan:8883/``, ``broker.lan:1883``, ``[2001:db8::1]``."""
        if not isinstance(values, dict) or not isinstance(values.get("host"), str):
            return values
        host = values["host"].strip()
        found = _BROKER.fullmatch(host)
        if re.search(r"""[\s<>"']""", host) or (found is None and "/" in host):
            raise ValueError("host: expected a name or an address like broker.lan or mqtts://broker.lan:8883")
        if found is None:
            return {**values, "host": host}
        if "@" in values["host"]:
            raise ValueError("host: write user and password into username and password")
        scheme, host, port = (found["scheme"] or "").lower(), found["host"], int(found["port"] or 0)
        if scheme not in _BROKER_SCHEMES:
            raise ValueError(f"host: {scheme}:// is not supported; use mqtt:// or mqtts://, or the name alone")
        if port and values.get("port") not in (None, 0, port, str(port)):
            raise ValueError(f"host names port {port}, and port another one")
        told = {"port": port} if port else {}
        return {**values, **told, **_BROKER_SCHEMES[scheme], "host": host.strip("[]")}

    @field_validator("fallback_hosts")
    @classmethod
    def _fallback_addresses(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            found = _BROKER.fullmatch(host)
            port = int(found["port"] or 1) if found else 1
            if (
                "@" in host
                or not host.strip()
                or re.search(r"""[\s<>"'/]""", host)
                or (found is None and ":" not in host)
                or not 0 < port < 65536
            ):
                raise ValueError(f"expected addresses like broker-2.lan or broker-2.lan:1884, got {host[:60]!r}")
        return hosts

    @model_validator(mode="after")
    def _tls(self) -> MqttSettings:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together: set both or neither")
        if not self.tls and (self.ca or self.certificate or self.insecure):
            raise ValueError("ca, certificate, key and insecure need tls = true")
        return self

    @property
    def effective_port(self) -> int:
        return self.port or (8883 if self.tls else 1883)

    @property
    def addresses(self) -> tuple[BrokerAddress, ...]:
        """``host``, then ``fallback_hosts``; at least one."""
        first = BrokerAddress(self.host, self.effective_port)
        return (first, *(_fallback(host, self.effective_port) for host in self.fallback_hosts))


def _fallback(address: str, port: int) -> BrokerAddress:
    """An entry of ``fallback_hosts``; a bare IPv6 address has no port."""
    found = _BROKER.fullmatch(address)
    if found is None:
        return BrokerAddress(address, port)
    return BrokerAddress(found["host"].strip("[]"), int(found["port"] or port))


class OutboxSettings(Section):
    """[outbox]: events that wait for the broker."""

    max_bytes: int = Field(
        256 << 20, ge=1 << 20, description="Bytes on disk; past that the oldest events go, counted and reported."
    )
    commit_seconds: float = Field(
        0.2, ge=0, le=10, description="At most one write in this long; a power cut loses at most its events."
    )
    reserve_bytes: int = Field(
        64 << 20, ge=0, description="Bytes that stay free on the disk: the outbox does not grow into them."
    )
    update_hours: float = Field(
        24.0, gt=0, le=8760, description="An undelivered update that names nobody anew is dropped after this long."
    )


class CommandSettings(Section):
    """[commands]: what may be asked of this device over MQTT."""

    enabled: bool = Field(True, description="Answer commands at all.")
    keys: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{43}=$")], ...] = Field(
        (),
        description="Ed25519 public keys (base64, from 'edge hub key') whose commands may change something. Without "
        "keys, only ping and stats are answered.",
    )
    signed_seconds: Seconds = Field(3600.0, description="A signature that is valid for longer than this is refused.")
    enrolments_key: SecretStr = Field(
        SecretStr(""),
        description="With the key that 'edge hub enrolments key DEVICE' prints, the hub may fetch what is enrolled "
        "here: names and embeddings, never pictures. Empty: it may not. Credential: 'enrolments-key'.",
    )

    review_key: SecretStr = Field(
        SecretStr(""),
        description="With the key that 'edge hub review key DEVICE' prints, the hub may fetch the questions of "
        "[review] with their pictures, and answer them. Empty: it may not. Credential: 'review-key'.",
    )

    @field_validator("enrolments_key", "review_key")
    @classmethod
    def _whole(cls, key: SecretStr) -> SecretStr:
        if key.get_secret_value() and not re.fullmatch(r"[A-Za-z0-9+/]{43}=", key.get_secret_value()):
            raise ValueError("expected 32 bytes in base64")
        return key


class HomeAssistantSettings(Section):
    """[homeassistant]: entities in Home Assistant by MQTT discovery."""

    enabled: bool = Field(False, description="Announce this device; off again: take the announcement back.")
    prefix: str = Field("homeassistant", pattern=r"^[A-Za-z0-9_-]{1,64}$", description="Home Assistant's own prefix.")
    switches: bool = Field(
        False,
        description="Switches for cameras. Home Assistant cannot sign: whoever may write down/cmd/camera can use them.",
    )
    subjects: int = Field(
        32,
        ge=0,
        le=200,
        description="Entities for the presence of subjects, and as many for custom labels of each camera, at most.",
    )


class FrigateSettings(Section):
    """[frigate]: events in the shape of Frigate, for flows and blueprints made for it."""

    enabled: bool = Field(False, description="Publish them, live and at most once, beside our own.")
    prefix: str = Field("frigate", pattern=r"^[A-Za-z0-9_-]{1,64}$", description="First level of the topics.")


def _http_secret(value: SecretStr) -> SecretStr:
    if value.get_secret_value() and not re.match(r"https?://[^/]", value.get_secret_value(), re.IGNORECASE):
        raise ValueError("expected an address that begins with https:// or http://")
    return value


def _quiet_hours(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        found = re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d", value)
        if found is None or value[:5] == value[6:]:
            raise ValueError(f"expected two different times of day such as 22:00-07:00, got {value[:40]!r}")
    return values


class NotifySettings(Section):
    """[notify]: one notification per track, over MQTT and to a webhook."""

    mqtt: bool = Field(False, description="Publish notifications to up/notification/<camera>.")
    webhook: Annotated[SecretStr, AfterValidator(_http_secret)] = Field(
        SecretStr(""),
        examples=["https://user:password@hooks.example.org/edge"],
        description="Address that each notification is sent to, as JSON by POST; empty: none. A user and a password in "
        "it are sent as Basic authentication. The whole address is a secret, and is never shown.",
    )
    pictures: bool = Field(
        False, description="Add a picture of the camera (JPEG in base64). Off: no picture leaves the device."
    )
    subjects: tuple[str, ...] = Field(
        (), examples=[("alice",)], description="Subjects to notify about; empty: every subject."
    )
    unknown: bool = Field(True, description="Notify about faces that match no subject as well.")
    labels: tuple[str, ...] = Field(
        ("face",), description="Labels to notify about, custom ones too; empty: every label."
    )
    cameras: tuple[Annotated[str, Field(pattern=CAMERA_NAME)], ...] = Field(
        (), examples=[("door",)], description="Cameras to notify about; empty: every camera."
    )
    zones: tuple[Annotated[str, Field(pattern=CAMERA_NAME)], ...] = Field(
        (), examples=[("mat",)], description="Notify only about tracks in one of these zones; empty: anywhere."
    )
    quiet_hours: Annotated[tuple[str, ...], AfterValidator(_quiet_hours)] = Field(
        (),
        examples=[("22:00-07:00",)],
        description="Times of day, in the time zone of the device, in which nothing is sent, neither later. While the "
        "clock is not set they are not known, and notifications are sent.",
    )
    repeat_seconds: float = Field(
        60.0,
        ge=0,
        description="Seconds in which the same subject, or unknown faces, at the same camera give one notification.",
    )
    timeout: Seconds = Field(10.0, description="Seconds that the webhook may take to answer.")
    attempts: int = Field(
        3, ge=1, le=10, description="Times that a notification is sent to a webhook that does not accept it, at most."
    )


class HubSettings(Section):
    """[hub]: the fleet's side: where events are stored. The broker is that of [mqtt]."""

    database: SecretAddress = Field(
        SecretAddress(""),
        examples=["postgresql://edge:password@db.lan/edge"],
        description="postgresql://..., or the path of an SQLite file. hub.sqlite in the state folder when not set.",
    )
    stream: SecretAddress = Field(
        SecretAddress(""),
        examples=["nats://edge:password@nats.lan:4222/EDGE"],
        description="JetStream stream that a broker bridges events into: they are stored from there, and all else "
        "comes from the broker. Empty: events come from the broker too. Needs rekognition-edge[nats].",
    )
    name: str = Field("1", pattern=r"^[A-Za-z0-9_-]{1,32}$", description="Tells several ingests at one broker apart.")
    group: str = Field(
        "edge-hub",
        pattern=r"^[A-Za-z0-9_-]{0,64}$",
        description="Shared subscription of several ingests; empty: not shared, for brokers that cannot.",
    )
    session_seconds: int = Field(
        60, ge=0, le=86400, description="The broker keeps what is for an ingest that is away for this long."
    )
    keep_days: float = Field(0.0, ge=0, le=36500, description="Events older than this are deleted; 0: never.")
    forget: Literal["off", "device", "fleet"] = Field(
        "device",
        description="When a device forgets a subject: 'device': its stored events forget it too; 'fleet': those of all "
        "devices, and the next release makes every device forget it; 'off': nothing happens here.",
    )
    forgotten: Literal["unname", "delete"] = Field(
        "unname", description="What becomes of stored events of a forgotten subject: the name goes, or the event."
    )
    review_most: int = Field(
        20_000, ge=0, le=200_000, description="Pictures of the devices' review questions kept at most; the oldest go."
    )
    review_days: float = Field(
        30.0, gt=0, le=3650, description="Copies of review questions older than this are deleted."
    )
    key: Path | None = Field(
        None, examples=["/etc/edge/hub.key"], description="Private key that signs commands ('edge hub key')."
    )
    repository: Path | None = Field(
        None,
        examples=["/srv/edge"],
        description="Folder of the releases; its 'public' is what a web server serves. 'hub' in the state folder when "
        "not set.",
    )
    page_host: str = Field(
        "127.0.0.1", description="Address of the fleet's page ('edge hub serve'); beyond loopback it needs page.token."
    )
    page_port: int = Field(8481, ge=0, le=65535, description="Port of the fleet's page; 0: any free one.")

    @field_validator("stream")
    @classmethod
    def _stream_address(cls, stream: SecretAddress) -> SecretAddress:
        if stream and not re.fullmatch(r"(?:nats|tls)://[^/\s]+/[A-Za-z0-9_-]{1,64}", stream.get_secret_value()):
            raise ValueError("expected an address like nats://nats.lan:4222/STREAM, or tls://")
        return stream
