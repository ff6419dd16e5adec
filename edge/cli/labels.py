"""``edge labels``: custom labels from a few examples."""

from __future__ import annotations

import click

from edge.cli.lazy import LazyGroup

COMMANDS = {
    "train": ("edge.cli.labels_train:train", "Learn labels from pictures, and keep them as the next version."),
    "evaluate": ("edge.cli.labels_use:evaluate", "How well a version does on further examples."),
    "predict": ("edge.cli.labels_use:predict", "Which labels are in pictures."),
    "refit": ("edge.cli.labels_use:refit", "Learn from what people confirmed in the review queue."),
    "list": ("edge.cli.labels_train:list_command", "All versions of all labels; the one in use is marked."),
}
"""command -> (where it lives, its line in the help)"""


@click.group(cls=LazyGroup, lazy=COMMANDS)
def labels() -> None:
    r"""Custom labels from a few examples: train, evaluate, predict, refit, list.

    \b
    Example:
      edge labels train pets photos/
      edge labels predict pets visitor.jpg
    """
