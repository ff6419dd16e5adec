"""``edge analyze``: analyzes stored videos and pictures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.cli.output import ProgressBar, bar, json_text, settings
from edge.cli.paths import InputPath

if TYPE_CHECKING:
    from edge.cli.analyze.analysis import Analysis, Step
    from edge.cli.analyze.annotated import AnnotatedVideo
    from edge.cli.analyze.appearances import Appearances
    from edge.core.settings.schema import Settings
    from edge.core.settings.vision import CameraSettings


@click.command()
@click.argument("sources", type=InputPath(), nargs=-1, required=True)
@click.option("--camera", "name", help="Use the detectors, labels and zones of this camera; default: the first.")
@click.option("--fps", type=click.FloatRange(0.1, 120), help="Analyzed frames per second; default: the camera's.")
@click.option("--video", type=click.Path(path_type=Path, dir_okay=False), help="Write an annotated video.")
@click.option("--page", type=click.Path(path_type=Path, dir_okay=False), help="Write an index of appearances (HTML).")
@click.pass_context
def analyze(
    ctx: click.Context,
    sources: tuple[Path, ...],
    name: str | None,
    fps: float | None,
    video: Path | None,
    page: Path | None,
) -> None:
    r"""Analyze stored videos and pictures as fast as this machine allows.

    SOURCES are videos, pictures, or folders of them. Events are printed as lines of JSON with the time of the video.
    Pictures are independent of each other. Uses the collections of the state folder without changing them; nothing is
    published to the broker. Exit code 3: nothing was detected.

    \b
    Example:
      edge analyze visit.mp4 --video seen.mp4 --page who.html
      edge analyze photos/ > events.jsonl
    """
    from edge.cli.analyze.analysis import Analysis, is_picture, stored_files
    from edge.cli.analyze.appearances import Appearances
    from edge.core.settings import loader as config
    from edge.recognition.store.collections import Collections

    chosen = settings(ctx)
    camera = _camera(chosen, name, fps)
    files = stored_files(sources)
    if video and (len(files) != 1 or is_picture(files[0])):
        raise click.UsageError("--video requires exactly one video as SOURCE")
    seen = Appearances()
    with ExitStack() as stack:
        state = config.state_folder(chosen)
        collections = stack.enter_context(Collections(state, chosen.collection, maintain=False))
        analysis = Analysis(chosen, state, collections, camera)
        for problem in analysis.problems.values():
            click.echo(f"warning: {problem}", err=True)
        annotated = _annotated(stack, video, camera.fps)
        for step in _steps(analysis, files):
            seen.look(step)
            if annotated is not None:
                annotated.write(step.frame, step.tracks)
            _print(step)
    if page is not None:
        _write_page(page, files, seen)
    if not seen.ended:
        ctx.exit(3)


def _camera(settings: Settings, name: str | None, fps: float | None) -> CameraSettings:
    found = [camera for camera in settings.cameras if name in (None, camera.name)]
    if not found:
        names = ", ".join(camera.name for camera in settings.cameras)
        raise click.UsageError(f"--camera: expected one of {names}, got {name!r}")
    return found[0].model_copy(update={"fps": fps or found[0].fps})


def _annotated(stack: ExitStack, video: Path | None, fps: float) -> AnnotatedVideo | None:
    if video is None:
        return None
    from edge.cli.analyze.annotated import AnnotatedVideo

    return stack.enter_context(AnnotatedVideo(video, fps))


def _steps(analysis: Analysis, files: list[Path]) -> Iterator[Step]:
    """All steps of all files, with a progress bar in pictures or seconds of video. Skips unreadable files."""
    from edge.cli.analyze.analysis import is_picture

    pictures = [file for file in files if is_picture(file)]
    if pictures:
        with bar("pictures", len(pictures)) as progress:
            for file in pictures:
                yield from _readable(file, analysis.picture(file))
                progress.advance()
    for file in files:
        if not is_picture(file):
            yield from _video(analysis, file)


def _video(analysis: Analysis, file: Path) -> Iterator[Step]:
    from edge.sources.av import seconds

    length = seconds(file)
    with bar(f"{file.name}, seconds", length and round(length)) as progress:
        done = 0.0
        for step in _readable(file, analysis.video(file)):
            yield step
            done = _advanced(progress, done, step.frame.video_time or 0.0)


def _advanced(progress: ProgressBar, done: float, now: float) -> float:
    progress.advance(now - done)
    return now


def _readable(file: Path, steps: Iterator[Step]) -> Iterator[Step]:
    from edge.core.errors import InputError, SourceError

    try:
        yield from steps
    except (InputError, SourceError) as error:
        click.echo(f"skipped  {file}: {error.message}", err=True)


def _print(step: Step) -> None:
    from edge.mqtt.messages import event_document

    for event in step.events:
        document = {"source": str(step.source), **event_document(event)}
        click.echo(json_text(document))


def _write_page(page: Path, files: list[Path], seen: Appearances) -> None:
    from edge.cli.analyze.page import page as document
    from edge.core.errors import StoreError
    from edge.core.storage import files as whole

    title = files[0].name if len(files) == 1 else f"{len(files)} files"
    try:
        whole.write_bytes(page, document(title, seen.by_name()).encode(), mode=0o644)
    except OSError as error:
        raise StoreError(
            f"page {page}: cannot be written: {error.strerror}", "choose a file in a writable folder"
        ) from error
