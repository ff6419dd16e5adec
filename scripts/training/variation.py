"""Synthetic variation of a labeled face: accessories, occlusion, expression, head pose and illumination.

Positions are given in the face's own frame: the origin lies between eyes and mouth, x points from the image-left to
the image-right eye, y down, and the unit is the distance from the eyes to the mouth (about 65 mm).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]
Rng = np.random.Generator

DEPTH, NOSE = 0.95, 0.38
"""Depth of the middle of a face above the ears, and of the nose above that."""
AXIS = 0.6
"""Depth of the axis of rotation above the ears."""


@dataclass(frozen=True)
class Face:
    """A picture and one face in it, pixels."""

    image: Image
    box: Floats
    """(4,) left, top, right, bottom"""
    points: Floats
    """(5, 2)"""

    @property
    def frame(self) -> Floats:
        """(2, 3) from the face's frame to pixels."""
        eyes, mouth = self.points[:2].mean(axis=0), self.points[3:].mean(axis=0)
        down = mouth - eyes
        unit = max(float(np.hypot(*down)), 2.0)
        across = self.points[1] - self.points[0] + self.points[4] - self.points[3]
        level = across / max(float(np.hypot(*across)), 1e-3)
        upright = np.array([-level[1], level[0]])
        if float(upright @ down) < 0:
            level, upright = -level, -upright
        return np.column_stack([level * unit, upright * unit, (eyes + mouth) / 2]).astype(np.float32)

    @property
    def inverse(self) -> Floats:
        """(2, 2) from pixel offsets to the frame."""
        axes = self.frame[:, :2]
        return axes.T / max(float((axes[:, 1] ** 2).sum()), 1e-6)

    def at(self, positions: object) -> Floats:
        """(N, 2) pixels of positions in the face's frame."""
        return np.asarray(positions, np.float32).reshape(-1, 2) @ self.frame[:, :2].T + self.frame[:, 2]


def _over(face: Face, outline: object, color: object, opacity: float = 1.0, soft: float = 0.02) -> Face:
    """Draw a filled outline (N, 2 in the face's frame) over a face; `color` may be an image of the picture's size."""
    mask = np.zeros(face.image.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.round(face.at(outline) * 8).astype(np.int32)], 255, cv2.LINE_AA, 3)
    return _blended(face, mask, color, opacity, soft)


def _blended(face: Face, mask: Image, color: object, opacity: float, soft: float) -> Face:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return face
    unit = float(np.hypot(*face.frame[:, 1]))
    reach = int(3 * soft * unit) + 2
    part = np.s_[
        max(rows[0] - reach, 0) : rows[-1] + reach + 1,
        max(columns[0] - reach, 0) : columns[-1] + reach + 1,
    ]
    cover = mask[part]
    if soft * unit > 0.4:
        cover = cv2.GaussianBlur(cover, (0, 0), soft * unit)
    share = cover[..., None].astype(np.float32) * (opacity / 255)
    image = face.image.copy()
    paint = np.asarray(color, np.float32)
    paint = paint[part] if paint.ndim == 3 else paint
    image[part] = np.clip(image[part] * (1 - share) + paint * share, 0, 255)
    return replace(face, image=image)


def _cloth(face: Face, rng: Rng) -> NDArray[np.float32]:
    """A texture of the picture's size: one color with a gradient, sometimes with stripes or squares."""
    height, width = face.image.shape[:2]
    color = rng.uniform(0, 255, 3) if rng.random() < 0.5 else np.full(3, rng.choice([15, 40, 90, 200, 240]))
    slope = rng.uniform(0.5, 1.3, (2, 2, 1)).astype(np.float32)
    cloth = cv2.resize(slope, (width, height))[..., None] * color
    if rng.random() < 0.35:
        cells = rng.uniform(-60, 60, (int(rng.integers(3, 24)), int(rng.integers(1, 24)), 3)).astype(np.float32)
        cloth = cloth + cv2.resize(cells, (width, height), interpolation=cv2.INTER_NEAREST)
    return cloth.astype(np.float32)


def _round(x: float, y: float, across: float, down: float, count: int = 24) -> Floats:
    """An ellipse."""
    turn = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.stack([x + across * np.cos(turn), y + down * np.sin(turn)], axis=1).astype(np.float32)


