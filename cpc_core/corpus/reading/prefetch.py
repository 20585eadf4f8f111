"""Iteration that prefetches in a thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

DEPTH = 2
"""Items that the thread works ahead: bounds memory."""


def prefetch(source: Iterable[T]) -> Generator[T, None, None]:
    """Iterates over `source` in a thread that works up to `DEPTH` items ahead.

    An error of `source` is raised after the items before it. The thread ends with the iteration,
    also when that is closed early.
    """
    items = ((item,) for item in source)
    thread = ThreadPoolExecutor(1, "prefetch")
    try:
        ahead = deque(thread.submit(next, items, None) for _ in range(DEPTH))
        while (item := ahead.popleft().result()) is not None:
            ahead.append(thread.submit(next, items, None))
            yield item[0]
    finally:
        thread.shutdown(cancel_futures=True)
