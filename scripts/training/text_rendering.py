"""Words rendered as cameras see them: fonts on photographs, in perspective, small, blurred, dark, compressed."""

from __future__ import annotations

import re
import string
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from training import augment

ALPHABET = string.digits + string.ascii_letters + string.punctuation
"""The 94 characters that are read; a space ends a word."""
HEIGHT, WIDTH = 32, 160
"""Pixels of a word in the input of the recognizer."""
SIZE = 48
"""Pixels of the font that words are drawn with."""
LONGEST = 16
"""Characters of a word."""
KEPT_SHARE = 6
"""One in so many font families, words and pictures is kept aside for the judging."""
UNUSABLE = re.compile(
    r"symbol|dingbat|d050000|keyboard|initial|outline|hairline|thin|extralight|emoji|icon|"
    r"isabella|z003|blankenburg",
    re.IGNORECASE,
)
"""Fonts that draw no plain letters or too faint ones."""
LEAST_CONTRAST = 0.35
"""Share of a picture's standard deviation that other light leaves of it."""
Rng = np.random.Generator
Font = ImageFont.FreeTypeFont


@dataclass(frozen=True)
class TextSource:
    """Fonts, words and pictures to render text from."""

    families: Sequence[Sequence[Font]]
    """The styles of each font family."""
    words: Sequence[str]
    pictures: Sequence[NDArray[np.uint8]]
    """(H, W, 3) RGB."""

    def font(self, rng: Rng) -> Font:
        """A style of a family, every family as often."""
        family = self.families[int(rng.integers(len(self.families)))]
        return family[int(rng.integers(len(family)))]

    def text(self, rng: Rng, arbitrary: float = 0.16) -> str:
        """A word: of the word list, a number, a plate, a price, a date; `arbitrary`: share of random characters."""
        if rng.random() < arbitrary:
            letters = ALPHABET if rng.random() < 0.4 else string.ascii_letters + string.digits
            return "".join(rng.choice(list(letters), int(rng.integers(1, 11))))
        kind = rng.random()
        if kind < 0.55:
            word = self.words[int(rng.integers(len(self.words)))]
            case = rng.random()
            word = word.upper() if case < 0.4 else word.capitalize() if case < 0.65 else word
            return word + str(rng.choice(list(",.:;!?-"))) if rng.random() < 0.08 else word
        if kind < 0.7:
            return _digits(rng, int(rng.integers(1, 10)))
        return _plate(rng) if kind < 0.88 else _written_number(rng)

    def patch(self, height: int, width: int, rng: Rng) -> NDArray[np.float32]:
        """(height, width, 3) of what is behind a word: a color, a gradient, or a part of a photograph."""
        base = rng.uniform(0, 255) + rng.normal(0, 25, 3)
        if rng.random() < 0.55:
            slope = rng.normal(0, 14, (2, 2, 3)).astype(np.float32)
            return cv2.resize(slope, (width, height), interpolation=cv2.INTER_LINEAR) + base.astype(np.float32)
        picture = self.pictures[int(rng.integers(len(self.pictures)))]
        side = int(rng.integers(20, min(picture.shape[:2]) // 2))
        y, x = (int(rng.integers(0, size - side)) for size in picture.shape[:2])
        part = cv2.resize(picture[y : y + side, x : x + side], (width, height)).astype(np.float32)
        return (part - part.mean()) * rng.uniform(0.2, 0.8) + base.astype(np.float32)

    def sample(self, rng: Rng) -> tuple[NDArray[np.uint8], str]:
        """A word (32, 160, 3) as in the input of the recognizer, and its text."""
        size = int(rng.integers(10, 25)) if rng.random() < 0.65 else int(rng.integers(16, 40))
        while True:
            text = self.text(rng)
            ink = drawn(text, self.font(rng), rng)
            if ink is not None:
                return fitted(photographed(self, ink.cover, rng, size)), text


@dataclass(frozen=True)
class Ink:
    """A drawn word, cut at its ink."""

    cover: NDArray[np.uint8]
    """(h, w) coverage 0..255."""
    rise: float
    """Pixels of it above the baseline."""


def drawn(text: str, font: Font, rng: Rng) -> Ink | None:
    """A word in a font of `SIZE` pixels; None where the font lacks its characters."""
    left, top, right, bottom = font.getbbox(text)
    if right - left < 3 or bottom - top < 3:
        return None
    spread = int(rng.integers(-2, 12)) if rng.random() < 0.25 else 0
    image = Image.new("L", (int(right - left) + max(spread, 0) * len(text) + 4, int(bottom - top) + 4))
    draw = ImageDraw.Draw(image)
    if spread:
        place = 2.0
        for letter in text:
            draw.text((place - left, 2 - top), letter, 255, font)
            place += font.getlength(letter) + spread
    else:
        draw.text((2 - left, 2 - top), text, 255, font)
    ink = np.asarray(image)
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if not len(rows) or not len(columns):
        return None
    rise = font.getmetrics()[0] - (top - 2 + int(rows[0]))
    return Ink(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], float(rise))


def photographed(source: TextSource, ink: NDArray[np.uint8], rng: Rng, size: int) -> NDArray[np.uint8]:
    """A picture of a word that is `size` pixels high, cut out imprecisely, as a detector does."""
    height, width = ink.shape
    scale = size / max(height, 1) * (1.0 if height > 0.45 * SIZE else height / (0.6 * SIZE))
    tall, wide = max(height * scale, 3), max(width * scale * np.exp(rng.normal(0, 0.16)), 2)
    room = rng.uniform(0.02, 0.26, 4) * max(tall, 8)
    out_height, out_width = int(np.ceil(tall + room[0] + room[1])) + 1, int(np.ceil(wide + room[2] + room[3])) + 1
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    goal = np.array([[0, 0], [wide, 0], [wide, tall], [0, tall]]) + np.array([room[2], room[0]])
    goal += rng.normal(0, 0.045, (4, 2)) * tall
    if rng.random() < 0.3:
        goal[:2, 0] += rng.normal(0, 0.2) * tall
    fine = 2
    matrix = cv2.getPerspectiveTransform(corners, (goal * fine).astype(np.float32))
    cover = cv2.warpPerspective(ink, matrix, (out_width * fine, out_height * fine), flags=cv2.INTER_LINEAR)
    cover = cv2.resize(cover, (out_width, out_height), interpolation=cv2.INTER_AREA).astype(np.float32)[..., None] / 255
    behind = source.patch(out_height, out_width, rng)
    color = contrasting(float(np.clip(behind.mean(), 0, 255)), rng)
    if rng.random() < 0.1:
        behind = _shadowed(behind, cover, rng)
    image = behind * (1 - cover) + color * cover
    if rng.random() < 0.15:
        _bordered(image, rng)
    return seen_by_camera(np.clip(image, 0, 255).astype(np.uint8), rng)


def contrasting(mean: float, rng: Rng) -> NDArray[np.float32]:
    """A color of letters on a background of that mean."""
    away = rng.uniform(45, 230) * rng.choice([-1.0, 1.0])
    if not 0 <= mean + away <= 255:
        away = -away
    return np.clip(mean + away + rng.normal(0, 25, 3), 0, 255).astype(np.float32)


def _shadowed(behind: NDArray[np.float32], cover: NDArray[np.float32], rng: Rng) -> NDArray[np.float32]:
    """The background with the shadow of the letters on it."""
    shift = np.float32([[1, 0, rng.uniform(-2, 2)], [0, 1, rng.uniform(-2, 2)]])
    shadow = cv2.warpAffine(cover[..., 0], shift, cover.shape[1::-1])[..., None]
    return behind + (rng.uniform(0, 255) - behind) * shadow * np.float32(rng.uniform(0.2, 0.6))


def _bordered(image: NDArray[np.float32], rng: Rng) -> None:
    """Draw the border of a plate or a line under the word."""
    shade = float(rng.uniform(0, 255))
    if rng.random() < 0.5:
        image[-int(rng.integers(1, 3)) :] = shade
    if rng.random() < 0.5:
        image[: int(rng.integers(1, 3))] = shade
    if rng.random() < 0.4:
        image[:, : int(rng.integers(1, 3))] = shade
    if rng.random() < 0.4:
        image[:, -int(rng.integers(1, 3)) :] = shade


def seen_by_camera(image: NDArray[np.uint8], rng: Rng) -> NDArray[np.uint8]:
    """A picture out of focus, in motion, at night, noisy and compressed, each with a probability of its own."""
    if rng.random() < 0.3:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 0.9))
    if rng.random() < 0.15:
        length = int(rng.integers(2, 5))
        kernel = np.ones((1, length), np.float32) / length
        image = cv2.filter2D(image, -1, kernel if rng.random() < 0.7 else kernel.T)
    if rng.random() < 0.5:
        lit = augment.light(image, rng)
        image = lit if lit.std() > LEAST_CONTRAST * image.std() else image
    if rng.random() < 0.3:
        image = augment.grain(image, rng)
    return augment.compress(image, rng) if rng.random() < 0.3 else image


