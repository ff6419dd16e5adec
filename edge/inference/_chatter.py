"""Keeps the runtime's greetings off stderr: it writes them from C++, past Python's logging."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

GREETINGS = (b"INFO: Created TensorFlow Lite", b"INFO: Applying ")


@contextmanager
def without_greetings() -> Iterator[None]:
    """While the block runs, stderr is held back; then everything but the greetings is written to it.

    What other threads say meanwhile comes a moment later.
    """
    sys.stderr.flush()
    descriptor = 2
    try:
        kept = os.dup(descriptor)
    except OSError:
        yield  # a process without stderr
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), descriptor)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, descriptor)
            os.close(kept)
            held.seek(0)
            said = b"".join(line for line in held if not line.startswith(GREETINGS))
            if said:
                os.write(descriptor, said)
