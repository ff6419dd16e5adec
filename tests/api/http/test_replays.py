"""Answers by signature: once, bounded, and no longer than the signature is valid."""

from __future__ import annotations

import asyncio

from edge.api.http.replays import ReplayCache, Reply


class Counted:
    """Work that says how often it was done."""

    def __init__(self, size: int = 10, final: bool = True) -> None:
        self.done = 0
        self._size, self._final = size, final

    async def __call__(self) -> Reply:
        self.done += 1
        await asyncio.sleep(0)
        return Reply(200, b"x" * self._size, str(self.done), self._final)


def test_the_same_signature_gets_the_first_answer() -> None:
    async def run() -> None:
        cache, work = ReplayCache(), Counted()
        first = await cache.once("a", 10.0, 0.0, 300.0, work)
        assert await cache.once("a", 299.0, 0.0, 300.0, work) is first
        together = await asyncio.gather(*(cache.once("b", 10.0, 1.0, 300.0, work) for _ in range(5)))
        assert together == [together[0]] * 5
        assert work.done == 2

    asyncio.run(run())


def test_what_was_told_to_come_back_is_done_again() -> None:
    async def run() -> None:
        cache, work = ReplayCache(), Counted(final=False)
        await cache.once("a", 10.0, 0.0, 300.0, work)
        await cache.once("a", 10.0, 0.0, 300.0, work)
        assert work.done == 2

    asyncio.run(run())


def test_an_answer_that_is_no_longer_kept_is_not_done_again() -> None:
    async def run() -> None:
        cache, work = ReplayCache(size=25), Counted()
        for name in "abcd":
            assert await cache.once(name, 10.0, 0.0, 300.0, work) is not None
        assert await cache.once("a", 10.0, 0.0, 300.0, work) is None
        assert await cache.once("d", 10.0, 0.0, 300.0, work) is not None
        assert work.done == 4

    asyncio.run(run())


def test_as_many_are_remembered_as_may_be_and_none_that_expired() -> None:
    async def run() -> None:
        cache, work = ReplayCache(signatures=3), Counted()
        for name in "abcde":
            await cache.once(name, 10.0, 0.0, 300.0, work)
        assert len(cache._seen) == len(cache._kept) == 3
        await cache.once("f", 301.0, 300.0, 300.0, work)
        assert list(cache._seen) == ["f"]
        assert cache._bytes == 10

    asyncio.run(run())


def test_a_client_that_signs_the_same_again_within_the_second_is_heard() -> None:
    async def run() -> None:
        cache, create, delete = ReplayCache(), Counted(), Counted()
        for _ in range(3):  # create, delete, create, delete, ... and each retried
            for name, work in (("create", create), ("delete", delete)):
                first = await cache.once(name, 10.4, 10.0, 300.0, work)
                assert await cache.once(name, 10.5, 10.0, 300.0, work) is first
        assert (create.done, delete.done) == (3, 3)
        await cache.once("create", 12.0, 10.0, 300.0, create)
        assert create.done == 3

    asyncio.run(run())
