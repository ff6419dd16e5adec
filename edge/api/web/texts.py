"""What the page says in words, beside the codes that programs see."""

from __future__ import annotations

from collections.abc import Callable

from edge.recognition.review.question import ReviewQuestion

TRY = {
    "no_face": "come nearer, and look into the camera",
    "too_small": "come nearer",
    "blurred": "hold still, in more light",
    "turned_away": "look into the camera",
    "cut_off": "step into the middle of the picture",
    "dark": "turn on a light, or turn towards the window",
    "low_quality": "a sharp picture from the front, in good light, is what is wanted",
}
"""reason why nothing can be enrolled -> what helps"""


def question(doubt: ReviewQuestion) -> str:
    """What is asked."""
    if doubt.pseudonym:
        return f"Who is {doubt.pseudonym}?"
    if doubt.version:
        return f"Does it show {doubt.subject}?" if doubt.subject else "What does it show?"
    return f"Is it {doubt.subject}?" if doubt.subject else "Who is it?"


def why(doubt: ReviewQuestion, match: float | None) -> str:
    """Why somebody is asked. ``match``: cosine that makes a match; None where it is not known here."""
    says = WHY.get(doubt.reason)
    return says(doubt, match) if says else f"The device asks because of: {doubt.reason}."


def _uncertain(doubt: ReviewQuestion, match: float | None) -> str:
    if not doubt.nearest or match is None:
        return f"The looks speak for {doubt.subject}, but too weakly."
    best = doubt.nearest[0].similarity
    if best >= match:
        return f"One look at {doubt.subject} is a match ({best:.2f}), the others were too weak to agree."
    return f"The looks speak for {doubt.subject}, but too weakly: {best:.2f}, and {match:.2f} makes a match."


def _margin(doubt: ReviewQuestion, _: float | None) -> str:
    if len(doubt.nearest) < 2:
        return "Two subjects are nearly as near."
    first, second = doubt.nearest[:2]
    return (
        f"{first.subject} ({first.similarity:.2f}) and {second.subject} ({second.similarity:.2f}) are nearly as near."
    )


def _unmatched(doubt: ReviewQuestion, match: float | None) -> str:
    if not doubt.nearest:
        return "A good look at somebody, and the collection has nobody to compare with."
    best = doubt.nearest[0]
    needed = f", and {match:.2f} makes a match" if match is not None else ""
    return f"A good look that nobody matches: the nearest is {best.subject} with {best.similarity:.2f}{needed}."


def _retracted(doubt: ReviewQuestion, _: float | None) -> str:
    return f"The device called this {doubt.subject}, and a later look disproved it."


def _audit(doubt: ReviewQuestion, _: float | None) -> str:
    return f"A sample: the device is sure that this is {doubt.subject}. Is it right?"


def _faint(doubt: ReviewQuestion, _: float | None) -> str:
    near = f" If it is one: the nearest is {doubt.nearest[0].subject}." if doubt.nearest else ""
    return f"The detector is not sure that this is a {doubt.label} at all ({doubt.score:.2f}).{near}"


def _threshold(doubt: ReviewQuestion, _: float | None) -> str:
    score = next((one.similarity for one in doubt.nearest if one.subject == doubt.subject), None)
    near = f": {score:.2f} is near the threshold" if score is not None else ""
    return f"The custom labels {doubt.version} are not sure of {doubt.subject}{near}."


WHY: dict[str, Callable[[ReviewQuestion, float | None], str]] = {
    "uncertain": _uncertain,
    "margin": _margin,
    "unmatched": _unmatched,
    "retracted": _retracted,
    "audit": _audit,
    "faint": _faint,
    "threshold": _threshold,
}
"""reason of a doubt -> a sentence"""
