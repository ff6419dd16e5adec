"""Many devices behind a cache get their release, whatever the cache, the server or the release does."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("tuf")
SCRIPT = Path(__file__).resolve().parent.parent.parent / "scripts" / "release_load"


@pytest.mark.long
@pytest.mark.timeout(600)
def test_devices_behind_a_cache_get_their_release() -> None:
    if not shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"):
        pytest.skip("needs a cache: apt-get install nginx")
    done = subprocess.run(
        [sys.executable, SCRIPT, "--devices", "100", "--real", "12", "--spread", "5"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1:] == ["releases: 4 of 4 parts as expected"], done.stdout + done.stderr
