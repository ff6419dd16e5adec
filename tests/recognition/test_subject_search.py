"""How like a subject a look is: half its nearest face, half all its faces together."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.core.settings.vision import CollectionSettings
from edge.core.types import Match, Space
from edge.inference.calibration import Calibration
from edge.inference.scoring import CLIP, Cohort, FaceScorer
from edge.recognition.store.centroid import robust_centroid
from edge.recognition.store.collection import Collection
from edge.recognition.store.collections import Collections
from edge.recognition.store.face_rows import NewFace
from edge.recognition.store.store import FILE
from edge.recognition.subject_search import MOST_FACES, SAME_STRANGER, SubjectSearch, subject_cosine

Vectors = NDArray[np.float32]
Units = Callable[..., Vectors]
Faces = Callable[..., list[NewFace]]


def near(centers: Vectors, spread: float, seed: int) -> Vectors:
    """Unit vectors around ``centers``."""
    noise = np.random.default_rng(seed).standard_normal(centers.shape, dtype=np.float32)
    vectors = centers + spread * noise / np.linalg.norm(noise, axis=1, keepdims=True)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def asked(staff: Collection, query: Vectors, most: int = 32) -> list[Match]:
    return SubjectSearch(staff).subjects(query[np.newaxis], most=most)[0]


def test_a_subject_with_one_face_is_as_alike_as_that_face(
    staff: Collection, unit: Units, faces: Faces, space: Space
) -> None:
    staff.add(faces(unit(5)), space)
    query = unit(1, seed=9)[0]
    scored = [replace(match, likeness=0.0) for match in asked(staff, query, 5)]
    assert scored == staff.search(query[np.newaxis], 5)[0]


def test_several_faces_count_half_by_the_nearest_and_half_together(
    staff: Collection, unit: Units, faces: Faces, space: Space
) -> None:
    alice, query = unit(4, seed=3), unit(1, seed=9)[0]
    staff.add(faces(alice, "alice"), space)
    (match,) = asked(staff, query)
    cosines = alice @ query
    assert match.similarity == pytest.approx((cosines.max() + robust_centroid(alice) @ query) / 2, abs=1e-5)
    assert match.face_id == staff.search(query[np.newaxis], 1)[0][0].face_id


def test_each_subject_comes_once_and_the_most_alike_first(
    staff: Collection, unit: Units, faces: Faces, space: Space
) -> None:
    staff.add(faces(unit(12)), space)
    staff.add(faces(unit(6, seed=1), "alice", start=12), space)
    (nameless,) = staff.add([replace(one, subject=None) for one in faces(unit(1, seed=2), start=18)], space)
    matches = asked(staff, unit(1, seed=9)[0])
    assert sorted(match.name for match in matches) == sorted(["alice", nameless.face_id, *(f"s{n}" for n in range(12))])
    similarities = [match.similarity for match in matches]
    assert similarities == sorted(similarities, reverse=True)


def test_only_the_nearest_subjects_are_asked_for(staff: Collection, unit: Units, faces: Faces, space: Space) -> None:
    staff.add(faces(unit(12)), space)
    query = unit(1, seed=9)[0]
    few, all_of_them = asked(staff, query, 3), asked(staff, query)
    assert few == all_of_them[:3]
    assert len(all_of_them) == 12


def test_one_picture_of_somebody_else_among_a_subjects_names_the_other_less_readily(
    staff: Collection, unit: Units, faces: Faces, space: Space
) -> None:
    alice, stranger = unit(2, seed=4)
    own = near(np.repeat(alice[np.newaxis], 3, axis=0), 0.4, seed=5)
    staff.add(faces(np.stack([*own, near(stranger[np.newaxis], 0.4, seed=6)[0]]), "alice"), space)
    nearest = staff.search(stranger[np.newaxis], 1)[0][0].similarity
    assert asked(staff, stranger)[0].similarity < 0.65 * nearest
    assert asked(staff, alice)[0].similarity > 0.85


def test_faces_that_come_and_go_count_at_once(staff: Collection, unit: Units, faces: Faces, space: Space) -> None:
    alice, query = unit(3, seed=3), unit(1, seed=9)[0]
    first = staff.add(faces(alice[:1], "alice"), space)
    assert asked(staff, query)[0].similarity == pytest.approx(float(alice[0] @ query), abs=1e-5)
    more = staff.add(faces(alice[1:], "alice", start=1), space)
    together_now = subject_cosine(float((alice @ query).max()), query, robust_centroid(alice))
    assert asked(staff, query)[0].similarity == pytest.approx(together_now, abs=1e-5)
    staff.delete_faces([face.face_id for face in more])
    assert asked(staff, query)[0].face_id == first[0].face_id
    assert asked(staff, query)[0].similarity == pytest.approx(float(alice[0] @ query), abs=1e-5)


def test_another_process_changes_what_counts(tmp_path: Path, unit: Units, faces: Faces, space: Space) -> None:
    alice, query = unit(2, seed=3), unit(1, seed=9)[0]
    with Collections(tmp_path, CollectionSettings()) as here, Collections(tmp_path, CollectionSettings()) as there:
        staff = here.create("staff")
        staff.add(faces(alice[:1], "alice"), space)
        before = asked(staff, query)[0].similarity
        there.get("staff").add(faces(alice[1:], "alice", start=1), space)
        expected = subject_cosine(float((alice @ query).max()), query, robust_centroid(alice))
        assert asked(staff, query)[0].similarity == pytest.approx(expected, abs=1e-5)
        assert before != pytest.approx(expected, abs=1e-3)


def test_of_very_many_faces_the_newest_are_taken_together(
    staff: Collection, unit: Units, faces: Faces, space: Space
) -> None:
    alice, query = unit(MOST_FACES + 20, seed=3), unit(1, seed=9)[0]
    staff.add(faces(alice, "alice"), space)
    expected = subject_cosine(float((alice @ query).max()), query, robust_centroid(alice[-MOST_FACES:][::-1]))
    assert asked(staff, query)[0].similarity == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("damage", ["x'00ff'", "zeroblob(128)"])
def test_a_face_that_was_damaged_on_disk_spoils_nothing_of_its_subject(
    tmp_path: Path, unit: Units, faces: Faces, space: Space, damage: str
) -> None:
    alice, query = unit(3, seed=3), unit(1, seed=9)[0]
    with Collections(tmp_path, CollectionSettings()) as opened:
        first = opened.create("staff").add(faces(alice, "alice"), space)[0]
    with closing(sqlite3.connect(tmp_path / FILE)) as db, db:
        db.execute(f"UPDATE faces SET vector = {damage} WHERE face_id = ?", (first.face_id,))
    with Collections(tmp_path, CollectionSettings()) as opened:
        (match,) = asked(opened.get("staff"), query)
    whole = alice[1:]
    expected = subject_cosine(float((whole @ query).max()), query, robust_centroid(whole[::-1]))
    assert match.similarity == pytest.approx(expected, abs=1e-5)


class Visitors:
    """Strangers of a site."""

    def __init__(self) -> None:
        self.number, self.looks = 1, np.empty((0, 0), np.float32)

    def version(self) -> int:
        return self.number

    def vectors(self, collection: str, space: str) -> Vectors:
        return self.looks


def of_a_kind(count: int, seed: int) -> Vectors:
    """Unit vectors of people who have much in common."""
    own = np.random.default_rng(seed).standard_normal((count, 32)).astype(np.float32)
    own /= np.linalg.norm(own, axis=1, keepdims=True)
    mixed = own + np.eye(32, dtype=np.float32)[3]
    vectors: Vectors = mixed / np.linalg.norm(mixed, axis=1, keepdims=True)
    return vectors


SCORES = Calibration(((-20.0, 0.0), (0.0, 40.0), (4.0, 80.0), (8.0, 99.0), (30.0, 100.0)))


def test_people_of_one_kind_are_told_apart_by_the_others_enrolled_and_by_the_sites_strangers(
    staff: Collection, unit: Units, faces: Faces, space: Space
) -> None:
    """The cohort has nobody of their kind, and so every stranger of it looks like everybody enrolled."""
    scorer, strangers = FaceScorer(SCORES, Cohort(unit(500, seed=5), 50)), of_a_kind(40, 9)
    staff.add(faces(of_a_kind(30, 2)), space)
    visitors = Visitors()
    search = SubjectSearch(staff, scorer, strangers=visitors)
    best = [one[0] for one in search.subjects(strangers)]
    own, enrolled = scorer.statistics(strangers), scorer.statistics(staff.vectors([one.face_id for one in best]))
    alone = [scorer.likeness(m.similarity, a, b) for m, a, b in zip(best, own, enrolled, strict=True)]
    visitors.number, visitors.looks = 2, of_a_kind(60, 4)
    known = [one[0].likeness for one in search.subjects(strangers)]
    assert np.mean(alone) > np.mean([one.likeness for one in best]) + 5
    assert np.mean(alone) > np.mean(known) + 5


def test_a_stranger_that_may_be_the_subject_takes_nothing_from_its_name(
    staff: Collection, unit: Units, faces: Faces, space: Space
) -> None:
    scorer = FaceScorer(SCORES, Cohort(unit(500, seed=5), 50, (0.3, 0.05)))
    alice = unit(1, seed=3)
    staff.add(faces(alice, "alice"), space)
    look = near(alice, 0.4, 8)
    visitors = Visitors()
    search = SubjectSearch(staff, scorer, strangers=visitors)
    before = search.subjects(look)[0][0].likeness
    visitors.number, visitors.looks = 2, np.repeat(look, 6, axis=0)
    assert search.subjects(look)[0][0].likeness == pytest.approx(before, abs=0.01)


def test_a_collection_of_an_earlier_embedder_with_other_dimensions_is_searched_by_cosine(
    staff: Collection, unit: Units, faces: Faces, space: Space
) -> None:
    other = np.random.default_rng(2).standard_normal((50, 7), dtype=np.float32)
    search = SubjectSearch(staff, FaceScorer(cohort=Cohort(other, 10), model="0" * 64))
    staff.add(faces(unit(4, seed=3), "alice"), space)
    (match,) = search.subjects(unit(1, seed=9), most=5)[0]
    assert match.subject == "alice"
    assert search.faces(unit(1, seed=9))[0][0].subject == "alice"


def plain_search(
    faces: Vectors, names: list[str], query: Vectors, scorer: FaceScorer, strangers: Vectors
) -> list[tuple[str, float]]:
    """Subject and likeness of all subjects, best first, one array operation after another."""
    assert scorer.cohort is not None
    cohort, nearest = scorer.cohort.vectors, 50

    def statistics(vector: Vectors, but: str) -> tuple[float, float]:
        own = np.sort(cohort @ vector)[-nearest:]
        others = [max(faces[i] @ vector for i, one in enumerate(names) if one == name) for name in {*names} - {but}]
        unlike = [cosine for cosine in strangers @ vector if cosine < scorer.typical_cosine(SAME_STRANGER)]
        added = np.minimum([*others, *unlike], own.mean() + CLIP * own.std())
        top = np.sort(np.concatenate([own, added]))[-nearest:]
        return float(top.mean()), float(top.std())

    found = []
    for name in dict.fromkeys(names):
        mine = faces[[i for i, one in enumerate(names) if one == name]][::-1]
        best = mine[int((mine @ query).argmax())]
        score = scorer.score(float(best @ query), statistics(query, name), statistics(best, name))
        if len(mine) > 1:
            center = robust_centroid(mine)
            score = (score + scorer.score(float(center @ query), statistics(query, name), statistics(center, name))) / 2
        found.append((name, scorer.calibration.likeness(score)))
    return sorted(found, key=lambda one: -one[1])


@pytest.mark.parametrize("seed", range(4))
def test_the_matches_are_those_of_a_plain_computation(
    staff: Collection, unit: Units, faces: Faces, space: Space, seed: int
) -> None:
    scorer = FaceScorer(SCORES, Cohort(unit(300, seed=seed), 50, (0.4, 0.05)))
    enrolled, names = of_a_kind(24, seed + 20), [f"s{i}" for i in [*range(14), *range(10)]]
    for i, (vector, name) in enumerate(zip(enrolled, names, strict=True)):
        staff.add(faces(vector[np.newaxis], name, start=i), space)
    visitors = Visitors()
    visitors.looks = unit(20, seed=seed + 40)
    search = SubjectSearch(staff, scorer, strangers=visitors)
    queries = np.concatenate([near(enrolled[:2], 0.7, seed), unit(2, seed=seed + 60)])
    for again in range(2):
        for query, found in zip(queries, search.subjects(queries, most=5), strict=True):
            plain = dict(plain_search(enrolled, names, query, scorer, visitors.looks))
            likeness = {match.name: match.likeness for match in found}
            assert likeness == pytest.approx({name: plain[name] for name in likeness}, abs=0.01), again
            assert [m.likeness for m in found] == sorted((m.likeness for m in found), reverse=True)
