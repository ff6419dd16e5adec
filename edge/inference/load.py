"""Model loading: validated models by name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edge.core.settings.vision import ModelSettings
from edge.inference import model
from edge.inference import validation as check
from edge.inference.detector import Detector
from edge.inference.embedder import Embedder
from edge.inference.interpreter import Interpreter

if TYPE_CHECKING:
    from edge.inference.face_attributes import AttributeModel
    from edge.inference.text_recognizer import TextRecognizer


def load_detector(name: str, settings: ModelSettings, state: Path) -> Detector:
    """The detector of that name, validated in a child process first. Raises NotFoundError, ModelError."""
    found = trusted(name, settings, state)
    return Detector(found, interpreter(found.path, settings))


def load_embedder(name: str, settings: ModelSettings, state: Path) -> Embedder:
    """The embedder of that name, validated in a child process first. Raises NotFoundError, ModelError."""
    found = trusted(name, settings, state)
    return Embedder(found, interpreter(found.path, settings))


def load_attributes(name: str, settings: ModelSettings, state: Path) -> AttributeModel:
    """The face attribute model of that name, validated in a child process first. Raises NotFoundError, ModelError."""
    from edge.inference.face_attributes import AttributeModel

    found = trusted(name, settings, state)
    return AttributeModel(found, interpreter(found.path, settings))


def load_recognizer(name: str, settings: ModelSettings, state: Path) -> TextRecognizer:
    """The text recognizer of that name, validated in a child process first. Raises NotFoundError, ModelError."""
    from edge.inference.text_recognizer import TextRecognizer

    found = trusted(name, settings, state)
    return TextRecognizer(found, interpreter(found.path, settings))


def trusted(name: str, settings: ModelSettings, state: Path) -> model.Model:
    """The model of that name, validated first (unless ``models.check`` is off). Raises NotFoundError, ModelError."""
    found = model.find(name, model.folders(settings, state))
    if settings.check:
        check.ensure(found, settings, state)
    return found


def interpreter(path: Path, settings: ModelSettings) -> Interpreter:
    """Interpreter of a file with the configured runtime, threads and delegate. Raises ModelError."""
    return Interpreter(path, settings.runtime, settings.threads, settings.delegate)
