"""DetectLabels: objects in pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edge.api.rekognition import shapes
from edge.api.rekognition.errors import ApiError

if TYPE_CHECKING:
    from edge.api.rekognition.call import Call
    from edge.api.rekognition.taxonomy import Taxonomy
    from edge.core.types import Box, Detection, Picture

MODEL_VERSION = "3.0"
"""LabelModelVersion of the response format; parents, aliases and categories came with 3.0"""
MIN_CONFIDENCE = 55.0
MOST_LABELS = 1000
MOST_COLORS = 10
SURE = 0.5
"""score from which a box belongs to the foreground"""
NOISE = 0.05
"""minimum score of a box, whatever MinConfidence a request has"""


def detect_labels(call: Call) -> dict[str, Any]:
    features = call.get("Features") or ["GENERAL_LABELS"]
    if "GENERAL_LABELS" not in features and {"MaxLabels", "MinConfidence"} & set(call.members):
        raise ApiError(
            "InvalidParameterException",
            "Request has invalid parameters. MaxLabels and MinConfidence: only with the feature GENERAL_LABELS.",
        )
    _, picture = call.service.image(call["Image"])
    answer: dict[str, Any] = {"Labels": [], "LabelModelVersion": MODEL_VERSION}
    settings = call.get("Settings", {})
    lowest = call.get("MinConfidence", MIN_CONFIDENCE)
    found = call.service.vision.things(picture, max(NOISE, lowest / 100))
    most = settings.get("ImageProperties", {}).get("MaxDominantColors", MOST_COLORS)
    colored = "IMAGE_PROPERTIES" in features
    if "GENERAL_LABELS" in features:
        labels = labels_of(found, call.service.taxonomy, _colors_in(picture, most) if colored else None)
        labels = filtered(labels, settings.get("GeneralLabels", {}))
        answer["Labels"] = labels[: call.get("MaxLabels", MOST_LABELS)]
    if colored:
        from edge.api.rekognition.colors import image_properties

        answer["ImageProperties"] = image_properties(picture, most, [one.box for one in found if one.score >= SURE])
    return answer


def _colors_in(picture: Picture, most: int) -> Callable[[Box], list[dict[str, Any]]]:
    from edge.api.rekognition.colors import instance_colors

    return lambda box: instance_colors(picture, box, most)


def labels_of(
    found: Sequence[Detection], taxonomy: Taxonomy, colors: Callable[[Box], list[dict[str, Any]]] | None = None
) -> list[dict[str, Any]]:
    """Labels with one instance per box, and their ancestors, highest confidence first. ``colors``: of a box."""
    instances: dict[str, list[dict[str, Any]]] = {}
    confidence: dict[str, float] = {}
    for thing in sorted(found, key=lambda one: one.score, reverse=True):
        name, value = taxonomy.name(thing.label), shapes.percent(thing.score)
        instance = {"BoundingBox": shapes.box(thing.box), "Confidence": value}
        if colors is not None:
            instance["DominantColors"] = colors(thing.box)
        instances.setdefault(name, []).append(instance)
        for one in (name, *taxonomy.ancestors(name)):
            confidence[one] = max(value, confidence.get(one, 0.0))
    ranked = sorted(confidence, key=lambda name: (-confidence[name], name))
    return [
        {**taxonomy.shape(name), "Confidence": confidence[name], "Instances": instances.get(name, [])}
        for name in ranked
    ]


def filtered(labels: Sequence[dict[str, Any]], filters: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """The labels that pass the filters of a request."""
    return [label for label in labels if _passes(label, filters)]


def _passes(label: Mapping[str, Any], filters: Mapping[str, Sequence[str]]) -> bool:
    """Whether a name or category is included, where inclusions are given, and neither is excluded."""
    name, categories = label["Name"], {one["Name"] for one in label["Categories"]}
    names, fields = filters.get("LabelInclusionFilters", []), filters.get("LabelCategoryInclusionFilters", [])
    wanted = not (names or fields) or name in names or not categories.isdisjoint(fields)
    excluded = name in filters.get("LabelExclusionFilters", [])
    return wanted and not excluded and categories.isdisjoint(filters.get("LabelCategoryExclusionFilters", []))
