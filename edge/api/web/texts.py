"""Hints for pictures that cannot be enrolled."""

from __future__ import annotations

FROM_CAMERA = {
    "no_face": "come nearer, and look into the camera",
    "too_small": "come nearer",
    "blurred": "hold still, in more light",
    "turned_away": "look into the camera",
    "cut_off": "step into the middle of the picture",
    "dark": "turn on a light, or turn towards the window",
    "low_quality": "take a sharp picture from the front, in good light",
}
"""reason code -> hint, for a picture taken by a camera now"""
FROM_FILE = {
    "no_face": "choose a picture in which the face is at least 100 pixels wide",
    "too_small": "choose a picture in which the face is larger",
    "blurred": "choose a sharper picture",
    "turned_away": "choose a picture from the front",
    "cut_off": "choose a picture that shows the whole face",
    "dark": "choose a brighter picture",
    "low_quality": "choose a sharp picture from the front, in good light",
}
"""reason code -> hint, for an uploaded file"""


def advice(reason: str, *, camera: bool) -> str:
    """The hint for a reason code where no face of a picture can be enrolled."""
    table = FROM_CAMERA if camera else FROM_FILE
    return table.get(reason, table["low_quality"])
