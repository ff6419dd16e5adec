"""Training pictures for the detector: labeled faces at every size on every background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from training import data
from training.augment import compress, grain, light
from training.backgrounds import Backgrounds

SIZE = (320, 240)
GRAY = 114
SMALLEST = 9.0
"""Height in pixels below which a face is neither asked for nor forbidden."""


@dataclass
class Scene:
    """A picture being composed and the faces in it, in pixels."""

    image: NDArray[np.uint8]
    boxes: list[NDArray[np.float32]] = field(default_factory=list)
    """Of a face whose points are NaN nothing is asked: it is uncertain or mostly cut off."""
    points: list[NDArray[np.float32]] = field(default_factory=list)
    taken: list[tuple[int, int, int, int]] = field(default_factory=list)

    def is_free(self, left: int, top: int, right: int, bottom: int) -> bool:
        """Whether nothing was pasted there yet."""
        return all(
            right <= other[0] or left >= other[2] or bottom <= other[1] or top >= other[3] for other in self.taken
        )


class Composer:
    """Composes scene number N of a seed."""

    def __init__(
        self,
        images: Sequence[NDArray[np.uint8]],
        pictures: Sequence[data.Picture],
        backgrounds: Backgrounds,
    ) -> None:
        self._images, self._pictures, self._backgrounds = images, pictures, backgrounds

    def scene(self, rng: np.random.Generator) -> Scene:
        """One 320 x 240 scene with its faces."""
        choice = rng.random()
        if choice < 0.24:
            scene = self._photo(rng)
        elif choice < 0.58:
            scene = self._scattered(rng, int(rng.integers(1, 7)), (10, 170))
        elif choice < 0.78:
            scene = self._scattered(rng, int(rng.integers(8, 26)), (9, 36))
        else:
            scene = Scene(self._backgrounds.make(SIZE, rng))
            self._decoys(scene, rng, int(rng.integers(1, 8)))
        scene.image = _camera(scene.image, rng)
        return scene

    def _photo(self, rng: np.random.Generator) -> Scene:
        """One whole picture, as large as the canvas or nearly so."""
        plain = np.full((SIZE[1], SIZE[0], 3), GRAY, np.uint8)
        letterbox = rng.random() < 0.5
        scene = Scene(plain if letterbox else self._backgrounds.make(SIZE, rng))
        index = int(rng.integers(len(self._images)))
        image = self._images[index]
        side = SIZE[1] if letterbox else int(rng.uniform(130, 420))
        window = (0, 0, image.shape[1], image.shape[0])
        if letterbox and rng.random() < 0.7:
            window = _shrink(window, rng) if rng.random() < 0.6 else _cut(window, self._one_of(index, rng).box, rng)
        share = side / max(window[2] - window[0], window[3] - window[1])
        width, height = (int(share * (window[2 + axis] - window[axis])) for axis in (0, 1))
        left, top = (SIZE[0] - width) // 2, (SIZE[1] - height) // 2
        if not letterbox:
            left += int(rng.normal(0, 60))
            top += int(rng.normal(0, 40))
        self._paste(scene, index, window, (left, top, left + width, top + height), rng)
        return scene

    def _scattered(self, rng: np.random.Generator, count: int, heights: tuple[float, float]) -> Scene:
        """Faces with some of what surrounds them, here and there."""
        scene = Scene(self._backgrounds.make(SIZE, rng))
        together = rng.random() < 0.5
        common = np.exp(rng.uniform(*np.log(heights)))
        for _ in range(count):
            index = int(rng.integers(len(self._images)))
            face = self._one_of(index, rng)
            spread = np.exp(rng.normal(0, 0.15)) * common
            height = spread if together else np.exp(rng.uniform(*np.log(heights)))
            window = _around(face.box, self._images[index].shape, rng)
            if rng.random() < 0.12:
                window = _cut(window, face.box, rng)
            share = height / (face.box[3] - face.box[1])
            width, tall = (int(share * (window[2 + a] - window[a])) for a in (0, 1))
            for _ in range(6):
                left, top = (_somewhere(s, most, rng) for s, most in zip((width, tall), SIZE, strict=True))
                place = (left, top, left + width, top + tall)
                if min(width, tall) >= 4 and scene.is_free(*place):
                    self._paste(scene, index, window, place, rng)
                    break
        if rng.random() < 0.5:
            self._decoys(scene, rng, int(rng.integers(1, 4)))
        return scene

    def _one_of(self, index: int, rng: np.random.Generator) -> data.FaceLabel:
        faces = self._pictures[index].labeled
        return faces[int(rng.integers(len(faces)))]

    def _paste(
        self,
        scene: Scene,
        index: int,
        window: tuple[int, int, int, int],
        place: tuple[int, int, int, int],
        rng: np.random.Generator,
    ) -> None:
        """Put a window of a picture at a place of the scene, turned, mirrored and lit anew."""
        piece, boxes, points = _turned(self._images[index], self._pictures[index], window, rng)
        width, height = place[2] - place[0], place[3] - place[1]
        smaller = width < piece.shape[1] and rng.random() < 0.8
        interpolation = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
        scale = np.array([width / piece.shape[1], height / piece.shape[0]], np.float32)
        piece = cv2.resize(piece, (width, height), interpolation=interpolation)
        if rng.random() < 0.6:
            piece = light(piece, rng)
        _blend(scene.image, piece, place, _mask(width, height, rng))
        scene.taken.append(place)
        corner = np.array(place[:2], np.float32)
        for box, face_points in zip(boxes, points, strict=True):
            scene.boxes.append(box * np.tile(scale, 2) + np.tile(corner, 2))
            scene.points.append(face_points * scale + corner)

    def _decoys(self, scene: Scene, rng: np.random.Generator, count: int) -> None:
        """Things that have a face's colors but are none: shuffled faces, a part of one, large."""
        for _ in range(count):
            index = int(rng.integers(len(self._images)))
            box = data.central_face(self._pictures[index], self._images[index].shape[1::-1]).box
            left, top, right, bottom = np.maximum(box, 0).astype(int)
            face = self._images[index][top:bottom, left:right]
            side = int(np.exp(rng.uniform(np.log(14), np.log(110))))
            place = tuple(int(rng.uniform(0, SIZE[axis] - side)) for axis in (0, 1))
            spot = (place[0], place[1], place[0] + side, place[1] + side)
            if min(face.shape[:2]) < 32 or not scene.is_free(*spot):
                continue
            decoy = _shuffled(face, side, rng) if rng.random() < 0.6 else _detail(face, side, rng)
            _blend(scene.image, decoy, spot, _mask(side, side, rng))
            scene.taken.append(spot)


