"""Packages that only some installations have."""

from __future__ import annotations

from importlib.util import find_spec

from edge.core.errors import SettingsError

EXTRAS = {
    "api": ("starlette", "uvicorn"),
    "sync": ("tuf", "urllib3"),
    "hub": ("tuf", "securesystemslib"),
}
"""what an extra of ours must have brought"""


def want(extra: str, what: str) -> None:
    """Raise SettingsError where what is asked for (``the endpoint needs``) cannot be had without an extra of ours."""
    for package in EXTRAS[extra]:
        if find_spec(package) is None:
            raise SettingsError(f"{what} the package {package}", f"pip install 'edge[{extra}]'")
