"""Files that ship inside the package."""

from __future__ import annotations

from pathlib import Path

DATA = Path(__file__).parents[1] / "data"
"""pages, portraits, catalog and taxonomy; in a wheel the models as well"""

CHECKOUT_MODELS = Path(__file__).parents[2] / "models"
"""models beside the package, where the package is used from a checkout"""
