"""Our announcement through Home Assistant's own eyes: its schemas, and its templates.

Home Assistant pins a Python newer than this suite's, so this skips where it is not installed. It was run against
2026.2.3 on Python 3.13.
"""

from __future__ import annotations

import asyncio
import importlib
import json
from typing import Any

import pytest

from edge.mqtt import homeassistant as discovery
from edge.mqtt.homeassistant import CameraEntities, DeviceDescription

pytest.importorskip("homeassistant.components.mqtt", reason="needs homeassistant, which needs Python 3.13 or newer")

CAMERAS = (
    CameraEntities("door", ("face", "person"), True), CameraEntities("yard", ("person",), custom_labels=("forklift",)),
)  # fmt: skip
DESCRIBED = DeviceDescription("porch", "1.2", "Raspberry Pi 5", CAMERAS, ("alice", "al'ice \" }} ü"), True)


def parsed() -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """Home Assistant, what holds for all components, and the components, as it takes the message apart."""
    from homeassistant.components.mqtt import discovery as theirs
    from homeassistant.core import HomeAssistant

    async def work() -> tuple[Any, dict[str, Any]]:
        hass = HomeAssistant("/tmp")
        message = json.dumps(discovery.config(DESCRIBED, {"door_gone": "binary_sensor"}))
        return hass, dict(theirs._parse_device_payload(hass, message, "porch", None))

    hass, common = asyncio.run(work())
    return hass, common, common.pop("components")


def test_home_assistants_schemas_take_every_component() -> None:
    from homeassistant.components.mqtt import discovery as theirs

    _, common, components = parsed()
    assert components.pop("door_gone") == {"platform": "binary_sensor"}
    assert len(components) == 28
    for one in components.values():
        module = importlib.import_module(f"homeassistant.components.mqtt.{one.pop('platform')}")
        payload = theirs.MQTTDiscoveryPayload(one)
        theirs._merge_common_device_options(payload, common)
        module.DISCOVERY_SCHEMA(dict(payload) | {"device": common["device"], "origin": common["origin"]})


def test_home_assistants_templates_read_our_documents() -> None:
    from homeassistant.helpers.template import Template

    stats = {"temperature": None, "outbox": {"waiting": 3}, "memory_mb": 100, "cameras": {"door": {"fps": 4.9}}}
    event = {"type": "new", "label": "face", "score": 0.9, "identity": {"subject": None, "state": "pending"},
             "zones": [], "track": "1-1", "id": "a/1/1", "time": 1763800000.12}  # fmt: skip
    expected = [
        ("door_fps", stats, "4.9"),
        ("yard_fps", stats, "None"),
        ("backlog", stats, "3"),
        ("door_last_time", event, "2025-11-22T08:26:40.120000+00:00"),
        ("door_last_who", event, "face"),
    ]
    hass, _, components = parsed()
    for name, document, value in expected:
        template = Template(components[name]["value_template"], hass)
        assert str(template.async_render_with_possible_json_value(json.dumps(document), "error")) == value
