"""``config/edge.toml`` is written from the settings, equals the defaults, and can be edited as it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edge.core.compat import tomllib
from edge.core.settings import loader as config
from edge.core.settings import template as config_file
from edge.core.settings.base import Section
from edge.core.settings.schema import Settings

FILE = Path(__file__).resolve().parents[3] / "config" / "edge.toml"
COMMENTED_KEY = re.compile(r"^# (\[\[?[a-z.]+\]\]?|[a-z_]+ = .*)$", re.MULTILINE)


def test_the_file_is_the_one_that_the_settings_write() -> None:
    assert FILE.read_text(encoding="utf-8") == config_file.text(), "run scripts/write_config"


def test_the_file_as_it_is_equals_the_defaults() -> None:
    assert Settings.model_validate(tomllib.loads(config_file.text())) == Settings()


def test_every_setting_stands_in_the_file_with_its_description() -> None:
    text = config_file.text()
    for section in [Settings, *_sections(Settings)]:
        for name, field in section.model_fields.items():
            assert field.description or _sections_in(field), f"{section.__name__}.{name} has no description"
            stands = re.search(rf"^(# )?({name} = |\[\[?{name}[.\]])", text, re.MULTILINE)
            assert stands, f"{section.__name__}.{name}"


def test_a_setting_without_a_default_to_write_has_an_example() -> None:
    for section in [Settings, *_sections(Settings)]:
        for name, field in section.model_fields.items():
            default = field.get_default(call_default_factory=True)
            assert default is not None or field.examples, f"{section.__name__}.{name} needs Field(examples=[...])"


def test_the_file_stays_valid_with_every_hash_taken_away(tmp_path) -> None:
    path = tmp_path / "edge.toml"
    path.write_text(COMMENTED_KEY.sub(r"\1", config_file.text()), encoding="utf-8")
    settings = config.read(path)
    assert settings.mqtt.tls
    assert [camera.name for camera in settings.cameras] == ["camera", "door"]
    assert settings.cameras[0].zones.keys() == {"mat"}


KEYS_THAT_STAND_ALONE = ["state", "name", "controls", "zones", "score", "similarity", "tls", "taxonomy", "buckets"]


@pytest.mark.parametrize("key", KEYS_THAT_STAND_ALONE)
def test_the_file_stays_valid_with_one_hash_taken_away(tmp_path, key) -> None:
    path = tmp_path / "edge.toml"
    path.write_text(re.sub(rf"^# ({key} = )", r"\1", config_file.text(), count=1, flags=re.MULTILINE))
    assert config.read(path) != Settings()


@pytest.mark.parametrize(
    ("thing", "toml"),
    [
        (True, "true"),
        (5, "5"),
        (268435456, "268_435_456"),
        (0.5, "0.5"),
        ((), "[]"),
        ({}, "{}"),
        ({"a b": (1, 2)}, '{ "a b" = [1, 2] }'),
        ('say "hé"\n', '"say \\"hé\\"\\n"'),
        (Path("/x"), '"/x"'),
    ],
)
def test_a_value_is_written_so_that_toml_reads_it_back(thing, toml) -> None:
    assert config_file.value(thing) == toml
    tomllib.loads(f"x = {toml}")


def _sections(section: type[Section]) -> list[type[Section]]:
    found = []
    for field in section.model_fields.values():
        for part in _sections_in(field):
            found += [part, *_sections(part)]
    return found


def _sections_in(field) -> list[type[Section]]:
    return config_file._sections_of(field)