def _eyes(face: Face) -> Floats:
    """(2, 2) the eyes in the face's frame."""
    frame = face.frame
    return ((face.points[:2] - frame[:, 2]) @ face.inverse.T).astype(np.float32)


def sunglasses(face: Face, rng: Rng, clear: bool | None = None) -> Face:
    """Sunglasses, or the rims of clear glasses; `clear` says which, else chance."""
    eyes = _eyes(face)
    apart = max(float(eyes[1, 0] - eyes[0, 0]), 0.3)
    across, down = apart * rng.uniform(0.36, 0.5), rng.uniform(0.22, 0.42)
    drop = rng.uniform(0, 0.12)
    by_chance = rng.random() < 0.25
    clear = by_chance if clear is None else clear
    tint = rng.uniform(0, 60, 3) if rng.random() < 0.8 else rng.uniform(0, 200, 3)
    outlines = []
    for x, y in eyes:
        ring = _round(float(x), float(y) + drop, across, down)
        if rng.random() < 0.4:
            ring[:, 1] = np.maximum(ring[:, 1], y + drop - 0.7 * down)
        outlines.append(ring)
    middle = eyes.mean(axis=0)
    bar = [(eyes[0, 0] - 1.4 * across, middle[1] - 0.05), (eyes[1, 0] + 1.4 * across, middle[1] - 0.05),
           (eyes[1, 0] + 1.4 * across, middle[1] + 0.03), (eyes[0, 0] - 1.4 * across, middle[1] + 0.03)]  # fmt: skip
    face = _over(face, bar, tint * 0.6, 0.9)
    for ring in outlines:
        if clear:
            mask = np.zeros(face.image.shape[:2], np.uint8)
            thick = max(int(np.hypot(*face.frame[:, 1]) * rng.uniform(0.03, 0.09)), 1)
            cv2.polylines(mask, [np.round(face.at(ring)).astype(np.int32)], True, 255, thick, cv2.LINE_AA)
            face = _blended(face, mask, tint * 0.6, 0.9, 0.0)
        else:
            face = _over(face, ring, tint, rng.uniform(0.75, 1.0))
    return face


def cap(face: Face, rng: Rng) -> Face:
    """A cap, hat, helmet or fringe that ends above the eyes, and the shade of its brim."""
    edge = float(_eyes(face)[:, 1].mean()) - rng.uniform(0.12, 0.6)
    wide, high = rng.uniform(1.05, 1.45), rng.uniform(0.9, 2.0)
    cloth = _cloth(face, rng)
    bow = rng.uniform(-0.2, 0.3)
    turn = np.linspace(np.pi, 2 * np.pi, 16)
    dome = np.stack([wide * np.cos(turn), edge + high * np.sin(turn)], axis=1)
    under = [(x, edge + bow * (1 - (x / wide) ** 2)) for x in np.linspace(wide, -wide, 9)]
    if rng.random() < 0.6:
        face = shaded_above(face, edge + rng.uniform(0.3, 0.9), rng.uniform(0.35, 0.8))
    face = _over(face, np.concatenate([dome, np.array(under)]), cloth)
    if rng.random() < 0.55:
        reach, aside = rng.uniform(1.0, 1.9), rng.uniform(-0.5, 0.5)
        face = _over(face, _round(aside, edge, reach, rng.uniform(0.08, 0.3)), cloth * rng.uniform(0.4, 1.1))
    return face


def shaded_above(face: Face, edge: float, dark: float) -> Face:
    """Darken everything above y = `edge` by the share `dark`."""
    return _over(face, [(-2, -2), (2, -2), (2, edge), (-2, edge)], np.zeros(3), dark * 0.8, 0.12)


def hood(face: Face, rng: Rng) -> Face:
    """A hood, scarf, veil or long hair around the face."""
    inner = _round(rng.normal(0, 0.06), 0.05, rng.uniform(0.78, 1.0), rng.uniform(1.1, 1.4), 32)
    inner[:, 1] = np.minimum(inner[:, 1], rng.uniform(0.9, 1.6))
    outer = _round(0, 0.1, rng.uniform(1.3, 1.8), rng.uniform(1.7, 2.4), 32)
    mask = np.zeros(face.image.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.round(face.at(outer)).astype(np.int32)], 255, cv2.LINE_AA)
    cv2.fillPoly(mask, [np.round(face.at(inner)).astype(np.int32)], 0, cv2.LINE_AA)
    return _blended(face, mask, _cloth(face, rng), 1.0, 0.03)


