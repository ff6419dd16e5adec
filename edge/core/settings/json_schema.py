"""JSON Schema of the settings, for editors and the owner's page."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic.json_schema import GenerateJsonSchema

from edge.core.settings.schema import Settings


class SettingsSchema(GenerateJsonSchema):
    """Defaults as they are: those of secret settings are part of the program, and no secrets."""

    def encode_default(self, dft: Any) -> Any:
        return super().encode_default(_plain(dft))


def settings_schema() -> dict[str, Any]:
    """The schema of a configuration file (draft 2020-12)."""
    return Settings.model_json_schema(schema_generator=SettingsSchema)


def _plain(value: Any) -> Any:
    match value:
        case SecretStr():
            return value.get_secret_value()
        case BaseModel():
            return {name: _plain(getattr(value, name)) for name in type(value).model_fields}
        case dict():
            return {key: _plain(one) for key, one in value.items()}
        case tuple() | list():
            return [_plain(one) for one in value]
        case _:
            return value
