"""Checks of the custom labels in the settings of cameras: present, intact, and matching their backbone."""

from __future__ import annotations

from collections.abc import Iterator

from edge.cli.doctor.finding import DoctorContext, Finding, Level
from edge.core.errors import EdgeError
from edge.labels import classifier as versions


def custom_labels(context: DoctorContext) -> Iterator[Finding]:
    """Check that each version can be used with the installed models."""
    from edge.core.types import Space
    from edge.inference import model
    from edge.inference.interpreter import choose
    from edge.inference.preprocess import VERSION
    from edge.releases.activation import in_force, replaced_models

    settings = in_force(context.settings, context.state)
    replaces = replaced_models(context.state)
    folders = model.folders(settings.models, context.state)
    for name in versions.named(settings):
        try:
            version, store = versions.find(name, context.state)
            versions.check_detectors(name, version, settings, replaces)
            found = model.find(version.base, folders)
            dimensions = found.card.embedding.dimensions if found.card.embedding else 0
            space = Space(found.sha256, choose(settings.models.runtime), VERSION, dimensions)
            versions.check_space(version, space.fingerprint)
            store.head(version)
        except EdgeError as error:
            yield Finding.of("custom_labels", error, level=Level.WARNING)
            continue
        words = f"{name}: version {version.number}, {len(version.labels)} labels, F1 {version.f1:.2f}"
        yield Finding(Level.OK, "custom_labels", words)
