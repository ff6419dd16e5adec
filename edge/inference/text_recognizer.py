"""Text recognition: the text of a word in a picture, by a model of its columns (CTC, Graves et al., ICML 2006)."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge.core.errors import ModelError
from edge.core.imaging import image as pictures
from edge.core.types import Picture, Point
from edge.inference.interpreter import Interpreter
from edge.inference.model import Model
from edge.inference.preprocess import Preparation

if TYPE_CHECKING:
    from edge.core.types import ByteArray, FloatArray

GRAY = 127
"""value of the input after the end of a short word"""
SHORTEST = 8
"""minimum length of a word in the input, pixels"""
SMALLEST = 1.0
"""minimum width and height of a word in the picture, pixels"""
SAME_SHAPE = frozenset("cosuvwxz")
"""letters whose capitals have the same shape: their case is that of the other letters of the word"""
DIGITS = {"O": "0", "o": "0", "l": "1", "I": "1"}
"""letters that look like digits"""
UPPER = {"0": "O", "1": "I", "2": "Z", "5": "S", "l": "I"}
LOWER = {"0": "o", "1": "l", "5": "s"}
"""characters between letters that are letters themselves"""
BRITISH = re.compile(r"[A-Z0]{2}[0-9OI]{2}[A-Z0]{3}")
"""number plates since 2001: two letters, two digits, three letters"""
SPELLED = 3
"""letters of a word from which a digit among them is a letter"""


def consistent(text: str) -> str:
    """The text of a word, with characters that only their context tells apart made like the others of the word.

    ``DoCK`` is ``DOCK``, ``StatiOn`` is ``Station``, ``2O5`` is ``205``, ``EXlT`` is ``EXIT``, ``0pen`` is ``Open``,
    ``CM5OXGW`` is ``CM50XGW``; ``AB-105`` and ``MODEL5`` stay as they are.
    """
    if BRITISH.fullmatch(text):
        digits = text[2:4].replace("O", "0").replace("I", "1")
        return text[:2].replace("0", "O") + digits + text[4:].replace("0", "O")
    text = _spelled(re.sub("(?<=[0-9])[Oo](?=[0-9])", "0", text))
    letters = [letter for letter in text if letter.isalpha()]
    if all(letter in DIGITS for letter in letters) and any(digit in "23456789" for digit in text):
        return "".join(DIGITS.get(letter, letter) for letter in text)
    certain = [letter for letter in text[1:] if letter.isalpha() and letter.lower() not in SAME_SHAPE]
    if certain and all(letter.isupper() for letter in certain):
        text = "".join(letter.upper() if letter in SAME_SHAPE else letter for letter in text)
        has_digits = any(digit in "123456789" for digit in text)
        return text if has_digits else re.sub("(?<=[A-Z])0(?=[A-Z])", "O", text)
    if certain and all(letter.islower() for letter in certain):
        return text[:1] + "".join(letter.lower() if letter.lower() in SAME_SHAPE else letter for letter in text[1:])
    return text


def _spelled(text: str) -> str:
    """The text, with a digit among the letters of a word made a letter; unchanged where it has another digit."""
    count = sum(letter.isalpha() for letter in text)
    found = {letter for letter in text if letter.isdigit()}
    if count < SPELLED or len(found) > 1:
        return text
    text = re.sub("(?<=[A-Z])[0125l](?=[A-Z])", lambda found: UPPER[found[0]], text)
    text = re.sub("(?<=[a-z])[015](?=[a-z])", lambda found: LOWER[found[0]], text)
    return re.sub("^0(?=[A-Za-z])", "O", text)


@dataclass(frozen=True, slots=True)
class RecognizedText:
    """Text of a word."""

    text: str
    probability: float
    """confidence that all of it is right, calibrated, 0..1"""


class TextRecognizer:
    """A text recognition model. Not thread-safe. Its input is transposed: x runs down the word, y along it.

    Raises ModelError where card and file disagree.
    """

    def __init__(self, model: Model, interpreter: Interpreter) -> None:
        card = model.card
        if card.kind != "recognizer" or card.text is None:
            raise ModelError(
                f"model {card.name!r}: expected a text recognizer, got a {card.kind}", "choose another model"
            )
        self.model = model
        self.card = card
        self.interpreter = interpreter
        self._shape = card.text
        self._preparation = Preparation(card.input, interpreter.input, f"model {card.name!r}")
        shape, expected = interpreter.outputs[0].shape, len(card.text.characters) + 1
        if shape[-1] != expected:
            raise ModelError(
                f"model {card.name!r}: expected {expected} classes by its card, got an output of {shape}",
                "correct text.characters in the card: one fewer than the classes of the file",
            )

    def recognize(self, picture: Picture, corners: Sequence[Point]) -> RecognizedText:
        """Text of the word with these four corners, clockwise from its top left. Raises ModelError."""
        self.interpreter.invoke(self._preparation.tensor(self.crop(picture, corners)))
        return self._decoded(self.interpreter.values(0).reshape(-1, len(self._shape.characters) + 1))

    def crop(self, picture: Picture, corners: Sequence[Point]) -> ByteArray:
        """(length, height, 3) pixels of the input; a word that is too long is squeezed."""
        length, height = self.card.input.height, self.card.input.width
        size = np.array([picture.width, picture.height])
        start, end, _, below = (np.array([point.x, point.y]) * size - 0.5 for point in corners)
        along, down = end - start, below - start
        wide, high = max(float(np.hypot(*along)), SMALLEST), max(float(np.hypot(*down)), SMALLEST)
        right, under = along / wide, down / high
        if abs(right[0] * under[1] - right[1] * under[0]) < 0.1:
            under = np.array([-right[1], right[0]]) if np.hypot(*right) > 0.5 else np.array([0.0, 1.0])
            right = np.array([under[1], -under[0]])
        room = self._shape.margin * high
        origin = start - room * (right + under)
        scale_down = (high + 2 * room) / height
        columns = int(min(length, max(SHORTEST, round((wide + 2 * room) / scale_down))))
        scale_along = (wide + 2 * room) / columns
        forward = np.column_stack([under * scale_down, right * scale_along])  # input to picture
        back = np.linalg.inv(forward)
        matrix: FloatArray = np.column_stack([back, -back @ origin - 0.5]).astype(np.float32)
        crop = pictures.warped_rgb(picture, matrix, height, length)
        if columns < length:
            crop = crop.copy()
            crop[columns:] = GRAY
        return crop

    def _decoded(self, logits: FloatArray) -> RecognizedText:
        """The best class of every column, repetitions and blanks left out."""
        shifted = logits - logits.max(axis=1, keepdims=True)
        best = logits.argmax(axis=1)
        log_share = float(-np.log(np.exp(shifted).sum(axis=1)).sum())
        fresh = np.concatenate([[True], best[1:] != best[:-1]])
        characters = self._shape.characters
        text = consistent("".join(characters[number] for number in best[fresh].tolist() if number < len(characters)))
        if not text:
            return RecognizedText("", 0.0)
        gain, shift = self._shape.calibration
        share = min(max(math.exp(log_share), 1e-9), 1 - 1e-6)
        value = gain * math.log(share / (1 - share)) + shift
        return RecognizedText(text, 1 / (1 + math.exp(-min(60.0, max(-60.0, value)))))
