"""Output of records: to MQTT, and to JSON Lines files.

The files are for other programs and contain names, so that none are written where the state folder is encrypted.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edge.api.rekognition.shapes import float32
from edge.core.storage import files

log = logging.getLogger(__name__)

Publish = Callable[[str, bytes], object]
"""``publish(processor, payload)``: one record as JSON; must not block; False while there is no connection"""

MOST_BYTES = 16 << 20
"""size limit of a processor's JSON Lines file in bytes; then it is rotated to ``.1``"""


class Output:
    """Records of all processors. Not thread-safe."""

    def __init__(self, folder: Path, publish: Publish | None, keep: bool = True) -> None:
        self._folder = folder
        self._keep = keep
        self._publish = publish
        self._failing = False

    def put(self, processor: str, record: Mapping[str, Any]) -> bytes:
        """Write and publish a record; returns the published JSON. A full disk only loses the line in the file."""
        payload = json.dumps(float32(record), allow_nan=False, separators=(",", ":")).encode()
        try:
            if self._keep:
                self._write(processor, payload + b"\n")
            self._failing = False
        except OSError as error:
            level = logging.DEBUG if self._failing else logging.WARNING
            log.log(level, "records of stream processor %s are not written: %s", processor, error)
            self._failing = True
        if self._publish is not None:
            self._publish(processor, payload)
        return payload

    def _write(self, processor: str, line: bytes) -> None:
        files.make_folder(self._folder)
        path = self._folder / f"{processor}.jsonl"
        if path.exists() and path.stat().st_size + len(line) > MOST_BYTES:
            path.replace(path.with_name(f"{path.name}.1"))
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab") as file:
            file.write(line)
