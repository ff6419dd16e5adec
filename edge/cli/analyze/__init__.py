"""Analysis of stored videos and pictures with the daemon's pipeline, at full speed.

``analysis`` runs the pipeline, ``appearances`` collects tracks, ``page`` and ``annotated`` render the results.
"""
