"""Checks of collections and their indexes."""

from __future__ import annotations

from collections.abc import Iterator

from edge.cli.doctor.finding import DoctorContext, Finding, Level
from edge.core.errors import EdgeError, NotFoundError, StoreError
from edge.core.storage.keys import EncryptionKey
from edge.recognition.collection_risk import estimate
from edge.recognition.identification import subject_search
from edge.recognition.store import annoy_index as index
from edge.recognition.store.collections import INDEXES, Collections
from edge.recognition.store.store import FILE

OFTEN = 0.01
"""estimated share (0..1) of false matches of strangers that is reported"""


def collections(context: DoctorContext) -> Iterator[Finding]:
    """Check that each collection is readable, in the right embedding space, and has an intact index."""
    if not any(label.embedder for label in context.settings.labels.values()):
        return
    if not (context.state / FILE).exists():
        yield _empty("there are no collections yet", "faces")
        return
    with Collections(context.state, context.settings.collection, maintain=False) as opened:
        recognized = {section.collection: name for name, section in context.settings.labels.items() if section.embedder}
        for name, label in recognized.items():
            yield from _collection(context, opened, name, label)


def _collection(context: DoctorContext, opened: Collections, name: str, label: str) -> Iterator[Finding]:
    try:
        collection = opened.get(name)
    except NotFoundError:
        yield _empty(f"collection {name} does not exist", name)
        return
    if not collection.count:
        yield _empty(f"collection {name} is empty", name)
        return
    yield from _index(context, name, collection.number, opened.store.vault.key)
    if collection.state.trouble == index.MISSING:
        yield Finding(
            Level.NOTE, "collections", f"{name}: {collection.count} faces, and annoy is not installed",
            "searches compare every face, which is slower",
            "install g++ and python3-dev, then scripts/install again (or pip install 'rekognition-edge[annoy]')",
        )  # fmt: skip
    try:
        from edge.inference.load import load_embedder

        name_of_embedder = context.settings.labels[label].embedder
        embedder = load_embedder(name_of_embedder, context.settings.models, context.state)
        collection.check_space(embedder.space)
        risk = estimate(subject_search(context.settings, label, embedder.scorer, collection))
    except StoreError:
        raise
    except EdgeError as error:
        yield Finding.of("collections", error)
        return
    yield Finding(Level.OK, "collections", f"{name}: {collection.count} faces of {len(collection.subjects())} subjects")
    if (newer := context.loaded.settings.labels[label].embedder) != name_of_embedder:
        yield Finding(
            Level.NOTE, "collections", f"{name} still uses {name_of_embedder}, which embedded its faces", "",
            f"edge enroll NEW photos/ --embedder {newer}, then labels.{label}.collection = NEW, to use {newer}",
        )  # fmt: skip
    if risk.confusable or (risk.false_names or 0.0) > OFTEN:
        yield Finding(
            Level.NOTE, "collections", f"{name}: {risk.words()}", "",
            f"edge collection audit {name}; lower recognition.false_names, or enroll more pictures of each",
        )  # fmt: skip


def _index(context: DoctorContext, name: str, number: int, key: EncryptionKey | None) -> Iterator[Finding]:
    folder = context.state / INDEXES
    if not index.manifest_path(folder, number).exists():
        return
    try:
        manifest = index.read_manifest(folder, number)
        if manifest is None:
            raise StoreError("its manifest cannot be read")
        index.load(folder, manifest, key)
    except StoreError as error:
        yield Finding(
            Level.WARNING, "collections", f"the index of {name} is damaged: {error.message}",
            "searches compare every face until the daemon has rebuilt it",
            "check the disk (dmesg) if this recurs",
        )  # fmt: skip


def _empty(what: str, name: str) -> Finding:
    return Finding(
        Level.WARNING,
        "collections",
        what,
        "every face is unknown",
        f"edge enroll {name} photos/ (one subfolder per person)",
    )
