"""Enrollment with a look first: what would be enrolled of a picture, and what stands against it."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from rigs.page import MARK, PORTRAIT, ROOT, Served, served
from rigs.review_faces import look as a_look

from edge.api.web.enrollment_preview import Candidate, EnrollmentPreview, EnrollmentPreviews, odd_ones
from edge.api.web.texts import FROM_CAMERA, FROM_FILE
from edge.core.imaging import image as pictures
from edge.core.types import Frame, Picture
from edge.recognition.enrollment import HINTS

OTHER = ROOT / "edge/data/portraits/eileen-collins/1.jpg"
LOOKS = "/page/collections/faces/looks"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("looks")) as served_page:
        yield served_page


def looked(page: Served, data: bytes = b"", query: str = "") -> tuple[int, dict[str, Any]]:
    status, _, body = page.ask("POST", f"{LOOKS}{query}", data, **MARK)
    return status, json.loads(body)


def enroll(page: Served, look: str, subject: str, face: int = 0, more: str = "") -> tuple[int, dict[str, Any]]:
    return page.post(f"/page/looks/{look}?face={face}&subject={quote(subject)}{more}")


def camera(page: Served, frame: Frame | None) -> None:
    page.page.begin(lambda: None, tuple, lambda _: frame, str)  # type: ignore[arg-type,return-value]


def frame(picture: Picture, age: float = 0.0) -> Frame:
    return Frame("door", 1, time.monotonic() - age, time.time(), picture)


def side_by_side() -> bytes:
    """A picture of two people."""
    people = [pictures.read(path) for path in (PORTRAIT, OTHER)]
    return pictures.encode_jpeg(np.hstack([pictures.resized_rgb(one, 400, 500) for one in people]))


def test_a_picture_is_looked_at_and_nothing_is_enrolled(page: Served) -> None:
    before = page.collections.get_or_create("faces").count
    status, said = looked(page, PORTRAIT.read_bytes())
    (face,) = said["faces"]
    assert (status, said["best"], face["reason"]) == (200, 0, "")
    assert face["quality"] > 0.3
    for picture in (said["picture"], face["picture"]):
        assert base64.b64decode(picture.removeprefix("data:image/jpeg;base64,"))[:2] == b"\xff\xd8"
    assert page.collections.get("faces").count == before


def test_what_was_looked_at_is_what_is_enrolled_once(page: Served) -> None:
    look = looked(page, OTHER.read_bytes())[1]["look"]
    status, said = enroll(page, look, "Eileen Collins")
    assert (status, said["status"], said["subject"]) == (200, "added", "Eileen Collins")
    assert enroll(page, look, "Eileen Collins")[1]["status"] == "already_there"
    uploaded = json.loads(
        page.ask("POST", "/page/collections/faces/faces?subject=Eileen%20Collins", OTHER.read_bytes(), **MARK)[2]
    )
    assert uploaded["status"] == "already_there", "the same picture is the same face, whichever way it came"
    changes = [(one["who"], one["what"], one["subject"]) for one in page.get("/page/history/changes")["changes"]]
    assert changes == [("local", "enroll", "Eileen Collins")]


def test_somebody_who_is_enrolled_under_another_name_is_noticed(page: Served) -> None:
    enroll(page, looked(page, PORTRAIT.read_bytes())[1]["look"], "Grace Hopper")
    softer = pictures.encode_jpeg(pictures.resized_rgb(pictures.read(PORTRAIT), 420, 520), 70)
    said = looked(page, softer)[1]
    near = said["faces"][0]["nearest"][0]
    assert (near["subject"], near["match"]) == ("Grace Hopper", True)
    status, refused = enroll(page, said["look"], "Somebody else")
    assert status == 409
    assert "Grace Hopper" in refused["error"]
    assert "Somebody else" not in page.collections.get("faces").subjects()
    assert enroll(page, said["look"], "Somebody else", more="&force=1")[0] == 200
    page.collections.get("faces").delete_subject("Somebody else")


def test_of_several_faces_the_one_that_is_chosen_is_enrolled(page: Served) -> None:
    said = looked(page, side_by_side())[1]
    assert len(said["faces"]) == 2
    places = [face["box"][0] + face["box"][2] / 2 for face in said["faces"]]
    right = int(np.argmax(places))
    near = {number: face["nearest"][0]["subject"] for number, face in enumerate(said["faces"])}
    assert near[right] == "Eileen Collins"
    assert enroll(page, said["look"], "Eileen Collins", right)[0] == 200
    assert enroll(page, said["look"], "x", 2)[0] == 400
    assert enroll(page, said["look"], "x", -1)[0] == 400


def candidates(*people: int) -> list[Candidate]:
    return [Candidate(str(number), 0, a_look(person, number)) for number, person in enumerate(people)]


NOBODY = np.zeros((0, 16), np.float32)


@pytest.mark.parametrize(
    ("people", "own", "odd"),
    [
        ((0,), (), [False]),
        ((0, 0, 0), (), [False, False, False]),
        ((1, 0, 0, 0), (), [True, False, False, False]),
        ((0, 1), (), [True, True]),
        ((0, 0, 1, 1), (), [True, True, True, True]),
        ((1, 1, 0), (0,), [True, True, False]),
        ((1,), (0,), [True]),
        ((0,), (0,), [False]),
    ],
)
def test_of_several_candidates_the_one_that_is_unlike_the_others_is_odd(
    people: tuple[int, ...], own: tuple[int, ...], odd: list[bool]
) -> None:
    faces = np.stack([a_look(person, 5) for person in own]) if own else NOBODY
    assert odd_ones(candidates(*people), faces, 0.46) == odd


def test_pictures_that_are_to_be_enrolled_together_are_compared_first(page: Served) -> None:
    sizes = (500, 460, 420)
    grace = [pictures.encode_jpeg(pictures.resized_rgb(pictures.read(PORTRAIT), n, round(n * 1.25))) for n in sizes]
    shown = [looked(page, data)[1]["look"] for data in (OTHER.read_bytes(), *grace)]
    rows = [{"look": key, "face": 0} for key in shown]
    status, said = page.post("/page/looks/compare", {"subject": "Somebody", "looks": rows})
    assert (status, said["odd"]) == (200, [shown[0]])
    for wrong in ({}, {"looks": []}, {"looks": [{"look": shown[0], "face": 9}]}, {"looks": [{"look": "x", "face": 0}]}):
        assert page.post("/page/looks/compare", wrong)[0] in (400, 404)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"GIF89a" + bytes(20), "GIF"),
        (b"%PDF-1.7 x", "a PDF document"),
        (b"<!doctype html><p>", "an HTML page"),
        (b"\xf8\xad\x01\x02 random", "a file of another kind"),
    ],
)
def test_a_file_that_is_no_picture_is_refused_in_words(page: Served, data: bytes, kind: str) -> None:
    status, said = looked(page, data)
    assert status == 400
    assert said["error"] == f"picture: expected JPEG, PNG, WebP or BMP, got {kind}"
    assert said["try"] == "convert the picture to JPEG or PNG"


def test_a_broken_heic_is_refused_in_words(page: Served) -> None:
    """With the extra that reads HEIC, and without."""
    status, said = looked(page, b"\0\0\0\x18ftypheic\0\0\0\0mif1")
    assert status == 400
    assert "HEIC" in said["error"]
    assert said["try"]


def test_a_camera_takes_the_picture(page: Served) -> None:
    picture = pictures.read(OTHER)
    camera(page, frame(picture))
    status, said = looked(page, query="?camera=door")
    assert (status, len(said["faces"])) == (200, 1)
    assert enroll(page, said["look"], "Eileen Collins")[0] == 200


def test_a_camera_that_gives_nothing_new_takes_no_picture(page: Served) -> None:
    for held in (None, frame(pictures.read(OTHER), age=60)):
        camera(page, held)
        status, said = looked(page, query="?camera=door")
        assert (status, said["error"]) == (503, "camera door gives no new picture")


def test_a_wall_a_speck_and_a_blur_are_told_with_what_helps(page: Served) -> None:
    wall = pictures.encode_jpeg(np.full((200, 200, 3), 120, np.uint8))
    status, said = looked(page, wall)
    assert (status, said["faces"], said["reason"]) == (200, [], "no_face")
    assert "come nearer" not in said["try"], "it is a file, not a camera"
    small = np.full((480, 640, 3), 90, np.uint8)
    small[200:262, 300:350] = pictures.resized_rgb(pictures.read(PORTRAIT), 50, 62)
    faces = looked(page, pictures.encode_jpeg(small))[1]["faces"]
    assert all(face["reason"] and face["error"] and face["try"] for face in faces)
    status, refused = looked(page, b"rubbish")
    assert (status, bool(refused["error"])) == (400, True)


def test_every_reason_has_words_and_something_to_try() -> None:
    assert set(FROM_CAMERA) == set(FROM_FILE) == set(HINTS) - {"no_subject"}


def test_what_cannot_be_enrolled_is_not(page: Served) -> None:
    look = looked(page, PORTRAIT.read_bytes())[1]["look"]
    for word, name, status in ((look, "", 400), (look, "a/b", 400), (look, "x" * 300, 400), ("guessed", "a", 404)):
        assert enroll(page, word, name)[0] == status
    assert looked(page, query="?camera=attic")[0] in (404, 503)
    assert page.ask("POST", "/page/collections/nobodys/looks", PORTRAIT.read_bytes(), **MARK)[0] == 404


def test_looks_are_held_for_a_while_and_not_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    from edge.api.web import enrollment_preview as looks
    from edge.core.errors import NotFoundError

    held = EnrollmentPreviews()
    words = [held.keep(EnrollmentPreview("faces", "face", "", ())) for _ in range(looks.MOST_HELD + 1)]
    with pytest.raises(NotFoundError):
        held.get(words[0])
    assert held.get(words[-1]).collection == "faces"
    monkeypatch.setattr(looks, "HELD_SECONDS", -1.0)
    late = held.keep(EnrollmentPreview("faces", "face", "", ()))
    with pytest.raises(NotFoundError):
        held.get(late)
