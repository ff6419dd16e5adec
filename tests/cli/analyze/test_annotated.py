"""What stands beside a box in a video."""

from __future__ import annotations

import pytest

from edge.cli.analyze.annotated import caption
from edge.core.types import WHOLE, CustomLabel, Identity, IdentityState, Track

KNOWN = Identity(IdentityState.KNOWN, "alice", 0.6, likeness=96.6)
UNCERTAIN = Identity(IdentityState.UNCERTAIN, "alice", 0.4, likeness=70.0)
HELMET = (CustomLabel("helmet", 0.9, "helmets/1"),)


@pytest.mark.parametrize(
    ("identity", "labels", "shown"),
    [
        (Identity(), (), "face  3-12"),
        (KNOWN, (), "alice 97  3-12"),
        (KNOWN, HELMET, "alice 97  3-12"),
        (UNCERTAIN, (), "face?  3-12"),
        (Identity(IdentityState.RETRACTED, "alice", 0.6), (), "face  3-12"),
        (Identity(IdentityState.UNKNOWN), HELMET, "helmet  3-12"),
    ],
)
def test_a_caption_names_nobody_who_is_not_known(
    identity: Identity, labels: tuple[CustomLabel, ...], shown: str
) -> None:
    track = Track("3-12", "door", "face", WHOLE, 0.9, 0.0, 0.0, 0.0, 0.0, identity=identity, custom_labels=labels)
    assert caption(track) == shown
