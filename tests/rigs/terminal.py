"""A program at a pseudo-terminal: what it prints is waited for, what it asks is answered."""

from __future__ import annotations

import os
import pty
import select
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from typing_extensions import Self

CTRL_C = "\x03"


class Terminal:
    """Runs ``command`` until the block ends."""

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        self.output = ""
        self._seen = 0
        self._pid, self._descriptor = pty.fork()
        if self._pid == 0:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # ignored where the suite runs in a shell's background
            os.chdir(folder)
            os.execvpe(command[0], list(command), dict(environment))

    def expect(self, text: str, seconds: float = 60) -> None:
        """Wait for ``text`` behind what was waited for before."""
        until = time.monotonic() + seconds
        while (found := self.output.find(text, self._seen)) < 0:
            assert self._read(until - time.monotonic()), f"expected {text!r}, got {self.output[self._seen :]!r}"
        self._seen = found + len(text)

    def type(self, text: str) -> None:
        os.write(self._descriptor, text.encode())

    def answer(self, question: str, text: str = "") -> None:
        self.expect(question)
        self.expect(": ")
        self.type(f"{text}\n")

    def interrupt(self, text: str) -> None:
        """Ctrl-C until ``text`` is printed: one that comes while the line editor starts is lost."""
        for _ in range(10):
            self.type(CTRL_C)
            until = time.monotonic() + 5
            while self.output.find(text, self._seen) < 0 and self._read(until - time.monotonic()):
                pass
            if self.output.find(text, self._seen) >= 0:
                return
        raise AssertionError(f"expected {text!r} after Ctrl-C, got {self.output[self._seen :]!r}")

    def end(self, seconds: float = 60) -> int:
        """Read to the end; the exit code."""
        until = time.monotonic() + seconds
        while self._read(until - time.monotonic()):
            pass
        _, status = os.waitpid(self._pid, 0)
        self._pid = 0
        return os.waitstatus_to_exitcode(status)

    def _read(self, seconds: float) -> bool:
        """Whether something came before the program closed its side, or the time was over."""
        if not select.select([self._descriptor], [], [], max(0.0, seconds))[0]:
            return False
        try:
            data = os.read(self._descriptor, 4096)
        except OSError:  # EIO: the other side is closed
            return False
        self.output += data.decode("utf-8", "replace").replace("\r\n", "\n")
        return bool(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pid:
            os.kill(self._pid, 9)
            os.waitpid(self._pid, 0)
        os.close(self._descriptor)
