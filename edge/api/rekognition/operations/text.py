"""Text in pictures and stored videos: lines and words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge.api.rekognition.errors import ApiError
from edge.api.rekognition.operations.videos import page, start
from edge.api.rekognition.streams import regions
from edge.api.rekognition.text_lines import filtered_words, text_detections

if TYPE_CHECKING:
    from edge.api.rekognition.call import Call

MODEL_VERSION = "3.0"


def detect_text(call: Call) -> dict[str, Any]:
    filters = _filters(call)
    _, picture = call.service.image(call["Image"])
    words = filtered_words(call.service.vision.words(picture), filters)
    found = text_detections(words, picture.width / picture.height)
    return {"TextDetections": found, "TextModelVersion": MODEL_VERSION}


def start_text_detection(call: Call) -> dict[str, Any]:
    _filters(call)
    return start(call)


def get_text_detection(call: Call) -> dict[str, Any]:
    return {**page(call, "StartTextDetection", "TextDetections", "time"), "TextModelVersion": MODEL_VERSION}


def _filters(call: Call) -> dict[str, Any]:
    """The request's Filters. Raises ApiError for invalid regions."""
    filters: dict[str, Any] = call.get("Filters", {})
    if wrong := regions.problem(filters.get("RegionsOfInterest", ())):
        raise ApiError("InvalidParameterException", f"Request has invalid parameters. RegionsOfInterest: {wrong}.")
    return filters
