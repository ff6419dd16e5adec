"""``edge setup``: write a settings file, enroll the first person, and run ``edge doctor``."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge.cli.paths import InputPath
from edge.cli.setup.answers import PAGES, Answers

if TYPE_CHECKING:
    from edge.core.settings.schema import Settings

COMMAND = "EDGE_COMMAND"
"""environment variable: the command that runs ``edge`` as the daemon's user, where setup runs as root"""
CREDENTIALS = {"mqtt-password": ("mqtt", "password"), "api-keys": ("api", "keys"), "page-token": ("page", "token")}
"""credential -> the setting that holds it without a credentials folder"""


@click.command()
@click.option("--name", help="Name of this device: a-z, 0-9 and '-'.")
@click.option("--broker", help="MQTT broker: host name, IP address, or mqtts://HOST:PORT.")
@click.option("--username", help="User name at the broker.")
@click.option("--password-file", type=click.File(), help="File with the broker password; - for stdin.")
@click.option("--home-assistant/--no-home-assistant", "homeassistant", default=None, help="Announce to Home Assistant.")
@click.option("--camera", "cameras", multiple=True, metavar="NAME=SOURCE", help="Add a camera, or set its source.")
@click.option("--page", type=click.Choice(PAGES), help="Access to the page: disabled, this device, or your network.")
@click.option("--enroll", type=InputPath(exists=True), help="Pictures of people to recognize.")
@click.option("--subject", help="Subject in the pictures. Default: one subfolder per person.")
@click.option("--yes", is_flag=True, help="Do not prompt: settings without an option stay unchanged.")
@click.pass_context
def setup(ctx: click.Context, /, password_file: Any, cameras: tuple[str, ...], yes: bool, **options: Any) -> None:
    r"""Set up broker, camera, page and the first person, write the settings file, and run edge doctor.

    Questions answered by an option are skipped. Without a terminal there are no prompts. An existing file keeps its
    comments and other settings, and the change is shown first. Ctrl-C before that changes nothing.

    \b
    Example:
      edge setup
      edge --config my.toml setup --yes --name porch --broker broker.lan --camera door=auto
    """
    from edge.cli.setup import file

    answers = Answers(
        name=options["name"], broker=options["broker"], username=options["username"],
        password=password_file.read().strip() if password_file else None, homeassistant=options["homeassistant"],
        cameras=dict(_camera(one) for one in cameras), page=options["page"], pictures=options["enroll"],
        subject=options["subject"],
    )  # fmt: skip
    path = file.target(ctx.find_root().obj)
    steps = _Steps(path, answers, asks=not yes and sys.stdin.isatty())
    try:
        steps.ask(yes)
        steps.write()
        code = steps.finish()
    except (click.Abort, KeyboardInterrupt):
        click.echo(f"\n{steps.state}. To go on: {answers.command(path)}", err=True)
        raise click.Abort from None
    ctx.exit(code)


