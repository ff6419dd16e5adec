"""``images:FOLDER``: the pictures of a folder, or one picture, as frames."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from edge.core.errors import InputError, SourceError
from edge.core.imaging import image as pictures
from edge.core.imaging.folders import ENDINGS, is_left_out
from edge.core.types import Frame
from edge.sources.base import StoredClock

if TYPE_CHECKING:
    from edge.core.settings.vision import CameraSettings

logger = logging.getLogger(__name__)


class ImageFolder:
    """The pictures of a folder by name, ``camera.fps`` a second. One that cannot be read is skipped and counted."""

    live = False

    def __init__(self, camera: CameraSettings, target: str) -> None:
        self.name = f"images {target}"
        self.skipped = 0
        """pictures that could not be read so far"""
        self._camera, self._path = camera, Path(target)
        self._refused: set[Path] = set()

    def frames(self) -> Iterator[Frame]:
        files = self._files()
        clock, sequence = StoredClock(self._camera.realtime), 0
        while True:
            before = sequence
            for file in files:
                try:
                    picture = pictures.rotated(pictures.read(file), self._camera.rotation)
                except InputError as error:
                    self._skip(file, error)
                    continue
                at = sequence / self._camera.fps
                monotonic, wall = clock.moment(at)
                yield Frame(self._camera.name, sequence, monotonic, wall, picture, video_time=at)
                sequence += 1
            if sequence == before:
                raise SourceError(f"{self.name}: none of {len(files)} pictures can be read", "look at the warnings")
            if not self._camera.loop:
                return

    def close(self) -> None:
        """Nothing to close."""

    def _skip(self, file: Path, error: InputError) -> None:
        """Logged once: a loop meets the same picture repeatedly."""
        level = logging.DEBUG if file in self._refused else logging.WARNING
        logger.log(level, "%s: skipped: %s", self.name, error.message)
        self._refused.add(file)
        self.skipped += 1

    def _files(self) -> list[Path]:
        if self._path.is_file():
            return [self._path]
        if not self._path.is_dir():
            raise SourceError(f"{self.name}: there is no such folder", "check the path after images:")
        files = sorted(
            file
            for file in self._path.iterdir()
            if file.suffix.lower() in ENDINGS and not is_left_out(file.name) and file.is_file()
        )
        if not files:
            endings = ", ".join(sorted(ENDINGS))
            raise SourceError(f"{self.name}: no pictures in it ({endings})", "check the path after images:")
        return files
