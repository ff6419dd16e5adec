"""Custom labels: a small head on frozen embeddings, learned from a few examples a label.

``manifests`` reads and writes examples, ``heads`` learns, ``evaluation`` tells how well, ``store`` keeps versions.
"""

from edge.labels.evaluation import Evaluation, evaluate, split
from edge.labels.heads import Head, fit
from edge.labels.manifests import Example, Mark
from edge.labels.store import Labels, Version

__all__ = ["Evaluation", "Example", "Head", "Labels", "Mark", "Version", "evaluate", "fit", "split"]
