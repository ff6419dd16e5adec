"""Training pictures for the detector: labeled faces at every size on every background."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.core.types import Picture
from edge.inference.detector import Detector
from training import data, variation
from training.agreement import corners, overlap
from training.augment import coarse, compress, grain, light, motion_blur, soft
from training.backgrounds import Backgrounds

SIZE = (320, 240)
GRAY = 114
SMALLEST = 9.0
"""Height in pixels below which a face is neither asked for nor forbidden."""
WHOLE, OTHERS = 0.5, 0.15
"""Share of the scenes that are crops of whole pictures, and of these the share of pictures out of portrait folders."""
CAMERA = ((light, 0.55), (coarse, 0.15), (motion_blur, 0.1), (soft, 0.2), (grain, 0.15), (compress, 0.35))
"""What a camera does to a scene, and how often."""
STREET = 0.4
"""Share of the faces of scattered scenes that come from whole pictures, with a part of the body."""
SMALL = 16.0
"""Height in pixels below which the checking detector decides on every face."""
LEAST_SEEN, UNLABELED = 0.2, 0.5
"""Scores of the checking detector: below the first an occluded face is uncertain, from the second a box counts."""
SOFT = ((0.6, 0.9), (0.3, 0.6))
"""Scores of the checking detector on unlabeled boxes in portraits, and the certainties that they become."""


Place = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels."""
Whole = tuple[NDArray[np.uint8], data.Picture]
"""A picture, RGB, and its labels."""


@dataclass
class Scene:
    """A picture being composed and the faces in it, in pixels."""

    image: NDArray[np.uint8]
    boxes: list[NDArray[np.float32]] = field(default_factory=list)
    points: list[NDArray[np.float32]] = field(default_factory=list)
    """NaN: unknown"""
    certainty: list[float] = field(default_factory=list)
    """1: a face; 0: excluded from the loss, it may be no face or is mostly cut off; between: a soft label"""
    occluded: list[bool] = field(default_factory=list)
    """whether something was drawn over it"""
    taken: list[Place] = field(default_factory=list)
    """where faces were pasted"""
    decoys: list[Place] = field(default_factory=list)
    complete: list[Place] = field(default_factory=list)
    """where pieces of whole pictures were pasted, whose labels lack no face"""

    def is_free(self, left: int, top: int, right: int, bottom: int) -> bool:
        """Whether nothing was pasted there yet."""
        return all(
            right <= other[0] or left >= other[2] or bottom <= other[1] or top >= other[3]
            for other in (*self.taken, *self.decoys)
        )


class LabelCheck:
    """Corrects the labels of composed scenes with a detector: its scores become soft labels (distillation)."""

    def __init__(self, detector: Callable[[], Detector]) -> None:
        self._make = detector
        self._detector: Detector | None = None  # created after the fork: interpreters do not survive one

    def apply(self, scene: Scene) -> None:
        """Exclude occluded and small faces that are not detected; add unlabeled boxes with a certainty by score."""
        self._detector = self._detector or self._make()
        picture = Picture(scene.image, "rgb", SIZE[0], SIZE[1])
        size = np.array([*SIZE, *SIZE], np.float32)
        seen = [(corners(found) * size, found.score) for found in self._detector.detect(picture, {"face": LEAST_SEEN})]
        for row, box in enumerate(scene.boxes):
            doubtful = scene.occluded[row] or box[3] - box[1] < SMALL
            if doubtful and not any(overlap(box, other) > 0.25 for other, _ in seen):
                scene.certainty[row] = 0.0
        known = list(scene.boxes)
        for box, score in seen:
            middle = (box[:2] + box[2:]) / 2
            if score < UNLABELED or _holds(scene.complete, middle) or any(overlap(box, one) >= 0.25 for one in known):
                continue
            scene.boxes.append(box)
            scene.points.append(np.full((5, 2), np.nan, np.float32))
            scene.certainty.append(certainty(score) if _holds(scene.taken, middle) else 0.0)
            scene.occluded.append(False)


def certainty(score: float) -> float:
    """How certain a face is that only the checking detector reports with this score."""
    scores, certainties = SOFT
    return float(np.interp(score, scores, certainties, left=0.0))


def _holds(places: Sequence[Place], point: NDArray[np.float32]) -> bool:
    return any(left <= point[0] < right and top <= point[1] < bottom for left, top, right, bottom in places)


