"""Tables of names that a configuration may use, and where each lives: ``"module:attribute"``.

A name is imported when it is chosen, not before. ``load`` also takes ``your.module:attribute`` itself, so
anybody can add a source or a decoder without changing this file.
"""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from typing import Any

from edge.core.errors import SettingsError

SOURCES = {
    "auto": "edge.sources.auto:Auto",
    "picamera2": "edge.sources.picamera2:PiCamera2",
    "rtsp": "edge.sources.av:RtspStream",
    "http": "edge.sources.av:HttpStream",
    "v4l2": "edge.sources.av:V4l2Camera",
    "video": "edge.sources.av:VideoFile",
    "images": "edge.sources.images:ImageFolder",
    "synthetic": "edge.sources.synthetic:Synthetic",
}

DECODERS = {
    "ssd_postprocessed": "edge.inference.decoders.ssd:decode",
    "yolov8": "edge.inference.decoders.yolov8:decode",
    "prior_box_faces": "edge.inference.decoders.prior_box_faces:decode",
    "blazeface": "edge.inference.decoders.blazeface:decode",
    "anchor_free_faces": "edge.inference.decoders.anchor_free_faces:decode",
    "text_regions": "edge.inference.decoders.text_regions:decode",
}


def load(kind: str, table: dict[str, str], name: str) -> Any:
    """What ``name`` stands for in ``table``, or the attribute that ``module:attribute`` names.

    Raises SettingsError with the known names, or with what could not be imported.
    """
    module_name, attribute = where(kind, table, name)
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise SettingsError(
            f"{kind} {name!r} needs the module {module_name!r}, which cannot be imported: {error}",
            f"install what {module_name} needs",
        ) from error
    if not hasattr(module, attribute):
        raise SettingsError(f"{kind} {name!r}: module {module_name!r} has no {attribute!r}", "check the name")
    return getattr(module, attribute)


def where(kind: str, table: dict[str, str], name: str) -> tuple[str, str]:
    """(module, attribute) that ``name`` stands for; nothing is imported. Raises SettingsError with the known names."""
    module_name, separator, attribute = table.get(name, name).partition(":")
    if not separator:
        known = ", ".join(sorted(table))
        raise SettingsError(
            f"{kind}: expected one of {known}, or module:attribute, got {name!r}",
            f"use one of the known names for {kind}",
        )
    return module_name, attribute


EXTRAS = {
    "api": ("starlette", "tomlkit", "uvicorn"),
    "sync": ("tuf",),
    "hub": ("tuf", "securesystemslib"),
    "heic": ("pillow_heif",),
}
"""packages of each extra of this package"""


def want(extra: str, what: str) -> None:
    """Raise SettingsError where what is asked for (``the endpoint needs``) cannot be had without an extra of ours."""
    for package in EXTRAS[extra]:
        if find_spec(package) is None:
            raise SettingsError(f"{what} the package {package}", f"pip install 'rekognition-edge[{extra}]'")