def fitted(word: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A cut-out word as (32, 160, 3): full height, gray after the end of a short one; a long one is squeezed."""
    height, width = word.shape[:2]
    wide = int(np.clip(round(width * HEIGHT / height), 8, WIDTH))
    area = cv2.INTER_AREA if height > HEIGHT else cv2.INTER_LINEAR
    result = np.full((HEIGHT, WIDTH, 3), 127, np.uint8)
    result[:, :wide] = cv2.resize(word, (wide, HEIGHT), interpolation=area)
    return result


def _digits(rng: Rng, count: int) -> str:
    return "".join(map(str, rng.integers(0, 10, count)))


def _plate(rng: Rng) -> str:
    def letters(least: int, most: int) -> str:
        return "".join(rng.choice(list(string.ascii_uppercase), int(rng.integers(least, most + 1))))

    def digits(least: int, most: int) -> str:
        return _digits(rng, int(rng.integers(least, most + 1)))

    kinds = (
        lambda: letters(1, 3) + str(rng.choice(["-", "", "."])) + digits(2, 4),
        lambda: letters(2, 2) + digits(2, 2) + letters(3, 3),
        lambda: digits(1, 3) + letters(2, 3) + digits(0, 3),
        lambda: letters(2, 2) + "-" + letters(2, 2) + digits(1, 4),
        lambda: letters(2, 4),
    )  # fmt: skip
    return kinds[int(rng.integers(len(kinds)))]()


def _written_number(rng: Rng) -> str:
    whole, part = _digits(rng, int(rng.integers(1, 4))), _digits(rng, 2)
    forms = (
        f"${whole}.{part}", f"{whole}%", f"{part}:{_digits(rng, 2)}", f"{part}/{_digits(rng, 2)}/{_digits(rng, 4)}",
        f"#{whole}", f"{whole},{part}", f"(+{part})", f"No.{whole}", f"{whole}kg", f"{part}-{_digits(rng, 4)}",
        f"www.{'abcdefgh'[int(rng.integers(8))]}{whole}.com", f"{whole}km/h", f"{_digits(rng, 4)}-{part}-{part}",
        f"{whole}m", f"{part}mm", f"{whole}x{part}", f"@{whole}", f"{whole}+{part}", f"&{whole}", f"A{whole}_{part}",
    )  # fmt: skip
    return str(rng.choice(forms))


def gather(font_folder: Path, word_list: Path, picture_folder: Path, kept: bool = False) -> TextSource:
    """Font families, words of a list and pictures; `kept`: those kept aside, which no training sees."""
    files = sorted(path for path in font_folder.rglob("*") if path.suffix.lower() in {".ttf", ".otf"})
    families: dict[str, list[Font]] = {}
    for path in files:
        font = ImageFont.truetype(str(path), SIZE)
        family, style = font.getname()
        if not UNUSABLE.search(f"{family} {style} {path.stem}") and _is_latin(font):
            families.setdefault(_family(str(family)), []).append(font)
    chosen = [styles for name, styles in sorted(families.items()) if _is_kept(name) is kept]
    listed = word_list.read_text(errors="ignore").split()
    words = sorted(word for word in listed if len(word) <= LONGEST - 1 and set(word) <= set(ALPHABET))
    pictures = [
        image
        for path in sorted(picture_folder.glob("*.jpg"))[: 360 if kept else 180]
        if _is_kept(path.name) is kept and (image := _picture(path)) is not None
    ]
    return TextSource(chosen, [word for word in words if _is_kept(word) is kept], pictures)


def _family(name: str) -> str:
    """The first word of a family's name: its condensed and its serif version count as the same."""
    return re.split(r"[\s_-]", name)[0].lower()


def _is_kept(name: str) -> bool:
    return zlib.crc32(name.encode()) % KEPT_SHARE == 0


def _is_latin(font: Font) -> bool:
    """Whether it draws letters, and others for capitals (else case could not be told)."""
    masks = [bytes(font.getmask(letter)) for letter in "aAgGR5"]
    return all(masks) and len(set(masks)) == len(masks)


def _picture(path: Path) -> NDArray[np.uint8] | None:
    image = cv2.imread(str(path), cv2.IMREAD_REDUCED_COLOR_2)
    if image is None or min(image.shape[:2]) < 100:
        return None
    scale = 480 / max(image.shape[:2])
    return np.ascontiguousarray(cv2.resize(image, None, fx=min(scale, 1), fy=min(scale, 1))[..., ::-1])