class Composer:
    """Composes scene number N of a seed."""

    def __init__(
        self,
        images: Sequence[NDArray[np.uint8]],
        pictures: Sequence[data.Picture],
        backgrounds: Backgrounds,
        wholes: Sequence[Whole] = (),
        others: Sequence[Whole] = (),
        check: LabelCheck | None = None,
    ) -> None:
        self._images, self._pictures, self._backgrounds = images, pictures, backgrounds
        self._wholes, self._others, self._check = wholes, others, check
        weights = np.array([0.3 + np.sqrt(len(picture.certain)) for _, picture in wholes])
        self._shares = weights / weights.sum() if len(weights) else weights
        self._street = [whole for whole in wholes if whole[1].certain]

    def scene(self, rng: np.random.Generator) -> Scene:
        """One 320 x 240 scene with its faces."""
        is_whole = bool(self._wholes) and rng.random() < WHOLE
        scene = self._whole(rng) if is_whole else self._composed(rng)
        scene.image = _camera(scene.image, rng)
        if self._check and (scene.boxes or rng.random() < 0.3):
            self._check.apply(scene)
        return scene

    def _composed(self, rng: np.random.Generator) -> Scene:
        choice = rng.random()
        if choice < 0.24:
            return self._photo(rng)
        if choice < 0.62:
            return self._scattered(rng, int(rng.integers(1, 7)), (10, 190))
        if choice < 0.82:
            return self._scattered(rng, int(rng.integers(8, 26)), (9, 40))
        scene = Scene(self._backgrounds.make(SIZE, rng))
        self._decoys(scene, rng, int(rng.integers(1, 8)))
        return scene

    def _whole(self, rng: np.random.Generator) -> Scene:
        """A crop of a whole picture at any scale, in most cases around one of its faces."""
        rare = bool(self._others) and rng.random() < OTHERS
        if rare:
            image, picture = self._others[int(rng.integers(len(self._others)))]
        else:
            image, picture = self._wholes[int(rng.choice(len(self._wholes), p=self._shares))]
        blank = np.full((SIZE[1], SIZE[0], 3), GRAY, np.uint8)
        scene = Scene(blank if rng.random() < 0.5 else self._backgrounds.make(SIZE, rng))
        size = np.array(image.shape[1::-1], np.float32)
        scale = float(np.min(np.array(SIZE) / size)) * float(np.exp(rng.uniform(-0.2, 1.3)))
        goal = rng.uniform(0, 1, 2) * SIZE
        middle = rng.uniform(0, 1, 2) * size
        faces = picture.certain
        choice = rng.random()
        if choice < 0.15:
            scale = float(np.min(np.array(SIZE) / size))
            goal, middle = np.array(SIZE) / 2, size / 2
        elif faces and choice < 0.8:
            face = faces[int(rng.integers(len(faces)))]
            high = float(face.box[3] - face.box[1])
            scale = min(_height(rng), 1.7 * high) / high
            middle = (face.box[:2] + face.box[2:]) / 2
        start = middle - goal / scale
        window = np.concatenate([np.maximum(start, 0), np.minimum(start + np.array(SIZE) / scale, size)]).astype(int)
        if (window[2:] - window[:2] < 8).any():
            return scene
        corner = np.round((window[:2] - start) * scale).astype(int)
        far = corner + np.maximum(((window[2:] - window[:2]) * scale).astype(int), 4)
        place = (int(corner[0]), int(corner[1]), int(far[0]), int(far[1]))
        self._paste(scene, image, picture, tuple(window.tolist()), place, rng)
        if not rare:
            scene.complete.append(place)
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
        self._paste(
            scene, self._images[index], self._pictures[index], window, (left, top, left + width, top + height), rng
        )
        return scene

    def _scattered(self, rng: np.random.Generator, count: int, heights: tuple[float, float]) -> Scene:
        """Faces with some of what surrounds them, here and there."""
        scene = Scene(self._backgrounds.make(SIZE, rng))
        together = rng.random() < 0.5
        common = np.exp(rng.uniform(*np.log(heights)))
        for _ in range(count):
            street = bool(self._street) and rng.random() < STREET
            image, picture, face = self._passerby(rng) if street else self._someone(rng)
            spread = np.exp(rng.normal(0, 0.15)) * common
            height = spread if together else np.exp(rng.uniform(*np.log(heights)))
            window = _around(face.box, image.shape, rng)
            if rng.random() < 0.12:
                window = _cut(window, face.box, rng)
            height = min(height, 1.7 * float(face.box[3] - face.box[1]))
            share = height / (face.box[3] - face.box[1])
            width, tall = (int(share * (window[2 + a] - window[a])) for a in (0, 1))
            for _ in range(6):
                left, top = (_somewhere(s, most, rng) for s, most in zip((width, tall), SIZE, strict=True))
                place = (left, top, left + width, top + tall)
                if min(width, tall) >= 4 and scene.is_free(*place):
                    self._paste(scene, image, picture, window, place, rng)
                    if street:
                        scene.complete.append(place)
                    break
        if rng.random() < 0.5:
            self._decoys(scene, rng, int(rng.integers(1, 4)))
        return scene

    def _someone(self, rng: np.random.Generator) -> tuple[NDArray[np.uint8], data.Picture, data.FaceLabel]:
        """A face of a portrait."""
        index = int(rng.integers(len(self._images)))
        return self._images[index], self._pictures[index], self._one_of(index, rng)

    def _passerby(self, rng: np.random.Generator) -> tuple[NDArray[np.uint8], data.Picture, data.FaceLabel]:
        """A face of a whole picture that has one."""
        image, picture = self._street[int(rng.integers(len(self._street)))]
        return image, picture, picture.certain[int(rng.integers(len(picture.certain)))]

    def _one_of(self, index: int, rng: np.random.Generator) -> data.FaceLabel:
        faces = self._pictures[index].labeled
        return faces[int(rng.integers(len(faces)))]

    def _paste(
        self,
        scene: Scene,
        image: NDArray[np.uint8],
        picture: data.Picture,
        window: tuple[int, int, int, int],
        place: tuple[int, int, int, int],
        rng: np.random.Generator,
    ) -> None:
        """Paste a window of a picture into the scene, with its faces varied, rotated, mirrored and in other light."""
        width, height = place[2] - place[0], place[3] - place[1]
        piece, faces = _cut_out(image, picture, window, (width, height))
        piece, faces, occluded = _varied(piece, faces, rng)
        piece, faces = _turned(piece, faces, rng)
        smaller = width < piece.shape[1] and rng.random() < 0.8
        interpolation = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
        scale = np.array([width / piece.shape[1], height / piece.shape[0]], np.float32)
        piece = cv2.resize(piece, (width, height), interpolation=interpolation)
        if rng.random() < 0.6:
            piece = light(piece, rng)
        _blend(scene.image, piece, place, _mask(width, height, rng))
        scene.taken.append(place)
        corner = np.array(place[:2], np.float32)
        for face, over in zip(faces, occluded, strict=True):
            box = face.box * np.tile(scale, 2) + np.tile(corner, 2)
            middle = (face.box[:2] + face.box[2:]) / 2
            shown = bool((middle > 0).all() and (middle < np.array([width, height]) / scale).all())
            if (box[2:] > 0).all() and (box[:2] < SIZE).all():
                scene.boxes.append(box.astype(np.float32))
                scene.points.append((face.points * scale + corner).astype(np.float32))
                scene.certainty.append(float(face.certain and shown))
                scene.occluded.append(over)

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
            choice = rng.random()
            if choice < 0.4:
                _limbs(scene.image, face, spot, rng)
            else:
                decoy = _shuffled(face, side, rng) if choice < 0.75 else _detail(face, side, rng)
                _blend(scene.image, decoy, spot, _mask(side, side, rng))
            scene.decoys.append(spot)


