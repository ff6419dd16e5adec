"""Which part of a daemon a change of the settings restarts."""

from __future__ import annotations

import pytest

from edge.core.settings.schema import Settings
from edge.daemon.components import COMPONENTS, RESTARTABLE
from edge.daemon.reload import LIVE, SettingsChange

SECTIONS = {section: name for name, sections in RESTARTABLE.items() for section in sections}


@pytest.mark.parametrize(
    ("given", "changed", "restarts", "needs_new_run"),
    [
        ({}, (), (), ()),
        ({"log": {"level": "debug"}}, ("log.level",), (), ()),
        ({"mqtt": {"stats_seconds": 5.0}}, ("mqtt.stats_seconds",), (), ()),
        ({"mqtt": {"host": "broker"}}, ("mqtt.host",), (), ("mqtt.host",)),
        ({"page": {"enabled": False}}, ("page.enabled",), ("endpoint",), ()),
        ({"frigate": {"enabled": True}}, ("frigate.enabled",), ("integrations",), ()),
        ({"device": {"name": "porch"}}, ("device.name",), (), ("device.name",)),
        ({"cameras": [{"name": "gate"}]}, ("cameras",), (), ("cameras",)),
        ({"page": {"enabled": False}, "api": {"port": 8481}}, ("api.port", "page.enabled"), ("endpoint",), ()),
    ],
)
def test_only_what_must_is_restarted(given, changed, restarts, needs_new_run) -> None:
    change = SettingsChange.between(Settings(), Settings(**given), SECTIONS)
    assert change == SettingsChange(changed, restarts, needs_new_run)


def test_the_log_says_what_was_applied_and_restarted() -> None:
    change = SettingsChange.between(Settings(), Settings(page={"enabled": False}), SECTIONS)  # type: ignore[arg-type]
    assert str(change) == "applied page.enabled; restarted: endpoint"


def test_the_tables_name_sections_and_components_that_exist() -> None:
    assert LIVE.keys() | SECTIONS.keys() <= Settings.model_fields.keys()
    assert RESTARTABLE.keys() <= COMPONENTS.keys()
    for section, keys in LIVE.items():
        assert (keys or set()) <= type(getattr(Settings(), section)).model_fields.keys()
