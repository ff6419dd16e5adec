"""Model pool of one kind of thread: each model is loaded once, on first use.

An interpreter is not thread-safe, so cameras, pictures of the endpoint and its videos each have their own pool;
users on the same thread share one.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge.core.settings.vision import ModelSettings
    from edge.inference.detector import Detector
    from edge.inference.embedder import Embedder
    from edge.inference.face_attributes import AttributeModel
    from edge.inference.text_recognizer import TextRecognizer


class ModelPool:
    """Detectors, embedders, attribute models and text recognizers by name, with one interpreter each.

    The pool is thread-safe; its models may be used by one thread at a time.

    ``threads``: threads per interpreter; None: ``models.threads``.
    Raises NotFoundError for an unknown model and ModelError for an invalid one.
    """

    def __init__(self, settings: ModelSettings, state: Path, threads: int | None = None) -> None:
        self._settings = settings if threads is None else settings.model_copy(update={"threads": threads})
        self._state = state
        self._lock = threading.Lock()
        self._detectors: dict[str, Detector] = {}
        self._embedders: dict[str, Embedder] = {}
        self._attributes: dict[str, AttributeModel] = {}
        self._recognizers: dict[str, TextRecognizer] = {}

    def clear(self) -> None:
        """Release all models; they are loaded again on their next use."""
        with self._lock:
            self._detectors.clear()
            self._embedders.clear()
            self._attributes.clear()
            self._recognizers.clear()

    def __len__(self) -> int:
        """Number of loaded interpreters."""
        return len(self._detectors) + len(self._embedders) + len(self._attributes) + len(self._recognizers)

    def detector(self, name: str) -> Detector:
        from edge.inference.load import load_detector

        with self._lock:
            if name not in self._detectors:
                self._detectors[name] = load_detector(name, self._settings, self._state)
            return self._detectors[name]

    def embedder(self, name: str) -> Embedder:
        from edge.inference.load import load_embedder

        with self._lock:
            if name not in self._embedders:
                self._embedders[name] = load_embedder(name, self._settings, self._state)
            return self._embedders[name]

    def attributes(self, name: str) -> AttributeModel:
        from edge.inference.load import load_attributes

        with self._lock:
            if name not in self._attributes:
                self._attributes[name] = load_attributes(name, self._settings, self._state)
            return self._attributes[name]

    def recognizer(self, name: str) -> TextRecognizer:
        from edge.inference.load import load_recognizer

        with self._lock:
            if name not in self._recognizers:
                self._recognizers[name] = load_recognizer(name, self._settings, self._state)
            return self._recognizers[name]
