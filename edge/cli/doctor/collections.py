"""The collections that labels are recognized by, and their indexes."""

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
"""share of strangers' looks that are given a name, from which the owner should know"""


def collections(context: DoctorContext) -> Iterator[Finding]:
    """Whether each collection can be opened, holds faces of the right space, and has a sound index."""
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
        yield _empty(f"collection {name} holds no face", name)
        return
    yield from _index(context, name, collection.number, opened.store.vault.key)
    if collection.state.trouble == index.MISSING:
        yield Finding(
            Level.NOTE, "collections", f"{name}: {collection.count} faces, and annoy is not installed",
            "every face is compared, which takes longer with each",
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
            Level.NOTE, "collections", f"{name} goes on with {name_of_embedder}, which made its faces", "",
            f"edge enroll NEW photos/ --embedder {newer}, then labels.{label}.collection = NEW, where you want {newer}",
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
            "searches compare every face until it is built again, which the daemon does by itself",
            "check the disk (dmesg) where this comes back",
        )  # fmt: skip


def _empty(what: str, name: str) -> Finding:
    return Finding(
        Level.WARNING,
        "collections",
        what,
        "everybody is unknown",
        f"edge enroll {name} photos/ (one subfolder per person)",
    )
