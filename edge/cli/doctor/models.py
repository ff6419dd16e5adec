"""The runtime, and each model in a child process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edge.cli.doctor.finding import DoctorContext, Finding, Level
from edge.core.errors import EdgeError
from edge.labels import classifier as custom_labels


def models(patient: DoctorContext) -> Iterator[Finding]:
    """Whether each model that the settings name is here and runs; a bad one kills only its child."""
    from edge.inference import model
    from edge.inference import validation as check
    from edge.inference.interpreter import choose

    settings = patient.settings
    runtime = choose(settings.models.runtime)
    delegate = settings.models.delegate
    if delegate and "/" in delegate and not Path(delegate).exists():
        yield Finding(
            Level.WARNING, "models", f"the delegate {delegate} is not there", "the CPU runs the models",
            "install it, or clear models.delegate",
        )  # fmt: skip
    folders = model.folders(settings.models, patient.state)
    for name in _named(patient):
        try:
            report = check.check(model.find(name, folders), settings.models)
        except EdgeError as error:
            yield Finding.of("models", error)
            continue
        if report.fallback and not delegate:
            yield Finding(Level.WARNING, "models", report.fallback)
        yield Finding(Level.OK, "models", f"{name} runs in {report.invoke_ms:.1f} ms ({report.engine or runtime})")


def _named(patient: DoctorContext) -> list[str]:
    """Every model that the settings name, once."""
    settings = patient.settings
    detectors = [name for camera in settings.cameras if camera.enabled for name in camera.detectors]
    embedders = [label.embedder for label in settings.labels.values() if label.embedder]
    return list(dict.fromkeys([*detectors, *embedders, *custom_labels.backbones(settings, patient.state)]))
