"""Two daemons on one state folder: the second is refused, and dying releases."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edge.core.errors import ConflictError, StoreError
from edge.core.storage.lock import Lock

HOLD = """
import sys, time
from pathlib import Path
from edge.core.storage.lock import Lock
lock = Lock(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


def test_a_second_lock_names_the_process_that_holds_the_folder(tmp_path: Path) -> None:
    with Lock(tmp_path / "state"), pytest.raises(ConflictError, match=f"process {os.getpid()}") as refused:
        Lock(tmp_path / "state")
    assert refused.value.hint


def test_a_released_lock_can_be_taken_again(tmp_path: Path) -> None:
    for _ in range(3):
        with Lock(tmp_path):
            pass


def test_a_killed_holder_leaves_no_lock_behind(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(ConflictError, match=f"process {holder.pid}"):
        Lock(tmp_path)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    with Lock(tmp_path):
        pass


def test_a_folder_that_cannot_be_used_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="state folder"):
        Lock(tmp_path / "file")
