"""Collections: SQLite is the truth, Annoy its disposable picture."""

from edge.collection.collection import Collection
from edge.collection.collections import Collections
from edge.collection.faces import NewFace

__all__ = ["Collection", "Collections", "NewFace"]
