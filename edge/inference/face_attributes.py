"""Face attributes: one model, with calibrated confidences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from edge.core.errors import ModelError
from edge.core.imaging import image as pictures
from edge.core.types import Detection, Picture, Point
from edge.inference.interpreter import Interpreter
from edge.inference.model import Model
from edge.inference.preprocess import Preparation, aligning, squaring

if TYPE_CHECKING:
    from edge.core.types import FloatArray

FACE_IN_BOX = 0.1
"""margin around a box without landmarks, fraction of its longer side"""
AGE_MIDDLE, AGE_SPAN = 40.0, 40.0
"""offset and scale of the age tensor: ``(years - 40) / 40``"""
OLDEST = 110
EYE_WIDTH, EYEBALL = 30.0, 12.0
"""width of an eye between its corners, and radius of the eyeball, millimeters"""
GAZE_LIMIT = 45.0
"""maximum rotation of an eye, degrees"""


@dataclass(frozen=True, slots=True)
class AttributeValue:
    """Value of an attribute and its confidence."""

    value: bool
    probability: float
    """confidence of ``value``, calibrated, 0.5..1"""


@dataclass(frozen=True, slots=True)
class EyeDirection:
    """Eye direction in degrees: yaw positive to the right of the image, pitch positive up."""

    yaw: float
    pitch: float
    probability: float
    """probability 0..1 of an error of at most 10 degrees"""


@dataclass(frozen=True, slots=True)
class FaceAttributes:
    """Attributes of one face."""

    age: tuple[int, int]
    """lower and upper limit of the age, years"""
    values: Mapping[str, AttributeValue]
    """by Rekognition's name; ``Gender`` is true for Male"""
    emotions: Mapping[str, float]
    """probability 0..1 by Rekognition's name, most probable first"""
    landmarks: Mapping[str, Point]
    """by Rekognition's type, fractions of the picture"""
    eyes: EyeDirection


class AttributeModel:
    """A face attribute model. Not thread-safe.

    Raises ModelError where card and file disagree.
    """

    def __init__(self, model: Model, interpreter: Interpreter) -> None:
        card = model.card
        if card.kind != "attributes" or card.attributes is None:
            raise ModelError(
                f"model {card.name!r}: expected a face attribute model, got a {card.kind}",
                "choose another model in api.attribute_model",
            )
        self.model = model
        self.card = card
        self.interpreter = interpreter
        self._shape = card.attributes
        self._positions = interpreter.positions(card.attributes.tensors)
        self._preparation = Preparation(card.input, interpreter.input, f"model {card.name!r}")
        expected = (2 * len(self._shape.landmarks), 1, len(self._shape.names) + len(self._shape.emotions))
        sizes = tuple(math.prod(interpreter.outputs[position].shape) for position in self._positions)
        if sizes != expected:
            raise ModelError(
                f"model {card.name!r}: expected outputs of {expected} numbers by its card, got {sizes}",
                "correct [attributes] in the card",
            )

    def attributes(self, picture: Picture, detection: Detection) -> FaceAttributes:
        """Attributes of the face in a detection's crop. Raises ModelError."""
        size = self.card.input.width, self.card.input.height
        if len(detection.landmarks) == 5:
            matrix = aligning(picture, detection.landmarks, *size, self._shape.room)
        else:
            matrix = squaring(picture, detection.box, FACE_IN_BOX + self._shape.room / 2, *size)
        self.interpreter.invoke(self._preparation.tensor(pictures.warped_rgb(picture, matrix, *size)))
        places, age, logits = (self.interpreter.values(position).reshape(-1) for position in self._positions)
        values = self._values(logits[: len(self._shape.names)].tolist())
        crop = (places.reshape(-1, 2) + 0.5) * size - 0.5
        eyes_open = values["EyesOpen"] if "EyesOpen" in values else AttributeValue(True, 1.0)
        return FaceAttributes(
            age=self._age(float(age[0])),
            values=values,
            emotions=self._emotions(logits[len(self._shape.names) :]),
            landmarks=self._landmarks(crop, matrix, picture),
            eyes=self._eyes(crop, eyes_open),
        )

    def _age(self, answer: float) -> tuple[int, int]:
        years = answer * AGE_SPAN + AGE_MIDDLE
        below, above = self._shape.age
        low = min(max(0, math.floor(years - below)), OLDEST - 1)
        return low, min(OLDEST, max(low + 1, math.ceil(years + above)))

    def _values(self, logits: Sequence[float]) -> dict[str, AttributeValue]:
        """Values with their confidences, limited to the balanced accuracy where that is low."""
        values = {}
        rows = zip(self._shape.names, logits, self._shape.calibration, self._shape.balanced, strict=True)
        for name, logit, (gain, shift), balanced in rows:
            probability = _sigmoid(gain * logit + shift)
            surer = max(probability, 1 - probability)
            limit = balanced if balanced < WEAK else 1.0
            values[name] = AttributeValue(probability >= 0.5, max(0.5, min(surer, limit)))
        return values

    def _emotions(self, logits: FloatArray) -> dict[str, float]:
        scaled = logits / self._shape.temperature
        odds = np.exp(scaled - scaled.max())
        shares = (odds / odds.sum()).tolist()
        return dict(sorted(zip(self._shape.emotions, shares, strict=True), key=lambda pair: -pair[1]))

    def _landmarks(self, crop: FloatArray, matrix: FloatArray, picture: Picture) -> dict[str, Point]:
        """Pixel centers of the crop as fractions of the picture."""
        back = cv2.invertAffineTransform(matrix)
        source = crop @ back[:, :2].T + back[:, 2] + 0.5
        places = zip(self._shape.landmarks, source.tolist(), strict=True)
        return {name: Point(x / picture.width, y / picture.height) for name, (x, y) in places}

    def _eyes(self, crop: FloatArray, eyes_open: AttributeValue) -> EyeDirection:
        """Direction from the offset of the pupils from the middle between the eye corners, in the upright crop."""
        places = dict(zip(self._shape.landmarks, crop, strict=True))
        turns = []
        for side in ("left", "right"):
            first, last, pupil = (places.get(f"{side}{part}") for part in ("EyeLeft", "EyeRight", "Pupil"))
            if first is not None and last is not None and pupil is not None:
                width = max(float(np.hypot(*(last - first))), 1e-3)
                turns.append((pupil - (first + last) / 2) / width * EYE_WIDTH / EYEBALL)
        x, y = np.mean(turns, axis=0).tolist() if turns else (0.0, 0.0)
        is_open = eyes_open.probability if eyes_open.value else 1 - eyes_open.probability
        return EyeDirection(_turned(x), _turned(-y), self._shape.gaze * is_open)


WEAK = 0.75
"""balanced accuracy below which the confidence is limited to it"""


def _turned(sine: float) -> float:
    """Rotation of an eye in degrees."""
    limit = math.sin(math.radians(GAZE_LIMIT))
    return math.degrees(math.asin(min(limit, max(-limit, sine))))


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-min(60.0, max(-60.0, value))))
