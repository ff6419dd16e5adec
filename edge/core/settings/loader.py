"""Reads the settings: TOML file, then ``EDGE_...`` environment variables, then credentials for secrets.

Search order for the file: ``--config``, ``$EDGE_CONFIG``, ``/etc/edge/edge.toml``; none of them is a complete
configuration as well. Errors name file, line, key, value and rule.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.core.compat import tomllib
from edge.core.errors import SettingsError
from edge.core.settings.broken_rules import rule
from edge.core.settings.locations import Location, line_of, locate
from edge.core.settings.schema import Settings
from edge.core.storage import keys as vault_keys
from edge.core.storage.files import expanded
from edge.core.suggestions import did_you_mean

if TYPE_CHECKING:
    from pydantic import ValidationError

TWICE = "twice"
"""in tomllib's message about a section with two headers"""
SYSTEM_FILE = Path("/etc/edge/edge.toml")
PREFIX, NESTED = "EDGE_", "__"
CREDENTIALS = {
    "mqtt-password": ("mqtt", "password"),
    "api-keys": ("api", "keys"),
    "page-token": ("page", "token"),
    "enrolments-key": ("commands", "enrolments_key"),
    "review-key": ("commands", "review_key"),
    "storage-key": ("encryption", "key"),
    "sync-key": ("sync", "key"),
}
"""name of a systemd credential -> the setting it fills, where the file and the environment leave it empty"""


@dataclass(frozen=True)
class Loaded:
    """The settings in force, and where each came from."""

    settings: Settings
    path: Path | None
    """the file, if there was one"""
    file: Mapping[str, Any]
    environment: Mapping[str, Any]
    credentials: Mapping[Location, str]
    lines: Mapping[Location, int]

    def origin(self, location: Location) -> str:
        """``FILE:LINE``, ``environment NAME``, ``credential NAME`` or ``default``."""
        if location in self.credentials:
            return f"credential {self.credentials[location]}"
        if _holds(self.environment, location):
            return f"environment {_variable(location)}"
        if self.path and _holds(self.file, location):
            return f"{self.path}:{line_of(location, dict(self.lines)) or 1}"
        return "default"


def find(explicit: Path | None) -> Path | None:
    """The configuration file that counts, or None for defaults alone. Raises SettingsError if it is not accessible."""
    if explicit is not None:
        return explicit
    if chosen := os.environ.get("EDGE_CONFIG"):
        return Path(chosen)
    try:
        SYSTEM_FILE.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise SettingsError(
            f"configuration {SYSTEM_FILE}: cannot be read: {error.strerror}",
            "run the command with sudo, or name a file of your own with --config",
        ) from error
    return SYSTEM_FILE


def read(explicit: Path | None = None) -> Settings:
    """The settings in force. Raises SettingsError."""
    return load(explicit).settings


def load(explicit: Path | None = None) -> Loaded:
    """The settings in force with the origin of each; their key is this process's then. Raises SettingsError."""
    from pydantic import ValidationError

    path = find(explicit)
    text = _text(path) if path else ""
    file = _parse(path, text) if path else {}
    environment = _environment()
    values = _merged(file, environment)
    credentials = _fill_credentials(values)
    lines = locate(text)
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise _explained(error, values, environment, path, lines) from None  # the cause would show secrets
    vault_keys.use(settings.encryption.key.get_secret_value())
    return Loaded(settings, path, file, environment, credentials, lines)


def check_text(text: str, path: Path) -> None:
    """Raises SettingsError where a configuration file of this text is invalid."""
    from pydantic import ValidationError

    environment = _environment()
    values = _merged(_parse(path, text), environment)
    _fill_credentials(values)
    try:
        Settings.model_validate(values)
    except ValidationError as error:
        raise _explained(error, values, environment, path, locate(text)) from None  # the cause would show secrets


def state_folder(settings: Settings) -> Path:
    """The state folder. Raises SettingsError where none can be determined."""
    if settings.state is not None:
        return expanded(settings.state)
    if given := os.environ.get("STATE_DIRECTORY"):
        return Path(given.split(":")[0])
    base = os.environ.get("XDG_STATE_HOME") or expanded(Path("~/.local/state"))
    return Path(base) / "edge"


def key(location: Location) -> str:
    """A location as text: ``cameras[0].fps``."""
    if not location:
        return "settings"
    return re.sub(r"\.(\d+)(?=\.|$)", r"[\1]", ".".join(str(part) for part in location))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")  # some editors begin a file with a mark
    except FileNotFoundError as error:
        hint = "check the path of --config, or EDGE_CONFIG"
        raise SettingsError(f"configuration {path}: there is no such file", hint) from error
    except (OSError, UnicodeDecodeError) as error:
        hint = "run the command with sudo, or name a file of your own with --config"
        hint = hint if isinstance(error, PermissionError) else "check its owner and encoding"
        raise SettingsError(f"configuration {path}: cannot be read: {error}", hint) from error


