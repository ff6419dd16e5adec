"""A file from the network: resumed where it stopped, bounded, verified, and whole or not there."""

from __future__ import annotations

import http
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge.core.errors import FetchError, InputError, NotFoundError, StoreError
from edge.core.settings.address import SecretAddress
from edge.core.storage import files
from edge.core.system.http import Http, HttpHints, RefusedError, Response

log = logging.getLogger(__name__)

MOST_BYTES = 512 << 20
AGAIN = "run the same command again: it goes on where it stopped"
HINTS = HttpHints(network=AGAIN)
Progress = Callable[[int, int], None]
"""(bytes so far, bytes in all or 0)"""


@dataclass(frozen=True)
class DownloadRequest:
    """What is to be fetched."""

    url: str
    """may hold a user and a password"""
    sha256: str
    """hex digest that the file must have; empty: the caller verifies the content"""
    most_bytes: int = MOST_BYTES


def fetch(wanted: DownloadRequest, target: Path, progress: Progress = lambda *_: None) -> None:
    """Download to ``target``. What came so far stays beside it as ``.part``, and the next call goes on from there.

    Raises NotFoundError (404), FetchError (the network, a stop in the middle), InputError (other bytes than wanted:
    nothing stays), StoreError (the disk).
    """
    client = Http(SecretAddress(wanted.url), hints=HINTS)
    if not client.base.startswith(("https://", "http://")):
        raise InputError(f"{client.base}: expected an http or https address", "correct the address")
    part = target.with_name(f"{target.name}.part")
    try:
        files.make_folder(part.parent)
        _receive(wanted, client, part, progress)
        digest = files.sha256(part)
        if wanted.sha256 and digest != wanted.sha256:
            part.unlink()
            raise InputError(
                f"{client.base}: expected sha256 {wanted.sha256}, got {digest}; what came is deleted",
                "fetch it again, or find out why the file changed before you trust another digest",
            )
        files.sync_file(part)
        part.replace(target)
        files.sync_folder(target.parent)
    except OSError as error:
        raise StoreError(
            f"{target}: cannot be written: {error}", "make room, or choose another state folder"
        ) from error


def _receive(wanted: DownloadRequest, client: Http, part: Path, progress: Progress) -> None:
    have = part.stat().st_size if part.exists() else 0
    try:
        with client.get(client.base, have) as response:
            _write(wanted, client.base, part, response, progress)
    except RefusedError as error:
        if error.status == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            return  # all of it was here already: its digest decides
        if error.status in (http.HTTPStatus.NOT_FOUND, http.HTTPStatus.GONE):
            raise NotFoundError(error.message, error.hint) from error
        raise


def _write(wanted: DownloadRequest, url: str, part: Path, response: Response, progress: Progress) -> None:
    have, total = response.start, response.total
    with part.open("ab" if response.start else "wb") as file:
        if response.start:
            log.info("continuing %s after %d bytes", url, have)
        try:
            for piece in response.pieces():
                have += len(piece)
                if have > wanted.most_bytes:
                    file.truncate(0)
                    raise InputError(f"{url}: more than {wanted.most_bytes:,} bytes came", "check the address")
                file.write(piece)
                progress(have, total)
        except FetchError as error:
            if have >= total:
                raise
            raise FetchError(f"{url}: stopped after {have:,} of {total:,} bytes", AGAIN) from error
        finally:
            file.flush()
            os.fsync(file.fileno())
    if total and have < total:
        raise FetchError(f"{url}: stopped after {have:,} of {total:,} bytes", AGAIN)
