"""Custom labels: a small head on frozen embeddings, learned from a few examples a label.

``manifests`` and ``ground_truth`` read and write ``examples``, ``heads`` learns, ``evaluation`` tells how well,
``store`` keeps versions, ``dwell`` tells when a label of the whole picture is there.
"""
