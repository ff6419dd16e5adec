"""Moderation and protective equipment, from the owner's models and custom labels.

The settings map labels of this device to Amazon's labels. Labels come from the detectors of the endpoint and from every
running version of a project.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edge.api.rekognition import shapes
from edge.api.rekognition.custom import arns
from edge.core.errors import SettingsError
from edge.core.imaging import image as pictures
from edge.core.types import WHOLE, Box, Detection

if TYPE_CHECKING:
    from edge.api.rekognition.call import Call
    from edge.api.rekognition.custom.projects import Projects
    from edge.api.rekognition.custom.training import Training
    from edge.api.rekognition.vision import Vision
    from edge.core.settings.schema import Settings
    from edge.core.types import Picture

MODERATION_VERSION = "7.0"
EQUIPMENT_VERSION = "1.0"
MIN_CONFIDENCE = 50.0
MOST_PERSONS = 15
PERSON = "person"
HEAD_MARGIN = 0.35
"""margin around a face's box that belongs to the head, as a fraction of the box"""
COVERED = 0.3
"""fraction of a body part inside the equipment's box from which it counts as covered"""


def detect_moderation_labels(call: Call) -> dict[str, Any]:
    lowest = call.get("MinConfidence", MIN_CONFIDENCE)
    if "ProjectVersion" in call.members:
        version = arns.version(call, "ProjectVersion")
        _, picture = call.service.image(call["Image"])
        found = call.service.training.predict(version, picture, lowest / 100, call.service.vision.models)
        labels = [_moderation("", one.label, one.probability, 1) for one in found]
        return {"ModerationLabels": labels, "ProjectVersion": call["ProjectVersion"], "ContentTypes": []}
    check_moderation(call.service.settings)
    _, picture = call.service.image(call["Image"])
    return {
        "ModerationLabels": call.service.own_labels.moderation(call.service.vision, picture, lowest),
        "ModerationModelVersion": MODERATION_VERSION,
        "ContentTypes": [],
    }


def check_moderation(settings: Settings) -> None:
    """Raises SettingsError where no label is mapped."""
    if not settings.api.moderation:
        raise SettingsError(
            "no label of this device is mapped to content to moderate",
            'train labels, and name them in api.moderation: { knife = "Violence/Weapons" }',
        )


class OwnLabels:
    """Labels of the owner's detectors and of running project versions, in pictures."""

    def __init__(self, settings: Settings, projects: Projects, training: Training) -> None:
        self._settings, self._projects, self._training = settings, projects, training

    def moderation(self, vision: Vision, picture: Picture, lowest: float) -> list[dict[str, Any]]:
        """ModerationLabels of at least ``lowest`` (0..100), each with its ancestors in the taxonomy."""
        mapping = self._settings.api.moderation
        best: dict[tuple[str, ...], float] = {}
        for one in self.detected(vision, picture, set(mapping), lowest / 100):
            path = tuple(mapping[one.label].split("/"))
            for depth in range(1, len(path) + 1):
                best[path[:depth]] = max(one.score, best.get(path[:depth], 0.0))
        ranked = sorted(best, key=lambda path: (-best[path], path))
        return [_moderation("".join(path[-2:-1]), path[-1], best[path], len(path)) for path in ranked]

    def detected(self, vision: Vision, picture: Picture, wanted: set[str], score: float) -> list[Detection]:
        """Detections of the ``wanted`` labels; labels without a box cover the whole picture."""
        found = [one for one in vision.things(picture, score) if one.label in wanted]
        return found + self._predicted(vision, picture, wanted, score)

    def on_person(self, vision: Vision, picture: Picture, person: Detection, wanted: set[str]) -> list[Detection]:
        """Custom labels in the crop of one person, with boxes in fractions of the whole picture."""
        place = person.box.clipped()
        left, top = int(place.left * picture.width) // 2 * 2, int(place.top * picture.height) // 2 * 2
        right = (int(place.right * picture.width) + 1) // 2 * 2
        bottom = (int(place.bottom * picture.height) + 1) // 2 * 2
        if right - left < 2 or bottom - top < 2:
            return []
        part = pictures.cut(picture, left, top, min(right, picture.width), min(bottom, picture.height))
        found = self._predicted(vision, part, wanted, MIN_CONFIDENCE / 100)
        return [replace(one, box=_placed(one.box, place)) for one in found]

    def _predicted(self, vision: Vision, picture: Picture, wanted: set[str], score: float) -> list[Detection]:
        running = [one for one in self._projects.versions() if one.status == "RUNNING"]
        found = [one for version in running for one in self._training.predict(version, picture, score, vision.models)]
        return [Detection(one.label, one.probability, one.box or WHOLE) for one in found if one.label in wanted]


