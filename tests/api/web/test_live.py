"""The live view keeps what a viewer needs, and costs little where nothing changes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from rigs.fakes import a_model_set
from rigs.page import frame, track

from edge.api.web.live import STILL, LiveView
from edge.pipeline.frame_result import FrameResult, FrameStats


@pytest.fixture
def live() -> Iterator[LiveView]:
    """A view of the camera ``door`` that somebody has just asked for."""
    made = LiveView(320)
    asyncio.run(_seen(made, frame(0)))
    yield made
    made.close()


async def _seen(live: LiveView, first: Any) -> None:
    waiting = asyncio.create_task(live.newer("door", -1))
    await asyncio.sleep(0)
    live.observe(result(first))
    await waiting


def result(shown: Any, moving: bool = True, subject: str = "alice") -> FrameResult:
    return FrameResult(shown, a_model_set(), tracks=[track(subject)], stats=FrameStats(moving=moving))


def after(seconds: float, number: int) -> Any:
    return replace(frame(number), monotonic=FIRST.monotonic + seconds)


FIRST = frame(1)


def test_a_still_scene_is_shown_once_in_two_seconds(live: LiveView) -> None:
    live.observe(result(FIRST))
    live.observe(result(after(0.2, 2), moving=False))
    assert _number(live) == 1
    live.observe(result(after(STILL + 0.1, 3), moving=False))
    assert _number(live) == 3


def test_a_still_scene_is_shown_at_once_where_something_moves_or_a_track_changes(live: LiveView) -> None:
    live.observe(result(FIRST))
    live.observe(result(after(0.2, 2)))
    assert _number(live) == 2
    live.observe(result(after(0.4, 3), moving=False, subject="bob"))
    assert _number(live) == 3


def test_all_requests_that_wait_get_the_next_frame(live: LiveView) -> None:
    async def asked() -> list[int]:
        waiting = [asyncio.create_task(live.newer("door", 0)) for _ in range(3)]
        await asyncio.sleep(0)
        thread = threading.Thread(target=lambda: live.observe(result(frame(9))))
        thread.start()
        found = [await one for one in waiting]
        thread.join()
        return [one.frame.sequence for one in found if one is not None]

    assert asyncio.run(asked()) == [9, 9, 9]


def test_a_frame_is_encoded_once(live: LiveView) -> None:
    async def twice() -> tuple[bytes, bytes]:
        return await live.jpeg(FIRST), await live.jpeg(FIRST)

    first, second = asyncio.run(twice())
    assert first[:2] == b"\xff\xd8"
    assert second is first


def _number(live: LiveView) -> int | None:
    shown = live.shown("door")
    return shown.frame.sequence if shown else None
