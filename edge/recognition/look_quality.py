"""Which crops are worth an embedding: by the embedder's card, and what the settings ask on top."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge.core.settings.vision import RecognitionSettings
    from edge.core.types import Quality


def declined(quality: Quality, settings: RecognitionSettings, floor: float) -> str:
    """Why a crop is not worth an embedding: a code of ``Quality.reason`` or ``low_quality``; empty where it is.

    ``floor``: the card's lowest quality 0..1, where ``recognition.min_quality`` says nothing.
    """
    if quality.reason:
        return quality.reason
    if 0 < quality.size < settings.min_face:
        return "too_small"
    least = floor if settings.min_quality is None else settings.min_quality
    return "low_quality" if quality.score < least else ""
