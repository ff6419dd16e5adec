"""Custom labels: a small classification head on frozen embeddings, trained with a few examples per label.

``manifests`` and ``ground_truth`` read and write ``examples``, ``head`` is trained, ``evaluation`` computes metrics,
``store`` holds versions, ``presence`` debounces labels of whole pictures.
"""
