"""Run by Home Assistant's own Python: a core with MQTT and our automations, which writes down what it sees.

``python home_assistant.py FOLDER PORT``: FOLDER is the configuration folder, with blueprints and automations.yaml, PORT
the broker's. ``FOLDER/seen.json`` has the states and what ``notify.notify`` was called with, once a second.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from homeassistant import auth, bootstrap, config_entries, core, loader
from homeassistant.const import EVENT_CALL_SERVICE
from homeassistant.setup import async_setup_component
from homeassistant.util.yaml import load_yaml


async def main(folder: Path, port: int) -> None:
    hass = core.HomeAssistant(str(folder))
    loader.async_setup(hass)
    hass.config.skip_pip = True
    hass.config_entries = config_entries.ConfigEntries(hass, {})
    await bootstrap.async_load_base_functionality(hass)
    hass.auth = await auth.auth_manager_from_config(hass, [], [])
    called: list[dict[str, Any]] = []
    # a phone: what it is told is written down
    hass.services.async_register("notify", "notify", lambda call: called.append(dict(call.data)))
    hass.bus.async_listen(EVENT_CALL_SERVICE, lambda event: called.append({"service": event.data["service"]}))
    for component, config in (
        ("homeassistant", {}), ("persistent_notification", {}), ("sun", {"sun": {}}),
        ("automation", {"automation": load_yaml(folder / "automations.yaml")}),
    ):  # fmt: skip
        assert await async_setup_component(hass, component, config), component
    await hass.config_entries.async_add(mqtt_entry(port))
    await hass.async_start()
    while True:
        await asyncio.sleep(1)
        states = {state.entity_id: [state.state, dict(state.attributes)] for state in hass.states.async_all()}
        text = json.dumps({"states": states, "called": called}, default=str)
        (folder / "seen.new").write_text(text)
        (folder / "seen.new").rename(folder / "seen.json")


def mqtt_entry(port: int) -> config_entries.ConfigEntry:
    """As the dialog of the MQTT integration would make it."""
    return config_entries.ConfigEntry(
        version=1, minor_version=2, domain="mqtt", title="broker", source="user", unique_id=None, options={},
        data={"broker": "127.0.0.1", "port": port, "discovery": True}, discovery_keys={}, subentries_data=(),
    )  # fmt: skip


asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
