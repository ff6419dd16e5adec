"""``edge labels``: custom labels from a few examples."""

from __future__ import annotations

import click

from edge.cli.lazy import LazyGroup

COMMANDS = {
    "train": ("edge.cli.labels_train:train", "Train labels on pictures, and save them as a new version."),
    "evaluate": ("edge.cli.labels_use:evaluate", "Measure a version on further examples."),
    "predict": ("edge.cli.labels_use:predict", "Classify pictures."),
    "refit": ("edge.cli.labels_use:refit", "Retrain with the answers of the review queue."),
    "list": ("edge.cli.labels_train:list_command", "All versions of all labels; the one in use is marked."),
}
"""command -> (module:attribute, help line)"""


@click.group(cls=LazyGroup, lazy=COMMANDS)
def labels() -> None:
    r"""Custom labels from a few examples: train, evaluate, predict, refit, list.

    \b
    Example:
      edge labels train pets photos/
      edge labels predict pets visitor.jpg
    """
