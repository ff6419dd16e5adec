"""Bodies: bounded in bytes, in time, and in what their JSON costs."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from edge.api.http import bodies
from edge.core.errors import BusyError, InputError


class Sent:
    """A request whose body comes in parts, each after its pause in seconds."""

    def __init__(self, *parts: tuple[float, bytes]) -> None:
        self._parts = parts

    async def stream(self) -> AsyncIterator[bytes]:
        for pause, part in self._parts:
            await asyncio.sleep(pause)
            yield part


def read(budget: bodies.BodyBudget, request: Any, most: int = 1 << 20) -> Any:
    return budget.read(request, most)


def test_a_body_comes_whole_with_its_digest() -> None:
    async def run() -> None:
        budget = bodies.BodyBudget(1 << 20)
        held = await read(budget, Sent((0, b"a" * 100_000), (0, b"b")))
        assert held.data == b"a" * 100_000 + b"b"
        assert held.digest == hashlib.sha256(held.data).hexdigest()
        assert budget.held == 100_001 - bodies.SMALL
        held.release()
        assert budget.held == 0

    asyncio.run(run())


def test_who_drips_bytes_is_given_up_for_who_sends() -> None:
    async def run() -> None:
        budget = bodies.BodyBudget(300_000)
        dripping = [
            asyncio.create_task(read(budget, Sent((0, b"x" * 100_000), *[(0.05, b"x")] * 100))) for _ in range(6)
        ]
        await asyncio.sleep(0.2)
        held = await read(budget, Sent((0, b"y" * 250_000)))
        assert len(held.data) == 250_000
        results = await asyncio.gather(*dripping, return_exceptions=True)
        assert sum(isinstance(one, InputError) and one.code == "incomplete" for one in results) == 3
        held.release()
        for one in results:
            if isinstance(one, bodies.HeldBody):
                one.release()
        assert budget.held == 0

    asyncio.run(run())


def test_where_verified_bodies_have_all_the_memory_others_come_back() -> None:
    async def run() -> None:
        budget = bodies.BodyBudget(200_000)
        held = await read(budget, Sent((0, b"x" * 250_000)))
        with pytest.raises(BusyError):
            await read(budget, Sent((0, b"y" * 100_000), (0, b"y" * 50_000)))
        held.release()
        assert budget.held == 0

    asyncio.run(run())


def test_a_body_that_stops_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "STALLED_SECONDS", 0.05)

    async def run() -> None:
        with pytest.raises(InputError, match="did not arrive"):
            await read(bodies.BodyBudget(1 << 20), Sent((0, b"x"), (5, b"y")))

    asyncio.run(run())


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 33 + b"]" * 33,
        b'{"a":' * 33 + b"1" + b"}" * 33,
        b"[" + b"[]," * 25_000 + b"[]]",
        b"[" + b"1," * 60_000 + b"1]",
        b"[NaN]",
        b"{",
        b"\xff\xfe",
        b"9" * 5000,
    ],
)
def test_json_that_would_cost_too_much_is_refused_unread(data: bytes) -> None:
    with pytest.raises(InputError) as caught:
        bodies.parsed(data)
    assert caught.value.code == "document"


@pytest.mark.parametrize(
    "value", [{"a": "[[[[[" * 100, "b": '"\\"[{'}, ["é", "💥", "\\"], [[1] * 100] * 30, "x", 7, None]
)
def test_json_within_the_bounds_is_what_it_is(value: object) -> None:
    assert bodies.parsed(json.dumps(value).encode()) == value
