"""Fleet keys: encrypt releases, with one key per device to decrypt them (``keys/online/fleet.json``).

The file gives read access to published releases; it holds no signing key. Restore it from a backup with the rest of
the hub's folder; without it, ``edge hub sealing on`` starts over and every device needs a new key.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from edge.core.errors import InputError, NotFoundError, StoreError
from edge.core.storage import files
from edge.releases.sealing import FLEET_FILE, FOLDER, FleetKey, FleetKeys, device_file, for_device, new_key

FORMAT = 1


@dataclass(frozen=True)
class FleetState:
    """Contents of ``fleet.json``."""

    enabled: bool = False
    keys: tuple[tuple[str, float], ...] = field(default=(), repr=False)
    """(base64 key, creation time in seconds since the epoch), newest first"""
    devices: dict[str, str] = field(default_factory=dict, repr=False)
    """device -> its own key, base64"""


class FleetKeyStore:
    """``fleet.json``, and the key files per device in the public folder that are derived from it.

    Every method raises StoreError for I/O errors, InputError for a damaged file.
    """

    def __init__(self, folder: Path, public: Path) -> None:
        self.path = folder / FLEET_FILE
        self._public = public / FOLDER

    def read(self) -> FleetState:
        """The state; empty where there is no file (a hub from before releases were sealed)."""
        try:
            document = json.loads(self.path.read_bytes())
            if document["format"] != FORMAT:
                raise InputError(f"{self.path}: expected format {FORMAT}", "update edge")
            return FleetState(
                bool(document["enabled"]),
                tuple((str(key["key"]), float(key["created"])) for key in document["keys"]),
                {str(name): str(key) for name, key in document["devices"].items()},
            )
        except FileNotFoundError:
            return FleetState()
        except OSError as error:
            raise StoreError(f"{self.path}: {error.strerror}", "check its owner and the disk") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"{self.path}: damaged", "restore it from a backup; or delete it, and give every device a new key"
            ) from error

    @property
    def key(self) -> FleetKey | None:
        """Key of the next release; None: sealing is off."""
        state = self.read()
        return FleetKey(state.keys[0][0]) if state.enabled else None

    def ring(self) -> FleetKeys:
        """All keys, to decrypt earlier releases."""
        return FleetKeys(tuple(FleetKey(secret) for secret, _ in self.read().keys))

    def switch(self, enabled: bool) -> None:
        """Turn sealing on or off from the next release on; creates a key where there is none."""
        state = self.read()
        keys = state.keys or ((new_key(), time.time()),)
        self._write(replace(state, enabled=enabled, keys=keys))

    def device_key(self, device: str) -> str:
        """The key of ``device`` (base64); created where it has none."""
        state = self.read()
        if device not in state.devices:
            state = replace(state, devices={**state.devices, device: new_key()})
            self._write(state)
        return state.devices[device]

    def remove(self, device: str) -> None:
        """Revoke the key of a device; the next release is sealed with a new key. Raises NotFoundError."""
        state = self.read()
        if device not in state.devices:
            raise NotFoundError(f"there is no key for a device {device!r}", "edge hub sealing list shows the devices")
        devices = {name: key for name, key in state.devices.items() if name != device}
        self._write(replace(state, devices=devices, keys=((new_key(), time.time()), *state.keys)))

    def rotate(self) -> None:
        """Create a new key for the next release."""
        state = self.read()
        self._write(replace(state, keys=((new_key(), time.time()), *state.keys)))

    def retire(self, used: set[str]) -> None:
        """Delete keys that no published release uses (``used``: key ids), except the newest."""
        state = self.read()
        kept = tuple(key for i, key in enumerate(state.keys) if i == 0 or FleetKey(key[0]).id in used)
        if kept != state.keys:
            self._write(replace(state, keys=kept))

    def _write(self, state: FleetState) -> None:
        document = {
            "format": FORMAT,
            "enabled": state.enabled,
            "keys": [{"key": key, "created": created} for key, created in state.keys],
            "devices": state.devices,
        }
        ring = FleetKeys(tuple(FleetKey(secret) for secret, _ in state.keys))
        wanted = {device_file(device): (device, key) for device, key in state.devices.items()}
        try:
            files.write_bytes(self.path, json.dumps(document, indent=1).encode())
            for name, (device, key) in wanted.items():
                files.write_bytes(self._public / name, for_device(ring, device, key), mode=0o644)
            for path in self._public.glob("*"):
                if path.name not in wanted:
                    path.unlink()
        except OSError as error:
            raise StoreError(
                f"{self.path}: cannot be written: {error.strerror}", "check the disk and its owner"
            ) from error
