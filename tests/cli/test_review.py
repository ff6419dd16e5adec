"""``edge review`` on a real terminal: one key confirms all questions about a label."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

from rigs.page import asked
from rigs.waiting import eventually

from edge.core.settings.services import ReviewSettings
from edge.recognition.review.question import Nearest
from edge.recognition.review.queue import ReviewQueue


class Terminal:
    """A process on a terminal of its own."""

    def __init__(self, *command: str) -> None:
        self._own, other = pty.openpty()
        self.process = subprocess.Popen(command, stdin=other, stdout=other, stderr=other)
        os.close(other)
        self.shown = ""

    def reads(self, text: str) -> None:
        """Wait until the process has written a text past what was read before."""
        while text not in self.shown:
            part = os.read(self._own, 4096).decode()
            assert part, self.shown
            self.shown += part
        self.shown = self.shown.partition(text)[2]

    def presses(self, key: str) -> None:
        """A single key, once the process waits for one: what was typed before that is dropped."""
        assert eventually(lambda: not termios.tcgetattr(self._own)[3] & termios.ICANON)
        os.write(self._own, key.encode())

    def answers(self, line: str) -> None:
        os.write(self._own, f"{line}\n".encode())

    def close(self) -> int:
        code = self.process.wait(30)
        os.close(self._own)
        return code


def about(subject: str) -> dict[str, Any]:
    return {
        "version": "heads/1", "reason": "threshold", "subject": subject, "collection": "",
        "nearest": (Nearest(subject, "", 0.52),),
    }  # fmt: skip


def test_a_key_confirms_all_questions_about_a_label(tmp_path: Path) -> None:
    for subject, count in (("helmet", 3), ("cap", 2)):
        asked(tmp_path / "state", count, **about(subject))
    config = tmp_path / "edge.toml"
    config.write_text(f'state = "{tmp_path / "state"}"\n[models]\ncheck = false\n')
    terminal = Terminal(sys.executable, "-m", "edge", "--config", str(config), "review")
    terminal.reads("is it helmet?")
    terminal.presses("a")
    terminal.reads("3 questions are all helmet")
    terminal.answers("y")
    terminal.reads("is it cap?")
    terminal.presses("a")
    terminal.reads("2 questions are all cap")
    terminal.answers("n")
    terminal.reads("is it cap?")
    terminal.presses("q")
    assert terminal.close() == 0
    with ReviewQueue(tmp_path / "state", ReviewSettings()) as queue:
        assert [(one.answer, one.subject) for one in queue.answers()] == [("confirmed", "helmet")] * 3
        assert queue.examples.counts() == {"heads": 3}
        assert len(queue.doubts()) == 2
