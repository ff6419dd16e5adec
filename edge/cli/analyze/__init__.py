"""Stored videos and pictures through the daemon's own pipeline, as fast as the machine allows.

``analysis`` runs it, ``appearances`` remembers who was there and when, ``page`` and ``annotated`` show it to people.
"""

from edge.cli.analyze.analysis import Analysis, Step
from edge.cli.analyze.appearances import Appearance, Appearances

__all__ = ["Analysis", "Appearance", "Appearances", "Step"]
