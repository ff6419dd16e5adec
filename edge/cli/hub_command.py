"""``edge hub key`` and ``edge hub command``: remote commands."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge.cli import output
from edge.cli.paths import InputPath
from edge.core.errors import DeliveryError, InputError, SettingsError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from edge.core.settings.schema import Settings

key_option = click.option(
    "--key",
    "key_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Private key of the hub; default: hub.key.",
)
timeout_option = click.option(
    "--timeout", type=click.FloatRange(0.1), default=15.0, show_default=True, help="Timeout of an answer in seconds."
)


def hub_key(settings: Settings, given: Path | None) -> Ed25519PrivateKey:
    """The private key in the file ``given``, else in ``hub.key``. Raises SettingsError, InputError."""
    from edge.hub.command_client import read_key

    chosen = given or settings.hub.key
    if chosen is None:
        raise SettingsError("the hub's key is required, but none is configured", "use --key, or set hub.key")
    return read_key(chosen)


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@output.json_option
def key(file: Path, as_json: bool) -> None:
    r"""Create the private key that signs commands in FILE, and print the settings of the devices.

    Keep FILE secret; its public key goes into commands.keys of each device.

    \b
    Example:
      edge hub key hub.key
    """
    from edge.hub.command_client import make_key

    public = make_key(file)
    if as_json:
        output.print_json({"file": str(file), "public": public})
    else:
        output.say(f"wrote {file}")
        for line in ("", "[commands]", f'keys = ["{public}"]'):
            output.say(line)


@click.command()
@click.argument("device")
@click.argument("operation")
@click.argument("arguments", nargs=-1, metavar="[NAME=VALUE]...")
@click.option("--image", type=InputPath(exists=True, dir_okay=False), help="Image for enroll.")
@click.option(
    "--save", type=click.Path(dir_okay=False, path_type=Path), help="Write the image of snapshot to this file."
)
@key_option
@timeout_option
@output.json_option
@click.pass_context
def command(
    ctx: click.Context,
    device: str,
    operation: str,
    arguments: tuple[str, ...],
    image: Path | None,
    save: Path | None,
    key_file: Path | None,
    timeout: float,
    as_json: bool,
) -> None:
    r"""Send OPERATION to DEVICE and print its answer. Exit code 1 if the answer is not ok.

    Operations: ping, stats, snapshot camera=NAME, camera camera=NAME enabled=true|false, enroll subject=NAME
    --image FILE, forget subject=NAME, reload, restart. All but ping and stats are signed.

    \b
    Example:
      edge hub command porch ping
      edge hub command porch camera camera=door enabled=false --key hub.key
      edge hub command porch enroll subject=alice --image alice.jpg --key hub.key
    """
    from edge.hub.command_client import ask, read_key
    from edge.mqtt.command_auth import UNSIGNED

    settings = output.settings(ctx)
    if not settings.mqtt.host:
        raise SettingsError("no broker is configured", "set mqtt.host")
    given = _arguments(arguments)
    if image:
        given["image"] = base64.b64encode(image.read_bytes()).decode()
    chosen = key_file or settings.hub.key
    if chosen is None and operation not in UNSIGNED:
        raise SettingsError(f"{operation} must be signed, but no key is configured", "use --key, or set hub.key")
    private = read_key(chosen) if chosen and operation not in UNSIGNED else None
    answer = ask(settings.mqtt, device, operation, given, private=private, timeout=timeout)
    if save and "jpeg" in answer.data:
        save.write_bytes(base64.b64decode(answer.data.pop("jpeg")))
    if as_json:
        output.print_json({"code": answer.code, "message": answer.message, "data": answer.data})
    elif answer.code == "ok":
        click.echo(output.json_text(answer.data, indent=2) if answer.data else "ok")
    if answer.code != "ok":
        raise DeliveryError(f"{device} answers {answer.code}: {answer.message}", "check its log")


def _arguments(given: tuple[str, ...]) -> dict[str, Any]:
    """Parse NAME=VALUE; ``true`` and ``false`` become booleans, other values stay text. Raises InputError."""
    found: dict[str, Any] = {}
    for one in given:
        name, sign, value = one.partition("=")
        if not sign or not name:
            raise InputError(f"argument: expected NAME=VALUE, got {one[:40]!r}", "write it like camera=door")
        found[name] = {"true": True, "false": False}.get(value, value)
    return found