def _parse(path: Path, text: str) -> dict[str, Any]:
    try:
        document: dict[str, Any] = tomllib.loads(text)
        return document
    except tomllib.TOMLDecodeError as error:
        twice = TWICE in str(error)
        hint = "give each section one header, with all its keys below it" if twice else "correct the line named above"
        raise SettingsError(f"configuration {path}: not TOML: {error}", hint) from error
    except RecursionError as error:
        raise SettingsError(f"configuration {path}: nested too deeply", "write the file by hand") from error


def _environment() -> dict[str, Any]:
    """What ``EDGE_<SECTION>__<KEY>`` variables set, nested as in the file. Lists and tables are JSON."""
    from pydantic_settings import BaseSettings, EnvSettingsSource
    from pydantic_settings import SettingsError as UnreadableError

    for name in os.environ:
        section, nested, _ = name.upper().removeprefix(PREFIX).partition(NESTED)
        if name.upper().startswith(PREFIX) and nested and section.lower() not in Settings.model_fields:
            raise SettingsError(
                f"environment {name}: there is no section {section.lower()!r}"
                f"{did_you_mean(section.lower(), Settings.model_fields)}",
                f"expected one of {', '.join(Settings.model_fields)}",
            )

    class Sources(Settings, BaseSettings):  # type: ignore[misc]  # two kinds of model_config
        """The same fields, as the library that reads the environment wants them."""

    try:
        return EnvSettingsSource(Sources, env_prefix=PREFIX, env_nested_delimiter=NESTED)()
    except UnreadableError as error:
        field = str(error).partition('"')[2].partition('"')[0]
        names = sorted(name for name in os.environ if name.upper().startswith(PREFIX + field.upper()))
        raise SettingsError(
            f"environment {', '.join(names)}: expected JSON: {error.__cause__}", 'write a list as \'["a", "b"]\''
        ) from error


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def _fill_credentials(values: dict[str, Any]) -> dict[Location, str]:
    """Put credentials where ``values`` has nothing. Returns which. Raises SettingsError."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    filled: dict[Location, str] = {}
    for name, (section, key) in CREDENTIALS.items() if folder else ():
        file = Path(str(folder)) / name
        table = values.get(section, {})
        if not isinstance(table, dict) or table.get(key):
            continue
        try:
            secret = file.read_text(encoding="utf-8").rstrip("\r\n")
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise SettingsError(f"credential {file}: cannot be read: {reason}", "check its owner and content") from None
        values[section] = {**table, key: secret}
        filled[section, key] = name
    return filled


def _explained(
    error: ValidationError,
    values: Mapping[str, Any],
    environment: Mapping[str, Any],
    path: Path | None,
    lines: dict[Location, int],
) -> SettingsError:
    """Each violated rule with its location, once: a value that fits no type of a union violates one for each."""
    rules: dict[str, str] = {}
    for detail in error.errors():
        location = tuple(_existing(detail["loc"], values))
        if _holds(environment, location) and location:
            where = f"environment {_variable(location)}: "
        else:
            line = line_of(location, lines)
            where = f"{path}:{line}: " if path and line else f"{path}: " if path else ""
        rules.setdefault(f"{where}{key(location)}", rule(detail, location))
    broken = [f"{place}: {words}" for place, words in rules.items()]
    return SettingsError(
        broken[0] if len(broken) == 1 else "\n  ".join([f"{len(broken)} settings break a rule", *broken]),
        "correct it; edge config schema shows every setting and its rule",
    )


def _existing(location: Location, values: Any) -> Iterator[str | int]:
    """The parts of a location that lead somewhere in ``values``; pydantic adds names of types behind them."""
    for part in location:
        if isinstance(values, dict) and part in values:
            values = values[str(part)]
        elif isinstance(values, list | tuple) and isinstance(part, int) and part < len(values):
            values = values[part]
        else:
            return
        yield part


def _holds(values: Any, location: Location) -> bool:
    return len(list(_existing(location, values))) == len(location)


def _variable(location: Location) -> str:
    """The environment variables that set a setting, something inside it, or the nearest thing around it."""
    names = {name.upper(): name for name in os.environ}
    for length in range(len(location), 0, -1):
        wanted = PREFIX + NESTED.join(str(part) for part in location[:length]).upper()
        if wanted in names:
            return names[wanted]
        below = sorted(names[name] for name in names if name.startswith(wanted + NESTED))
        if below:
            return ", ".join(below)
    return PREFIX + NESTED.join(str(part) for part in location).upper()
