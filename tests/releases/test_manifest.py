from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.errors import ReleaseError
from edge.releases.manifest import Blob, Deployment, Release, ShippedModel, bucket, parse, to_bytes

BLOB = Blob("a" * 64, 3)


def test_a_release_reads_back_as_it_was_written() -> None:
    release = Release("2026-11-22.1", 1.0, models=(ShippedModel("m", "detector", {"card.toml": BLOB}),))
    assert parse(Release, to_bytes(release)) == release
    assert to_bytes(parse(Release, to_bytes(release))) == to_bytes(release)
    assert release.blobs() == {"a" * 64: 3}


def test_a_field_of_a_newer_hub_is_ignored() -> None:
    document = json.loads(to_bytes(Release("r1", 1.0))) | {"news": True}
    assert parse(Release, json.dumps(document).encode()) == Release("r1", 1.0)


@pytest.mark.parametrize(
    "change",
    [
        {"id": "../r1"},
        {"id": ""},
        {"minimum": "new"},
        {"v": 2},
        {"models": [{"name": "m", "kind": "detector", "files": {"../x": {"sha256": "a" * 64, "size": 1}}}]},
        {"models": [{"name": "m", "kind": "detector", "files": {"x": {"sha256": "../../etc/passwd", "size": 1}}}]},
        {"models": [{"name": "..", "kind": "detector", "files": {}}]},
        {"labels": {"face": "../x"}},
    ],
)
def test_names_that_would_leave_their_folder_and_other_nonsense_are_refused(change: dict[str, object]) -> None:
    document = json.loads(to_bytes(Release("r1", 1.0))) | change
    with pytest.raises(ReleaseError):
        parse(Release, json.dumps(document).encode())


@given(st.binary(max_size=200))
def test_bytes_from_outside_are_read_or_refused(data: bytes) -> None:
    with pytest.raises(ReleaseError):
        parse(Release, data)
    with pytest.raises(ReleaseError):
        parse(Deployment, data)


DEVICES = [f"device-{i}" for i in range(1000)]


@given(st.floats(0, 100), st.floats(0, 100))
def test_a_larger_share_keeps_the_devices_of_the_smaller_one(one: float, other: float) -> None:
    small, large = sorted((one, other))
    deployment = Deployment("all", 1, "r2", "r1", small)
    first = {device for device in DEVICES[:200] if deployment.wanted(device) == "r2"}
    assert first <= {d for d in DEVICES[:200] if replace(deployment, percent=large).wanted(d) == "r2"}


def test_five_percent_are_about_five_percent_and_others_in_each_release() -> None:
    chosen = [{d for d in DEVICES if bucket(release, d) < 500} for release in ("r1", "r2")]
    assert all(30 <= len(found) <= 75 for found in chosen)
    assert len(chosen[0] & chosen[1]) < 15


def test_pins_hold_and_canaries_count_before_the_share() -> None:
    deployment = Deployment("all", 1, "r2", "r1", 0.0, canaries=("door",), pins={"lab": "r0"})
    assert [deployment.wanted(device) for device in ("door", "lab", "porch")] == ["r2", "r0", "r1"]
    assert replace(deployment, hold=True).wanted("door") == ""
