"""What Home Assistant is told of this device: one retained message that names every entity (device discovery).

The entities read the topics that are there anyway; nothing is published twice. Names of subjects are only ever in
templates as quoted text.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge.mqtt.topics import Topics

Component = dict[str, Any]


@dataclass(frozen=True, slots=True)
class CameraEntities:
    """What there is to show of a camera."""

    name: str
    labels: tuple[str, ...]
    snapshots: bool = False
    custom_labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DeviceDescription:
    """A device as Home Assistant shall see it."""

    device: str
    version: str
    hardware: str
    cameras: tuple[CameraEntities, ...]
    subjects: tuple[str, ...] = ()
    switches: bool = False


def config_topic(prefix: str, device: str) -> str:
    return f"{prefix}/device/{device}/config"


def config(described: DeviceDescription, gone: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The discovery message. ``gone``: component -> platform of entities that were announced and are no more."""
    topics = Topics(described.device)
    components = _device_components(topics)
    for camera in described.cameras:
        components |= _camera_components(topics, camera, described)
    for name, one in components.items():
        one["unique_id"] = f"edge_{described.device}_{name}"
    removed = {name: {"p": platform} for name, platform in (gone or {}).items() if name not in components}
    return {
        "dev": {
            "ids": [f"edge_{described.device}"],
            "name": described.device,
            "mf": "edge",
            "mdl": described.hardware or "edge device",
            "sw": described.version,
        },
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


def platforms(message: Mapping[str, Any]) -> dict[str, str]:
    """Component -> platform of what a message announces; what it takes back is left out."""
    return {name: one["p"] for name, one in message["cmps"].items() if len(one) > 1}


def subject_id(subject: str) -> str:
    """A name for ids: the same for the same subject, whatever is in it."""
    return hashlib.sha256(subject.encode("utf-8", "replace")).hexdigest()[:12]


def quoted(text: str) -> str:
    """``text`` as a literal of a template, that cannot end early: quotes, braces and others by number."""
    return '"' + "".join(c if c.isalnum() and c.isascii() else _escaped(c) for c in text) + '"'


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _device_components(topics: Topics) -> dict[str, Component]:
    return {
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
        "temperature": _diagnostic(
            topics, "Temperature", "{{ value_json.temperature }}", unit="°C", device_class="temperature"
        ),
        "backlog": _diagnostic(topics, "Events waiting", "{{ value_json.outbox.waiting | default(none) }}"),
        "lost": _diagnostic(topics, "Events lost", "{{ value_json.outbox.lost | default(none) }}"),
        "memory": _diagnostic(topics, "Memory", "{{ value_json.memory_mb }}", unit="MB", device_class="data_size"),
    }


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
            "name": f"{name} occupancy",
            "device_class": "occupancy",
            "state_topic": state,
            "value_template": "{{ 'ON' if value_json.present | rejectattr('whole') | list else 'OFF' }}",
        },
        f"{name}_status": {
            "p": "sensor",
            "name": f"{name} status",
            "state_topic": state,
            "value_template": "{{ value_json.status }}",
            "entity_category": "diagnostic",
        },
        f"{name}_last_who": {
            "p": "sensor",
            "name": f"{name} last seen",
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
            "name": f"{name} last seen at",
            "device_class": "timestamp",
            "state_topic": event,
            "value_template": "{{ (value_json.time | as_datetime).isoformat() }}",
        },
        f"{name}_event": {
            "p": "event",
            "name": f"{name} event",
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
            f"{name} frame rate",
            f"{{{{ value_json.cameras.get({quoted(name)}, {{}}).fps | default(none) }}}}",
            unit="fps",
        ),
    }
    found |= {f"{name}_count_{subject_id(label)}": _count(state, name, label) for label in camera.labels}
    found |= {f"{name}_custom_{subject_id(label)}": _shown(state, name, label) for label in camera.custom_labels}
    found |= {f"{name}_subject_{subject_id(who)}": _presence(state, name, who) for who in described.subjects}
    if camera.snapshots:
        found[f"{name}_image"] = {
            "p": "image",
            "name": f"{name} snapshot",
            "image_topic": topics.snapshot(name),
            "content_type": "image/jpeg",
        }
    if described.switches:
        found[f"{name}_enabled"] = _switch(topics, name, state)
    return found


def _count(state: str, camera: str, label: str) -> Component:
    return {
        "p": "sensor",
        "name": f"{camera} {label} count",
        "state_topic": state,
        "value_template": f"{{{{ value_json.counts.get({quoted(label)}, 0) }}}}",
        "state_class": "measurement",
    }


def _shown(state: str, camera: str, label: str) -> Component:
    return {
        "p": "binary_sensor",
        "name": f"{camera} {label}",
        "state_topic": state,
        "value_template": f"{{{{ 'ON' if value_json.counts.get({quoted(label)}, 0) else 'OFF' }}}}",
    }


def _presence(state: str, camera: str, subject: str) -> Component:
    return {
        "p": "binary_sensor",
        "name": f"{subject} at {camera}",
        "device_class": "presence",
        "state_topic": state,
        "value_template": f"{{{{ 'ON' if {quoted(subject)} in value_json.subjects else 'OFF' }}}}",
    }


def _switch(topics: Topics, camera: str, state: str) -> Component:
    def asked(enabled: bool) -> str:
        return json.dumps({"arguments": {"camera": camera, "enabled": enabled}}, separators=(",", ":"))

    return {
        "p": "switch",
        "name": f"{camera} enabled",
        "command_topic": topics.command("camera"),
        "payload_on": asked(True),
        "payload_off": asked(False),
        "state_topic": state,
        "value_template": "{{ 'OFF' if value_json.status == 'off' else 'ON' }}",
        "state_on": "ON",
        "state_off": "OFF",
    }


def described_subjects(names: Sequence[str], most: int) -> tuple[str, ...]:
    """The subjects that get entities: in alphabetical order, ``most`` at most."""
    return tuple(sorted(set(names))[:most])
