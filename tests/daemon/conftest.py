"""Fixtures of the tests of erasure."""

from rigs.review import answers, ask, collections, queue, staff

__all__ = ["answers", "ask", "collections", "queue", "staff"]
