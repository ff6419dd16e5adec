"""Converts, calibrates and judges the attribute net, and writes its card."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.inference.interpreter import Interpreter
from training import attributes, card, finish
from training.attribute_faces import AttributeFaces
from training.attributes import AGE_MIDDLE, AGE_SPAN, BINARY, LANDMARKS, ROOM, SIDE, Material, platt
from training.face_api import EXPRESSIONS
from training.torchnet import TorchNet

SAMPLES = 300
TEACHER_ERROR = 7.0
"""Years by which the age teacher is wrong itself, taken from its author's figures and rounded up."""
FEWEST = 8
"""Real faces that have an attribute, from which on its accuracy is that of real faces alone."""
GUESS = 0.65
"""Balanced accuracy below which an answer is what most real faces have, unless the net is sure."""
GAZE = 10.0
"""Degrees within which an eye direction is right."""


@dataclass(frozen=True)
class Answers:
    """What the int8 model says of faces; NaN in `truth`: unknown."""

    landmarks: NDArray[np.float32]
    """(N, 30, 2) fractions of the input, less a half."""
    age: NDArray[np.float32]
    logits: NDArray[np.float32]
    """(N, 16)."""


def answers_of(runner: Interpreter, tensors: list[str], material: Material) -> Answers:
    """The model on every face, as a camera shows it."""
    positions = runner.positions(tensors)
    rows: list[list[NDArray[np.float32]]] = []
    for crop, marks in zip(material.crops, material.landmarks, strict=True):
        runner.invoke(attributes.view(crop, marks, None)[0][None])
        rows.append([np.array(runner.values(position)).reshape(-1) for position in positions])
    landmarks, age, logits = (np.stack(column) for column in zip(*rows, strict=True))
    return Answers(landmarks.reshape(-1, len(LANDMARKS), 2), age[:, 0] * AGE_SPAN + AGE_MIDDLE, logits)


