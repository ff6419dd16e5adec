"""The signed TUF repository: static files for any web server.

``public/metadata`` holds TUF metadata, ``public/targets`` manifests and deployments, ``public/blobs`` all other files
by digest, ``public/keys`` the fleet's keys for each device. Files with personal data are in ``private/blobs``; their
published form depends on the release (``seal_release.py``). Root and targets are signed with offline keys; the role
``deploy`` (``deploy/*``), snapshot and timestamp with online keys: a compromised hub can choose among signed releases,
but cannot sign new ones.

Every file is complete before it is referenced; ``timestamp.json`` is written last.
"""

from __future__ import annotations

import hashlib
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.core.errors import ConflictError, InputError, NotFoundError
from edge.core.storage import files
from edge.hub.publishing.keys import OFFLINE, ONLINE, Keys
from edge.releases import trusted_time as clock
from edge.releases.expiry import expiring
from edge.releases.manifest import Blob

if TYPE_CHECKING:
    from tuf.api.metadata import Metadata

DAYS = {"root": 365, "targets": 365, "deploy": 90, "snapshot": 90, "timestamp": 30}
"""validity of a role's signature (days); devices that are offline for longer keep their release"""
TOP = ("root", "targets", "snapshot", "timestamp")


class Repository:
    """The repository of one hub. One process at a time."""

    def __init__(self, folder: Path, keys: Keys) -> None:
        self.public = folder / "public"
        self.blobs = self.public / "blobs"
        self.private_blobs = folder / "private" / "blobs"
        self.keys = keys
        self._metadata = self.public / "metadata"
        self._targets = self.public / "targets"

    @property
    def exists(self) -> bool:
        return (self._metadata / "timestamp.json").exists()

    def init(self) -> Path:
        """Create keys and initial metadata. Returns the path of the first root.json, which devices need.

        Raises ConflictError where there is a repository.
        """
        from tuf.api.metadata import DelegatedRole, Delegations, Metadata, Root, Snapshot, Targets, Timestamp

        if self.exists:
            raise ConflictError(f"{self.public}: the repository exists already", "choose another folder")
        signers = {role: self.keys.make(role) for role in (*OFFLINE, *ONLINE)}
        root = Root(consistent_snapshot=True)
        for role in TOP:
            root.add_key(signers[role].public_key, role)
        key = signers["deploy"].public_key
        deploys = DelegatedRole("deploy", [key.keyid], 1, terminating=True, paths=["deploy/*"])
        targets = Targets(delegations=Delegations({key.keyid: key}, {"deploy": deploys}))
        for one in (root, targets, Targets(), Snapshot(), Timestamp()):
            one.version = 0
        self.blobs.mkdir(parents=True, exist_ok=True)
        self._write("root", Metadata(root))
        self._write("targets", Metadata(targets))
        deploy = Targets()
        deploy.version = 0
        self._write("deploy", Metadata(deploy))
        snapshot, timestamp = Snapshot(), Timestamp()
        snapshot.version = timestamp.version = 0
        self._publish(Metadata(snapshot), Metadata(timestamp))
        return self._metadata / "1.root.json"

    def add_targets(self, role: str, contents: dict[str, bytes], remove: tuple[str, ...] = ()) -> None:
        """Sign files of a role (``targets`` or ``deploy``) and publish them. Raises NotFoundError without its key."""
        self.keys.signer(role)
        self._write(role, self._with_targets(role, contents, remove))
        self.refresh()

    def unsigned_targets(self, contents: dict[str, bytes], remove: tuple[str, ...] = ()) -> bytes:
        """The next metadata of ``targets`` without a signature, for a key that is elsewhere.

        The files themselves are stored; nothing refers to them before ``take_targets``.
        """
        metadata = self._with_targets("targets", contents, remove)
        _renew("targets", metadata)
        metadata.signatures.clear()
        return metadata.to_bytes()

    def take_targets(self, data: bytes) -> None:
        """Publish metadata of ``unsigned_targets`` that was signed elsewhere.

        Raises InputError for other data or a wrong signature, ConflictError where it is outdated.
        """
        metadata = read_targets(data)
        current = self._read("targets").signed.version
        if metadata.signed.version != current + 1:
            raise ConflictError(
                f"the file is version {metadata.signed.version} of targets, expected {current + 1}",
                "make the file to sign again: another release was signed in between",
            )
        self._verify_targets(metadata)
        files.write_bytes(self._metadata / f"{metadata.signed.version}.targets.json", data, mode=0o644)
        self.refresh()

    def _verify_targets(self, metadata: Metadata[Any]) -> None:
        from tuf.api.exceptions import UnsignedMetadataError

        try:
            self._read("root").signed.verify_delegate("targets", metadata.signed_bytes, metadata.signatures)
        except UnsignedMetadataError as error:
            raise InputError(
                "the file has no valid signature of the targets key", "sign it with 'edge hub sign FILE --keys FOLDER'"
            ) from error

    def _with_targets(self, role: str, contents: dict[str, bytes], remove: tuple[str, ...]) -> Metadata[Any]:
        from tuf.api.metadata import TargetFile

        metadata = self._read(role)
        for name, data in contents.items():
            digest = hashlib.sha256(data).hexdigest()
            folder, _, last = name.rpartition("/")
            files.write_bytes(self._targets / folder / f"{digest}.{last}", data, mode=0o644)
            metadata.signed.targets[name] = TargetFile.from_data(name, data, ["sha256"])
        for name in remove:
            metadata.signed.targets.pop(name, None)
        return metadata

    def put_blob(self, data: bytes) -> Blob:
        """Store a public file by its digest."""
        return _put(data, self.blobs, 0o644)

    def put_private_blob(self, data: bytes) -> Blob:
        """Store a file with personal data by its digest; it is not served."""
        return _put(data, self.private_blobs, 0o600)

    def private_blob(self, sha256: str) -> Path:
        """Path of a file with personal data; older hubs stored it with the public blobs."""
        path = self.private_blobs / sha256
        if not path.exists() and (self.blobs / sha256).exists():
            self.put_private_blob((self.blobs / sha256).read_bytes())
        return path

    def keep_blobs(self, needed: set[str], private: set[str]) -> None:
        """Delete public blobs not in ``needed`` and private blobs not in ``private`` (sha256 digests)."""
        for folder, kept in ((self.blobs, needed), (self.private_blobs, private)):
            for path in folder.glob("*"):
                if path.name not in kept:
                    path.unlink()

    def target(self, role: str, name: str) -> bytes | None:
        """The bytes of a published target; None: there is none."""
        info = self._read(role).signed.targets.get(name)
        if info is None:
            return None
        folder, _, last = name.rpartition("/")
        return (self._targets / folder / f"{info.hashes['sha256']}.{last}").read_bytes()

    def targets(self, role: str) -> list[str]:
        """Names of the published targets of a role."""
        return sorted(self._read(role).signed.targets)

    def refresh(self) -> None:
        """Renew snapshot and timestamp, and other roles that expire soon and whose key is available.

        Needs only the online keys; root and targets are renewed where the offline keys are available.
        """
        for one in expiring(self.expiries()):
            if one.role in ("root", "targets", "deploy") and self.keys.has(one.role):
                self._write(one.role, self._read(one.role))
        self._publish(self._read("snapshot"), self._read("timestamp"))

    def rotate(self, role: str) -> None:
        """Replace the key of a role; the old one may be lost, except that of root.

        Raises NotFoundError where a key that must sign the change is missing.
        """
        parent = "targets" if role == "deploy" else "root"
        self.keys.signer(parent)
        old = self.keys.signer("root") if role == "root" else None
        metadata = self._read(parent)
        signer = self.keys.make(role, replace=self.keys.has(role))
        if role == "deploy":
            holder = metadata.signed
            for keyid in list(holder.delegations.roles["deploy"].keyids):
                holder.revoke_key(keyid, "deploy")
            holder.add_key(signer.public_key, "deploy")
        else:
            holder = metadata.signed
            for keyid in list(holder.roles[role].keyids):
                holder.revoke_key(keyid, role)
            holder.add_key(signer.public_key, role)
        self._write(parent, metadata, also=old)
        if role in ("targets", "deploy"):
            self._write(role, self._read(role))
        if role == "snapshot":
            self._write("snapshot", self._read("snapshot"))
        self._publish(self._read("snapshot"), self._read("timestamp"))

    def versions(self) -> dict[str, tuple[int, datetime]]:
        """Role -> version and expiry of the published metadata."""
        return {role: (m.signed.version, m.signed.expires) for role in DAYS for m in [self._read(role)]}

    def expiries(self) -> dict[str, float]:
        """Role -> seconds since the epoch at which its signature expires."""
        return {role: until.timestamp() for role, (_, until) in self.versions().items()}

    def _publish(self, snapshot: Metadata[Any], timestamp: Metadata[Any]) -> None:
        from tuf.api.metadata import MetaFile

        for role in ("targets", "deploy"):
            snapshot.signed.meta[f"{role}.json"] = MetaFile(self._read(role).signed.version)
        self._write("snapshot", snapshot)
        timestamp.signed.snapshot_meta = MetaFile(snapshot.signed.version)
        timestamp.signed.unrecognized_fields[clock.SIGNED] = int(time.time())
        self._write("timestamp", timestamp)

    def _read(self, role: str) -> Metadata[Any]:
        from tuf.api.metadata import Metadata

        if role == "timestamp":
            path = self._metadata / "timestamp.json"
        else:
            found = list(self._metadata.glob(f"*.{role}.json"))
            path = max(found, key=lambda path: int(path.name.split(".")[0]), default=self._metadata / role)
        if not path.exists():
            raise NotFoundError(f"{self.public}: there is no repository", "create one with 'edge hub init'")
        return Metadata.from_bytes(path.read_bytes())

    def _write(self, role: str, metadata: Metadata[Any], also: Any = None) -> None:
        _renew(role, metadata)
        metadata.sign(self.keys.signer(role))
        if also is not None:
            metadata.sign(also, append=True)
        name = "timestamp.json" if role == "timestamp" else f"{metadata.signed.version}.{role}.json"
        files.write_bytes(self._metadata / name, metadata.to_bytes(), mode=0o644)


def read_targets(data: bytes) -> Metadata[Any]:
    """Metadata of ``targets``, signed or not. Raises InputError."""
    from tuf.api.exceptions import RepositoryError
    from tuf.api.metadata import Metadata, Targets

    hint = "use the file that the hub's page or 'edge hub publish --to-sign FILE' wrote"
    try:
        metadata: Metadata[Any] = Metadata.from_bytes(data)
    except (RepositoryError, ValueError) as error:
        raise InputError("the file is no metadata of a release repository", hint) from error
    if not isinstance(metadata.signed, Targets):
        raise InputError(f"the file has metadata of {metadata.signed.type!r}, expected 'targets'", hint)
    return metadata


def _renew(role: str, metadata: Metadata[Any]) -> None:
    """The next version, valid from now."""
    metadata.signed.version += 1
    metadata.signed.expires = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(days=DAYS[role])


def _put(data: bytes, folder: Path, mode: int) -> Blob:
    digest = hashlib.sha256(data).hexdigest()
    path = folder / digest
    if not path.exists():
        files.write_bytes(path, data, mode=mode)
    return Blob(digest, len(data))
