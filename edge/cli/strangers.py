"""``edge strangers``: recurring unknown faces: list, name, forget."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge.cli import completion
from edge.cli.lazy import SuggestingGroup
from edge.cli.output import json_option, print_json, print_table, say, settings

if TYPE_CHECKING:
    from edge.core.settings.schema import Settings
    from edge.recognition.review.queue import ReviewQueue
    from edge.recognition.review.stranger_store import Stranger


@click.group(cls=SuggestingGroup)
def strangers() -> None:
    r"""Recurring unknown faces (unknown-7): list, name, forget.

    Stored only while [strangers] is enabled; never part of a collection, an export or a release.

    \b
    Example:
      edge strangers list
      edge strangers name unknown-7 "Maria"
    """


@strangers.command("list")
@click.option("--all", "everybody", is_flag=True, help="Also faces seen once, without a pseudonym yet.")
@json_option
@click.pass_context
def list_command(ctx: click.Context, everybody: bool, as_json: bool) -> None:
    r"""Recurring unknown faces, most recent first. Exit code 3: none.

    \b
    Example:
      edge strangers list --json
    """
    with _opened(ctx) as (queue, _, _):
        found = [one for one in reversed(queue.strangers.all()) if everybody or one.number is not None]
    if as_json:
        print_json({"strangers": [_document(one) for one in found]})
    else:
        rows = [(one.name or "-", one.collection, one.times, _when(one.first), _when(one.last)) for one in found]
        print_table(["stranger", "collection", "times", "first seen", "last seen"], rows)
    if not found:
        ctx.exit(3)


@strangers.command()
@click.argument("stranger", shell_complete=completion.strangers)
@click.argument("subject", shell_complete=completion.subjects)
@click.option("--force", is_flag=True, help="Add the faces even if they make subjects confusable.")
@json_option
@click.pass_context
def name(ctx: click.Context, stranger: str, subject: str, force: bool, as_json: bool) -> None:
    r"""Enroll the stored faces of STRANGER as SUBJECT in the collection, also for a running daemon.

    Faces that would make two subjects confusable are left out; if all would, nothing changes (--force).

    \b
    Example:
      edge strangers name unknown-7 "Maria"
    """
    from edge.core import subjects
    from edge.recognition.enrollment import name_stranger
    from edge.recognition.review.answers import searches
    from edge.recognition.store.collections import Collections

    subject = subjects.checked(subject)
    with _opened(ctx) as (queue, chosen, state), Collections(state, chosen.collection, maintain=False) as collections:
        one = queue.strangers.get(stranger)
        search = searches(chosen, state, queue.rejections)(one.label, collections.get(one.collection))
        faces = name_stranger(search, one, subject, force)
        queue.strangers.remove([one.id])
    if as_json:
        print_json({"stranger": stranger, "subject": subject, "collection": one.collection, "faces": faces})
    else:
        say(f"{stranger} is {subject}: {len(faces)} faces added to {one.collection}")


@strangers.command()
@click.argument("stranger", shell_complete=completion.strangers)
@json_option
@click.pass_context
def forget(ctx: click.Context, stranger: str, as_json: bool) -> None:
    r"""Delete the data of STRANGER. The next visit gets a new pseudonym.

    \b
    Example:
      edge strangers forget unknown-7
    """
    with _opened(ctx) as (queue, _, _):
        queue.strangers.remove([queue.strangers.get(stranger).id])
        queue.compact()
    if as_json:
        print_json({"stranger": stranger, "forgotten": True})
    else:
        say(f"{stranger} is forgotten")


@contextmanager
def _opened(ctx: click.Context) -> Iterator[tuple[ReviewQueue, Settings, Path]]:
    from edge.core.settings import loader as config
    from edge.recognition.review.queue import ReviewQueue

    chosen = settings(ctx)
    state = config.state_folder(chosen)
    with ReviewQueue(state, chosen.review) as queue:
        yield queue, chosen, state


def _document(one: Stranger) -> dict[str, Any]:
    return {
        "stranger": one.name, "collection": one.collection, "label": one.label, "times": one.times,
        "first": round(one.first, 3), "last": round(one.last, 3), "looks": len(one.looks),
        "quality": round(one.quality, 3),
    }  # fmt: skip


def _when(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(moment))
