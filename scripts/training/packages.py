"""Debian packages of free pictures, their licences, and how to get at what is in them without installing any.

A licence is what the package's copyright file says of its pictures, read for Debian 12. All packages are of Debian's
main section, so each licence allows changes and any use; none is non-commercial or forbids derivatives. Most ask that
copies of the *pictures*, also changed ones, stay under the same terms (GPL, CC-BY-SA, GFDL, Free Art), or name their
authors: whoever passes a folder of them on has to heed that. Where a copyright file says less than one would like:
stellarium-data names sources and no terms for some photographs of nebulae (its rule for the rest is the GPL);
digikam-data, hugin-data, opencv-doc and the scikit packages state one licence for everything and no source of pictures.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from edge.core.errors import EdgeError, FetchError, StoreError

DESKTOPS = {
    "gnome-backgrounds": "CC-BY-SA-2.0, CC-BY-SA-3.0, CC-BY-2.0",
    "lomiri-wallpapers-16.04": "CC-BY-4.0, CC-BY-SA-4.0, CC-BY-SA-3.0, CC0-1.0",
    "lomiri-wallpapers-20.04": "CC-BY-SA-3.0",
    "mate-backgrounds": "GPL-2+, CC-BY-SA-4.0",
    "plasma-workspace-wallpapers": "GPL-2+",
    "sway-backgrounds": "Expat",
    "ukui-wallpapers": "CC-BY-SA-3.0",
}
STAMPS = {"tuxpaint-stamps-default": "GPL-2"}
MORE = {
    "afterstep-data": "GPL-2+",
    "colobot-common-textures": "GPL-3+",
    "debian-handbook": "GPL-2+ or CC-BY-SA-3.0",
    "desktop-base": "GPL-2+, GPL-2, GPL-3+ or CC-BY-SA-3.0",
    "digikam-data": "GPL-2+",
    "endless-sky-data": "CC-BY-SA-4.0, CC-BY-SA-3.0, CC-BY-4.0, public domain",
    "extremetuxracer-data": "GPL-2+",
    "fillets-ng-data": "GPL-2",
    "fotoxx-common": "GPL-3+",
    "freeorion-data": "CC-BY-SA-3.0",
    "gimp-help-en": "GFDL-1.2+",
    "gnome-user-docs": "CC-BY-SA-3.0",
    "hugin-data": "GPL-2+",
    "imagemagick-6-doc": "ImageMagick",
    "kgeography-data": "GPL-2+, GFDL-1.2+",
    "klettres-data": "GPL-2+, GFDL-1.2+",
    "krita-data": "GPL-2, GPL-2+, LGPL-2+",
    "kstars-data": "GPL-2+, GFDL-1.2+",
    "lxqt-themes": "LGPL-2.1+, LGPL-3, CC-BY-SA-3.0",
    "mypaint-data-extras": "CC0-1.0",
    "neverball-data": "GPL-2+",
    "opencv-doc": "Apache-2.0, BSD-3-Clause",
    "palapeli-data": "GPL-2+, GFDL-1.2+",
    "povray-examples": "CC-BY-SA-3.0, CC-BY-3.0, AGPL-3+",
    "pysiogame": "public domain",
    "python-skimage-doc": "BSD-3-Clause",
    "python3-skimage": "BSD-3-Clause",
    "python3-sklearn": "BSD-3-Clause",
    "scratch": "CC-BY-SA-3.0, GPL-2",
    "stellarium-data": "GPL-2+, Free Art, CC-BY-SA-3.0, CC-BY-3.0, public domain, others that ask for credit",
    "torcs-data": "Free Art, GPL-2+",
    "tuxpaint-data": "GPL-2+",
    "xfdesktop4-data": "GPL-2+",
}
"""Photographs, textures, skies, maps, paintings, and screens full of round buttons and letters (1.5 GB)."""
UNKNOWN = ("Unable to locate package", "no candidate", "Can't find a source to download")


def need_tools() -> None:
    """Raise EdgeError where Debian's tools are missing."""
    missing = [name for name in ("apt-get", "dpkg-deb") if not shutil.which(name)]
    if missing:
        raise EdgeError(
            f"the pictures come out of Debian packages, and this machine lacks {' and '.join(missing)}",
            "run this on Debian, or in a container of it, and copy the folder",
        )


def unpacked(packages: Sequence[str], place: Path) -> tuple[Path, dict[str, str]]:
    """Download packages, unpack them below `place` without installing, and return where, and their versions.

    One that apt does not know is left out. Raises FetchError where apt cannot download, StoreError where no room is.
    """
    root = place / "root"
    root.mkdir()
    versions = {}
    for package in packages:
        archive = _downloaded(package, place)
        if archive is not None:
            versions[package] = _run(["dpkg-deb", "--field", archive, "Version"], place).stdout.strip()
            result = _run(["dpkg-deb", "--extract", archive, root], place)
            archive.unlink()
            if result.returncode:
                raise StoreError(
                    f"{package} could not be unpacked: {_complaint(result)}", f"make room in {place.parent}"
                )
    return root, versions


def about(pictures: int, pieces: int, stamps: int, packages: Collection[str]) -> str:
    """What a folder made of these packages holds, for the card of what is trained with it."""
    return (
        f"{pictures:,} pictures of {len(packages)} packages of Debian's main section, {pieces:,} cut out of them, "
        f"{stamps:,} stamps of things and animals, a tenth of them kept aside; drawn ones, what surrounds the faces; "
        f"licences of the pictures: {', '.join(licences(packages))}; by package: scripts/training/packages.py"
    )


def licences(packages: Collection[str]) -> list[str]:
    """The licences of packages, without their versions."""
    known = DESKTOPS | STAMPS | MORE
    named = (licence for package in packages for licence in re.split(", | or ", known.get(package, "unknown")))
    return sorted({re.sub(r"-[\d.]+\+?$", "", licence) for licence in named})


def _downloaded(package: str, place: Path) -> Path | None:
    result = _run(["apt-get", "download", "-qq", package], place)
    if not result.returncode:
        return next(place.glob("*.deb"))
    if any(words in result.stderr for words in UNKNOWN):
        return None
    raise FetchError(
        f"{package} could not be downloaded: {_complaint(result)}",
        f"check the network and the room in {place.parent}, run apt-get update, then this again, which goes on",
    )


def _run(command: Sequence[str | Path], place: Path) -> subprocess.CompletedProcess[str]:
    environment: Mapping[str, str] = {**os.environ, "LC_ALL": "C.UTF-8"}
    return subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)


def _complaint(result: subprocess.CompletedProcess[str]) -> str:
    """What a program complained about."""
    lines = result.stderr.splitlines()
    errors = [line for line in lines if line.startswith(("E:", "dpkg-deb: error:"))]
    return (errors or lines or [f"exit status {result.returncode}"])[0].strip()
