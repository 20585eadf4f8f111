"""Signals of terminals and schedulers, all of which ask for the same: stop, so that it can resume.

SLURM and submitit send SIGUSR1 before they end a job, a closed terminal SIGHUP, `kill` SIGTERM.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

STOP_SIGNALS = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGHUP,
)


class StopSignals:
    """Requests to stop that come as signals.

    Attributes:
        came: True once a first signal has come.
    """

    def __init__(self) -> None:
        self.came = False

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Keeps the first signal in the block as a request; the second raises KeyboardInterrupt."""
        with _handled(self._handle):
            yield

    def catch_again(self) -> None:
        """Takes signals back from a library that has set a handler of its own in the block."""
        if threading.current_thread() is threading.main_thread():
            for number in _caught():
                signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.came:
            raise KeyboardInterrupt
        self.came = True


@contextmanager
def ignored_by_children() -> Iterator[None]:
    """Lets processes that are started in the block ignore what only schedulers send.

    A scheduler may signal every process of a job: the driver is to stop, the others go on for it.
    They inherit that these signals are blocked. One that comes for this process takes effect at the
    end of the block, as Ctrl-C does, because Ray may crash where its start is broken off; a second
    one interrupts at once.
    """
    numbers = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP)
    came: list[int] = []

    def postpone(number: int, frame: FrameType | None) -> None:
        if came:
            raise KeyboardInterrupt
        came.append(number)

    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        with _handled(postpone, (*numbers, signal.SIGINT)):
            yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    for number in came:
        signal.raise_signal(number)


@contextmanager
def interrupting() -> Iterator[None]:
    """Makes each signal in the block a KeyboardInterrupt, as Ctrl-C is one."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    with _handled(interrupt):
        yield


@contextmanager
def _handled(
    handle: Callable[[int, FrameType | None], None],
    numbers: Sequence[signal.Signals] = STOP_SIGNALS,
) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.signal(number, handle) for number in _caught() if number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _caught() -> list[signal.Signals]:
    """Signals that are not ignored, as `nohup` ignores SIGHUP.

    A shell lets its background jobs ignore SIGINT; `kill -INT` is then still meant.
    """
    return [
        number
        for number in STOP_SIGNALS
        if number == signal.SIGINT or signal.getsignal(number) is not signal.SIG_IGN
    ]
