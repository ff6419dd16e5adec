"""Wait for what happens on another thread or in another process, without asserting how long it takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

NOT_YET = (IndexError, KeyError, TypeError, AttributeError, FileNotFoundError)
"""what a condition raises while what it looks at is not there yet"""


def eventually(condition: Callable[[], object], seconds: float = 15.0) -> bool:
    """Whether ``condition`` came true; waits for it at most ``seconds``. An error of its last try is raised."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with suppress(*NOT_YET):
            if condition():
                return True
        time.sleep(0.01)
    return bool(condition())
