"""Reads the settings: TOML file, then ``EDGE_...`` environment variables, then credentials for secrets.

Search order for the file: ``--config``, ``$EDGE_CONFIG``, ``/etc/edge/edge.toml``; none of them is a complete
configuration as well. Errors name file, line, key, value and rule.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.errors import SettingsError
from edge.settings import Settings

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

SYSTEM_FILE = Path("/etc/edge/edge.toml")
CREDENTIALS = {"mqtt-password": ("mqtt", "password"), "api-keys": ("api", "keys")}
"""name of a systemd credential -> the setting it fills, where the file and the environment leave it empty"""


def find(explicit: Path | None) -> Path | None:
    """The configuration file that counts, or None for defaults alone."""
    if explicit is not None:
        return explicit
    if chosen := os.environ.get("EDGE_CONFIG"):
        return Path(chosen)
    return SYSTEM_FILE if SYSTEM_FILE.exists() else None


def read(explicit: Path | None = None) -> Settings:
    """The settings in force. Raises SettingsError."""
    path = find(explicit)
    text = _text(path) if path else ""
    values = _parse(path, text) if path else {}
    return _validated(values, path, text)


def state_folder(settings: Settings) -> Path:
    """Where everything is kept that must survive a restart."""
    if settings.state is not None:
        return settings.state.expanduser()
    if given := os.environ.get("STATE_DIRECTORY"):
        return Path(given.split(":")[0])
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "edge"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise SettingsError(f"configuration {path}: there is no such file", "check the path of --config") from error
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"configuration {path}: cannot be read: {error}", "check its owner and encoding") from error


def _parse(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"configuration {path}: not TOML: {error}", "correct the line named above") from error


def _validated(values: dict[str, Any], path: Path | None, text: str) -> Settings:
    from pydantic import ValidationError
    from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

    class Sources(Settings, BaseSettings):
        model_config = SettingsConfigDict(
            env_prefix="EDGE_",
            env_nested_delimiter="__",
            extra="forbid",
            frozen=True,
            nested_model_default_partial_update=True,
        )

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],  # noqa: ARG003
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
            file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return env_settings, init_settings

    _fill_credentials(values)
    try:
        loaded = Sources(**values)
    except ValidationError as error:
        raise _explained(error, path, text) from error
    return Settings.model_validate(loaded.model_dump())


def _fill_credentials(values: dict[str, Any]) -> None:
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        return
    for name, (section, key) in CREDENTIALS.items():
        file = Path(folder) / name
        if file.is_file():
            values.setdefault(section, {}).setdefault(key, file.read_text(encoding="utf-8").rstrip("\n"))


def _explained(error: ValidationError, path: Path | None, text: str) -> SettingsError:
    lines = [_one(detail, path, text) for detail in error.errors()]
    return SettingsError("; ".join(lines), "edge config schema shows every setting and its rule")


def _one(detail: ErrorDetails, path: Path | None, text: str) -> str:
    location = [part for part in detail["loc"] if not (isinstance(part, str) and part.startswith("function-"))]
    key = ".".join(str(part) for part in location).replace(".", ".") or "settings"
    key = re.sub(r"\.(\d+)(?=\.|$)", r"[\1]", key)
    line = _line_of(location, text)
    where = f"{path}:{line}: " if path and line else f"{path}: " if path else ""
    rule = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "extra_forbidden":
        rule = "there is no such setting"
    value = detail.get("input")
    secret = any("password" in str(part) or "key" in str(part) for part in location)
    got = "" if secret or isinstance(value, dict | list) else f" (got {value!r})"
    return f"{where}{key}: {rule}{got}"


def _line_of(location: Sequence[int | str], text: str) -> int | None:
    """The line where a key is set: the last table header that fits, then the key below it."""
    names = [part for part in location if isinstance(part, str)]
    number = next((part for part in location if isinstance(part, int)), 0)
    if not names:
        return None
    lines = text.splitlines()
    start = _table_start(lines, names, number)
    for row in range(start, len(lines)):
        if re.match(rf"\s*[\"']?{re.escape(names[-1])}[\"']?\s*=", lines[row]):
            return row + 1
    return start if start else None


def _table_start(lines: list[str], names: list[str], number: int) -> int:
    """The row after the header that opens the table of ``names``; 0 where it is the top."""
    best, seen = 0, -1
    for row, line in enumerate(lines):
        header = re.match(r"\s*\[\[?\s*([^\]]+?)\s*\]", line)
        if not header:
            continue
        path = [part.strip("\"' ") for part in header.group(1).split(".")]
        if path != names[: len(path)]:
            continue
        seen += line.lstrip().startswith("[[") and len(path) == 1
        if seen in (-1, number):
            best = row + 1
    return best
