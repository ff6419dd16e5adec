"""Embedder: runs an embedding model on detections; embeddings are unit vectors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from edge.core.errors import ModelError
from edge.core.imaging import image as pictures
from edge.core.types import Detection, Embedding, Picture, Quality, Space
from edge.inference import quality
from edge.inference.interpreter import Interpreter
from edge.inference.model import Model
from edge.inference.preprocess import VERSION, Preparation, aligning, squaring
from edge.inference.scoring import scorer_of

if TYPE_CHECKING:
    from edge.core.types import ByteArray, FloatArray


class Embedder:
    """An embedding model. Not thread-safe.

    Raises ModelError if card and file disagree.
    """

    def __init__(self, model: Model, interpreter: Interpreter, limits: quality.QualityLimits = quality.USUAL) -> None:
        card = model.card
        if card.kind != "embedder" or card.embedding is None:
            raise ModelError(f"model {card.name!r}: expected an embedder, got a {card.kind}", "choose another model")
        self.model = model
        self.card = card
        self.interpreter = interpreter
        self.scorer = scorer_of(model)
        """calibrated scores of its embeddings"""
        self.quality_floor = card.quality.look
        """minimum quality 0..1 of a crop to be embedded"""
        self.space = Space(model.sha256, interpreter.engine, VERSION, card.embedding.dimensions)
        self._shape = card.embedding
        self._limits = limits
        self._preparation = Preparation(card.input, interpreter.input, f"model {card.name!r}")
        self._picture: Picture | None = None
        self._memory: dict[int, tuple[ByteArray, Quality, Detection]] = {}
        """by ``id()`` of the detection, which is referenced here so that the id stays valid; hashing it is slower"""

    def assess(self, picture: Picture, detection: Detection) -> Quality:
        """Quality of a detection's crop."""
        return self._seen(picture, detection)[1]

    def embed(self, picture: Picture, detections: Sequence[Detection], *, still: bool = False) -> list[Embedding]:
        """One embedding per detection, in order. Raises ModelError.

        ``still``: a picture to enroll or search by, rather than a camera's frame. If the
        card sets ``mirror``, the embedding of the mirrored crop is averaged in: more accurate, one more inference.
        """
        if not detections:
            return []
        seen = [self._seen(picture, detection) for detection in detections]
        self._picture = None
        self._memory.clear()
        vectors = self._vectors([crop for crop, *_ in seen])
        if still and self._shape.mirror:
            vectors = self._unit(vectors + self._vectors([np.ascontiguousarray(crop[:, ::-1]) for crop, *_ in seen]))
        return [Embedding(vector, self.space, found) for vector, (_, found, _) in zip(vectors, seen, strict=True)]

    def crop(self, picture: Picture, detection: Detection) -> ByteArray:
        """The (height, width, 3) crop of a detection that the model receives."""
        card = self.card.input
        if self._shape.crop == "arcface" and len(detection.landmarks) == 5:
            matrix = aligning(picture, detection.landmarks, card.width, card.height)
        else:
            matrix = squaring(picture, detection.box, self._shape.margin, card.width, card.height)
        return pictures.warped_rgb(picture, matrix, card.width, card.height)

    def _seen(self, picture: Picture, detection: Detection) -> tuple[ByteArray, Quality, Detection]:
        """The crop and its quality, cached per picture: it is assessed first and embedded later."""
        if self._picture is not picture:
            self._picture = picture
            self._memory.clear()
        seen = self._memory.get(id(detection))
        if seen is None:
            crop = self.crop(picture, detection)
            seen = crop, quality.quality(picture, detection, crop, self._limits), detection
            self._memory[id(detection)] = seen
        return seen

    def _vectors(self, crops: Sequence[ByteArray]) -> FloatArray:
        """(k, D) of length 1. Raises ModelError."""
        vectors: FloatArray = np.empty((len(crops), self._shape.dimensions), np.float32)
        for row, crop in zip(vectors, crops, strict=True):
            self.interpreter.invoke(self._preparation.tensor(crop))
            vector = self.interpreter.values(0)
            if vector.size != row.size:
                raise ModelError(
                    f"model {self.card.name!r}: expected {row.size} dimensions, got {vector.size}",
                    "correct embedding.dimensions in the card",
                )
            row[:] = vector.reshape(-1)
        return self._unit(vectors)

    def _unit(self, vectors: FloatArray) -> FloatArray:
        """(k, D) scaled to length 1. Raises ModelError for a zero or a vector that is not finite."""
        # Python numbers: for the few rows of a frame cheaper than one more array operation. NaN compares false
        squares = [float(vector.dot(vector)) for vector in vectors]
        if not all(1e-18 < square < math.inf for square in squares):
            raise ModelError(
                f"model {self.card.name!r}: returned an embedding that is zero or not finite",
                "edge models check shows details",
            )
        for vector, square in zip(vectors, squares, strict=True):
            vector /= np.float32(math.sqrt(square))
        return vectors
