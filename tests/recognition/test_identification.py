from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.core.imaging import image as pictures
from edge.core.settings.schema import Settings
from edge.core.settings.services import ReviewSettings
from edge.core.settings.vision import CollectionSettings, LabelSettings, ModelSettings
from edge.core.types import IdentityState, Match
from edge.inference.scoring import GENERAL
from edge.recognition import extraction as finder
from edge.recognition import identification as identify
from edge.recognition.enrollment import enroll_images, planned
from edge.recognition.extraction import FaceExtractor
from edge.recognition.identification import identify_files, subject_search
from edge.recognition.review.question import ReviewQuestion
from edge.recognition.review.queue import ReviewQueue
from edge.recognition.review.rejections import RejectionIndex
from edge.recognition.score_policy import ScorePolicy
from edge.recognition.store.centroid import robust_centroid
from edge.recognition.store.collection import Collection
from edge.recognition.store.collections import Collections
from edge.recognition.subject_search import subject_cosine

EXPECTED = {
    "bbt1.jpg": {"sheldon", "leonard", "raj", "howard"},
    "bbt2.jpg": {"sheldon", "leonard", "raj"},
    "bbt3.jpg": {"leonard", "sheldon", "howard", "penny", "raj"},
    "bbt4.jpg": {"leonard", "sheldon", "raj", "bernadette", "amy", "penny"},
    "bbt5.jpg": {"raj", "howard", "sheldon", "leonard", "penny"},
}
"""who is in the group photos: three embedders agree (two miss bbt1's leonard), and every visible face has a box"""


@pytest.fixture(scope="module")
def settings(shared_models: Path) -> Settings:
    return Settings(models=ModelSettings(path=(shared_models,), check=False))


@pytest.fixture(scope="module")
def faces(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> FaceExtractor:
    state = tmp_path_factory.mktemp("state")
    return finder.load(settings, state, "face", ["ulffd-landmark-320"], "mobilefacenet-112-int8")


@pytest.fixture(scope="module")
def cast(faces: FaceExtractor, shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collection]:
    with Collections(tmp_path_factory.mktemp("collections"), CollectionSettings()) as opened:
        collection = opened.create("cast")
        for _ in enroll_images(planned(shared_data / "tv_cast" / "gallery", None), faces, collection):
            pass
        yield collection


def test_the_faces_of_group_photos_are_named_and_none_wrongly(
    faces: FaceExtractor, cast: Collection, settings: Settings, shared_data: Path
) -> None:
    search = subject_search(settings, "face", faces.embedder.scorer, cast)
    assert search.needed == pytest.approx(79.0, abs=0.1)  # 8 subjects, 1 false name in 1,000
    answers = identify_files(sorted((shared_data / "tv_cast" / "group").iterdir()), faces, search)
    named = {answer.path.name: sorted(face.identity.subject or "" for face in answer.known) for answer in answers}
    assert named == {name: sorted(people) for name, people in EXPECTED.items()}


def test_a_picture_that_cannot_be_read_does_not_stop_the_others(
    faces: FaceExtractor, cast: Collection, settings: Settings, shared_data: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"\xff\xd8\xff")
    good = shared_data / "tv_cast" / "gallery" / "amy" / "amy1.png"
    search = subject_search(settings, "face", faces.embedder.scorer, cast)
    bad, gone, answer = identify_files([tmp_path / "bad.jpg", tmp_path / "gone.jpg", good], faces, search)
    assert (bool(bad.reason), gone.reason, bad.faces) == (True, "unreadable", ())
    assert [face.identity.subject for face in answer.known] == ["amy"]
    identity = answer.known[0].identity
    own = cast.vectors([identity.face_id or ""])[0]
    others = cast.vectors([face.face_id for face in cast.faces(subject="amy")])
    assert identity.similarity == pytest.approx(subject_cosine(1.0, own, robust_centroid(others)), abs=1e-3)


def test_an_empty_collection_knows_nobody(
    faces: FaceExtractor, settings: Settings, shared_data: Path, tmp_path: Path
) -> None:
    with Collections(tmp_path, CollectionSettings()) as opened:
        path = shared_data / "tv_cast" / "gallery" / "amy" / "amy1.png"
        search = subject_search(settings, "face", faces.embedder.scorer, opened.create("nobody"))
        (answer,) = identify_files([path], faces, search)
    assert [face.identity.state for face in answer.faces] == [IdentityState.UNKNOWN]
    assert answer.faces[0].matches == ()


@pytest.mark.parametrize(
    ("cosines", "state", "subject"),
    [
        ({"alice": 0.8, "bob": 0.3}, IdentityState.KNOWN, "alice"),
        ({"alice": 0.8}, IdentityState.KNOWN, "alice"),
        ({"alice": 0.8, "bob": 0.78}, IdentityState.UNCERTAIN, "alice"),
        ({"alice": 0.34, "bob": 0.1}, IdentityState.UNKNOWN, None),
        ({}, IdentityState.UNKNOWN, None),
    ],
)
def test_the_threshold_and_the_margin_decide(
    cosines: dict[str, float], state: IdentityState, subject: str | None
) -> None:
    matches = [Match(f"id-{name}", name, cosine, GENERAL.likeness(cosine)) for name, cosine in cosines.items()]
    found = identify.identity(matches, 80.0, 0.06, "staff")
    assert (found.state, found.subject, found.collection) == (state, subject, "staff")
    assert found.runner_up == (cosines.get("bob"))


def test_a_threshold_comes_from_the_call_the_label_or_the_number_of_subjects_in_this_order(
    faces: FaceExtractor, cast: Collection, settings: Settings
) -> None:
    label = LabelSettings(embedder="x", collection="y", similarity=91, margin=0.2)
    own = settings.model_copy(update={"labels": {"face": label}})
    scorer = faces.embedder.scorer
    assert subject_search(own, "face", scorer, cast, 95.0).needed == 95
    fixed = subject_search(own, "face", scorer, cast)
    assert (fixed.needed, fixed.policy.margin) == (91, 0.2)
    assert subject_search(settings, "face", scorer, cast).needed == ScorePolicy(0.001).needed(8)


def test_a_look_that_somebody_rejected_is_not_named(
    faces: FaceExtractor, cast: Collection, settings: Settings, shared_data: Path, tmp_path: Path
) -> None:
    search = subject_search(settings, "face", faces.embedder.scorer, cast, rejections=RejectionIndex(tmp_path))
    path = shared_data / "tv_cast" / "group" / "bbt2.jpg"
    (before,) = identify_files([path], faces, search)
    picture = pictures.read(path)
    raj = next(face for face in before.known if face.identity.subject == "raj")
    (embedding,) = faces.embedder.embed(picture, [raj.detection])
    where = ("door", "1-1", "face", cast.name, embedding.space, raj.detection.box, 0.9, 0.9)
    with ReviewQueue(tmp_path, ReviewSettings()) as queue:
        queue.put([ReviewQuestion("audit", 4e9, *where, "raj", (), embedding.vector)])
        queue.answer(queue.doubts()[0], "rejected", "raj")
    (after,) = identify_files([path], faces, search)
    assert {face.identity.subject for face in before.known} == {"sheldon", "leonard", "raj"}
    assert {face.identity.subject for face in after.known} == {"sheldon", "leonard"}


def test_identification_continues_where_the_state_folder_cannot_be_entered() -> None:
    index = RejectionIndex(Path("a" * 300))
    assert index.subjects("faces", "ab") == {}
    index.close()
