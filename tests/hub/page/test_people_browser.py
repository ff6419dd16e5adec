"""People of the fleet in a real Chromium, with real faces: published, accepted from a device, erased everywhere."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rigs.browser import Browser
from rigs.fleet_page import ServedHub, served_hub
from rigs.running import ROOT
from rigs.settings_files import DETECTOR, EMBEDDER

from edge.hub.publishing.enrollments import PendingEnrollments
from edge.hub.publishing.publisher import ReleasePublisher
from edge.recognition.enrollment_export import EnrollmentPage

PORTRAITS = ROOT / "edge/data/portraits"
SECTIONS = {
    "cameras": [{"name": "door", "source": "synthetic", "detectors": [DETECTOR]}],
    "labels": {"face": {"embedder": EMBEDDER, "collection": "staff"}},
}
LIST = "document.querySelector('#people-list').textContent"
RISK = "document.querySelector('#people-risk')"
PENDING = "document.querySelector('#enrollments-list').textContent"


def pull(desk: ReleasePublisher, subject: str, like: str) -> None:
    """The device porch has enrolled ``subject``, whose look is close to that of ``like``."""
    with desk.collections() as collections:
        staff = collections.get("staff")
        (face, *_) = staff.faces(subject=like)
        (vector,) = staff.vectors([face.face_id])
        space = staff.space or ""
    noise = np.random.default_rng(3).standard_normal(len(vector)).astype(np.float32)
    other = vector + 0.5 * noise / np.linalg.norm(noise)
    pulled = replace(face, face_id=str(uuid.uuid5(uuid.NAMESPACE_DNS, subject)), subject=subject, origin="device")
    page = EnrollmentPage("staff", [(pulled, other / np.linalg.norm(other))], space, pulled.face_id, more=False)
    with closing(PendingEnrollments(desk.private)) as waiting:
        waiting.take("porch", "", page)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[ServedHub]:
    """A hub with two subjects, one further look at one of them, and one that looks like somebody else."""
    with served_hub(tmp_path, **SECTIONS) as hub:
        desk = desk_of(hub)
        desk.init()
        for model in (DETECTOR, EMBEDDER):
            desk.add_model(model)
        added = [one.status for one in desk.add_collection("staff", PORTRAITS, "face")]
        assert added.count("added") >= 2
        pull(desk, "grace-hopper", "grace-hopper")
        pull(desk, "mallory", "eileen-collins")
        yield hub


def desk_of(hub: ServedHub) -> ReleasePublisher:
    return ReleasePublisher(hub.folder / "hub", hub.settings)


def open_people(browser: Browser, hub: ServedHub) -> None:
    browser.open("about:blank")
    browser.open(f"{hub.url}/#people")
    browser.until(f"{LIST}.includes('grace-hopper')", 60)


@pytest.mark.long
@pytest.mark.timeout(400)
def test_people_of_the_fleet_from_an_enrollment_to_an_erasure_everywhere(browser: Browser, hub: ServedHub) -> None:
    browser.console.clear()
    browser.size("desktop")
    open_people(browser, hub)
    assert browser.js("document.querySelector('#people-count').textContent") == "2 subjects"
    assert "not published yet" in browser.js(LIST)
    browser.until(f"/a stranger gets a name about once in [\\d,]+ looks/.test({RISK}.textContent)", 60)
    assert browser.accessibility() == []

    # a face of a device that fits is accepted; one that looks like somebody else says so, and waits for more
    browser.until(f"{PENDING}.includes('mallory')")
    assert "it looks like eileen-collins, who is enrolled already" in browser.js(PENDING)
    rows = "[...document.querySelectorAll('#enrollments-list li')]"
    browser.js(f"{rows}.find((one) => one.textContent.includes('grace')).querySelector('button').click()")
    browser.until(f"!{PENDING}.includes('grace') && {PENDING}.includes('mallory')", 60)
    browser.until(f"{LIST}.includes('enrolled on porch')", 60)

    desk_of(hub).publish()
    open_people(browser, hub)
    browser.until(f"{LIST}.includes('in the newest release') && !{LIST}.includes('not published')", 60)

    browser.focus("#people-list button[aria-label='Forget eileen-collins']")
    browser.press("Enter")
    browser.until("document.querySelector('#sure-dialog')?.open")
    assert "eileen-collins" in browser.js("document.querySelector('#sure-title').textContent")
    browser.focus("#sure-yes")
    browser.press("Enter")
    browser.until(f"!{LIST}.includes('eileen-collins')", 60)
    assert desk_of(hub).subjects() == {"grace-hopper", "mallory"}
    browser.size("phone")
    assert browser.js("document.documentElement.scrollWidth") <= 390
    assert browser.accessibility() == []
    assert browser.console == []
