"""``edge config``: shows and validates settings, and prints their schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge.cli.lazy import SuggestingGroup
from edge.cli.output import json_option, json_text, print_json, print_table
from edge.core.errors import EdgeError
from edge.core.storage.files import expanded

if TYPE_CHECKING:
    from edge.core.settings.schema import Settings

COVERED = "***"


@click.group(cls=SuggestingGroup)
def config() -> None:
    r"""Settings: show, check, schema.

    \b
    Example:
      edge config show --changed
      edge config check edge.toml
    """


@config.command()
@click.option("--changed", is_flag=True, help="Only settings from a file, variable or credential.")
@json_option
@click.pass_context
def show(ctx: click.Context, changed: bool, as_json: bool) -> None:
    r"""Every setting in force and its origin: file, environment, credential or default.

    Secrets are masked.

    \b
    Example:
      edge --config config/pi-camera.toml config show --changed
    """
    from edge.core.settings import loader as reader

    chosen = ctx.find_root().obj
    loaded = reader.load(Path(chosen) if chosen else None)
    rows = [
        {"setting": reader.key(location), "value": covered, "from": origin}
        for location, covered in _leaves(loaded.settings.model_dump())
        if (origin := loaded.origin(location)) != "default" or not changed
    ]
    state = str(reader.state_folder(loaded.settings))
    if as_json:
        print_json({"file": str(loaded.path) if loaded.path else None, "state": state, "settings": rows})
        return
    click.echo(f"file   {loaded.path or 'none: everything is at its default'}\nstate  {state}\n")
    print_table(["setting", "value", "from"], [(row["setting"], _shown(row["value"]), row["from"]) for row in rows])


@config.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), required=False)
@click.option("--deep", is_flag=True, help="Also check models, files and collections.")
@json_option
@click.pass_context
def check(ctx: click.Context, file: Path | None, deep: bool, as_json: bool) -> None:
    r"""Validate FILE as the daemon would; without FILE, the file that the other commands read.

    \b
    Example:
      edge config check /etc/edge/edge.toml
      edge config check --deep edge.toml
    """
    from edge.api.http.listener import refuse_open_door
    from edge.core.settings import loader as reader
    from edge.sources import factory as opening

    chosen = file or ctx.find_root().obj
    loaded = reader.load(Path(chosen) if chosen else None)
    file, settings = loaded.path, loaded.settings
    if file is None:
        raise EdgeError("no configuration file to check", hint="name one: edge config check FILE")
    watched = [camera for camera in settings.cameras if camera.enabled]
    for camera in watched:
        opening.check(camera)
    if settings.api.enabled:
        refuse_open_door(settings.api)
    if deep:
        _check_files(settings, reader.state_folder(settings))
    cameras = [camera.name for camera in watched]
    if as_json:
        print_json({"file": str(file), "ok": True, "cameras": cameras, "labels": list(settings.labels)})
        return
    broker = f"{settings.mqtt.host}:{settings.mqtt.effective_port}" if settings.mqtt.host else "none"
    click.echo(f"{file}: valid; cameras {', '.join(cameras)}; labels {', '.join(settings.labels)}; broker {broker}")


@config.command()
@json_option
def schema(as_json: bool) -> None:  # noqa: ARG001  # the output is always JSON
    r"""Every setting with type, constraints and default, as JSON Schema.

    \b
    Example:
      edge config schema > edge.schema.json
    """
    from edge.core.settings.json_schema import settings_schema

    click.echo(json_text(settings_schema(), indent=2))


def _check_files(settings: Settings, state: Path) -> None:
    """Raises EdgeError where a model or a stored source in the settings cannot be found."""
    from edge.core.errors import SourceError
    from edge.inference import model
    from edge.sources import factory

    folders = model.folders(settings.models, state)
    wanted = {name for camera in settings.cameras if camera.enabled for name in camera.detectors}
    wanted |= {label.embedder for label in settings.labels.values() if label.embedder}
    for name in sorted(wanted):
        model.find(name, folders)
    for camera in settings.cameras:
        kind, target = factory.split(camera.source.get_secret_value())
        if camera.enabled and kind in ("video", "images") and not expanded(Path(target)).exists():
            raise SourceError(f"camera {camera.name}: {target}: no such file or folder", "check the path of source")


def _leaves(values: Any, location: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Each setting with its value, secrets masked. Tables and arrays of tables are descended; a list is a value."""
    if isinstance(values, Mapping) and values:
        for name, value in values.items():
            yield from _leaves(value, (*location, name))
    elif isinstance(values, list | tuple) and values and isinstance(values[0], Mapping):
        for number, value in enumerate(values):
            yield from _leaves(value, (*location, number))
    else:
        yield location, _plain(values)


def _plain(value: Any) -> Any:
    """The value as JSON; a secret that is set becomes ``***``."""
    from pydantic import SecretStr

    from edge.core.credentials import mask_credentials
    from edge.core.settings.address import SecretAddress

    match value:
        case SecretAddress():
            return str(value)
        case SecretStr():
            return COVERED if value.get_secret_value() else ""
        case list() | tuple():
            return [_plain(item) for item in value]
        case str() | Path():
            return mask_credentials(str(value))
        case _:
            return value


def _shown(value: Any) -> str:
    from edge.core.settings import template as config_file

    return "-" if value is None else config_file.value(value)
