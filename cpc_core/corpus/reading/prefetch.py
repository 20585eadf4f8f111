"""An iterator that runs ahead in a thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


def read_ahead(source: Iterable[T], depth: int = 1) -> Generator[T, None, None]:
    """Iterate over `source` in a thread that keeps `depth` items ready and holds one more at most.

    The thread ends with the iteration, also when that is given up half-way, and its error is raised
    here.
    """
    ready: queue.Queue[T | _End] = queue.Queue(depth)
    given_up = threading.Event()

    def read() -> None:
        end = _End(None)
        try:
            for item in source:
                if not _offer(ready, item, given_up):
                    return
        except Exception as error:
            end = _End(error)
        _offer(ready, end, given_up)

    thread = threading.Thread(target=read, name="read-ahead", daemon=True)
    thread.start()
    try:
        while not isinstance(item := ready.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        given_up.set()
        thread.join()


@dataclass(frozen=True)
class _End:
    error: Exception | None


def _offer(ready: queue.Queue[T | _End], item: T | _End, given_up: threading.Event) -> bool:
    while not given_up.is_set():
        try:
            ready.put(item, timeout=0.1)
        except queue.Full:
            continue
        return True
    return False
