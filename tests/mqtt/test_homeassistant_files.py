"""The blueprint and the automations name entities that are announced."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from edge.mqtt import homeassistant as discovery
from edge.mqtt.homeassistant import CameraEntities, DeviceDescription

yaml = pytest.importorskip("yaml", reason="needs PyYAML")
FOLDER = Path(__file__).resolve().parents[2] / "config/homeassistant"
BLUEPRINT = FOLDER / "blueprints/automation/edge/arrival.yaml"


class Loader(yaml.SafeLoader):  # type: ignore[misc]
    """With Home Assistant's ``!input``."""


Loader.add_constructor("!input", lambda loader, node: ("input", loader.construct_scalar(node)))


def loaded(path: Path) -> Any:
    return yaml.load(path.read_text(encoding="utf-8"), Loader)


def entity_ids() -> set[str]:
    """As Home Assistant makes them: platform, device and entity name."""
    camera = CameraEntities("door", ("face",), snapshots=True)
    described = DeviceDescription("porch", "1", "Pi", (camera,), ("alice",))
    found = discovery.config(described)["cmps"].values()
    return {one["p"] + "." + re.sub("[^a-z0-9]+", "_", ("porch " + one["name"]).lower()) for one in found}


def test_every_entity_of_the_automations_is_announced() -> None:
    text = (FOLDER / "automations.yaml").read_text(encoding="utf-8")
    named = set(re.findall(r"\b(?:event|binary_sensor|image|sensor|switch)\.porch_\w+", text))
    assert len(named) == 3
    assert named <= entity_ids()


def test_the_automations_use_the_inputs_of_the_blueprint() -> None:
    inputs = loaded(BLUEPRINT)["blueprint"]["input"]
    for automation in loaded(FOLDER / "automations.yaml"):
        used = automation.get("use_blueprint")
        assert used or {"triggers", "conditions", "actions"} <= automation.keys()
        if used:
            assert (FOLDER / "blueprints/automation" / used["path"]) == BLUEPRINT
            assert used["input"].keys() <= inputs.keys()
            assert {name for name, one in inputs.items() if "default" not in one} <= used["input"].keys()


def test_the_blueprint_uses_each_input_and_attributes_of_the_message() -> None:
    text = BLUEPRINT.read_text(encoding="utf-8")
    assert set(re.findall(r"!input (\w+)", text)) == set(loaded(BLUEPRINT)["blueprint"]["input"])
    from edge.mqtt.messages import Recognized

    assert set(re.findall(r"attributes\.(\w+)", text)) <= set(Recognized.__dataclass_fields__)
