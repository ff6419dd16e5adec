"""Base of all sections: names, units, and the refusal of unknown keys."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

DEVICE_NAME = r"^[a-z0-9][a-z0-9-]{0,62}$"
NAME = r"^[A-Za-z0-9_.-]{1,255}$"
CAMERA_NAME = r"^[A-Za-z0-9_-]{1,64}$"
VERSION = r"^[A-Za-z0-9_-]{1,100}(/[1-9][0-9]{0,8})?$"
"""a name of custom labels, or one version of them"""

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Seconds = Annotated[float, Field(gt=0.0)]


class Section(BaseModel):
    """A part of the settings: frozen, and refusing keys that it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
