"""Custom labels: a small head on frozen embeddings, learned from a few examples a label.

``manifests`` and ``ground_truth`` read and write ``examples``, ``heads`` learns, ``evaluation`` tells how well,
``store`` keeps versions, ``dwell`` tells when a label of the whole picture is there.
"""

from edge.labels.evaluation import Evaluation, evaluate, examine, split
from edge.labels.examples import Example, Mark
from edge.labels.head import Head, fit
from edge.labels.store import Labels
from edge.labels.version import Made, Version

__all__ = ["Evaluation", "Example", "Head", "Labels", "Made", "Mark", "Version", "evaluate", "examine", "fit", "split"]
