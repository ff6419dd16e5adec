"""Fixtures of the tests of erasure and of full disks."""

from rigs.review import answers, ask, collections, queue, staff
from rigs.small_disk import small_disk

__all__ = ["answers", "ask", "collections", "queue", "small_disk", "staff"]
