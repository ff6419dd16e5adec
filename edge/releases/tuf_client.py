"""TUF client: verifies and caches the metadata of the hub's repository.

``tuf.ngclient`` does the verification. In addition, the trusted root comes from a file of the device's owner, seen
versions are stored outside the cache (which a power failure may empty), damaged cache files are deleted before they are
read, the cache is synced to disk, and each request has a deadline. An error is either temporary (FetchError: retry
later) or an attack (TrustError). A response that is not metadata, such as the login page of a network, is temporary: it
proves nothing.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuf.api import exceptions
from tuf.api.metadata import Metadata, Root
from tuf.api.serialization import DeserializationError
from tuf.ngclient.config import UpdaterConfig
from tuf.ngclient.fetcher import FetcherInterface
from tuf.ngclient.updater import Updater

from edge.core.errors import EdgeError, FetchError, SettingsError, StoreError, TrustError
from edge.core.storage import files
from edge.core.storage.damaged import remove
from edge.core.storage.files import expanded
from edge.core.system.http import Http, RefusedError
from edge.releases import trusted_time
from edge.releases.expiry import EXPIRY, REMEDIES, seconds

if TYPE_CHECKING:
    from edge.releases.update_state import UpdateState

DEADLINE = 30.0
"""seconds per metadata file; a final pause may be added"""
TOP_ROLES = ("root", "timestamp", "snapshot", "targets")
DELEGATED = "deploy"
"""the role that signs ``deploy/*``"""
FLOORS = "floors"
"""key: role -> its key ids and the highest version seen"""


class TufClient:
    """The hub's repository as seen by a device. Single use: ``refresh``, then ``target``."""

    def __init__(self, folder: Path, root: Path, state: UpdateState, http: Http) -> None:
        """``root``: the trusted root.json. Raises SettingsError where it cannot be read."""
        self._folder = folder
        self._root = _trusted_root(root)
        self._state = state
        self._http = http
        self._updater: Updater | None = None

    def refresh(self) -> None:
        """Update the metadata. Raises FetchError, TrustError, StoreError."""
        with _classified(self._folder):
            _delete_damaged(self._folder)
            self._updater = Updater(
                str(self._folder), f"{self._http.base}/metadata", fetcher=_Fetcher(self._http), bootstrap=self._root,
                target_base_url=f"{self._http.base}/targets", target_dir=str(self._folder), config=UpdaterConfig(),
            )  # fmt: skip
            self._updater.refresh()
            signed = self._verified(TOP_ROLES)
        trusted_time.remember(self._state, signed["timestamp"].get(trusted_time.SIGNED))

    def target(self, name: str, most: int) -> bytes | None:
        """The content of a signed target of at most ``most`` bytes; None where it does not exist.

        Raises FetchError, TrustError, StoreError.
        """
        assert self._updater is not None, "refresh first"  # noqa: S101
        with _classified(self._folder):
            info = self._updater.get_targetinfo(name)
            if name.startswith(f"{DELEGATED}/"):
                self._verified((*TOP_ROLES, DELEGATED))
            if info is None:
                return None
            if info.length > most:
                raise TrustError(f"{name}: has {info.length} bytes, more than {most}", "publish it again")
            prefix, _, last = name.rpartition("/")
            digest = next(iter(info.hashes.values()))
            url = f"{self._http.base}/targets/{prefix}/{digest}.{last}"
            data = _Fetcher(self._http).download_bytes(url, info.length)
            info.verify_length_and_hashes(data)
        return data

    def _verified(self, roles: Sequence[str]) -> dict[str, Any]:
        """Role -> signed part of the metadata just verified by TUF; synced to disk, never older than seen before."""
        signed: dict[str, Any] = {}
        for role in roles:
            path = self._folder / f"{role}.json"
            if role in TOP_ROLES or path.exists():
                signed[role] = json.loads(path.read_bytes())["signed"]
        self._refuse_older(signed)
        for path in self._folder.rglob("*.json"):
            files.sync_file(path)
        files.sync_folder(self._folder / "root_history")
        files.sync_folder(self._folder)
        self._remember(signed)
        return signed

    def _refuse_older(self, signed: dict[str, Any]) -> None:
        """Raises TrustError for a version below the highest one seen, unless the role's keys have changed.

        Stricter than the specification, where a new snapshot key also allows older targets (fast-forward recovery).
        """
        floors, keys = self._floors(), _keys(signed)
        for role, document in signed.items():
            known_keys, known_version = floors.get(role, ([], 0))
            if known_keys == keys[role] and document["version"] < known_version:
                shutil.rmtree(self._folder, ignore_errors=True)
                raise TrustError(
                    f"{role}: version {document['version']} was offered after {known_version}: a rollback",
                    "find the source of the old files, and restore the hub's newest 'public' folder; if newer versions "
                    f"have a stolen signature key: edge hub rotate {role}",
                )

    def _remember(self, signed: dict[str, Any]) -> None:
        keys, floors, expiry = _keys(signed), self._floors(), self._state.get(EXPIRY, {})
        now = {role: (keys[role], int(document["version"])) for role, document in signed.items()}
        ends = {role: seconds(document["expires"]) for role, document in signed.items()}
        if {**floors, **now} != floors or {**expiry, **ends} != expiry:
            self._state.put({FLOORS: {**floors, **now}, EXPIRY: {**expiry, **ends}})

    def _floors(self) -> dict[str, tuple[list[str], int]]:
        found: dict[str, tuple[list[str], int]] = {}
        for role, entry in self._state.get(FLOORS, {}).items():
            match entry:
                case [list() as keys, int() as version]:
                    found[role] = (keys, version)
        return found


class _Fetcher(FetcherInterface):
    """Fetcher for small files, with a deadline."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def _fetch(self, url: str) -> Iterator[bytes]:
        # opened here: tuf requests N+1.root.json until it gets an error, which must be raised at once
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


def _trusted_root(path: Path) -> bytes:
    try:
        data = expanded(path).read_bytes()
        Metadata[Root].from_bytes(data).verify_delegate("root", Metadata[Root].from_bytes(data))
    except OSError as error:
        raise SettingsError(
            f"sync.root: {path} cannot be read: {error.strerror}", "copy the hub's 1.root.json here"
        ) from error
    except (exceptions.RepositoryError, ValueError) as error:
        raise SettingsError(
            f"sync.root: {path} is not a signed root.json: {error}", "copy the hub's 1.root.json here again"
        ) from error
    return data


def _delete_damaged(folder: Path) -> None:
    """Delete every cache file that is not valid metadata; TUF downloads it again. Raises OSError."""
    if folder.exists() and not folder.is_dir():
        remove(folder)
    files.make_folder(folder)
    history = folder / "root_history"
    for path in (*folder.iterdir(), *(history.iterdir() if history.is_dir() else ())):
        whole = path.is_dir() if path == history else _is_metadata(path)
        if not whole:
            remove(path)


def _is_metadata(path: Path) -> bool:
    try:
        Metadata.from_bytes(path.read_bytes())
    except (OSError, exceptions.RepositoryError, ValueError):
        return False
    return path.suffix == ".json"


def _keys(signed: dict[str, Any]) -> dict[str, list[str]]:
    """Role -> ids of its keys, sorted."""
    keys = {role: entry["keyids"] for role, entry in signed["root"]["roles"].items()}
    for delegated in signed["targets"].get("delegations", {}).get("roles", []):
        keys[delegated["name"]] = delegated["keyids"]
    keys["root"] = []  # the version of the root always increases, whatever its keys
    return {role: sorted(keys.get(role, [])) for role in signed}


@contextmanager
def _classified(folder: Path) -> Iterator[None]:
    """Map TUF's errors to temporary errors, attacks and disk errors."""
    try:
        yield
    except EdgeError:
        raise
    except exceptions.DownloadLengthMismatchError as error:
        raise TrustError(f"the server sends more bytes than were signed: {error}", _ATTACK) from error
    except exceptions.ExpiredMetadataError as error:
        role = re.search("|".join(REMEDIES), str(error))
        remedy = REMEDIES[role[0]] if role else REMEDIES["timestamp"]
        raise TrustError(
            f"the metadata that the server offers has expired: {error}",
            f"{remedy}; if it was renewed, its files are being withheld",
        ) from error
    except DeserializationError as error:
        raise FetchError("the server's response is not signed metadata", _HINT) from error
    except exceptions.RepositoryError as error:
        raise TrustError(f"the metadata is not what the hub's owner signed: {error}", _ATTACK) from error
    except exceptions.DownloadError as error:
        cause = error.__cause__
        known = cause if isinstance(cause, EdgeError) else None
        raise FetchError(known.message if known else str(error), (known and known.hint) or _HINT) from error
    except ValueError as error:
        raise FetchError(f"the server's response is not signed metadata: {error}", _HINT) from error
    except OSError as error:
        raise StoreError(f"{folder}: {error.strerror or error}", "check the disk: space, owner, read-only") from error


_HINT = "check the network and sync.url; a network's login page causes this error too"
_ATTACK = "publish again at the hub; if that does not help, its files or network traffic are being modified"