@dataclass
class _Steps:
    """The steps of one run."""

    path: Path
    answers: Answers
    asks: bool
    """whether to prompt"""
    state: str = "nothing was written"

    def ask(self, agreed: bool) -> None:
        """Prompt for missing answers. Raises ConflictError for an existing file where there is no prompt."""
        from edge.core.errors import ConflictError

        if self.path.exists() and not agreed:
            if not self.asks:
                raise ConflictError(f"{self.path} exists already", "add --yes: its comments and other settings stay")
            click.confirm(f"{self.path} exists. Change it? (comments and other settings stay)", abort=True)
        if not self.asks:
            return
        current, answers = self._current(), self.answers
        if answers.name is None:
            answers.name = _ask("Name of this device", current.device.name, _checks("device", "name"))
        self._ask_broker(current)
        self._ask_camera(current)
        if answers.page is None:
            usual = "off" if self.path.exists() and not current.api.enabled else "local"
            answers.page = _ask("The page: off, local (this device) or network", usual, _one_of(PAGES))
        if answers.pictures is None:
            answers.pictures = _ask("Pictures of people to recognize: a folder or a file (empty: later)", "", _path)
            if answers.pictures and answers.pictures.is_file() and not answers.subject:
                answers.subject = _ask("Name of the person in it", None, str.strip)

    def _ask_broker(self, current: Settings) -> None:
        answers = self.answers
        if answers.broker is None:
            text = "MQTT broker (empty: none)"
            answers.broker = _ask(text, current.mqtt.host, _checks("mqtt", "host")) or None
        if answers.broker is None:
            return
        if answers.username is None:
            answers.username = _ask("User name at the broker (empty: none)", current.mqtt.username, str.strip)
        if answers.username and answers.password is None:
            kept = bool(current.mqtt.password.get_secret_value())
            text = f"Password of {answers.username}{' (empty: unchanged)' if kept else ''}"
            answers.password = click.prompt(text, default="" if kept else None, hide_input=True, show_default=False)
        if answers.homeassistant is None:
            answers.homeassistant = click.confirm("Announce to Home Assistant", default=True)

    def _ask_camera(self, current: Settings) -> None:
        if self.answers.cameras:
            return
        known = [camera.name for camera in current.cameras] if self._has_cameras() else []
        if known and not click.confirm(f"Cameras: {', '.join(known)}. Add one", default=False):
            return
        name = _ask("Name of the camera", None if known else "camera", _checks("cameras", "name"))
        text = "Its source (auto finds one; v4l2:/dev/video0, rtsp://user:password@ADDRESS/PATH)"
        self.answers.cameras[name] = _ask(text, "auto", _source(name))

    def write(self) -> None:
        """Show the change, then write the file and its secrets. Raises EdgeError, OSError."""
        from edge.api.web.settings_file import diff, masked
        from edge.cli.setup import file
        from edge.core.settings import loader

        before = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
        current = self._current()
        values = self.answers.values()
        found = self.answers.secrets(bool(current.api.keys), bool(current.page.token.get_secret_value()))
        folder = _credentials()
        for name, text in found.items() if folder is None else ():
            section, key = CREDENTIALS[name]
            values.setdefault(section, {})[key] = dict([text.split(" ", 1)]) if key == "keys" else text
        if "cameras" in values:
            values["cameras"] = values.pop("cameras")  # last
        new = file.changed(before, values)
        loader.check_text(new, self.path)
        shown = diff(before, new) if before else masked(new)
        click.echo(f"\n{self.path}:\n\n{shown.rstrip() or 'nothing to change'}\n")
        if self.asks and new != before:
            click.confirm("Write it", default=True, abort=True)
        for name, text in found.items() if folder else ():
            file.write(Path(str(folder)) / name, text + "\n")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file.write(self.path, new)
        self.state = f"{self.path} is written"
        click.echo(self.state)

    def finish(self) -> int:
        """Enroll, restart a running daemon, and run ``edge doctor``. Returns the exit code of the doctor."""
        from edge.core.settings import loader

        edge = [*([given] if (given := os.environ.get(COMMAND)) else [sys.executable, "-m", "edge"])]
        edge += ["--config", str(self.path)]
        if self.answers.pictures:
            whom = ["--subject", self.answers.subject] if self.answers.subject else []
            subprocess.run([*edge, "enroll", "faces", str(self.answers.pictures), *whom], check=False)
        if os.geteuid() == 0 and self.path == loader.SYSTEM_FILE and Path("/run/systemd/system").is_dir():
            subprocess.run(["systemctl", "try-restart", "edge.service"], check=False)
        if self.answers.token:
            click.echo(f"The page asks for this token: {self.answers.token}")
        click.echo("\nedge doctor:")
        return subprocess.run([*edge, "doctor"], check=False).returncode

    def _current(self) -> Settings:
        from edge.core.settings import loader
        from edge.core.settings.schema import Settings

        return loader.read(self.path) if self.path.exists() else Settings()

    def _has_cameras(self) -> bool:
        from edge.core.compat import tomllib

        return self.path.exists() and "cameras" in tomllib.loads(self.path.read_text(encoding="utf-8"))


def _ask(text: str, usual: str | None, check: Callable[[str], Any]) -> Any:
    return click.prompt(text, default=usual, value_proc=check, show_default=bool(usual))


def _checks(section: str, key: str) -> Callable[[str], str]:
    """A validator of values for this setting; raises UsageError."""

    def checked(text: str) -> str:
        from pydantic import ValidationError

        from edge.core.settings.broken_rules import rule
        from edge.core.settings.schema import Settings

        one = {key: text.strip()}
        try:
            Settings.model_validate({section: [one] if section == "cameras" else one})
        except ValidationError as error:
            raise click.UsageError(rule(error.errors()[0], (section, key))) from None
        return text.strip()

    return checked


def _source(name: str) -> Callable[[str], str]:
    """A validator of camera sources; raises UsageError."""

    def checked(text: str) -> str:
        from edge.core.errors import SettingsError
        from edge.core.settings.vision import CameraSettings
        from edge.sources import factory

        source = _checks("cameras", "source")(text)
        try:
            factory.check(CameraSettings.model_validate({"name": name, "source": source}))
        except SettingsError as error:
            raise click.UsageError(str(error)) from None
        return source

    return checked


def _one_of(choices: tuple[str, ...]) -> Callable[[str], str]:
    def checked(text: str) -> str:
        if text.strip() not in choices:
            raise click.UsageError(f"expected one of {', '.join(choices)}")
        return text.strip()

    return checked


def _path(text: str) -> Path | None:
    if not text.strip():
        return None
    path = Path(text.strip()).expanduser()
    if not path.exists():
        raise click.UsageError(f"{path}: no such file or folder")
    return path


def _camera(text: str) -> tuple[str, str]:
    name, separator, source = text.partition("=")
    if not separator:
        raise click.BadParameter(f"expected NAME=SOURCE, got {text!r}", param_hint="--camera")
    return _checks("cameras", "name")(name), _source(name)(source)


def _credentials() -> Path | None:
    """The credentials folder of the environment, if it is writable."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    return Path(folder) if folder and os.access(folder, os.W_OK) else None
