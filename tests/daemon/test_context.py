"""The switch of a device to another model set."""

from __future__ import annotations

import dataclasses
import json
from types import SimpleNamespace
from typing import Any

from rigs.fakes import a_model_set

from edge.core.settings.schema import Settings
from edge.daemon.context import DeviceContext
from edge.mqtt.topics import Topics
from edge.pipeline.health import Health
from edge.pipeline.loader import LoadedModels
from edge.pipeline.model_set import ModelSet


def test_health_knows_the_new_models_before_the_first_frame_is_processed_with_them() -> None:
    health, topics = Health(["door"]), Topics("porch")
    old, new = a_model_set(), dataclasses.replace(a_model_set(), release="r8")
    at_switch: list[dict[str, str]] = []
    retained: dict[str, bytes] = {}

    def switch(models: ModelSet) -> None:
        at_switch.append(dict(health.problems))
        health.model_trouble(models, {"labels.face": "gives up"})
        health.model_trouble(old, {"attributes": "cannot run"})

    fields: dict[str, Any] = {one.name: None for one in dataclasses.fields(DeviceContext)} | {
        "settings": Settings(),
        "health": health,
        "topics": topics,
        "outbox": SimpleNamespace(session=1),
        "client": SimpleNamespace(retain=retained.__setitem__),
        "collections": SimpleNamespace(names=lambda: ["staff"]),
        "engine": SimpleNamespace(switch=switch),
    }
    context = DeviceContext(**fields)
    health.use_models(old, {})
    health.model_trouble(old, {"labels.face": "another space"})

    context.switch(LoadedModels(new, {"detector tiny": "cannot be loaded"}, {}))

    assert at_switch == [{"detector tiny": "cannot be loaded"}]
    assert health.problems == {"detector tiny": "cannot be loaded", "labels.face": "gives up"}
    assert (context.release, json.loads(retained[topics.info])["release"]) == ("r8", "r8")
