"""``edge review``: answer doubtful matches."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.cli import completion
from edge.cli.main import NOTHING_FOUND
from edge.cli.output import json_option, print_json, print_table, say, settings

if TYPE_CHECKING:
    from edge.recognition.review.answers import ReviewService
    from edge.recognition.review.question import ReviewQuestion
    from edge.recognition.review.queue import ReviewQueue

KEYS = "[c]onfirm  [a]ll of it  [r]ename  [n]ew subject  [x] not this person  [d]iscard  [s]kip  [q]uit"


@click.group(invoke_without_command=True)
@click.pass_context
def review(ctx: click.Context) -> None:
    r"""Answer doubtful matches: interactively on a terminal, or by command.

    Questions are stored only while [review] is enabled. A confirmed face is added to the collection at once, also for a
    running daemon; 'not this person' prevents similar faces from matching the name. Exit code 3: no questions.

    \b
    Example:
      edge review
      edge review list --pictures questions/
      edge review answer 17 18 --confirm
    """
    if ctx.invoked_subcommand is None:
        with _opened(ctx) as (queue, answers):
            if not queue.count():
                say("the queue is empty")
                ctx.exit(3)
            if sys.stdin.isatty():
                _converse(queue, answers)
            else:
                _print(queue.doubts(limit=1000))


@review.command("list")
@click.option("--subject", help="Only questions about this subject.", shell_complete=completion.subjects)
@click.option("--pictures", type=click.Path(path_type=Path), help="Write the stored pictures to this folder.")
@json_option
@click.pass_context
def list_command(ctx: click.Context, subject: str | None, pictures: Path | None, as_json: bool) -> None:
    r"""Pending questions, oldest first.

    \b
    Example:
      edge review list --json
    """
    from edge.core.storage import files
    from edge.recognition.review.answers import document

    with _opened(ctx) as (queue, _):
        found = queue.doubts(limit=100_000, subject=subject)
    for one in found:
        if pictures is not None and one.crop:
            files.write_bytes(pictures / f"{one.id}.jpg", one.crop)
    if as_json:
        print_json({"questions": [document(one) for one in found]})
    else:
        _print(found)
    if not found:
        ctx.exit(3)


@review.command()
@click.argument("numbers", type=int, nargs=-1)
@click.option("--all-of", "subject", metavar="SUBJECT", help="Every pending question about this subject or label.")
@click.option("--confirm", "answer", flag_value="confirm", help="It is the suggested subject.")
@click.option(
    "--rename", metavar="SUBJECT", help="It is another subject of the collection.", shell_complete=completion.subjects
)
@click.option("--new", metavar="SUBJECT", help="It is a new subject.")
@click.option("--not", "answer", flag_value="reject", help="It is not the suggested subject.")
@click.option("--discard", "answer", flag_value="discard", help="Discard the question.")
@click.option("--force", is_flag=True, help="Add a face even if it makes subjects confusable.")
@json_option
@click.pass_context
def answer(
    ctx: click.Context,
    numbers: tuple[int, ...],
    subject: str | None,
    answer: str | None,
    rename: str | None,
    new: str | None,
    force: bool,
    as_json: bool,
) -> None:
    r"""Give the same answer to the questions NUMBERS, or to all about one subject or custom label.

    Exit code 1: some answers could not be applied; their questions stay pending.

    \b
    Example:
      edge review answer 17 18 --confirm
      edge review answer 19 --new bob
      edge review answer --all-of helmet --confirm
    """
    if sum(one is not None for one in (answer, rename, new)) != 1:
        raise click.UsageError("give one of --confirm, --rename, --new, --not, --discard")
    if bool(numbers) == (subject is not None):
        raise click.UsageError("give the numbers of questions, or --all-of SUBJECT")
    from edge.core.errors import EdgeError

    outcomes: list[dict[str, object]] = []
    with _opened(ctx) as (queue, answers):
        apply = _applying(answers, answer, rename, new, force)
        for number in numbers or _all_of(queue, subject):
            try:
                outcomes.append({"id": number, "subject": apply(number), "error": None})
            except EdgeError as error:
                outcomes.append({"id": number, "subject": None, "error": str(error)})
    failed = [one for one in outcomes if one["error"]]
    if as_json:
        print_json({"answered": len(outcomes) - len(failed), "questions": outcomes})
    else:
        say(f"{len(outcomes) - len(failed)} answered")
        for one in failed:
            say(f"stays: {one['error']}", err=True)
    if failed:
        ctx.exit(1)


@review.command()
@click.argument("folder", type=click.Path(path_type=Path))
@json_option
@click.pass_context
def export(ctx: click.Context, folder: Path, as_json: bool) -> None:
    r"""Export confirmed pictures and their Ground Truth manifest to FOLDER.

    Exit code 3: there are no confirmed pictures.

    \b
    Example:
      edge review export confirmed/
      edge labels train people confirmed/output.manifest
    """
    from edge.core.errors import StoreError
    from edge.recognition.review import answers

    with _opened(ctx) as (queue, _):
        try:
            count = answers.export(folder, queue.answers(), queue.pictures.corrected())
        except OSError as error:
            raise StoreError(f"{folder}: cannot be written: {error.strerror}", "choose a writable folder") from error
    if as_json:
        print_json({"folder": str(folder), "lines": count})
    else:
        say(f"{folder / 'output.manifest'}: {count} pictures")
    if not count:
        ctx.exit(NOTHING_FOUND)


@contextmanager
def _opened(ctx: click.Context) -> Iterator[tuple[ReviewQueue, ReviewService]]:
    from edge.core.settings import loader as config
    from edge.recognition.review.answers import ReviewService, searches
    from edge.recognition.review.queue import ReviewQueue
    from edge.recognition.store.collections import Collections

    chosen = settings(ctx)
    state = config.state_folder(chosen)
    with (
        ReviewQueue(state, chosen.review) as queue,
        Collections(state, chosen.collection, maintain=False) as collections,
    ):
        yield (
            queue,
            ReviewService(queue, collections, searches(chosen, state, queue.rejections)),
        )


def _applying(
    answers: ReviewService, answer: str | None, rename: str | None, new: str | None, force: bool
) -> Callable[[int], str | None]:
    if rename is not None:
        return lambda number: answers.rename(number, rename, force)
    if new is not None:
        return lambda number: answers.new(number, new, force)
    table: dict[str | None, Callable[[int], str | None]] = {
        "confirm": lambda number: answers.confirm(number, force),
        "reject": answers.reject,
        "discard": answers.discard,
    }
    return table[answer]


def _all_of(queue: ReviewQueue, subject: str | None) -> list[int]:
    """Ids of the questions about a subject, one per group."""
    return list({one.group or one.id: one.id for one in queue.doubts(limit=100_000, subject=subject)}.values())


def _print(found: list[ReviewQuestion]) -> None:
    rows = [(one.id, one.reason, one.camera, one.label, f"{one.subject or '-'}?", _nearest(one)) for one in found]
    print_table(["id", "reason", "camera", "label", "is it", "nearest"], rows)


def _nearest(one: ReviewQuestion) -> str:
    return ", ".join(f"{near.subject} {near.similarity:.2f}" for near in one.nearest[:3])


def _converse(queue: ReviewQueue, answers: ReviewService) -> None:
    """Ask one question after the other, until none is left or the user quits."""
    from edge.core.errors import EdgeError

    after = 0
    while found := queue.doubts(after, 1):
        one = found[0]
        after = one.id
        click.echo()
        say(f"{one.id}: {one.label} at {one.camera}, {one.reason}: is it {one.subject or 'somebody known'}?")
        say(f"   nearest: {_nearest(one) or 'nobody'}")
        click.echo(f"   {KEYS}")
        key = click.getchar().lower()
        if key == "q":
            return
        try:
            if key == "a" and one.subject:
                _confirm_all(queue, answers, one.subject)
            else:
                _pressed(key, one, answers)
        except EdgeError as error:
            say(f"   {error}", err=True)


def _confirm_all(queue: ReviewQueue, answers: ReviewService, subject: str) -> None:
    """Confirm all questions about a subject; prints those that cannot be applied, which stay pending."""
    from edge.core.errors import EdgeError

    waiting = _all_of(queue, subject)
    if not click.confirm(f"   {len(waiting)} questions are all {subject}"):
        return
    for number in waiting:
        try:
            answers.confirm(number)
        except EdgeError as error:
            say(f"   {number}: {error}", err=True)


def _pressed(key: str, one: ReviewQuestion, answers: ReviewService) -> None:
    table: dict[str, Callable[[], object]] = {
        "c": lambda: answers.confirm(one.id),
        "r": lambda: answers.rename(one.id, click.prompt("   who")),
        "n": lambda: answers.new(one.id, click.prompt("   name")),
        "x": lambda: answers.reject(one.id),
        "d": lambda: answers.discard(one.id),
    }
    if key in table:
        table[key]()
        say("   done")