def _somewhere(side: int, room: int, rng: np.random.Generator) -> int:
    """A place for something of `side` pixels in a room, at most a little over its edges."""
    ends = sorted((-0.15 * side, room - 0.85 * side))
    return int(rng.uniform(*ends))


def _camera(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Light and losses over the whole picture."""
    for step, likelihood in ((light, 0.5), (_slightly_soft, 0.2), (grain, 0.12), (compress, 0.25)):
        if rng.random() < likelihood:
            image = step(image, rng)
    return image


def _slightly_soft(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    return cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.1))


def _shrink(window: tuple[int, int, int, int], rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Take a little off every edge."""
    cuts = (rng.uniform(0, 0.12, 4) * (window[2] - window[0])).astype(int)
    return (
        window[0] + int(cuts[0]),
        window[1] + int(cuts[1]),
        window[2] - int(cuts[2]),
        window[3] - int(cuts[3]),
    )


def _cut(
    window: tuple[int, int, int, int], box: NDArray[np.float32], rng: np.random.Generator
) -> tuple[int, int, int, int]:
    """Move one edge of the window, hardly ever the upper one, so that it cuts off up to half of a face."""
    side = int(rng.choice(4, p=(0.4, 0.05, 0.4, 0.15)))
    width = box[side % 2 + 2] - box[side % 2]
    edge = box[side] + (1 if side < 2 else -1) * rng.uniform(0.05, 0.5) * width
    edges = list(window)
    edges[side] = int(np.clip(edge, window[side % 2] + (side > 1), window[side % 2 + 2] - (side < 2)))
    return edges[0], edges[1], edges[2], edges[3]


def _around(box: NDArray[np.float32], shape: tuple[int, ...], rng: np.random.Generator) -> tuple[int, int, int, int]:
    """A window of the picture around a face, with more or less of its surroundings."""
    width, height = box[2] - box[0], box[3] - box[1]
    reach = rng.uniform(0.08, 0.75, 4) * (width, height, width, height)
    left, top = np.maximum(box[:2] - reach[:2], 0).astype(int)
    right, bottom = np.minimum(box[2:] + reach[2:], (shape[1], shape[0])).astype(int)
    return int(left), int(top), int(right), int(bottom)


def _turned(
    image: NDArray[np.uint8],
    picture: data.Picture,
    window: tuple[int, int, int, int],
    rng: np.random.Generator,
) -> tuple[NDArray[np.uint8], list[NDArray[np.float32]], list[NDArray[np.float32]]]:
    """A window of a picture, maybe turned a little and mirrored, with its boxes and points."""
    left, top, right, bottom = window
    width, height = right - left, bottom - top
    angle = rng.normal(0, 12) if rng.random() < 0.4 else 0.0
    matrix = cv2.getRotationMatrix2D(((left + right) / 2, (top + bottom) / 2), angle, 1.0)
    matrix[:, 2] -= (left, top)
    mirrored = rng.random() < 0.5
    if mirrored:
        matrix = np.array([[-1, 0, width], [0, 1, 0]], float) @ np.vstack([matrix, [0, 0, 1]])
    piece = cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)
    boxes, points = [], []
    for face in picture.faces:
        middle = matrix[:, :2] @ ((face.box[:2] + face.box[2:]) / 2) + matrix[:, 2]
        half = (face.box[2:] - face.box[:2]) / 2
        if (middle + half <= 0).any() or (middle - half >= (width, height)).any():
            continue
        boxes.append(np.concatenate([middle - half, middle + half]).astype(np.float32))
        moved = face.points @ matrix[:, :2].T + matrix[:, 2]
        if not (0 < middle[0] < width and 0 < middle[1] < height):
            moved = moved * np.nan
        points.append((moved[[1, 0, 2, 4, 3]] if mirrored else moved).astype(np.float32))
    return piece, boxes, points


