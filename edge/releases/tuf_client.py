"""Signed metadata, by TUF: what the hub's owner published last, as far as anybody can prove it.

``tuf.ngclient`` verifies; around it is what it leaves open: the anchor comes from a file of ours, versions that were
seen are remembered on disk (a power cut may empty its cache, and with it the memory that forbids going back), the
cache is made durable, each request has a deadline. What is wrong is either weather (FetchError: try again later) or
an alarm (TrustError). What is no metadata at all, the page of a hotel's network say, is weather: it proves nothing.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuf.api import exceptions
from tuf.api.serialization import DeserializationError
from tuf.ngclient.config import UpdaterConfig
from tuf.ngclient.fetcher import FetcherInterface
from tuf.ngclient.updater import Updater

from edge.core.errors import FetchError, TrustError
from edge.core.storage import files
from edge.releases import trusted_time as clock
from edge.releases.http import Http, RefusedError

if TYPE_CHECKING:
    from edge.releases.update_state import UpdateState

DEADLINE = 30.0
"""seconds for one file of metadata; a gap at its end may come on top"""
ROLES = ("root", "timestamp", "snapshot", "targets", "deploy")
FLOORS = "floors"


class Metadata:
    """The hub's repository, seen from a device. One use: ``refresh``, then ``target``."""

    def __init__(self, folder: Path, url: str, root: bytes, ledger: UpdateState, http: Http) -> None:
        self._folder = folder
        self._url = url.rstrip("/")
        self._root = root
        self._ledger = ledger
        self._http = http
        self._updater: Updater | None = None

    def refresh(self) -> None:
        """Bring the metadata up to date. Raises FetchError, TrustError; the latter leaves nothing to build on."""
        files.make_folder(self._folder)
        with _classed():
            self._updater = Updater(
                str(self._folder), f"{self._url}/metadata", fetcher=_Fetcher(self._http), bootstrap=self._root,
                target_base_url=f"{self._url}/targets", target_dir=str(self._folder), config=UpdaterConfig(),
            )  # fmt: skip
            self._updater.refresh()
        self._hold_floors()
        timestamp = json.loads((self._folder / "timestamp.json").read_bytes())["signed"]
        clock.remember(self._ledger, timestamp.get(clock.SIGNED))

    def target(self, name: str, most: int) -> bytes | None:
        """The bytes of a signed target; None where there is none of that name. Raises FetchError, TrustError."""
        assert self._updater is not None, "refresh first"  # noqa: S101
        with _classed():
            info = self._updater.get_targetinfo(name)
            if info is None:
                return None
            self._hold_floors()
            if info.length > most:
                raise TrustError(f"{name}: has {info.length} bytes, more than {most}", "publish it again")
            prefix, _, last = name.rpartition("/")
            digest = next(iter(info.hashes.values()))
            url = f"{self._url}/targets/{prefix}/{digest}.{last}"
            data = _Fetcher(self._http).download_bytes(url, info.length)
            info.verify_length_and_hashes(data)
        return data

    def _hold_floors(self) -> None:
        """Refuse versions below those that were seen; remember these. A role whose keys changed starts anew."""
        seen = _seen(self._folder)
        floors: dict[str, list[Any]] = self._ledger.get(FLOORS, {})
        for role, (keys, version) in seen.items():
            old_keys, old_version = floors.get(role, (keys, 0))
            if old_keys == keys and version < old_version:
                shutil.rmtree(self._folder, ignore_errors=True)
                raise TrustError(
                    f"{role}: version {version} was offered after {old_version}: somebody turns back time",
                    "find out who serves old files; restore the hub's newest 'public' folder",
                )
        for path in [*self._folder.rglob("*.json")]:
            files.sync_file(path)
        files.sync_folder(self._folder)
        merged = {**floors, **{role: list(found) for role, found in seen.items()}}
        if merged != floors:
            self._ledger.put({FLOORS: merged})


class _Fetcher(FetcherInterface):
    """Small files, with a deadline."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def _fetch(self, url: str) -> Iterator[bytes]:
        # opened here: tuf asks for N+1.root.json until it is refused, and must see that at once
        context = self._http.get(url)
        try:
            response = context.__enter__()
        except RefusedError as error:
            raise exceptions.DownloadHTTPError(error.message, error.status) from error
        return self._pieces(context, response)

    def _pieces(self, context: Any, response: Any) -> Iterator[bytes]:
        try:
            yield from response.pieces(DEADLINE)
        finally:
            context.__exit__(None, None, None)


def _seen(folder: Path) -> dict[str, tuple[list[str], int]]:
    """Role -> its keys and its version, of the metadata that was just verified."""
    signed = {}
    for role in ROLES:
        path = folder / f"{role}.json"
        if path.exists():
            signed[role] = json.loads(path.read_bytes())["signed"]
    keys = {role: entry["keyids"] for role, entry in signed["root"]["roles"].items()}
    for delegated in signed.get("targets", {}).get("delegations", {}).get("roles", []):
        keys[delegated["name"]] = delegated["keyids"]
    # the root is what says that keys changed: its own version only ever grows
    keys["root"] = []
    return {role: (sorted(keys.get(role, [])), int(one["version"])) for role, one in signed.items()}


@contextmanager
def _classed() -> Iterator[None]:
    """TUF's errors as weather or alarm."""
    try:
        yield
    except exceptions.DownloadLengthMismatchError as error:
        raise TrustError(f"the server sends more than was signed: {error}", _ALARM) from error
    except exceptions.ExpiredMetadataError as error:
        raise TrustError(
            f"what the server offers has expired: {error}",
            "run 'edge hub refresh' at the hub; if that is done regularly, somebody holds back its files",
        ) from error
    except DeserializationError as error:
        raise FetchError("the server answers with something else than signed metadata", _HINT) from error
    except exceptions.RepositoryError as error:
        raise TrustError(f"the metadata is not what the hub's owner signed: {error}", _ALARM) from error
    except exceptions.DownloadHTTPError as error:
        raise FetchError(str(error), _HINT) from error
    except exceptions.DownloadError as error:
        cause = error.__cause__
        raise FetchError(cause.message if isinstance(cause, FetchError) else str(error), _HINT) from error
    except ValueError as error:
        raise FetchError(f"the server answers with something else than signed metadata: {error}", _HINT) from error


_HINT = "check the network and sync.url; a login page of the network in between looks like this too"
_ALARM = "publish again at the hub; if that does not help, somebody tampers with its files or its network"
