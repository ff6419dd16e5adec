"""How long a stored video says it is."""

from __future__ import annotations

from pathlib import Path

import av
import av.error


def seconds(path: Path) -> float | None:
    """Length by the file's own word, which may be wrong; None where it says nothing or cannot be read."""
    try:
        with av.open(str(path)) as container:
            return container.duration / 1_000_000 if container.duration else None
    except (av.error.FFmpegError, ValueError):
        return None
