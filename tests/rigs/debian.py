"""A package archive in a folder, and the apt-get and dpkg-deb of this machine that know no other."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest


class Archive:
    """Packages made on the spot. `settings` is for APT_CONFIG."""

    def __init__(self, folder: Path) -> None:
        if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
            pytest.skip("needs apt-get and dpkg-deb, which are Debian's")
        self.folder = folder
        self.settings = folder / "apt.conf"
        self._entries: dict[str, str] = {}
        for name in ("pool", "tree", "state/lists/partial", "cache/archives/partial"):
            (folder / name).mkdir(parents=True)
        (folder / "status").touch()
        (folder / "sources.list").write_text(f"deb [trusted=yes] file:{folder / 'pool'} ./\n")
        self.settings.write_text(
            f'Dir::State "{folder / "state"}";\nDir::State::status "{folder / "status"}";\n'
            f'Dir::Cache "{folder / "cache"}";\nDir::Etc::sourcelist "{folder / "sources.list"}";\n'
            'Dir::Etc::sourceparts "-";\nAPT::Sandbox::User "";\n'
        )

    def add(self, package: str, files: Mapping[str, bytes]) -> Path:
        """Build a package with these files and make it known to apt; returns the .deb."""
        tree = self.folder / "tree" / package
        control = (
            f"Package: {package}\nVersion: 1.0\nArchitecture: all\nMaintainer: T <t@example.org>\nDescription: t\n"
        )
        for name, content in {**files, "DEBIAN/control": control.encode()}.items():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_bytes(content)
        built = self.folder / "pool" / f"{package}_1.0_all.deb"
        self._run("dpkg-deb", "--root-owner-group", "--build", str(tree), str(built))
        digest = hashlib.sha256(built.read_bytes()).hexdigest()
        where = f"Filename: ./{built.name}\nSize: {built.stat().st_size}\nSHA256: {digest}\n"
        self._entries[package] = control + where
        (self.folder / "pool/Packages").write_text("\n".join(self._entries.values()))
        self._run("apt-get", "update", "-qq")
        return built

    def _run(self, *command: str) -> None:
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "APT_CONFIG": str(self.settings)}
        result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
