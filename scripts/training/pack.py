"""All that a machine without network needs to train the embedder, in one file: labels, weights and the trainer.

Crops travel as JPEG and embeddings in half precision: real faces first, then as many generated ones as fit.
"""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.crops import DIMENSIONS, SIDE, Faces, Labeled, read_labels

LIMIT = 60 << 20
"""Bytes of a pack that is meant to stay under 64 MiB with what goes beside it."""
QUALITY = 85
END = 12 << 10
"""Bytes at the end of a tar file."""


def write(work: Path, scripts: Path, weights: Path, target: Path, limit: int = LIMIT) -> int:
    """Pack the labels, kept faces and projection of a work folder; how many labeled faces went in.

    Raises SystemExit where the real faces alone are too many.
    """
    known, kept, labeled = Faces.load(work / "labels"), Faces.load(work / "kept"), read_labels(work / "labels")
    members = {
        f"scripts/{path.relative_to(scripts)}": path.read_bytes()
        for path in [scripts / "train_face_embedder", *sorted((scripts / "training").glob("*.py"))]
    }
    members["start.pt"] = weights.read_bytes()
    members["projection.npz"] = (work / "projection.npz").read_bytes()
    members["kept.npz"] = _archive(kept, _encoded(kept.crops), None)
    numbers = _archive(known, [], labeled.embeddings[:0])
    blocks = sum(1 + -(-len(content) // tarfile.BLOCKSIZE) for content in (*members.values(), numbers))
    taken, room = [], limit - blocks * tarfile.BLOCKSIZE - END
    for crop in labeled.crops:
        (packed,) = _encoded([crop])
        room -= len(packed) + DIMENSIONS * 2 + 8
        if room < 0:
            break
        taken.append(packed)
    if len(taken) < len(known.people):
        raise SystemExit(f"error: {len(known.people)} real faces, room for {len(taken)}\ntry: a larger --limit")
    members["known.npz"] = _archive(known, taken, labeled.embeddings[: len(taken)])
    with tarfile.open(target, "w") as tar:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755 if name.endswith("embedder") else 0o644
            tar.addfile(entry, io.BytesIO(content))
    return len(taken)


def unpack(folder: Path, work: Path) -> None:
    """Make the work folder out of a pack that was extracted into `folder`."""
    work.mkdir(parents=True, exist_ok=True)
    shutil.copy(folder / "projection.npz", work)
    faces, _ = _restored(folder / "kept.npz")
    faces.save(work / "kept")
    faces, labeled = _restored(folder / "known.npz")
    faces.save(work / "labels")
    np.asarray(labeled.crops).tofile(work / "labels" / "crops.bin")
    labeled.embeddings.tofile(work / "labels" / "embeddings.bin")


def _archive(faces: Faces, crops: Sequence[bytes], embeddings: NDArray[np.float32] | None) -> bytes:
    file = io.BytesIO()
    vectors = np.empty((0, DIMENSIONS)) if embeddings is None else embeddings
    np.savez(
        file,
        people=faces.people,
        groups=faces.groups.astype("S"),
        ends=np.cumsum([len(crop) for crop in crops]),
        crops=np.frombuffer(b"".join(crops), np.uint8),
        embeddings=vectors.astype(np.float16),
    )
    return file.getvalue()


def _restored(path: Path) -> tuple[Faces, Labeled]:
    stored = np.load(path)
    parts = np.split(stored["crops"], stored["ends"][:-1])
    crops = np.stack([_decoded(part.tobytes()) for part in parts])
    faces = Faces(crops[: len(stored["people"])], stored["people"], stored["groups"].astype(str))
    return faces, Labeled(crops, stored["embeddings"].astype(np.float32))


def _encoded(crops: Sequence[NDArray[np.uint8]] | NDArray[np.uint8]) -> list[bytes]:
    import cv2

    options = [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
    return [cv2.imencode(".jpg", np.ascontiguousarray(crop[:, :, ::-1]), options)[1].tobytes() for crop in crops]


def _decoded(packed: bytes) -> NDArray[np.uint8]:
    """(120, 120, 3) RGB; by Pillow, which comes with torch's images more often than OpenCV does, where that lacks."""
    try:
        import cv2
    except ImportError:
        from PIL import Image

        return np.asarray(Image.open(io.BytesIO(packed)).convert("RGB"))
    image = cv2.imdecode(np.frombuffer(packed, np.uint8), cv2.IMREAD_COLOR)
    assert image.shape == (SIDE, SIDE, 3)
    return np.ascontiguousarray(image[:, :, ::-1])
