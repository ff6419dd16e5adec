"""What the attribute net learns: 30 landmarks, age, and one logit for every other attribute of a face."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from training import augment, loop, variation
from training.attribute_faces import STORED, STORED_ROOM, AttributeFaces
from training.face_api import EXPRESSIONS
from training.graph import Graph
from training.torchnet import TorchNet

SIDE = 64
"""Side of the net's input, pixels."""
ROOM = 0.16
"""Room around the 112 px template on each side that the net sees, as a share of it."""
BINARY = (
    "Gender", "Smile", "Eyeglasses", "Sunglasses", "Beard", "Mustache", "EyesOpen", "MouthOpen", "FaceOccluded",
)  # fmt: skip
"""Logits in this order, positive for male and for true; the emotions follow."""
LANDMARKS = (
    "eyeLeft", "eyeRight", "nose", "mouthLeft", "mouthRight", "leftEyeBrowLeft", "leftEyeBrowRight", "leftEyeBrowUp",
    "rightEyeBrowLeft", "rightEyeBrowRight", "rightEyeBrowUp", "leftEyeLeft", "leftEyeRight", "leftEyeUp",
    "leftEyeDown", "rightEyeLeft", "rightEyeRight", "rightEyeUp", "rightEyeDown", "noseLeft", "noseRight", "mouthUp",
    "mouthDown", "leftPupil", "rightPupil", "upperJawlineLeft", "midJawlineLeft", "chinBottom", "midJawlineRight",
    "upperJawlineRight",
)  # fmt: skip
"""Rekognition's 30, left and right as in the picture."""
_SOURCES: tuple[tuple[int, ...], ...] = (
    (36, 37, 38, 39, 40, 41), (42, 43, 44, 45, 46, 47), (30,), (48,), (54,), (17,), (21,), (19,), (22,), (26,), (24,),
    (36,), (39,), (37, 38), (40, 41), (42,), (45,), (43, 44), (46, 47), (31,), (35,), (51,), (57,), (), (), (0,), (4,),
    (8,), (12,), (16,),
)  # fmt: skip
"""Of the teacher's 68 the ones whose mean is each landmark; the pupils are found in the picture."""
MIRROR_30 = (
    1, 0, 2, 4, 3, 9, 8, 10, 6, 5, 7, 16, 15, 17, 18, 12, 11, 13, 14, 20, 19, 21, 22, 24, 23, 29, 28, 27, 26, 25,
)  # fmt: skip
AGE_MIDDLE, AGE_SPAN = 40.0, 40.0
EYES = (range(36, 42), range(42, 48))
BATCH = 64
STEEP = {"EyesOpen": 4.0}
"""Attributes whose loss counts more: what tells them is a few pixels."""
SURE, UNSURE = 0.9, 0.06
"""Calibrated probability from which, and up to which, the net's own answer becomes a label."""
OWN_ANSWERS = ("Eyeglasses", "Sunglasses", "Beard", "Mustache")
"""Attributes that no teacher tells: real faces have only labels made by eye, and the net's own."""
UNKNOWN = float("nan")


def shape() -> Graph:
    """The aligned face (64 x 64) to landmarks (60), age (1) and logits (16): a small dense residual net."""
    graph = Graph(SIDE, SIDE)
    last = graph.conv("input", 16, stride=2)
    last = graph.residual(graph.conv(last, 32, stride=2), 32)
    last = graph.conv(last, 64, stride=2)
    for _ in range(2):
        last = graph.residual(last, 64)
    last = graph.residual(graph.conv(last, 128, stride=2), 128)
    flat = graph.flatten(graph.conv(last, 48, kernel=1))
    sizes = (2 * len(LANDMARKS), 1, len(BINARY) + len(EXPRESSIONS))
    graph.outputs = tuple(graph.dense(flat, size) for size in sizes)
    return graph


