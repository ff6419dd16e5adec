"""Home Assistant MQTT device discovery: retained messages that describe every entity.

One message where it fits; otherwise one for the device and one per camera, with as many subjects as fit. The entities
use the existing topics. Names of subjects appear in templates only as quoted text.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from edge.core.types import Event, IdentityState
from edge.mqtt.messages import Recognized
from edge.mqtt.topics import Topics

Component = dict[str, Any]


@dataclass(frozen=True, slots=True)
class CameraEntities:
    """Entities of a camera."""

    name: str
    labels: tuple[str, ...]
    snapshots: bool = False
    custom_labels: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    recognizes: bool = True
    """whether a label has a collection: subjects are known or unknown"""


@dataclass(frozen=True, slots=True)
class DeviceDescription:
    """A device for Home Assistant."""

    device: str
    version: str
    hardware: str
    cameras: tuple[CameraEntities, ...]
    subjects: tuple[str, ...] = ()
    switches: bool = False
    page: str = ""
    """address of the page; empty where other machines cannot reach it"""
    temperature: bool = True
    """whether the board has a temperature sensor"""


@dataclass(frozen=True, slots=True)
class Announcement:
    """A discovery message and its topic."""

    topic: str
    message: dict[str, Any]
    left_out: int = 0
    """subjects without an entity, because the message would be too large"""

    @property
    def payload(self) -> bytes:
        return json.dumps(self.message, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def config_topic(prefix: str, device: str, camera: str = "") -> str:
    """Discovery topic of the device, or of one camera where the cameras do not fit into one message."""
    return f"{prefix}/device/{device}/{camera}/config" if camera else f"{prefix}/device/{device}/config"


def announcements(
    prefix: str, described: DeviceDescription, gone: Mapping[str, Mapping[str, str]], most_bytes: int
) -> list[Announcement]:
    """The discovery messages of a device, none larger than ``most_bytes``.

    ``gone``: topic -> component -> platform of earlier announcements; entities that no longer exist are removed.
    """
    topic = config_topic(prefix, described.device)
    whole = Announcement(topic, config(described, gone.get(topic)))
    if len(whole.payload) <= most_bytes:
        return [whole]
    found = [Announcement(topic, config(replace(described, cameras=()), gone.get(topic)))]
    for camera in described.cameras:
        topic = config_topic(prefix, described.device, camera.name)
        found.append(_of_camera(topic, camera, described, gone.get(topic), most_bytes))
    return found


def _of_camera(
    topic: str, camera: CameraEntities, described: DeviceDescription, gone: Mapping[str, str] | None, most_bytes: int
) -> Announcement:
    """As many subjects as fit, in order."""
    total = len(described.subjects)
    count = total
    while True:
        part = replace(described, cameras=(camera,), subjects=described.subjects[:count])
        made = Announcement(topic, config(part, gone, device_entities=False), total - count)
        excess = len(made.payload) - most_bytes
        if excess <= 0 or not count:
            return made
        count = max(0, count - max(1, excess * count // len(made.payload)))


def config(
    described: DeviceDescription, gone: Mapping[str, str] | None = None, device_entities: bool = True
) -> dict[str, Any]:
    """A discovery message. ``gone``: component -> platform of announced entities that no longer exist."""
    topics = Topics(described.device)
    components = _device_components(topics, described) if device_entities else {}
    for camera in described.cameras:
        components |= _camera_components(topics, camera, described)
    for name, one in components.items():
        one["unique_id"] = f"edge_{described.device}_{name}"
    removed = {name: {"p": platform} for name, platform in (gone or {}).items() if name not in components}
    return {
        "dev": _device(described),
        "o": {"name": "edge", "sw": described.version},
        "avty": [
            {
                "t": topics.status,
                "val_tpl": "{{ 'online' if value_json.online else 'offline' }}",
            }
        ],
        "qos": 1,
        "cmps": components | removed,
    }


def _device(described: DeviceDescription) -> dict[str, Any]:
    device = {
        "ids": [f"edge_{described.device}"],
        "name": described.device,
        "mf": "edge",
        "mdl": described.hardware or "edge device",
        "sw": described.version,
    }
    return device | ({"cu": described.page} if described.page else {})


class RecognizedTracks:
    """Detects the first event that identifies a track. Not thread-safe."""

    def __init__(self) -> None:
        self._named: dict[tuple[str, str], str] = {}
        """(camera, track) -> the reported subject"""

    def message(self, event: Event) -> Recognized | None:
        """The message for an event that identifies a track for the first time, or with another subject."""
        key, who = (event.camera, event.track), event.identity
        before = self._named.pop(key, None)
        subject = who.subject if who.state is IdentityState.KNOWN else None
        if event.type != "end" and (subject or before):
            self._named[key] = subject or str(before)
        if subject is None or subject == before:
            return None
        return Recognized(event.camera, event.track, event.label, subject, event.time, who.similarity, event.zones)


def platforms(message: Mapping[str, Any]) -> dict[str, str]:
    """Component -> platform of the entities in a message, without removed ones."""
    return {name: one["p"] for name, one in message["cmps"].items() if len(one) > 1}


def subject_id(subject: str) -> str:
    """An id for a subject's name, stable and valid for any characters."""
    return hashlib.sha256(subject.encode("utf-8", "replace")).hexdigest()[:12]