def mask(face: Face, rng: Rng) -> Face:
    """A mask or scarf over mouth and nose."""
    top = rng.uniform(-0.12, 0.22)
    wide, low = rng.uniform(0.7, 1.0), rng.uniform(1.0, 1.35)
    outline = [(-wide, top + 0.12), (0, top - 0.1), (wide, top + 0.12), (0.75 * wide, 0.8), (0.3, low), (-0.3, low),
               (-0.75 * wide, 0.8)]  # fmt: skip
    cloth = _cloth(face, rng)
    if rng.random() < 0.5:
        cloth = cloth * 0.15 + np.array([190, 210, 225], np.float32) * rng.uniform(0.6, 1.0)
    return _over(face, outline, cloth)


def beard(face: Face, rng: Rng) -> Face:
    """Hair around mouth and chin."""
    wide, low = rng.uniform(0.6, 0.95), rng.uniform(0.95, 1.6)
    outline = [(-wide, 0.1), (-0.45, 0.28), (0, 0.25), (0.45, 0.28), (wide, 0.1), (0.8 * wide, 0.85), (0.3, low),
               (-0.3, low), (-0.8 * wide, 0.85)]  # fmt: skip
    tone = rng.uniform(10, 90) if rng.random() < 0.75 else rng.uniform(90, 220)
    noise = rng.normal(0, 14, (*face.image.shape[:2], 1)).astype(np.float32)
    return _over(face, outline, tone * np.array([1, 0.9, 0.8], np.float32) + noise, rng.uniform(0.5, 0.95), 0.08)


def mustache(face: Face, rng: Rng) -> Face:
    """Hair between nose and mouth."""
    wide, thick = rng.uniform(0.28, 0.5), rng.uniform(0.05, 0.14)
    place, drop = rng.uniform(0.3, 0.38), rng.uniform(0.0, 0.15)
    across = np.linspace(-1, 1, 9)
    bow = drop * across**2
    outline = np.concatenate(
        [
            np.stack([wide * across, place + bow - thick * (1 - 0.5 * across**2)], axis=1),
            np.stack([wide * across, place + bow + thick * (1 - 0.7 * across**2)], axis=1)[::-1],
        ]
    )
    tone = rng.uniform(10, 90) if rng.random() < 0.75 else rng.uniform(90, 200)
    noise = rng.normal(0, 14, (*face.image.shape[:2], 1)).astype(np.float32)
    return _over(face, outline, tone * np.array([1, 0.9, 0.8], np.float32) + noise, rng.uniform(0.55, 0.95), 0.04)


def hand(face: Face, rng: Rng) -> Face:
    """A hand, arm, telephone or microphone in front of a part of the face."""
    angle = rng.uniform(0, 2 * np.pi)
    place = rng.uniform(0.3, 1.1) * np.array([np.cos(angle), 1.2 * np.sin(angle)])
    away = angle + rng.normal(0, 0.7)
    along = np.array([np.cos(away), np.sin(away)])
    aside = np.array([-along[1], along[0]])
    if rng.random() < 0.3:
        half, reach = rng.uniform(0.12, 0.4), rng.uniform(0.6, 1.6)
        ends = [place - half * aside, place + half * aside, place + half * aside + reach * along,
                place - half * aside + reach * along]  # fmt: skip
        return _over(face, np.array(ends), _cloth(face, rng))
    x, y = np.clip(face.at([(0, 0.1)])[0], 0, np.array(face.image.shape[1::-1]) - 1).astype(int)
    skin = face.image[y, x].astype(np.float32) * rng.uniform(0.75, 1.2)
    half = rng.uniform(0.07, 0.13)
    for number in range(int(rng.integers(2, 5))):
        start = place + (number - 1.5) * 2.05 * half * aside - rng.uniform(0, 0.3) * along
        reach = 2.2
        finger = [start - half * aside, start - half * (along - 0.2 * aside), start + half * aside,
                  start + half * aside + reach * along, start - half * aside + reach * along]  # fmt: skip
        face = _over(face, np.array(finger), skin * rng.uniform(0.88, 1.05), 1.0, 0.03)
    return face


