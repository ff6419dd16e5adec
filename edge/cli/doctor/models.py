"""Checks of the runtime, and of each model in a child process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from edge.cli.doctor.finding import DoctorContext, Finding, Level
from edge.core.errors import EdgeError
from edge.labels import classifier as custom_labels


def models(context: DoctorContext) -> Iterator[Finding]:
    """Check that each model in the settings is installed and runs; a crash ends only its child process."""
    from edge.inference import model
    from edge.inference import validation as check
    from edge.inference.interpreter import choose

    settings = context.settings
    runtime = choose(settings.models.runtime)
    delegate = settings.models.delegate
    if delegate and "/" in delegate and not Path(delegate).exists():
        yield Finding(
            Level.WARNING, "models", f"the delegate {delegate} does not exist", "the CPU runs the models",
            "install it, or clear models.delegate",
        )  # fmt: skip
    folders = model.folders(settings.models, context.state)
    for name in _named(context):
        try:
            report = check.check(model.find(name, folders), settings.models)
        except EdgeError as error:
            yield Finding.of("models", error)
            continue
        if report.fallback and not delegate:
            yield Finding(Level.WARNING, "models", report.fallback)
        yield Finding(Level.OK, "models", f"{name} runs in {report.invoke_ms:.1f} ms ({report.engine or runtime})")

    if settings.api.enabled and not _knows_objects(context, folders):
        yield Finding(
            Level.NOTE, "models", "no detector has labels other than faces",
            "DetectLabels, label detection in videos, people tracking and ConnectedHome processors detect only faces",
            "edge models get ssd-mobilenet-v1-coco --use",
        )  # fmt: skip


def _knows_objects(context: DoctorContext, folders: Sequence[Path]) -> bool:
    """Whether a detector in use has labels other than faces."""
    from edge.inference import model

    settings = context.settings
    cameras = (name for camera in settings.cameras if camera.enabled for name in camera.detectors)
    for name in dict.fromkeys(settings.api.detectors or cameras):
        with suppress(EdgeError):
            if set(model.find(name, list(folders)).card.labels) - {settings.api.label}:
                return True
    return False


def _named(context: DoctorContext) -> list[str]:
    """Names of all models in the settings, without duplicates."""
    settings = context.settings
    detectors = [name for camera in settings.cameras if camera.enabled for name in camera.detectors]
    embedders = [label.embedder for label in settings.labels.values() if label.embedder]
    return list(dict.fromkeys([*detectors, *embedders, *custom_labels.backbones(settings, context.state)]))
