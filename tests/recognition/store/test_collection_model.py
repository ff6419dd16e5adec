"""The three ways to search are held to one model: a plain dictionary. Two processes' worth of handles take turns."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from numpy.typing import NDArray

from edge.core.settings.vision import CollectionSettings
from edge.core.types import Box, Space
from edge.recognition.store.collection import Collection
from edge.recognition.store.collections import Collections
from edge.recognition.store.face_rows import NewFace

D = 8
SPACE = Space("cd" * 32, "litert", 1, D)
MODES = {
    "exact": CollectionSettings(index="exact"),
    "annoy": CollectionSettings(index="annoy"),
    "auto": CollectionSettings(index="auto", exact_limit=D * 12),
}
MODE = st.sampled_from(sorted(MODES))


def vector(seed: int) -> NDArray[np.float32]:
    drawn = np.random.default_rng(seed).standard_normal(D).astype(np.float32)
    return drawn / np.float32(np.linalg.norm(drawn))


class ThreeWaysToSearch(RuleBasedStateMachine):
    """Adds and deletes through any handle are seen by all, whatever they search with."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.opened: dict[str, Collections] = {}
        self.model: dict[str, tuple[str, NDArray[np.float32]]] = {}

    @initialize()
    def open(self) -> None:
        for mode in MODES:
            self.reopen(mode)
        self.opened["auto"].create("staff")

    @rule(mode=MODE)
    def reopen(self, mode: str) -> None:
        if mode in self.opened:
            self.opened[mode].close()
        self.opened[mode] = Collections(self.folder, MODES[mode], maintain=False)

    @rule(mode=MODE, seeds=st.lists(st.integers(0, 60), max_size=20))
    def add(self, mode: str, seeds: list[int]) -> None:
        new = [
            NewFace(vector(seed), f"s{seed % 7}", hashlib.sha256(bytes([seed])).hexdigest(), Box(0, 0, 1, 1))
            for seed in seeds
        ]
        faces = self.staff(mode).add(new, SPACE)
        assert [face.subject for face in faces] == [one.subject for one in new]
        for face, seed in zip(faces, seeds, strict=True):
            self.model[face.face_id] = (f"s{seed % 7}", vector(seed))

    @rule(mode=MODE, picks=st.lists(st.integers(0, 1000), max_size=8))
    def delete_faces(self, mode: str, picks: list[int]) -> None:
        ids = sorted(self.model)
        chosen = list(dict.fromkeys(ids[pick % len(ids)] for pick in picks)) if ids else ["nobody"]
        assert set(self.staff(mode).delete_faces(chosen)) == set(chosen) & set(self.model)
        for face_id in chosen:
            self.model.pop(face_id, None)

    @rule(mode=MODE, subject=st.integers(0, 7))
    def delete_subject(self, mode: str, subject: int) -> None:
        gone = {face_id for face_id, (name, _) in self.model.items() if name == f"s{subject}"}
        assert set(self.staff(mode).delete_subject(f"s{subject}")) == gone
        for face_id in gone:
            del self.model[face_id]

    @rule(mode=MODE)
    def rebuild(self, mode: str) -> None:
        staff = self.staff(mode)
        staff.rebuild()
        wants = mode == "annoy" or (mode == "auto" and len(self.model) * D > D * 12)
        if mode == "exact" or not self.model:
            assert staff.state.kind == "exact"
        elif wants:
            assert staff.state.kind == "annoy"

    @rule(seed=st.integers(0, 100), limit=st.integers(1, 70))
    def search(self, seed: int, limit: int) -> None:
        queries = np.stack([vector(seed), vector(seed + 1)])
        for mode in MODES:
            found = self.staff(mode).search(queries, limit)
            for query, matches in zip(queries, found, strict=True):
                truth = sorted((float(query @ known) for _, known in self.model.values()), reverse=True)[:limit]
                assert np.allclose([match.similarity for match in matches], truth, atol=1e-5), mode
                assert len({match.face_id for match in matches}) == len(matches)
                for match in matches:
                    subject, known = self.model[match.face_id]
                    assert (match.subject, abs(match.similarity - float(query @ known)) < 1e-5) == (subject, True)

    @invariant()
    def all_know_the_same_faces(self) -> None:
        for mode, opened in self.opened.items():
            if "staff" in opened:
                assert self.staff(mode).count == len(self.model), mode

    def teardown(self) -> None:
        for opened in self.opened.values():
            opened.close()
        shutil.rmtree(self.folder)

    def staff(self, mode: str) -> Collection:
        return self.opened[mode].get("staff")


ThreeWaysToSearch.TestCase.settings = settings(
    max_examples=25, stateful_step_count=25, suppress_health_check=list(HealthCheck)
)
TestThreeWaysToSearch = ThreeWaysToSearch.TestCase
