"""Wait for what happens on another thread or in another process, without asserting how long it takes."""

from __future__ import annotations

import time
from collections.abc import Callable


def eventually(condition: Callable[[], object], seconds: float = 15.0) -> bool:
    """Whether ``condition`` came true; waits for it at most ``seconds``."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return bool(condition())
        time.sleep(0.01)
    return True
