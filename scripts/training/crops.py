"""Aligned faces as the embedder's trainer stores them: crops, people, groups, and what the teachers said."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

CROP = 112
"""Side of the crop that a net sees, pixels."""
MARGIN = 4
"""Pixels kept around it, for alignment by worse landmarks."""
SIDE = CROP + 2 * MARGIN
DIMENSIONS = 256
"""Of the joined embeddings: 128 of each teacher."""
SIZES = {"crops.bin": SIDE * SIDE * 3, "embeddings.bin": DIMENSIONS * 4}
"""Bytes of one face in the files of the labels."""


@dataclass(frozen=True)
class Faces:
    """Real faces: the first of what is labeled, and what the others are generated of."""

    crops: NDArray[np.uint8]
    """(N, 120, 120, 3) RGB, an aligned crop with 4 pixels of margin."""
    people: NDArray[np.int64]
    """(N,) ascending numbers of the people."""
    groups: NDArray[np.str_]
    """(N,) names of the groups of people who look alike."""

    def save(self, folder: Path) -> None:
        """Write faces.npy and faces.npz."""
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "faces.npy", self.crops)
        np.savez(folder / "faces.npz", people=self.people, groups=self.groups)

    @classmethod
    def load(cls, folder: Path) -> Faces:
        """Read what `save` wrote; the crops are a memory map."""
        numbers = np.load(folder / "faces.npz")
        return cls(np.load(folder / "faces.npy", mmap_mode="r"), numbers["people"], numbers["groups"])


@dataclass(frozen=True)
class Labeled:
    """Faces with what the teachers said; both are memory maps."""

    crops: NDArray[np.uint8]
    """(N, 120, 120, 3) RGB, an aligned crop with 4 pixels of margin."""
    embeddings: NDArray[np.float32]
    """(N, 256) two of unit length, each the mean over the crop and its mirror image."""


def read_labels(folder: Path) -> Labeled:
    """The labels that are stored whole by now."""
    count = stored_labels(folder)
    crops = np.memmap(folder / "crops.bin", np.uint8, "r", shape=(count, SIDE, SIDE, 3))
    embeddings = np.memmap(folder / "embeddings.bin", np.float32, "r", shape=(count, DIMENSIONS))
    return Labeled(crops, embeddings)


def stored_labels(folder: Path) -> int:
    """How many labels are stored whole."""
    return min((folder / name).stat().st_size // size for name, size in SIZES.items())


def inner(crops: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(N, 112, 112, 3) of crops with their margin."""
    return crops[:, MARGIN : MARGIN + CROP, MARGIN : MARGIN + CROP]
