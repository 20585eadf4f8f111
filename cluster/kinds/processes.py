"""Processes of a local Ray, which must end with it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import NamedTuple

GRACE_S = 5.0


POLL_S = 0.05


class Process(NamedTuple):
    """A process; its start time distinguishes it from a later one with the same number."""

    pid: int
    started: str


def descendants() -> list[Process]:
    """All processes below this one."""
    parents: dict[int, list[Process]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (stat := _stat(int(entry.name))) is not None:
            parents.setdefault(int(stat[1]), []).append(Process(int(entry.name), stat[19]))
    found: list[Process] = []
    queue = [os.getpid()]
    while queue:
        children = parents.get(queue.pop(), [])
        found += children
        queue += [child.pid for child in children]
    return found


def await_end(processes: list[Process]) -> None:
    """Waits until they have ended, and kills those that take longer than `GRACE_S`."""
    deadline = time.monotonic() + GRACE_S
    while remaining := [process for process in processes if alive(process)]:
        if time.monotonic() > deadline:
            for process in remaining:
                _kill(process.pid)
        time.sleep(POLL_S)


def alive(process: Process) -> bool:
    """True if it still runs; a zombie does not."""
    stat = _stat(process.pid)
    return stat is not None and stat[19] == process.started and stat[0] != "Z"


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _stat(pid: int) -> list[str] | None:
    """Fields of /proc/PID/stat from the state on: state, parent, …, with the start time at 19."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()
