"""Processes of a test, marked so that each of their descendants can be found, and study drivers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from study.spec.study_spec import StudySpec

if TYPE_CHECKING:
    from tests.helpers.ray_nodes import RunningRay

MARK = "CPC_TEST_MARK"


WAITING = (b"ray::DashboardAgent", b"ray::RuntimeEnvAgent", b"default_worker.py", b"ray::IDLE")
"""Processes that, after a SIGKILL of the driver, wait a minute for Ray's head node before they end:
its agents, and workers that were just about to reach it. They hold nothing and train nothing.
"""


END_S = 20.0
"""Longest time that processes take to end after their driver was killed, on a busy machine."""


GRACE_S = 5.0
"""Time between SIGTERM and SIGKILL."""


class Marked:
    """Processes that share a variable of their environment, which every descendant inherits.

    Args:
        cache: Folder that the bundled corpus is imported to.
    """

    def __init__(self, cache: Path) -> None:
        self.mark = uuid.uuid4().hex
        # A socket in Ray's folder must fit into 107 bytes, which pytest's folders leave no room
        # for.
        self.folder = Path(tempfile.mkdtemp(prefix="cpc-"))
        own = {
            MARK: self.mark,
            "CPC_CACHE": str(cache),
            "TMPDIR": str(self.folder),
            "OMP_NUM_THREADS": "1",
            # Ray's workers would give way to the other tests that run at the same time.
            "RAY_worker_niceness": "0",
        }
        self.environment = {**os.environ, **own}

    def processes(self, *, waiting: bool = False) -> list[int]:
        """Living processes that inherited the mark, with or without those of `WAITING`."""
        wanted = f"{MARK}={self.mark}".encode()
        found = [
            entry
            for entry in Path("/proc").iterdir()
            if entry.name.isdigit() and wanted in _read(entry / "environ")
        ]
        return [int(entry.name) for entry in found if waiting or not _waits(entry)]

    def commands(self) -> list[str]:
        """Command lines of the living processes."""
        return [
            _read(Path(f"/proc/{pid}/cmdline")).replace(b"\0", b" ").decode()
            for pid in self.processes()
        ]

    def all_ended(self, within_s: float = END_S) -> bool:
        """True if none is left within so many seconds."""
        deadline = time.monotonic() + within_s
        while self.processes() and time.monotonic() < deadline:
            time.sleep(0.1)
        return not self.processes()

    def end(self) -> None:
        """Ends all of them as `ray stop` would, by SIGTERM and then SIGKILL, but no others."""
        for number, within_s in ((signal.SIGTERM, GRACE_S), (signal.SIGKILL, END_S)):
            for pid in self.processes(waiting=True):
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
            self.all_ended(within_s)
        shutil.rmtree(self.folder, ignore_errors=True)


class Driver:
    """A driver process with a process group of its own, as a shell would start it.

    Args:
        marked: Its mark.
        spec: The study.
        folder: The study folder.
        options: Of `tests.helpers.drive_study`; with `--step` it waits after each event until
            `proceed`.
        ray: A cluster that it joins; without one it starts its own.
    """

    def __init__(
        self,
        marked: Marked,
        spec: StudySpec,
        folder: Path,
        *options: str,
        ray: RunningRay | None = None,
    ) -> None:
        environment = marked.environment
        if ray is not None:
            environment, options = ray.environment(marked), (*options, "--address", ray.address)
        file = folder.with_suffix(".yaml")
        file.write_text(spec.to_yaml())
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.helpers.drive_study", str(file), str(folder), *options],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def events(self) -> Iterator[tuple[str, int, int, str]]:
        """Kind, trial, step and outcome of each event, as they come."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            kind, number, step, outcome = json.loads(line)
            yield kind, number, step, outcome

    def proceed(self) -> None:
        """Ends the wait of a driver after an event."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def until_report(self) -> None:
        """Returns at the next report of a trial."""
        assert any(kind == "report" for kind, *_ in self.events()), self.finish()

    def finish(self) -> tuple[int, str]:
        """Exit code, and the text on stderr."""
        _, errors = self.process.communicate(timeout=300)
        return self.process.returncode, errors


def _waits(process: Path) -> bool:
    """True for one of `WAITING`. A raylet is none, though an argument of it names one."""
    arguments = _read(process / "cmdline").split(b"\0")
    return any(argument.endswith(WAITING) for argument in arguments)


def _read(file: Path) -> bytes:
    try:
        # Both files of a zombie, which has ended, read as empty.
        return file.read_bytes()
    except OSError:
        return b""