@dataclass(frozen=True)
class Material:
    """Faces to learn from, rows belong together; NaN: unknown, and left out of the loss."""

    crops: NDArray[np.uint8]
    """(N, 128, 128, 3)."""
    landmarks: NDArray[np.float32]
    """(N, 30, 2) pixels of the crop."""
    age: NDArray[np.float32]
    """(N,) years."""
    binary: NDArray[np.float32]
    """(N, 9) probability of true, as BINARY."""
    emotions: NDArray[np.float32]
    """(N, 7) probabilities."""

    def joined(self, other: Material) -> Material:
        """The rows of both."""
        return Material(*(np.concatenate(pair) for pair in zip(self.parts, other.parts, strict=True)))

    def rows(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> Material:
        """Some of the rows."""
        return Material(*(part[chosen] for part in self.parts))

    @property
    def parts(self) -> tuple[Any, ...]:
        return self.crops, self.landmarks, self.age, self.binary, self.emotions


LETTERS = {"m": "Gender", "s": "Smile", "g": "Eyeglasses", "d": "Sunglasses", "b": "Beard", "u": "Mustache",
           "c": "EyesOpen", "o": "MouthOpen", "x": "FaceOccluded"}  # fmt: skip
"""Labels made by eye: a letter says true, but for c: eyes closed. ``?LETTER``: cannot be told."""


def read_labels(path: Path) -> dict[str, NDArray[np.float32]]:
    """Rows of labels made by eye, (9,) as BINARY, by the key of the face."""
    labels = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            values = np.zeros(len(BINARY), np.float32)
            values[BINARY.index("EyesOpen")] = 1
            unsure = False
            for letter in row["seen"]:
                if letter == "?":
                    unsure = True
                    continue
                value = UNKNOWN if unsure else float(letter != "c")
                values[BINARY.index(LETTERS[letter])] = value
                unsure = False
            labels[row["key"]] = values
    return labels


def material_of(faces: AttributeFaces, labels: dict[str, NDArray[np.float32]]) -> Material:
    """Real faces with the teachers' labels, replaced by those made by eye where there are some."""
    binary = np.full((len(faces.crops), len(BINARY)), UNKNOWN, np.float32)
    column = {name: number for number, name in enumerate(BINARY)}
    binary[:, column["Gender"]] = faces.male
    binary[:, column["Smile"]] = faces.emotions[:, EXPRESSIONS.index("HAPPY")]
    binary[:, column["MouthOpen"]] = mouth_open(faces.landmarks)
    binary[:, column["EyesOpen"]] = 0.97
    binary[:, column["FaceOccluded"]] = 0.03
    for row, key in enumerate(faces.keys):
        if key in labels:
            binary[row] = labels[key]
    marks = np.stack([thirty(*pair) for pair in zip(faces.crops, faces.landmarks, strict=True)])
    return Material(faces.crops, marks, faces.age, binary, faces.emotions)


def mouth_open(landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N,) probability of an open mouth by the space between the inner lips beside the mouth's width."""
    gap = np.linalg.norm(landmarks[:, 61:64] - landmarks[:, [67, 66, 65]], axis=2).mean(axis=1)
    width = np.linalg.norm(landmarks[:, 54] - landmarks[:, 48], axis=1)
    return (1 / (1 + np.exp(-(gap / np.maximum(width, 1) - 0.2) / 0.035))).astype(np.float32)


def thirty(crop: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
    """(30, 2) Rekognition's landmarks of the teacher's (68, 2)."""
    marks = np.stack([landmarks[list(source)].mean(axis=0) if source else np.zeros(2) for source in _SOURCES])
    for name, eye in zip(("leftPupil", "rightPupil"), EYES, strict=True):
        marks[LANDMARKS.index(name)] = pupil(crop, landmarks[list(eye)])
    return marks.astype(np.float32)


def pupil(crop: NDArray[np.uint8], eye: NDArray[np.float32]) -> NDArray[np.float32]:
    """The center of what is dark between the lids, (2,) pixels; `eye`: (6, 2) corners and lids."""
    scale = 4
    low, high = eye.min(axis=0) - 2, eye.max(axis=0) + 3
    left, top = np.clip(low.astype(int), 0, STORED - 6)
    right, bottom = np.clip(high.astype(int), (left + 5, top + 5), STORED)
    gray = cv2.cvtColor(crop[top:bottom, left:right], cv2.COLOR_RGB2GRAY)
    gray = cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC).astype(np.float32)
    inside = np.zeros(gray.shape, np.uint8)
    outline = (eye - (left, top) + 0.5) * scale
    middle = outline.mean(axis=0)
    cv2.fillPoly(inside, [np.round(middle + (outline - middle) * (0.9, 1.15)).astype(np.int32)], 1)
    if inside.sum() < 16:
        return eye.mean(axis=0).astype(np.float32)
    bound = np.percentile(gray[inside > 0], 45)
    dark = np.maximum(bound - gray, 0) * inside
    rows, columns = np.mgrid[: gray.shape[0], : gray.shape[1]]
    total = dark.sum() + 1e-3
    found = np.array([(dark * columns).sum() / total, (dark * rows).sum() / total])
    return (found / scale - 0.5 + (left, top)).astype(np.float32)


def drawn(
    real: Material, landmarks: NDArray[np.float32], points: NDArray[np.float32], count: int, seed: int
) -> Material:
    """Faces with drawn glasses, beards, masks, hands, closed eyes and open mouths; what they hide is unknown."""
    rng = np.random.default_rng((seed, 5))
    chosen = rng.choice(len(real.crops), count)
    result = real.rows(chosen)
    for row, source in enumerate(chosen):
        face = variation.Face(real.crops[source], np.array([28, 20, 100, 118], np.float32), points[source])
        for step in rng.permutation(len(DRAWINGS))[: int(rng.integers(1, 3))]:
            drawing = DRAWINGS[step]
            face = drawing.draw(face, landmarks[source], rng)
            for name in drawing.hides:
                result.binary[row, BINARY.index(name)] = UNKNOWN
            for name, value in drawing.shows.items():
                result.binary[row, BINARY.index(name)] = value
            if drawing.moves:
                result.landmarks[row] = UNKNOWN
            if drawing.moves or "Smile" in drawing.hides:
                result.emotions[row] = UNKNOWN
        result.crops[row] = face.image
    return result


@dataclass(frozen=True)
class Drawing:
    """One way to draw on a face, and what that shows and hides."""

    draw: Callable[[variation.Face, NDArray[np.float32], np.random.Generator], variation.Face]
    shows: dict[str, float]
    hides: tuple[str, ...] = ()
    moves: bool = False
    """Whether landmarks are elsewhere afterwards."""


def _plain(step: Callable[[variation.Face, np.random.Generator], variation.Face]) -> Callable[..., variation.Face]:
    return lambda face, _, rng: step(face, rng)


def closed_eyes(face: variation.Face, landmarks: NDArray[np.float32], rng: np.random.Generator) -> variation.Face:
    """Lids in the color of the skin above and below, and lashes at their lower edge."""
    image = face.image.astype(np.float32)
    for eye in EYES:
        outline = landmarks[list(eye)]
        middle, height = outline.mean(axis=0), max(float(np.ptp(outline[:, 1])), 3.0)
        above = _color(face.image, middle - np.array([0, 1.3 * height]))
        below = _color(face.image, middle + np.array([0, 1.2 * height]))
        mask = np.zeros(face.image.shape[:2], np.float32)
        grown = middle + (outline - middle) * (1.1, 1.5)
        cv2.fillPoly(mask, [np.round(grown * 8).astype(np.int32)], 1.0, cv2.LINE_AA, 3)
        mask = cv2.GaussianBlur(mask, (0, 0), 0.6)[..., None]
        share = np.clip((np.arange(len(image)) - middle[1] + height / 2) / height, 0, 1)[:, None, None]
        lid = above * (1 - share) + below * share
        lid = lid * rng.uniform(0.85, 1.02) + rng.normal(0, 2, (*image.shape[:2], 1))
        image = image * (1 - mask) + lid * mask
        lash = np.zeros(face.image.shape[:2], np.float32)
        drop = rng.uniform(0.1, 0.45) * height
        bow = np.array([outline[0], middle + np.array([0, drop]), outline[3]]) + np.array([0, 0.15 * height])
        cv2.polylines(lash, [np.round(bow * 8).astype(np.int32)], False, 1.0, 1, cv2.LINE_AA, 3)
        dark = rng.uniform(0.35, 0.75)
        image = image * (1 - cv2.GaussianBlur(lash, (0, 0), rng.uniform(0.4, 0.8))[..., None] * dark)
    return variation.Face(np.clip(image, 0, 255).astype(np.uint8), face.box, face.points)


def _color(image: NDArray[np.uint8], place: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean of 3 x 3 pixels."""
    x, y = np.clip(place.astype(int), 1, STORED - 2)
    return image[y - 1 : y + 2, x - 1 : x + 2].reshape(-1, 3).mean(axis=0)


_LOWER = ("Smile", "Beard", "Mustache", "MouthOpen")
DRAWINGS = (
    Drawing(lambda face, _, rng: variation.sunglasses(face, rng, clear=True), {"Eyeglasses": 1, "Sunglasses": 0}),
    Drawing(
        lambda face, _, rng: variation.sunglasses(face, rng, clear=False),
        {"Eyeglasses": 1, "Sunglasses": 1, "FaceOccluded": 1},
        ("EyesOpen",),
    ),
    Drawing(_plain(variation.mask), {"FaceOccluded": 1}, _LOWER),
    Drawing(_plain(variation.hand), {"FaceOccluded": 1}, (*_LOWER, "Eyeglasses", "Sunglasses", "EyesOpen")),
    Drawing(_plain(variation.beard), {"Beard": 1}, ("Smile", "Mustache", "MouthOpen")),
    Drawing(_plain(variation.mustache), {"Mustache": 1}),
    Drawing(closed_eyes, {"EyesOpen": 0}),
    Drawing(_plain(variation.mouth), {"MouthOpen": 1}, ("Smile",), moves=True),
    Drawing(_plain(variation.shade), {}),
)


@dataclass(frozen=True)
class Batch:
    """What the net sees, and what it should say."""

    images: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    """(N, 60) fractions of the input, less a half."""
    age: NDArray[np.float32]
    binary: NDArray[np.float32]
    emotions: NDArray[np.float32]


def batches(material: Material, weights: NDArray[np.float64], size: int, seed: int, step: int) -> Iterator[Batch]:
    """Batches for ever, from a step on; `weights`: how often each row is drawn."""
    share = weights / weights.sum()
    while True:
        rng = np.random.default_rng((seed, step))
        rows = rng.choice(len(share), size, p=share)
        made = [view(material.crops[row], material.landmarks[row], rng) for row in rows]
        yield Batch(
            np.stack([image for image, _ in made]),
            np.stack([marks for _, marks in made]).reshape(size, -1),
            material.age[rows],
            material.binary[rows],
            material.emotions[rows],
        )
        step += 1


def view(
    crop: NDArray[np.uint8], marks: NDArray[np.float32], rng: np.random.Generator | None
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """The net's input (64, 64, 3) of a stored crop, and its landmarks in it; without `rng` as a camera shows it."""
    scale = SIDE / STORED * (1 + 2 * STORED_ROOM) / (1 + 2 * ROOM)
    angle, mirror = 0.0, False
    shift = np.zeros(2)
    if rng is not None:
        scale *= np.exp(rng.normal(0, 0.035))
        angle, shift, mirror = rng.normal(0, 0.04), rng.normal(0, 1.0, 2), rng.random() < 0.5
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = np.full(2, (STORED - 1) / 2)
    matrix = np.column_stack([turn, np.full(2, (SIDE - 1) / 2) + shift - turn @ middle]).astype(np.float32)
    image = cv2.warpAffine(crop, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    places = (marks @ matrix[:, :2].T + matrix[:, 2] + 0.5) / SIDE - 0.5
    if mirror:
        image = np.ascontiguousarray(image[:, ::-1])
        places = places[list(MIRROR_30)] * (-1, 1)
    if rng is not None:
        image = seen_by_camera(image, rng)
    return image, places.astype(np.float32)


def seen_by_camera(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Small, blurred, dark, noisy and compressed, each now and then."""
    if rng.random() < 0.35:
        side = int(rng.integers(20, SIDE))
        small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
        image = cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.15:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.3))
    if rng.random() < 0.7:
        image = augment.light(image, rng)
    if rng.random() < 0.2:
        image = augment.grain(image, rng)
    return augment.compress(image, rng) if rng.random() < 0.2 else image


def loss_of(net: TorchNet, batch: Batch) -> tuple[Tensor, str]:
    """Distances of landmarks and age, cross entropies of the rest, over what is known."""
    images = torch.from_numpy(batch.images).permute(0, 3, 1, 2).float()
    images = ((images - 127.5) / 127.5).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        marks, age, logits = net(images)
    marks, age, logits = marks.float(), age.float()[:, 0], logits.float()
    wanted = torch.from_numpy(batch.landmarks)
    known = ~wanted.isnan()
    off = functional.smooth_l1_loss(marks[known], wanted[known], beta=0.02)
    years = functional.smooth_l1_loss(age, torch.from_numpy((batch.age - AGE_MIDDLE) / AGE_SPAN), beta=0.1)
    truth = torch.from_numpy(batch.binary)
    known = ~truth.isnan()
    told = functional.binary_cross_entropy_with_logits(
        logits[:, : len(BINARY)], truth.nan_to_num(0.5), reduction="none"
    )
    weight = torch.tensor([STEEP.get(name, 1.0) for name in BINARY])
    told = ((told * known).sum(dim=0) / known.sum(dim=0).clamp_min(4) * weight).mean()
    emotions = torch.from_numpy(batch.emotions)
    felt = ~emotions[:, 0].isnan()
    mood = functional.cross_entropy(logits[felt, len(BINARY) :], emotions[felt])
    total = 20 * off + 2 * years + 1.5 * told + 0.3 * mood
    return total, f"landmarks {off.item():.4f} age {years.item():.3f} told {told.item():.3f} mood {mood.item():.3f}"


@torch.no_grad()
def answers(net: TorchNet, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], ...]:
    """Landmarks (N, 60), age (N, 1) and logits (N, 16) of inputs (N, 64, 64, 3)."""
    net.eval()
    parts = []
    for start in range(0, len(images), BATCH):
        part = torch.from_numpy(images[start : start + BATCH]).permute(0, 3, 1, 2).float()
        parts.append([one.numpy() for one in net((part - 127.5) / 127.5)])
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


def with_own_answers(net: TorchNet, real: Material, by_eye: NDArray[np.bool_]) -> Material:
    """Real faces with what the net is sure of as labels, where nobody labeled them (self-training).

    Scudder, "Probability of error of some adaptive pattern-recognition machines" (1965). `by_eye`: rows that have a
    label made by eye.
    """
    images = np.stack([view(*pair, None)[0] for pair in zip(real.crops, real.landmarks, strict=True)])
    logits = answers(net, images)[2]
    binary = real.binary.copy()
    for name in OWN_ANSWERS:
        column = BINARY.index(name)
        known = by_eye & ~np.isnan(binary[:, column])
        gain, shift = platt(logits[known, column].astype(float), binary[known, column] > 0.5)
        told = 1 / (1 + np.exp(-np.clip(gain * logits[:, column] + shift, -30, 30)))
        free = np.isnan(binary[:, column]) & ~by_eye
        binary[free & (told >= SURE), column] = 1
        binary[free & (told <= UNSURE), column] = 0
        print(
            f"{name}: {int((free & (told >= SURE)).sum())} labeled true, {int((free & (told <= UNSURE)).sum())} false"
        )
    return replace(real, binary=binary)


def platt(logits: NDArray[np.float64], truth: NDArray[np.bool_]) -> tuple[float, float]:
    """The a and b of `a * logit + b` that fit the truth best where both answers are equally frequent (Platt, 1999)."""
    weight = np.where(truth, 0.5 / max(truth.sum(), 1), 0.5 / max((~truth).sum(), 1))
    gain, shift = 1.0, 0.0
    x = np.column_stack([logits, np.ones_like(logits)])
    for _ in range(40):
        odds = 1 / (1 + np.exp(-np.clip(x @ (gain, shift), -30, 30)))
        slope = x.T @ (weight * (odds - truth)) + (0.002 * (gain - 1), 0.002 * shift)
        curve = (x * (weight * odds * (1 - odds))[:, None]).T @ x + 0.002 * np.eye(2)
        gain, shift = np.array([gain, shift]) - np.linalg.solve(curve, slope)
    return float(gain), float(shift)


def train(
    material: Material,
    weights: NDArray[np.float64],
    folder: Path,
    budget: loop.Budget,
    seed: int,
    resume: bool,
    start: Path | None = None,
) -> tuple[TorchNet, loop.State]:
    """Train the net; the averaged one comes back."""
    torch.manual_seed(seed)
    net = TorchNet(shape()).to(memory_format=torch.channels_last)
    gentle = loop.GENTLE if start else 1.0
    training = loop.Training(net, folder, budget, rates=(0.02 * gentle, 0.002 * gentle))
    if resume and training.resume():
        print(f"resumed at step {training.state.step}")
    elif start:
        training.begin_from(start)
    training.run(
        lambda step: batches(material, weights, BATCH, seed, step),
        lambda batch: loss_of(net, batch),
        lambda: "saved",
        every=120.0,
    )
    averaged = TorchNet(net.graph)
    averaged.load_state_dict(training.average.values)
    return averaged, training.state
