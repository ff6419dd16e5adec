"""Signatures on disk: none is forgotten by a restart, the file is bounded, and a broken disk stops no request."""

from __future__ import annotations

import asyncio
import logging
import os
import random
from pathlib import Path

import pytest

from edge.api.http.replays import ReplayCache, Reply
from edge.api.http.signature_log import DIGEST, MOST, SignatureLog


async def answered() -> Reply:
    return Reply(200, b"x", "1")


def asked(log: SignatureLog, signature: str) -> Reply | None:
    return asyncio.run(ReplayCache(log).once(signature, 10.0, 0.0, 300.0, answered))


def test_what_was_done_before_a_restart_is_not_done_again(tmp_path: Path) -> None:
    first = SignatureLog(tmp_path / "log")
    assert asked(first, "a") is not None
    # no close: the process was killed
    second = SignatureLog(tmp_path / "log")
    assert asked(second, "a") is None
    assert asked(second, "b") is not None
    second.close()
    third = SignatureLog(tmp_path / "log")
    assert [name in third for name in "abc"] == [True, True, False]


def test_the_file_is_bounded_and_keeps_the_newest(tmp_path: Path) -> None:
    log = SignatureLog(tmp_path / "log")
    for number in range(2 * MOST + 10):
        log.add(f"signature {number}")
        if number % 1000 == 0 or number == 2 * MOST:
            asyncio.run(log.settled())
    assert (tmp_path / "log").stat().st_size < 2 * MOST * DIGEST
    again = SignatureLog(tmp_path / "log")
    assert f"signature {2 * MOST + 9}" in again
    assert "signature 0" not in again


@pytest.mark.parametrize("data", [b"", b"short", random.Random(1).randbytes(1000), b"\0" * 4096], ids=len)
def test_a_damaged_file_is_used_as_far_as_it_goes(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "log").write_bytes(data)
    assert asked(SignatureLog(tmp_path / "log"), "a") is not None
    assert asked(SignatureLog(tmp_path / "log"), "a") is None
    assert (tmp_path / "log").stat().st_size % DIGEST == 0


def test_a_folder_in_its_place_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    assert asked(SignatureLog(tmp_path / "log"), "a") is not None
    assert (tmp_path / "log.damaged-1").is_dir()


def test_a_full_disk_costs_the_protection_and_no_request(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = SignatureLog(tmp_path / "log")
    log._descriptor = os.open("/dev/full", os.O_WRONLY)
    with caplog.at_level(logging.WARNING):
        assert asked(log, "a") is not None
        assert asked(log, "b") is not None
    assert [record.message.count("No space left") for record in caplog.records] == [1]


def test_a_state_folder_that_is_gone_costs_the_protection_and_no_request(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_bytes(b"x")
    with caplog.at_level(logging.WARNING):
        assert asked(SignatureLog(tmp_path / "file/log"), "a") is not None
    assert "can be replayed after a restart" in caplog.text
