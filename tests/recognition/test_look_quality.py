from __future__ import annotations

import pytest

from edge.core.settings.vision import RecognitionSettings
from edge.core.types import Quality
from edge.recognition.look_quality import declined


@pytest.mark.parametrize(
    ("quality", "settings", "reason"),
    [
        (Quality(0.9, size=80), RecognitionSettings(), ""),
        (Quality(0.9, "blurred", size=80), RecognitionSettings(), "blurred"),
        (Quality(0.9, size=31), RecognitionSettings(), "too_small"),
        (Quality(0.9, size=31), RecognitionSettings(min_face=24), ""),
        (Quality(0.29, size=80), RecognitionSettings(), "low_quality"),
        (Quality(0.29, size=80), RecognitionSettings(min_quality=0.2), ""),
        (Quality(0.31, size=80), RecognitionSettings(min_quality=0.5), "low_quality"),
    ],
)
def test_the_card_says_what_is_worth_an_embedding_and_the_settings_say_otherwise(
    quality: Quality, settings: RecognitionSettings, reason: str
) -> None:
    assert declined(quality, settings, floor=0.3) == reason