def crossed(logits: NDArray[np.float64], truth: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What is said of each face by a calibration that was fitted to the other half of them."""
    said = np.zeros(len(truth), bool)
    for half in (0, 1):
        mine = np.arange(len(truth)) % 2 == half
        gain, shift = platt(logits[~mine], truth[~mine])
        said[mine] = gain * logits[mine] + shift >= 0
    return said


def balanced(said: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Mean of the shares of true and of false that are told rightly."""
    return float((said[truth].mean() + (~said[~truth]).mean()) / 2)


def write(
    net: TorchNet,
    faces: AttributeFaces,
    kept: tuple[Material, Material],
    labels: Mapping[str, NDArray[np.float32]],
    options: argparse.Namespace,
    work: Path,
    made: dict[str, Any],
) -> None:
    """Convert, calibrate and judge on people kept aside; `kept`: their faces as they are, and drawn on."""
    rng = np.random.default_rng((options.seed, 7))
    real, drawn = kept
    chosen = rng.choice(len(real.crops), SAMPLES // 2)
    views = [
        attributes.view(part.crops[row], part.landmarks[row], rng)[0]
        for part in kept
        for row in chosen % len(part.crops)
    ]
    finish.convert(net, np.stack(views), options, work)
    runner = Interpreter(options.out / card.FILE)
    sizes = (2 * len(LANDMARKS), 1, len(BINARY) + len(EXPRESSIONS))
    tensors = [next(one.name for one in runner.outputs if one.shape[-1] == size) for size in sizes]
    seen = answers_of(runner, tensors, real), answers_of(runner, tensors, drawn)
    table = _card(tensors, made)
    told, table["attributes"] = _told(seen, kept, faces, labels), {**table["attributes"]}
    table["attributes"] |= {name: [one[name] for one in told.values()] for name in ("calibration", "balanced")}
    off = np.abs(seen[0].age - real.age)
    reach = float(np.ceil(np.hypot(np.quantile(off, 0.8), TEACHER_ERROR)))
    eyes = _gaze(seen[0], real)
    table["attributes"] |= {"age": [reach, reach], "temperature": _temperature(seen[0], real), "gaze": round(eyes, 3)}
    table["accuracy"] = {"people_kept_aside": {name: one["figures"] for name, one in told.items()}}
    table["accuracy"]["people_kept_aside"] |= _others(seen[0], real, eyes, plain_groups(faces))
    table["accuracy"]["people_kept_aside"]["command"] = "scripts/train_face_attributes --only convert"
    card.write(options.out, table)
    for name, figures in table["accuracy"]["people_kept_aside"].items():
        print(f"{name}: {figures}")


def plain_groups(faces: AttributeFaces) -> NDArray[np.str_]:
    """Groups of the people kept aside, as cards name them."""
    names = [group.replace("colour", "color").replace("grey", "gray") for group in faces.groups[faces.kept]]
    return np.array(names)


def _told(
    seen: tuple[Answers, Answers],
    kept: tuple[Material, Material],
    faces: AttributeFaces,
    labels: Mapping[str, NDArray[np.float32]],
) -> dict[str, dict[str, Any]]:
    """Calibration, balanced accuracy and figures of each attribute; truth of real faces is what was labeled by eye."""
    keys, groups = faces.keys[faces.kept], plain_groups(faces)
    by_eye = np.stack([labels.get(key, np.full(len(BINARY), np.nan, np.float32)) for key in keys])
    sexes = np.array(
        [{"female": 0.0, "male": 1.0}.get(group.split(" ")[1], np.nan) if " " in group else np.nan for group in groups]
    )
    by_eye[:, 0] = np.where(np.isnan(sexes), by_eye[:, 0], sexes)
    result = {}
    for number, name in enumerate(BINARY):
        parts = [(seen[0].logits[:, number], by_eye[:, number]), (seen[1].logits[:, number], kept[1].binary[:, number])]
        pairs = [(logits[sure], truth[sure] > 0.5) for logits, truth in parts for sure in [(truth == 0) | (truth == 1)]]
        logits, truth = (np.concatenate(column) for column in zip(*pairs, strict=True))
        said = crossed(logits.astype(float), truth)
        count = len(pairs[0][1])
        own, drawn = (said[:count], truth[:count]), (said[count:], truth[count:])
        enough = min(own[1].sum(), (~own[1]).sum()) >= FEWEST
        figures = _figures(own, drawn)
        if name == "Gender":
            sure = (by_eye[:, 0] == 0) | (by_eye[:, 0] == 1)
            figures += _by_group(*own, groups[sure])
        accuracy = balanced(*own) if enough else balanced(said, truth)
        gain, shift = platt(logits.astype(float), truth)
        if accuracy < GUESS:
            shift += float(np.log(own[1].sum() / max((~own[1]).sum(), 1)))
            figures += "; little better than a guess, so the answer is what most faces have unless it is sure"
        result[name] = {
            "calibration": [round(gain, 4), round(shift, 4)],
            "balanced": round(max(accuracy, 0.5), 3),
            "figures": figures,
        }
    return result


def _figures(
    own: tuple[NDArray[np.bool_], NDArray[np.bool_]], drawn: tuple[NDArray[np.bool_], NDArray[np.bool_]]
) -> str:
    text = []
    for kind, (said, truth) in (("real", own), ("drawn", drawn)):
        true, false = int(truth.sum()), int((~truth).sum())
        if true and false:
            right = f"{int(said[truth].sum())} of {true} true, {int((~said[~truth]).sum())} of {false} false"
            text.append(f"{kind} balanced {balanced(said, truth):.3f} ({right})")
    return "; ".join(text)


def _by_group(said: NDArray[np.bool_], truth: NDArray[np.bool_], groups: NDArray[np.str_]) -> str:
    parts = []
    for group in np.unique(groups):
        mine = groups == group
        parts.append(f"{group} {(said == truth)[mine].mean():.3f} of {mine.sum()}")
    return "; right by group: " + ", ".join(parts)


def _others(seen: Answers, real: Material, eyes: float, groups: NDArray[np.str_]) -> dict[str, str]:
    off = np.abs(seen.age - real.age)
    truth = np.stack([attributes.view(*pair, None)[1] for pair in zip(real.crops, real.landmarks, strict=True)])
    apart = np.linalg.norm(truth[:, 0] - truth[:, 1], axis=1)
    wrong = np.linalg.norm(seen.landmarks - truth, axis=2) / apart[:, None]
    pupils = wrong[:, [LANDMARKS.index("leftPupil"), LANDMARKS.index("rightPupil")]]
    felt, said = real.emotions.argmax(axis=1), seen.logits[:, len(BINARY) :].argmax(axis=1)
    shares = [
        f"{name} {(said == felt)[felt == number].mean():.2f} of {(felt == number).sum()}"
        for number, name in enumerate(EXPRESSIONS)
        if (felt == number).any()
    ]
    ages = [f"{group} {off[groups == group].mean():.1f}" for group in np.unique(groups)]
    return {
        "AgeRange": f"mean {off.mean():.1f} years from the teacher, whose own error is not in it ({', '.join(ages)})",
        "Emotions": f"the teacher's first emotion is the first in {(said == felt).mean():.3f}: {', '.join(shares)}",
        "Landmarks": f"mean {wrong.mean():.4f} of the eye distance from the teacher's, pupils {pupils.mean():.4f}",
        "EyeDirection": f"within {GAZE:g} degrees of what dark pupils in the picture say: {eyes:.3f}; no eye tracker",
    }


def _gaze(seen: Answers, real: Material) -> float:
    """Share of faces whose eyes are turned as the pupils in the picture say."""
    truth = np.stack([attributes.view(*pair, None)[1] for pair in zip(real.crops, real.landmarks, strict=True)])
    return float((np.abs(_turns(seen.landmarks) - _turns(truth)) <= GAZE).all(axis=1).mean())


def _turns(marks: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, 2) degrees to the right and down, as `edge.inference.face_attributes` has them."""
    turns = []
    for side in ("left", "right"):
        first, last = (marks[:, LANDMARKS.index(f"{side}Eye{end}")] for end in ("Left", "Right"))
        width = np.linalg.norm(last - first, axis=1, keepdims=True)
        turns.append((marks[:, LANDMARKS.index(f"{side}Pupil")] - (first + last) / 2) / width * 30 / 12)
    return np.degrees(np.arcsin(np.clip(np.mean(turns, axis=0), -0.7071, 0.7071)))


def _temperature(seen: Answers, real: Material) -> float:
    """What the logits of the emotions are divided by, where the teacher's probabilities are fitted best."""

    def loss(heat: float) -> float:
        scaled = seen.logits[:, len(BINARY) :] / heat
        scaled = scaled - scaled.max(axis=1, keepdims=True)
        return float(-(real.emotions * (scaled - np.log(np.exp(scaled).sum(axis=1, keepdims=True)))).sum(axis=1).mean())

    return round(min(np.arange(0.5, 4.0, 0.05), key=loss), 2)


def _card(tensors: list[str], made: dict[str, Any]) -> dict[str, Any]:
    return {
        "kind": "attributes",
        "about": "Attributes of an aligned face, int8 throughout: age, glasses, beard, mouth, emotions, landmarks.",
        "weak_at": (
            "faces under 40 pixels, profiles, the dark; closed eyes, covered faces, beards and mustaches were learned "
            "mostly from drawings; emotions and age are an opinion; gender is how a face looks, not who "
            "somebody is; children hardly occur"
        ),
        "input": {"width": SIDE, "height": SIDE, "fit": "stretch", **finish.PICTURE_INPUT},
        "attributes": {
            "tensors": tensors,
            "names": list(BINARY),
            "emotions": list(EXPRESSIONS),
            "landmarks": list(LANDMARKS),
            "room": ROOM,
        },
        "provenance": made,
    }
