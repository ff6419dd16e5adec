from __future__ import annotations

import json

from edge.core.settings.json_schema import settings_schema
from edge.core.settings.schema import Settings


def test_the_schema_shows_the_defaults_that_are_in_force_and_masks_none() -> None:
    schema = settings_schema()
    assert schema["$defs"]["CameraSettings"]["properties"]["source"]["default"] == "auto"
    assert "**" not in json.dumps(schema)

    defaults = {name: one["default"] for name, one in schema["properties"].items() if "default" in one}
    assert defaults.keys() == Settings.model_fields.keys()
    assert Settings.model_validate(defaults) == Settings()
