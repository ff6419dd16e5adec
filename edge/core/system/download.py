"""A file from the network: resumed where it stopped, bounded, verified, and whole or not there."""

from __future__ import annotations

import http.client
import logging
import os
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.core.errors import InputError, NotFoundError, StoreError, TransientError
from edge.core.storage import files

log = logging.getLogger(__name__)

MOST_BYTES = 512 << 20
SILENCE = 30.0
"""seconds without a byte after which a server counts as gone"""
CHUNK = 64 << 10


@dataclass(frozen=True)
class DownloadRequest:
    """What is to be fetched."""

    url: str
    sha256: str
    """hex digest that the file must have; empty: whoever asks verifies what is inside it"""
    most_bytes: int = MOST_BYTES


def fetch(wanted: DownloadRequest, target: Path, progress: Callable[[int, int], None] = lambda *_: None) -> None:
    """Download to ``target``. What came so far stays beside it as ``.part``, and the next call goes on from there.

    ``progress(bytes so far, bytes in all or 0)``. Raises NotFoundError (404), TransientError (the network, a stop in
    the middle), InputError (other bytes than wanted: nothing stays), StoreError (the disk).
    """
    if not wanted.url.startswith(("https://", "http://")):
        raise InputError(f"{wanted.url}: expected an http or https address", "correct the address")
    part = target.with_name(f"{target.name}.part")
    try:
        files.make_folder(part.parent)
        _receive(wanted, part, progress)
        digest = files.sha256(part)
        if wanted.sha256 and digest != wanted.sha256:
            part.unlink()
            raise InputError(
                f"{wanted.url}: expected sha256 {wanted.sha256}, got {digest}; what came is deleted",
                "fetch it again, or find out why the file changed before you trust another digest",
            )
        files.sync_file(part)
        part.replace(target)
        files.sync_folder(target.parent)
    except OSError as error:
        raise StoreError(
            f"{target}: cannot be written: {error}", "make room, or choose another state folder"
        ) from error


def _receive(wanted: DownloadRequest, part: Path, progress: Callable[[int, int], None]) -> None:
    have = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "edge", "Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    request = urllib.request.Request(wanted.url, headers=headers)  # noqa: S310 - http and https alone come here
    try:
        with urllib.request.urlopen(request, timeout=SILENCE) as response:  # noqa: S310
            _write(wanted, part, response, have, progress)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            return  # all of it was here already: its digest decides
        kind = NotFoundError if error.code in (404, 410) else TransientError
        raise kind(f"{wanted.url}: the server answered {error.code} {error.reason}", "check the address") from error
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError, ssl.SSLError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else str(error) or type(error).__name__
        raise TransientError(
            f"{wanted.url}: {reason}", "run the same command again: it goes on where it stopped"
        ) from error


def _write(wanted: DownloadRequest, part: Path, response: Any, have: int, progress: Callable[[int, int], None]) -> None:
    resumed = response.status == http.HTTPStatus.PARTIAL_CONTENT and _starts_at(response) == have
    have = have if resumed else 0
    length = int(response.headers.get("Content-Length") or 0)
    total = have + length if length else 0
    with part.open("ab" if resumed else "wb") as file:
        if resumed:
            log.info("going on with %s after %d bytes", wanted.url, have)
        while chunk := response.read(CHUNK):
            have += len(chunk)
            if have > wanted.most_bytes:
                file.truncate(0)
                raise InputError(f"{wanted.url}: more than {wanted.most_bytes:,} bytes came", "check the address")
            file.write(chunk)
            progress(have, total)
        file.flush()
        os.fsync(file.fileno())
    if total and have < total:
        raise TransientError(
            f"{wanted.url}: stopped after {have:,} of {total:,} bytes", "run the same command again: it goes on there"
        )


def _starts_at(response: Any) -> int:
    found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range") or "")
    return int(found[1]) if found else -1
