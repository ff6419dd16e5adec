"""The MQTT contract as data: every topic with its message, and the documents generated from it.

``scripts/write_contract`` writes ``config/asyncapi.json`` and ``config/schemas/`` from this module.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from edge.mqtt import command_auth as commands
from edge.mqtt import messages
from edge.mqtt.messages import adapter

DIALECT = "https://json-schema.org/draft/2020-12/schema"
PARAMETERS = {
    "device": "Name of the device: a-z, 0-9 and '-'.",
    "camera": "Name of the camera.",
    "processor": "Name of the stream processor.",
    "operation": "ping, stats, snapshot, camera, enroll, enrolments, review, review_answer, forget, reload or restart.",
}

SCHEMA_NAMES: dict[type, str] = {
    messages.DeviceStatus: "status",
    messages.Info: "info",
    messages.WireEvent: "event",
    messages.Recognized: "recognized",
    messages.Notification: "notification",
    messages.CameraPresenceDocument: "state",
    messages.Stats: "stats",
    messages.Reported: "reported",
    messages.ErasureNotices: "forgotten",
    messages.DeliveryMark: "mark",
    commands.CommandAnswer: "answer",
    commands.Command: "command",
}
"""names of the schema files and their ``$id``: part of the contract, independent of class names"""


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic of the contract."""

    address: str
    """with ``{parameters}``"""
    sender: Literal["device", "hub"]
    document: type | None
    """None: not JSON"""
    retained: bool
    qos: int
    summary: str
    example: Any
    content_type: str = "application/json"


def topics() -> list[Topic]:
    """All topics, in the order of the README."""
    up, down = "edge/v1/{device}/up", "edge/v1/{device}/down"
    return [
        Topic(f"{up}/status", "device", messages.DeviceStatus, True, 1,
              "Online or not; also the will. An offline of an older session than the latest online is stale.",
              {"online": True, "session": 7, "reason": "", "v": 1}),
        Topic(f"{up}/info", "device", messages.Info, True, 1, "Hardware and software of the device.",
              {"device": "porch", "version": "0.1.0", "session": 7, "release": "2026-11-22.1",
               "hardware": "Raspberry Pi 5", "runtime": "litert", "cameras": ["door"], "labels": ["face"],
               "collections": ["staff"], "models": {}, "capabilities": [], "acknowledge": "hub", "v": 1}),
        Topic(f"{up}/event/{{camera}}", "device", messages.WireEvent, False, 1,
              "A track began, changed or ended. (device, epoch, seq) is the key by which duplicates are dropped.",
              {"v": 1, "id": "porch/3/4711", "device": "porch", "epoch": 3, "seq": 4711, "type": "new",
               "camera": "door", "track": "3-12", "label": "face", "score": 0.93,
               "box": {"left": 0.41, "top": 0.22, "width": 0.12, "height": 0.22}, "zones": ["mat"],
               "identity": {"state": "known", "subject": "alice", "similarity": 0.83, "runner_up": 0.31,
                            "face_id": "f1", "collection": "staff"},
               "time": 1763800000.12, "started": 1763799999.8, "ended": None, "clock": "synced",
               "release": "2026-11-22.1", "after": 4710}),
        Topic(f"{up}/recognized/{{camera}}", "device", messages.Recognized, False, 1,
              "A subject is recognized, once for each track; sent where Home Assistant is on.",
              {"camera": "door", "track": "3-12", "label": "face", "subject": "alice", "time": 1763800000.12,
               "similarity": 0.83, "zones": ["mat"], "event_type": "recognized", "v": 1}),
        Topic(f"{up}/notification/{{camera}}", "device", messages.Notification, False, 1,
              "A subject or object is at a camera, once for each track; sent where notify.mqtt is on.",
              {"device": "porch", "camera": "door", "track": "3-12", "label": "face", "state": "known",
               "time": 1763800000.12, "text": "alice at door", "subject": "alice", "pseudonym": None, "likeness": 99.2,
               "zones": ["mat"], "custom_labels": [], "clock": "synced", "page": "http://porch.local:8480/",
               "picture": None, "v": 1}),
        Topic(f"{up}/state/{{camera}}", "device", messages.CameraPresenceDocument, True, 1,
              "Present tracks of the camera.",
              {"camera": "door", "status": "live", "time": 1763800000.12,
               "present": [{"track": "3-12", "label": "face", "state": "known", "subject": "alice",
                            "similarity": 0.83, "zones": ["mat"], "started": 1763799999.8}],
               "counts": {"face": 1}, "subjects": ["alice"], "clock": "synced", "v": 1}),
        Topic(f"{up}/stats", "device", messages.Stats, False, 0, "Statistics of the device, every 30 s.",
              {"time": 1763800000.0, "uptime": 3600.0,
               "cameras": {"door": {"status": "live", "fps": 5.0, "frames": 18000, "dropped": 2}},
               "latency_ms": {"detect": {"p50": 20.1, "p99": 31.0}}, "outbox": {"waiting": 0, "lost": 0},
               "mqtt": {"delivered": 812}, "memory_mb": 131.0, "cpu_percent": 42.0, "temperature": 84.0,
               "throttled": ["frequency_capped"],
               "shed": {"level": 1, "most": 4, "what": "half the rate", "why": "84 °C, 80 at most"},
               "review": {"waiting": 3, "newest": 812}, "clock": "synced", "v": 1}),
        Topic(f"{up}/snapshot/{{camera}}", "device", None, True, 1, "The latest new track's picture; off by default.",
              "JPEG", "image/jpeg"),
        Topic(f"{up}/reported", "device", messages.Reported, True, 1, "The running release and update progress.",
              {"release": "2026-11-22.1", "phase": "idle", "desired": "", "progress": 0.0, "error": "", "v": 1}),
        Topic(f"{up}/forgotten", "device", messages.ErasureNotices, True, 1,
              "Recently erased subjects, by digest: SHA-256 of the device, a line feed and the subject.",
              {"forgotten": [{"digest": "042ac2b338838fb5382c01161c53ccb8411bbb4a2d737ee3dc14918b84aaa24c",
                              "time": 1763800000.12}], "v": 1}),
        Topic(f"{up}/rekognition/{{processor}}", "device", None, False, 1,
              "Records of a stream processor, in Amazon Rekognition's format.", {"FaceSearchResponse": []}),
        Topic(f"{up}/rsp/{{operation}}", "device", commands.CommandAnswer, False, 1,
              "The answer to a command, with its correlation data.",
              {"operation": "ping", "code": "ok", "message": "", "data": {"version": "0.1.0"}, "id": "", "v": 1}),
        Topic(f"{down}/cmd/{{operation}}", "hub", commands.Command, False, 1,
              "A remote command; empty for ping and stats. Commands that change something are signed.",
              {"v": 1, "arguments": {"camera": "door", "enabled": False}, "device": "porch",
               "counter": 1763800000123456789, "expires": 1763800060, "key": "A" * 43 + "=",
               "signature": "A" * 86 + "=="}),
        Topic(f"{down}/desired", "hub", None, True, 1, "A hint that a deployment exists; it carries no authority.", {}),
        Topic(f"{down}/ack", "hub", messages.DeliveryMark, True, 1,
              "The hub has every event of the epoch up to this seq.",
              {"epoch": 3, "seq": 4711}),
    ]  # fmt: skip