def detect_protective_equipment(call: Call) -> dict[str, Any]:
    mapping = call.service.settings.api.protective_equipment
    if not mapping:
        raise SettingsError(
            "no label of this device is mapped to protective equipment",
            'train labels, and name them in api.protective_equipment: { helmet = "HEAD_COVER" }',
        )
    vision = call.service.vision
    vision.must_know(PERSON)
    _, picture = call.service.image(call["Image"])
    people = sorted(
        (one for one in vision.things(picture, MIN_CONFIDENCE / 100) if one.label == PERSON),
        key=lambda one: -one.box.area,
    )[:MOST_PERSONS]
    faces = [one.detection for one in vision.faces(picture)]
    worn = call.service.own_labels.detected(vision, picture, set(mapping), MIN_CONFIDENCE / 100)
    for person in people:
        worn += call.service.own_labels.on_person(vision, picture, person, set(mapping))
    worn = [replace(one, label=mapping[one.label]) for one in worn]
    persons = [_person(number, person, faces, worn) for number, person in enumerate(people)]
    answer: dict[str, Any] = {"ProtectiveEquipmentModelVersion": EQUIPMENT_VERSION, "Persons": persons}
    if "SummarizationAttributes" in call.members:
        answer["Summary"] = _summary(persons, call["SummarizationAttributes"])
    return answer


def _person(number: int, person: Detection, faces: Sequence[Detection], worn: Sequence[Detection]) -> dict[str, Any]:
    face = next((one for one in faces if _holds(person.box, one.box)), None)
    parts: dict[str, tuple[Box, float]] = {}
    if face is not None:
        parts = {"FACE": (face.box, face.score), "HEAD": (_head(face.box), face.score)}
    mine = [one for one in worn if _holds(person.box, one.box) or one.box.area >= person.box.area]
    return {
        "Id": number,
        "BoundingBox": shapes.box(person.box),
        "Confidence": shapes.percent(person.score),
        "BodyParts": [
            {
                "Name": name,
                "Confidence": shapes.percent(score),
                "EquipmentDetections": [_worn(one, part) for one in mine if one.label == f"{name}_COVER"],
            }
            for name, (part, score) in parts.items()
        ],
    }


def _worn(one: Detection, part: Box) -> dict[str, Any]:
    covers = part.area > 0 and one.box.intersection(part) >= COVERED * part.area
    return {
        "BoundingBox": shapes.box(one.box),
        "Confidence": shapes.percent(one.score),
        "Type": one.label,
        "CoversBodyPart": {"Confidence": shapes.percent(one.score), "Value": covers},
    }


def _summary(persons: Sequence[Mapping[str, Any]], asked: Mapping[str, Any]) -> dict[str, list[int]]:
    """Persons with and without all required equipment; indeterminate where a body part was not visible."""
    required, lowest = set(asked["RequiredEquipmentTypes"]), asked["MinConfidence"]
    groups: dict[str, list[int]] = {"With": [], "Without": [], "Indeterminate": []}
    for person in persons:
        seen = {f"{part['Name']}_COVER" for part in person["BodyParts"] if part["Confidence"] >= lowest}
        worn = {
            one["Type"]
            for part in person["BodyParts"]
            for one in part["EquipmentDetections"]
            if one["Confidence"] >= lowest and one["CoversBodyPart"]["Value"]
        }
        group = "With" if required <= worn else "Without" if required & seen - worn else "Indeterminate"
        groups[group].append(person["Id"])
    return {
        "PersonsWithRequiredEquipment": groups["With"],
        "PersonsWithoutRequiredEquipment": groups["Without"],
        "PersonsIndeterminate": groups["Indeterminate"],
    }


def _moderation(parent: str, name: str, score: float, level: int) -> dict[str, Any]:
    return {"Confidence": shapes.percent(score), "Name": name, "ParentName": parent, "TaxonomyLevel": level}


def _holds(outer: Box, inner: Box) -> bool:
    x, y = (inner.left + inner.right) / 2, (inner.top + inner.bottom) / 2
    return outer.left <= x <= outer.right and outer.top <= y <= outer.bottom


def _head(face: Box) -> Box:
    across, down = HEAD_MARGIN * face.width, HEAD_MARGIN * face.height
    return Box(face.left - across, face.top - 2 * down, face.right + across, face.bottom + down / 2)


def _placed(box: Box, place: Box) -> Box:
    return Box(
        place.left + box.left * place.width,
        place.top + box.top * place.height,
        place.left + box.right * place.width,
        place.top + box.bottom * place.height,
    )
