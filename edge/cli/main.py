"""Entry point: the console script ``edge``. Commands are imported on first use.

Exit codes: 0 done, 1 failed (an ``error:`` line and a ``try:`` line on stderr), 2 wrong usage, 3 nothing found.
"""

from __future__ import annotations

import errno
import io
import logging
import os
import sys
import threading
from contextlib import suppress
from typing import NoReturn

import click

from edge import __version__
from edge.cli.lazy import LazyGroup
from edge.core.errors import EdgeError
from edge.core.system import blas
from edge.core.terminal import plain

FAILED, USAGE, NOTHING_FOUND = 1, 2, 3
COMPLETING = "_EDGE_COMPLETE"
"""environment variable of the shell's completion functions"""

COMMANDS = {
    "setup": ("edge.cli.setup_command:setup", "Ask for broker, camera, page and people; write the settings."),
    "run": ("edge.cli.run:run", "Run the daemon: watch the cameras and report events."),
    "listen": ("edge.cli.listen:listen", "Print the events of a device."),
    "enroll": ("edge.cli.enroll:enroll", "Index images into a collection."),
    "search": ("edge.cli.search:search", "Identify the faces in pictures."),
    "analyze": (
        "edge.cli.analyze_command:analyze",
        "Analyze stored videos and pictures: events, annotated video, summary.",
    ),
    "collection": ("edge.cli.collection:collection", "List, create, show, delete, audit, export, import collections."),
    "labels": ("edge.cli.labels:labels", "Custom labels from a few examples: train, evaluate, predict, list."),
    "review": ("edge.cli.review:review", "Answer doubtful matches."),
    "strangers": ("edge.cli.strangers:strangers", "Recurring unknown faces: list, name, forget."),
    "forget": ("edge.cli.forget:forget", "Erase a subject from this device."),
    "encryption": ("edge.cli.encryption:encryption", "Encrypt the state folder: key, on, off, rotate, status."),
    "models": ("edge.cli.models:models", "Model cards and files: list, show, check, add, get, quantize."),
    "sync": ("edge.cli.sync:sync", "Download, verify and install the release for this device."),
    "release": ("edge.cli.release:release", "Releases on this device: list, show, rollback."),
    "api": ("edge.cli.api:api", "Run the Rekognition endpoint without cameras."),
    "hub": ("edge.cli.hub:hub", "Hub of a fleet: store events, monitor and command devices, publish releases."),
    "doctor": ("edge.cli.doctor_command:doctor", "Diagnose this device: problems, causes, remedies."),
    "config": ("edge.cli.config:config", "Settings: show, check, schema."),
    "bench": ("edge.cli.bench_command:bench", "Measure the speed of the pipeline on this machine."),
}
"""command -> (module:attribute, help line)"""


HINTS = {
    errno.ENOENT: "check the path",
    errno.EACCES: "read it as its owner: under sudo, edge runs as the user edge",
    errno.EPERM: "read it as its owner: under sudo, edge runs as the user edge",
    errno.ENOSPC: "free space on the disk: edge doctor shows what is full",
    errno.EROFS: "the file system is read-only: remount it, or choose another folder",
    errno.EMFILE: "raise the limit of open files: ulimit -n",
}
"""errno -> what to try"""


class ExampleFormatter(click.HelpFormatter):
    """Keeps the line breaks of examples: click expects a backspace character, raw docstrings have an escape."""

    def write_text(self, text: str) -> None:
        super().write_text(text.replace("\\b\n", "\b\n"))


click.Context.formatter_class = ExampleFormatter


@click.group(cls=LazyGroup, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="edge")
@click.option("--config", type=click.Path(dir_okay=False), help="Configuration file (TOML).")
@click.pass_context
def edge(ctx: click.Context, config: str | None) -> None:
    r"""Amazon Rekognition for the device itself.

    \b
    Example:
      edge enroll staff photos/          index a folder with a folder per subject
      edge --config config/edge.toml run
    """
    ctx.obj = config


def main() -> None:
    """Console script: run the command of ``sys.argv`` and end the process with its exit code."""
    _exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run a command in this process; errors are printed to stderr. Returns the exit code."""
    blas.configure()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # escape characters that the encoding lacks
    if COMPLETING in os.environ:
        from edge.cli import completion

        completion.install()
    try:
        code = edge.main(_config_first(arguments), standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("interrupted", err=True)
        code = 130
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except BrokenPipeError:
        sys.stderr.close()
        code = 141
    except EdgeError as error:
        click.echo(f"error: {_lines(error.message)}", err=True)
        if error.hint:
            click.echo(f"try: {plain(error.hint)}", err=True)
        code = FAILED
    except OSError as error:
        subject = f"{error.filename}: " if error.filename else ""
        click.echo(f"error: {subject}{error.strerror or error}", err=True)
        click.echo(f"try: {HINTS.get(error.errno or 0, 'check the path, its owner and the disk')}", err=True)
        code = FAILED
    return code if isinstance(code, int) else 0


def _lines(message: str) -> str:
    """Indent the further lines of a message, so that none looks like an ``error:`` or ``try:`` line."""
    first, *others = message.split("\n")
    return "\n".join([plain(first), *(f"  {plain(line.strip())}" for line in others)])


def _config_first(arguments: list[str]) -> list[str]:
    """Move ``--config FILE`` to the front, where the group expects it; arguments after ``--`` stay."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    moved: list[str] = []
    rest: list[str] = []
    words = iter(arguments[:end])
    for word in words:
        if word == "--config":
            moved += [word, *([following] if (following := next(words, None)) is not None else [])]
        elif word.startswith("--config="):
            moved.append(word)
        else:
            rest.append(word)
    return [*moved, *rest, *arguments[end:]]


def _exit(code: int) -> NoReturn:
    """End the process.

    A thread that outlives its command (a camera driver that hangs, a decoder) would be unwound by the interpreter's
    finalization; inside C++ that is ``std::terminate`` and SIGABRT. Such a process ends without finalization.
    """
    if threading.active_count() > 1:
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):  # broken pipe, or closed
                stream.flush()
        os._exit(code)
    sys.exit(code)