def schemas() -> dict[str, dict[str, Any]]:
    """Name of a document -> its JSON Schema."""
    found = {}
    for document in {topic.document for topic in topics() if topic.document is not None}:
        name = _name(document)
        schema = adapter(document).json_schema(mode="validation")
        found[name] = {"$schema": DIALECT, "$id": f"edge/v1/{name}", **schema, "title": name}
    return dict(sorted(found.items()))


def asyncapi(version: str) -> dict[str, Any]:
    """The contract as an AsyncAPI 3.0 document. ``version``: of the contract's publisher."""
    channels, operations, parts = {}, {}, {}
    for topic in topics():
        name = _channel(topic)
        names = [key for key in PARAMETERS if f"{{{key}}}" in topic.address]
        message: dict[str, Any] = {
            "summary": topic.summary,
            "contentType": topic.content_type,
            "examples": [{"payload": topic.example}],
        }
        if topic.document is not None:
            message["payload"] = {"$ref": f"./schemas/{_name(topic.document)}.json"}
        parts[name] = message
        channels[name] = {
            "address": topic.address,
            "parameters": {key: {"description": PARAMETERS[key]} for key in names},
            "messages": {name: {"$ref": f"#/components/messages/{name}"}},
            "bindings": {"mqtt": {"bindingVersion": "0.2.0"}},
        }
        operations[name] = {
            "action": "send" if topic.sender == "device" else "receive",
            "channel": {"$ref": f"#/channels/{name}"},
            "bindings": {"mqtt": {"qos": topic.qos, "retain": topic.retained, "bindingVersion": "0.2.0"}},
        }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "edge",
            "version": version,
            "description": "What a device sends and receives over MQTT. A receiver ignores fields that it "
            "does not know; `v` changes when a field changes its meaning.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": parts},
    }


def files(version: str) -> dict[str, str]:
    """Path below ``config/`` -> content."""
    found = {f"schemas/{name}.json": _text(schema) for name, schema in schemas().items()}
    return found | {"asyncapi.json": _text(asyncapi(version))}


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _channel(topic: Topic) -> str:
    parts = topic.address.removeprefix("edge/v1/{device}/").split("/")
    return "_".join(part for part in parts if not part.startswith("{"))


def _name(document: type) -> str:
    return SCHEMA_NAMES[document]