def quoted(text: str) -> str:
    """``text`` as a template literal that cannot end early: quotes, braces and similar characters are escaped."""
    return '"' + "".join(c if c.isalnum() and c.isascii() else _escaped(c) for c in text) + '"'


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _device_components(topics: Topics, described: DeviceDescription) -> dict[str, Component]:
    found: dict[str, Component] = {
        "release": {
            "p": "update",
            "name": "Models and collections",
            "state_topic": topics.reported,
            "value_template": (
                "{{ {'installed_version': value_json.release or 'none',"
                " 'latest_version': value_json.desired or value_json.release or 'none',"
                " 'in_progress': value_json.phase in ('downloading', 'verifying', 'staged', 'probation'),"
                " 'update_percentage': (value_json.progress * 100) | round"
                " if value_json.phase == 'downloading' else none} | tojson }}"
            ),
            "entity_category": "diagnostic",
        },
        "backlog": _diagnostic(topics, "Events waiting", "{{ value_json.outbox.waiting | default(none) }}"),
        "lost": _diagnostic(topics, "Events lost", "{{ value_json.outbox.lost | default(none) }}"),
        "memory": _diagnostic(topics, "Memory", "{{ value_json.memory_mb }}", unit="MB", device_class="data_size"),
    }
    if described.temperature:
        found["temperature"] = _diagnostic(
            topics, "Temperature", "{{ value_json.temperature }}", unit="°C", device_class="temperature"
        )
    return found


def _named(described: DeviceDescription, camera: str, words: str) -> str:
    """The name of an entity of a camera; Home Assistant puts the device's name before it, so that is not repeated."""
    own = _own_name(described, camera)
    return f"{own} {words}" if own else words[0].upper() + words[1:]


def _own_name(described: DeviceDescription, camera: str) -> str:
    """The camera's name without the device's name."""
    return re.sub(rf"^{re.escape(described.device)}(?:[-_ ]+|$)", "", camera, flags=re.IGNORECASE)


def _diagnostic(topics: Topics, name: str, template: str, unit: str = "", device_class: str = "") -> Component:
    one: Component = {
        "p": "sensor",
        "name": name,
        "state_topic": topics.stats,
        "value_template": template,
        "state_class": "measurement",
        "entity_category": "diagnostic",
    }
    return (
        one | ({"unit_of_measurement": unit} if unit else {}) | ({"device_class": device_class} if device_class else {})
    )


def _camera_components(topics: Topics, camera: CameraEntities, described: DeviceDescription) -> dict[str, Component]:
    name, state, event = camera.name, topics.state(camera.name), topics.event(camera.name)
    found: dict[str, Component] = {
        f"{name}_occupancy": {
            "p": "binary_sensor",
            "name": _named(described, name, "occupancy"),
            "device_class": "occupancy",
            "state_topic": state,
            "value_template": "{{ 'ON' if value_json.present | rejectattr('whole') | list else 'OFF' }}",
        },
        f"{name}_status": {
            "p": "sensor",
            "name": _named(described, name, "status"),
            "state_topic": state,
            "value_template": "{{ value_json.status }}",
            "entity_category": "diagnostic",
        },
        f"{name}_last_who": {
            "p": "sensor",
            "name": _named(described, name, "last seen"),
            "state_topic": event,
            "value_template": (
                "{{ value_json.identity.subject"
                " or value_json.custom_labels | default([], true) | map(attribute='name') | join(', ')"
                " or value_json.label }}"
            ),
            "icon": "mdi:account-eye",
        },
        f"{name}_last_time": {
            "p": "sensor",
            "name": _named(described, name, "last seen at"),
            "device_class": "timestamp",
            "state_topic": event,
            "value_template": "{{ (value_json.time | as_datetime).isoformat() }}",
        },
        f"{name}_event": {
            "p": "event",
            "name": _named(described, name, "event"),
            "event_types": ["new", "update", "end"],
            "state_topic": event,
            "value_template": (
                "{{ {'event_type': value_json.type, 'label': value_json.label, 'score': value_json.score,"
                " 'subject': value_json.identity.subject, 'identity': value_json.identity.state,"
                " 'custom_labels': value_json.custom_labels | default([], true) | map(attribute='name') | list,"
                " 'zones': value_json.zones, 'track': value_json.track, 'id': value_json.id} | tojson }}"
            ),
        },
        f"{name}_fps": _diagnostic(
            topics,
            _named(described, name, "frame rate"),
            f"{{{{ value_json.cameras.get({quoted(name)}, {{}}).fps | default(none) }}}}",
            unit="fps",
        ),
    }
    if camera.recognizes:
        found |= _recognition(topics, state, described, name)
    found |= {f"{name}_zone_{subject_id(zone)}": _zone(state, described, name, zone) for zone in camera.zones}
    found |= {f"{name}_count_{subject_id(label)}": _count(state, described, name, label) for label in camera.labels}
    found |= {
        f"{name}_custom_{subject_id(label)}": _shown(state, described, name, label) for label in camera.custom_labels
    }
    found |= {f"{name}_subject_{subject_id(who)}": _presence(state, described, name, who) for who in described.subjects}
    if camera.snapshots:
        found[f"{name}_image"] = {
            "p": "image",
            "name": _named(described, name, "snapshot"),
            "image_topic": topics.snapshot(name),
            "content_type": "image/jpeg",
        }
    if described.switches:
        found[f"{name}_enabled"] = _switch(topics, described, name, state)
    return found


