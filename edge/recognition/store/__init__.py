"""Collections: SQLite is the truth, Annoy its disposable picture."""

from edge.recognition.store.collection import Collection
from edge.recognition.store.collections import Collections
from edge.recognition.store.face_rows import NewFace

__all__ = ["Collection", "Collections", "NewFace"]
