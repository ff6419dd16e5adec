"""Quality gate: which crops are embedded, by the embedder's card and the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge.core.settings.vision import RecognitionSettings
    from edge.core.types import Quality


def declined(quality: Quality, settings: RecognitionSettings, floor: float) -> str:
    """Code of why a crop is not embedded (``Quality.reason`` or ``low_quality``); empty if it is.

    ``floor``: the card's minimum quality 0..1, used if ``recognition.min_quality`` is not set.
    """
    if quality.reason:
        return quality.reason
    if 0 < quality.size < settings.min_face:
        return "too_small"
    least = floor if settings.min_quality is None else settings.min_quality
    return "low_quality" if quality.score < least else ""