def _recognition(topics: Topics, state: str, described: DeviceDescription, camera: str) -> dict[str, Component]:
    """Entities for unknown persons and recognized subjects of a camera."""
    unknown = "value_json.present | rejectattr('whole') | selectattr('state', 'eq', 'unknown') | list"
    return {
        f"{camera}_unknown": {
            "p": "binary_sensor",
            "name": _named(described, camera, "unknown person"),
            "device_class": "occupancy",
            "state_topic": state,
            "value_template": f"{{{{ 'ON' if {unknown} else 'OFF' }}}}",
            "icon": "mdi:account-question",
        },
        f"{camera}_recognized": {
            "p": "event",
            "name": _named(described, camera, "recognized"),
            "event_types": ["recognized"],
            "state_topic": topics.recognized(camera),
            "icon": "mdi:account-check",
        },
    }


def _zone(state: str, described: DeviceDescription, camera: str, zone: str) -> Component:
    zones = "value_json.present | map(attribute='zones', default=[]) | sum(start=[])"
    return {
        "p": "binary_sensor",
        "name": _named(described, camera, zone),
        "device_class": "occupancy",
        "state_topic": state,
        "value_template": f"{{{{ 'ON' if {quoted(zone)} in {zones} else 'OFF' }}}}",
    }


def _count(state: str, described: DeviceDescription, camera: str, label: str) -> Component:
    return {
        "p": "sensor",
        "name": _named(described, camera, f"{label} count"),
        "state_topic": state,
        "value_template": f"{{{{ value_json.counts.get({quoted(label)}, 0) }}}}",
        "state_class": "measurement",
    }


def _shown(state: str, described: DeviceDescription, camera: str, label: str) -> Component:
    return {
        "p": "binary_sensor",
        "name": _named(described, camera, label),
        "state_topic": state,
        "value_template": f"{{{{ 'ON' if value_json.counts.get({quoted(label)}, 0) else 'OFF' }}}}",
    }


def _presence(state: str, described: DeviceDescription, camera: str, subject: str) -> Component:
    return {
        "p": "binary_sensor",
        "name": f"{subject} at {own}" if (own := _own_name(described, camera)) else subject,
        "device_class": "presence",
        "state_topic": state,
        "value_template": f"{{{{ 'ON' if {quoted(subject)} in value_json.subjects else 'OFF' }}}}",
    }


def _switch(topics: Topics, described: DeviceDescription, camera: str, state: str) -> Component:
    def asked(enabled: bool) -> str:
        return json.dumps({"arguments": {"camera": camera, "enabled": enabled}}, separators=(",", ":"))

    return {
        "p": "switch",
        "name": _named(described, camera, "enabled"),
        "command_topic": topics.command("camera"),
        "payload_on": asked(True),
        "payload_off": asked(False),
        "state_topic": state,
        "value_template": "{{ 'OFF' if value_json.status == 'off' else 'ON' }}",
        "state_on": "ON",
        "state_off": "OFF",
    }


def described_subjects(names: Sequence[str], most: int) -> tuple[str, ...]:
    """The subjects that get entities: in alphabetical order, at most ``most``."""
    return tuple(sorted(set(names))[:most])
