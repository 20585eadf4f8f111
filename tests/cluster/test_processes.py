from __future__ import annotations

import subprocess
import sys
import time

import pytest

from cluster.kinds import processes
from cluster.kinds.processes import alive, await_end, descendants

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]


PARENT = [
    sys.executable,
    "-c",
    f"import subprocess, time; subprocess.Popen({SLEEPER!r}); time.sleep(60)",
]


def test_grandchildren_are_found_and_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "GRACE_S", 0.2)
    before = set(descendants())
    child = subprocess.Popen(PARENT)
    deadline = time.monotonic() + 30
    while len(own := set(descendants()) - before) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert child.pid in {process.pid for process in own}
    await_end(list(own))
    assert not any(alive(process) for process in own)
    child.wait()


def test_later_process_with_the_same_number_is_left_alone() -> None:
    child = subprocess.Popen(SLEEPER)
    try:
        reused = processes.Process(child.pid, started="1")
        assert not alive(reused)
        await_end([reused])
        assert child.poll() is None
    finally:
        child.kill()
        child.wait()
