"""Faces that are asked for by their ids are looked up, whatever the size of the collection."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edge.core.settings.vision import CollectionSettings
from edge.core.types import Box, Space
from edge.recognition.store import face_rows as stored
from edge.recognition.store.collections import Collections
from edge.recognition.store.face_rows import NewFace


def test_a_list_of_ids_does_not_walk_through_the_collection(tmp_path: Path) -> None:
    asked: list[str] = []
    with Collections(tmp_path, CollectionSettings()) as collections:
        collection = collections.create("c")
        new = [NewFace(np.eye(8, dtype=np.float32)[i], None, str(i), Box(0, 0, 1, 1)) for i in range(8)]
        ids = [face.face_id for face in collection.add(new, Space("0" * 64, "litert", 1, 8))]
        with collections.store.reading() as db:
            db.set_trace_callback(asked.append)
            found = stored.select_ids(db, "c", collection.number, [ids[5], ids[2], "unknown"])
            db.set_trace_callback(None)
            values = [""] * asked[-1].count("?")  # Python 3.10 traces statements without their values
            plan = db.execute(f"EXPLAIN QUERY PLAN {asked[-1]}", values).fetchall()

    assert list(found) == [ids[2], ids[5]]
    assert any("face_id=?" in row[3] for row in plan), plan