def mouth(face: Face, rng: Rng) -> Face:
    """An open mouth: the chin moves down, the space between the lips is dark."""
    open_by = rng.uniform(0.12, 0.55)
    frame = face.frame
    inverse = face.inverse
    height, width = face.image.shape[:2]
    xs, ys = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    x = (xs - frame[0, 2]) * inverse[0, 0] + (ys - frame[1, 2]) * inverse[0, 1]
    y = (xs - frame[0, 2]) * inverse[1, 0] + (ys - frame[1, 2]) * inverse[1, 1]
    side = np.exp(-((x / 0.95) ** 4))
    # inverse mapping: pixels below the mouth come from further up
    below = np.clip((y - 0.5) / max(open_by, 0.05), 0, 1)
    fade = np.clip(1 - (y - 1.3 - open_by) / 1.5, 0, 1)
    shift = open_by * below * fade * side
    moved = cv2.remap(
        face.image,
        (xs - frame[0, 1] * shift).astype(np.float32),
        (ys - frame[1, 1] * shift).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    apart = float(np.hypot(*(face.points[4] - face.points[3]))) / max(float(np.hypot(*frame[:, 1])), 1e-3)
    wide = max(apart, 0.3) * rng.uniform(0.35, 0.55)
    middle = 0.5 + open_by * 0.5
    result = replace(face, image=moved)
    result = _over(result, _round(0, middle, wide, open_by * 0.5), rng.uniform(5, 70) * np.array([1, 0.5, 0.45]))
    if rng.random() < 0.65:
        teeth = _round(0, 0.5 + open_by * 0.14, wide * 0.8, open_by * 0.16)
        result = _over(result, teeth, np.full(3, rng.uniform(150, 235)), 0.9)
    points = face.points.copy()
    points[3:] += frame[:, 1] * (0.35 * open_by)
    box = face.box.copy()
    box[3] += max(float(frame[1, 1]), 0.0) * open_by * 0.8
    return replace(result, box=box, points=points)


def shade(face: Face, rng: Rng) -> Face:
    """Light from one side, a hard shadow across the face, or back light."""
    height, width = face.image.shape[:2]
    unit = float(np.hypot(*face.frame[:, 1]))
    angle = rng.uniform(0, 2 * np.pi)
    xs, ys = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    center = face.frame[:, 2]
    if rng.random() < 0.35:  # behind
        away = np.hypot(xs - center[0], ys - center[1]) / unit
        glow = 1 / (1 + np.exp(-(away - 1.4) * 4))
        gain = rng.uniform(0.12, 0.5) * (1 - glow) + rng.uniform(1.0, 2.2) * glow
    else:
        along = ((xs - center[0]) * np.cos(angle) + (ys - center[1]) * np.sin(angle)) / unit
        steep = np.exp(rng.uniform(np.log(0.8), np.log(14)))
        lit = 1 / (1 + np.exp(np.clip(-(along - rng.normal(0, 0.4)) * steep, -30, 30)))
        gain = rng.uniform(0.1, 0.6) + (rng.uniform(0.9, 1.5) - 0.3) * lit
    image = np.clip(face.image * gain[..., None], 0, 255).astype(np.uint8)
    return replace(face, image=image)


def depth(x: Floats, y: Floats, nose: tuple[float, float]) -> Floats:
    """Depth above the ears at positions of the frame: a smooth approximation of a head."""
    front = DEPTH * np.exp(-((x / 0.85) ** 2) / 2 - ((y - 0.05) / 1.2) ** 2 / 2)
    bump = NOSE * np.exp(-(((x - nose[0]) / 0.24) ** 2) / 2 - ((y - nose[1] + 0.05) / 0.3) ** 2 / 2)
    return front + bump


def rotate(face: Face, yaw: float, pitch: float) -> Face:
    """Rotate the head by angles (radians; positive: to image-right, down) under orthographic projection.

    After Zhu et al., "Face Alignment Across Large Poses" (2016), with `depth` in place of a fitted model.
    """
    frame = face.frame
    inverse = face.inverse
    nose = (face.points[2] - frame[:, 2]) @ inverse.T

    def moved(x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Displacement of positions."""
        near = np.exp(-(((x / 2.6) ** 2 + (y / 3.0) ** 2) ** 2))
        ahead = depth(x, y, (float(nose[0]), float(nose[1]))) - AXIS
        across = x * (np.cos(yaw) - 1) + ahead * np.sin(yaw)
        down = y * (np.cos(pitch) - 1) + ahead * np.sin(pitch)
        return near * across, near * down

    height, width = face.image.shape[:2]
    columns, rows = min(width, 56), min(height, 56)
    xs, ys = np.meshgrid(np.linspace(0, width - 1, columns), np.linspace(0, height - 1, rows))
    goal_x = (inverse[0, 0] * (xs - frame[0, 2]) + inverse[0, 1] * (ys - frame[1, 2])).astype(np.float32)
    goal_y = (inverse[1, 0] * (xs - frame[0, 2]) + inverse[1, 1] * (ys - frame[1, 2])).astype(np.float32)
    x, y = goal_x.copy(), goal_y.copy()
    for _ in range(9):
        across, down = moved(x, y)
        x += 0.6 * (goal_x - across - x)
        y += 0.6 * (goal_y - down - y)
    map_x = frame[0, 0] * x + frame[0, 1] * y + frame[0, 2]
    map_y = frame[1, 0] * x + frame[1, 1] * y + frame[1, 2]
    size = (width, height)
    image = cv2.remap(
        face.image,
        cv2.resize(map_x.astype(np.float32), size),
        cv2.resize(map_y.astype(np.float32), size),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT,
    )

    def forward(places: Floats) -> Floats:
        own = (places - frame[:, 2]) @ inverse.T
        across, down = moved(own[:, 0], own[:, 1])
        return (own + np.stack([across, down], axis=1)) @ frame[:, :2].T + frame[:, 2]

    middle, half = (face.box[:2] + face.box[2:]) / 2, (face.box[2:] - face.box[:2]) / 2
    outline = forward(
        (middle + half * np.concatenate([_round(0, 0, r, r) for r in (0.4, 0.7, 0.95)])).astype(np.float32)
    )
    before = (middle + half * _round(0, 0, 0.95, 0.95)).astype(np.float32)
    box = face.box + np.concatenate(
        [outline.min(axis=0) - before.min(axis=0), outline.max(axis=0) - before.max(axis=0)]
    )
    return Face(image, box.astype(np.float32), forward(face.points).astype(np.float32))


def rotated(face: Face, rng: Rng) -> Face:
    """A three-quarter view up to nearly a profile, looking up or down."""
    own = _eyes(face)
    nose = face.inverse @ (face.points[2] - face.frame[:, 2])
    aside = float((nose[0] - own[:, 0].mean()) / max(abs(own[1, 0] - own[0, 0]) / 2, 0.1))
    way = np.sign(aside) if abs(aside) > 0.3 else rng.choice([-1.0, 1.0])
    most = 58 if abs(aside) < 0.35 else 35
    yaw = np.radians(rng.uniform(8, most)) if rng.random() < 0.8 else 0.0
    pitch = np.radians(rng.normal(8, 16)) if rng.random() < 0.5 else 0.0
    return rotate(face, way * yaw, float(np.clip(pitch, -0.6, 0.7)))


STEPS: tuple[tuple[Callable[[Face, Rng], Face], float], ...] = (
    (rotated, 0.5), (mouth, 0.22), (beard, 0.06), (hood, 0.08), (sunglasses, 0.17), (mask, 0.09), (cap, 0.22),
    (hand, 0.12), (shade, 0.25),
)  # fmt: skip
"""Applied to a face in this order, each with its probability."""


GEOMETRIC = (rotated, mouth)
"""Steps that move pixels."""
MOST_OCCLUSIONS = 2
"""Further ones leave too little of a face."""


def varied(face: Face, rng: Rng, alone: bool = True) -> tuple[Face, bool]:
    """Apply each step with its probability; also whether the face is partly occluded or darkened.

    A face that is not `alone` keeps its geometry: moving it would move the faces beside it too.
    """
    occlusions = 0
    for step, probability in STEPS:
        moves = step in GEOMETRIC
        if rng.random() < probability and (alone if moves else occlusions < MOST_OCCLUSIONS):
            face = step(face, rng)
            occlusions += not moves
    return face, occlusions > 0