def _mask(width: int, height: int, rng: np.random.Generator) -> NDArray[np.float32] | None:
    """How much of a pasted piece shows: all, or soft edges, or an oval."""
    choice = rng.random()
    if choice < 0.45 or min(width, height) < 12:
        return None
    mask = np.zeros((height, width), np.float32)
    if choice < 0.75:
        edge = max(int(0.05 * min(width, height)), 1)
        mask[edge : height - edge, edge : width - edge] = 1
        soft = edge
    else:
        cv2.ellipse(mask, (width // 2, height // 2), (width // 2, height // 2), 0, 0, 360, 1.0, -1)
        soft = max(int(0.03 * min(width, height)), 1)
    return cv2.GaussianBlur(mask, (0, 0), soft)[..., None]


def _blend(
    canvas: NDArray[np.uint8],
    piece: NDArray[np.uint8],
    place: tuple[int, int, int, int],
    mask: NDArray[np.float32] | None,
) -> None:
    """Put a piece on the canvas, cut at its edges."""
    left, top = max(place[0], 0), max(place[1], 0)
    right, bottom = min(place[2], canvas.shape[1]), min(place[3], canvas.shape[0])
    if left >= right or top >= bottom:
        return
    inside = np.s_[top - place[1] : bottom - place[1], left - place[0] : right - place[0]]
    below = canvas[top:bottom, left:right]
    if mask is None:
        below[:] = piece[inside]
    else:
        below[:] = piece[inside] * mask[inside] + below * (1 - mask[inside])


def _shuffled(face: NDArray[np.uint8], side: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A face cut into 9 or 16 tiles in another order."""
    count = int(rng.integers(3, 5))
    tile = 24
    even = cv2.resize(face, (count * tile, count * tile), interpolation=cv2.INTER_AREA)
    tiles = even.reshape(count, tile, count, tile, 3).swapaxes(1, 2).reshape(-1, tile, tile, 3)
    mixed = tiles[rng.permutation(len(tiles))].reshape(count, count, tile, tile, 3)
    whole = mixed.swapaxes(1, 2).reshape(count * tile, count * tile, 3)
    return cv2.resize(np.ascontiguousarray(whole), (side, side), interpolation=cv2.INTER_AREA)


def _detail(face: NDArray[np.uint8], side: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A third of a face, as a patch of its own."""
    height, width = face.shape[0] // 3, face.shape[1] // 3
    top, left = (int(rng.integers(0, 2 * step)) for step in (height, width))
    part = face[top : top + height, left : left + width]
    return cv2.resize(np.ascontiguousarray(part), (side, side), interpolation=cv2.INTER_LINEAR)