def _somewhere(side: int, room: int, rng: np.random.Generator) -> int:
    """A place for something of `side` pixels in a room, at most a little over its edges."""
    ends = sorted((-0.15 * side, room - 0.85 * side))
    return int(rng.uniform(*ends))


def _camera(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Light and losses over the whole picture."""
    for step, likelihood in CAMERA:
        if rng.random() < likelihood:
            image = step(image, rng)
    return image


def _height(rng: np.random.Generator) -> float:
    """Height of a face in pixels; small ones are frequent, as in the street."""
    most = 44 if rng.random() < 0.6 else 150
    return float(np.exp(rng.uniform(np.log(11), np.log(most))))


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
    most = 0.75 if rng.random() < 0.6 else 1.6
    reach = rng.uniform(0.08, most, 4) * (width, height, width, height)
    left, top = np.maximum(box[:2] - reach[:2], 0).astype(int)
    right, bottom = np.minimum(box[2:] + reach[2:], (shape[1], shape[0])).astype(int)
    return int(left), int(top), int(right), int(bottom)


def _cut_out(
    image: NDArray[np.uint8], picture: data.Picture, window: tuple[int, int, int, int], size: tuple[int, int]
) -> tuple[NDArray[np.uint8], list[data.FaceLabel]]:
    """A window of a picture, not much larger than `size`, and the faces that reach into it."""
    left, top, right, bottom = window
    piece = image[top:bottom, left:right]
    share = min(1.0, 1.4 * size[1] / (bottom - top))
    if share < 0.9:
        piece = cv2.resize(piece, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
    scale = np.array([piece.shape[1] / (right - left), piece.shape[0] / (bottom - top)], np.float32)
    corner = np.array([left, top], np.float32)
    faces = []
    for face in picture.faces:
        box = (face.box - np.tile(corner, 2)) * np.tile(scale, 2)
        if (box[2:] > 0).all() and (box[:2] < piece.shape[1::-1]).all():
            faces.append(replace(face, box=box, points=(face.points - corner) * scale))
    return piece, faces


def _varied(
    piece: NDArray[np.uint8], faces: list[data.FaceLabel], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], list[data.FaceLabel], list[bool]]:
    """Vary some of the faces that have landmarks and are large enough; also which of them are occluded."""
    result, occluded = [], []
    for face in faces:
        over = False
        if face.certain and not np.isnan(face.points).any() and rng.random() < _share(face):
            alone = all(other is face or _apart(face, other) for other in faces)
            changed, over = variation.varied(variation.Face(piece, face.box, face.points), rng, alone)
            piece, face = changed.image, replace(face, box=changed.box, points=changed.points)
        result.append(face)
        occluded.append(over)
    return piece, result, occluded


def _share(face: data.FaceLabel) -> float:
    """Share of the faces of this size that are varied."""
    height = float(face.box[3] - face.box[1])
    return 0.0 if height < 18 else 0.3 if height < 40 else 0.6


def _apart(face: data.FaceLabel, other: data.FaceLabel) -> bool:
    """Whether another face is so far away that rotating the first does not move it."""
    away = (face.box[:2] + face.box[2:] - other.box[:2] - other.box[2:]) / 2
    return bool(np.hypot(*away) > 1.4 * (face.box[3] - face.box[1]))


def _turned(
    piece: NDArray[np.uint8], faces: list[data.FaceLabel], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], list[data.FaceLabel]]:
    """A crop, perhaps rotated a little and mirrored, with its boxes and points."""
    height, width = piece.shape[:2]
    angle = rng.normal(0, 14) if rng.random() < 0.4 else 0.0
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1.0)
    mirrored = rng.random() < 0.5
    if mirrored:
        matrix = np.array([[-1, 0, width], [0, 1, 0]], float) @ np.vstack([matrix, [0, 0, 1]])
    piece = cv2.warpAffine(piece, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)
    moved = []
    for face in faces:
        middle = matrix[:, :2] @ ((face.box[:2] + face.box[2:]) / 2) + matrix[:, 2]
        half = (face.box[2:] - face.box[:2]) / 2
        points = face.points @ matrix[:, :2].T + matrix[:, 2]
        points = points[[1, 0, 2, 4, 3]] if mirrored else points
        box = np.concatenate([middle - half, middle + half])
        moved.append(replace(face, box=box.astype(np.float32), points=points.astype(np.float32)))
    return piece, moved


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


def _limbs(
    canvas: NDArray[np.uint8], face: NDArray[np.uint8], spot: tuple[int, int, int, int], rng: np.random.Generator
) -> None:
    """Draw one to five rounded bars with the skin of a cheek: fingers, an arm, a knee."""
    height, width = face.shape[:2]
    top, left = int(0.5 * height), int(rng.choice([0.18, 0.62]) * width)
    cheek = face[top : top + height // 5, left : left + width // 5]
    side = spot[2] - spot[0]
    count = int(rng.choice([1, 1, 2, 4, 5]))
    long, wide = side, max(int(side * rng.uniform(0.35, 0.9) / count), 3)
    angle = rng.uniform(0, 360)
    turn = np.radians(angle)
    for number in range(count):
        bar = cv2.resize(cheek, (long, wide), interpolation=cv2.INTER_LINEAR).astype(np.float32)
        across = np.linspace(-1, 1, wide, dtype=np.float32)[:, None, None]
        bar *= rng.uniform(0.8, 1.15) - rng.uniform(0.1, 0.5) * across**2
        mask = np.zeros((wide, long), np.float32)
        cv2.ellipse(mask, (long // 2, wide // 2), (long // 2, wide // 2), 0, 0, 360, 1.0, -1, cv2.LINE_AA)
        mask[:, long // 3 :] = np.maximum(mask[:, long // 3 :], float(rng.random() < 0.5))
        shift = (number - (count - 1) / 2) * wide * np.array([-np.sin(turn), np.cos(turn)])
        matrix = cv2.getRotationMatrix2D((long / 2, wide / 2), -angle, 1.0)
        matrix[:, 2] += np.array([(side - long) / 2, (side - wide) / 2]) + shift
        piece = cv2.warpAffine(np.clip(bar, 0, 255).astype(np.uint8), matrix, (side, side))
        cover = cv2.warpAffine(mask, matrix, (side, side))[..., None]
        _blend(canvas, piece, spot, cover)


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
