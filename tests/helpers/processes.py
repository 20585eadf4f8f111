"""Real Ray processes in tests: marked, so that every last one of them can be found again."""

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

from study.spec.study_spec import StudySpec

MARK = "CPC_TEST_MARK"


AGENTS = (b"ray::DashboardAgent", b"ray::RuntimeEnvAgent")
"""After a SIGKILL of the driver these two wait a minute for Ray's head node before they end,
too.
"""


END_S = 20.0
"""How long processes may take to end after their driver was killed, on a busy machine."""


class Marked:
    """Environment of a process and, because the environment is inherited, a way to find all its
    descendants.

    Args:
        cache: Where the bundled corpus is imported to.
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
        }
        self.environment = {**os.environ, **own}

    def processes(self, *, agents: bool = False) -> list[int]:
        """Living processes that inherited the mark, with or without Ray's idle agents."""
        wanted = f"{MARK}={self.mark}".encode()
        found = [
            entry
            for entry in Path("/proc").iterdir()
            if entry.name.isdigit() and wanted in _read(entry / "environ")
        ]
        return [
            int(entry.name)
            for entry in found
            if agents or not _read(entry / "cmdline").startswith(AGENTS)
        ]

    def commands(self) -> list[str]:
        """What is left, in words."""
        return [
            _read(Path(f"/proc/{pid}/cmdline")).replace(b"\0", b" ").decode()
            for pid in self.processes()
        ]

    def trial_actors(self) -> list[int]:
        """Processes that train inline trials."""
        return [
            pid
            for pid in self.processes()
            if _read(Path(f"/proc/{pid}/cmdline")).startswith(b"ray::InlineTrial")
        ]

    def all_ended(self) -> bool:
        """Whether none is left, soon."""
        deadline = time.monotonic() + END_S
        while self.processes() and time.monotonic() < deadline:
            time.sleep(0.1)
        return not self.processes()

    def end(self) -> None:
        """Ends all of them as `ray stop` would, by SIGTERM and then SIGKILL, but no others."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in self.processes(agents=True):
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
            self.all_ended()
        shutil.rmtree(self.folder, ignore_errors=True)


class Driver:
    """A study driven by a process of its own, in a process group of its own, as a shell would start
    it.

    Args:
        marked: Its environment.
        spec: The study.
        folder: The study folder.
        options: Of `tests.helpers.drive_study`; with `--step` it stands still after each event
            until `go_on`.
    """

    def __init__(self, marked: Marked, spec: StudySpec, folder: Path, *options: str) -> None:
        file = folder.with_suffix(".yaml")
        file.write_text(spec.to_yaml())
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.helpers.drive_study", str(file), str(folder), *options],
            env=marked.environment,
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

    def go_on(self) -> None:
        """Lets a driver that stands still go on."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def until_report(self) -> None:
        """Returns at the next report of a trial."""
        assert any(kind == "report" for kind, *_ in self.events()), self.finish()

    def finish(self) -> tuple[int, str]:
        """Exit code, and what it printed on stderr."""
        _, errors = self.process.communicate(timeout=300)
        return self.process.returncode, errors


def _read(file: Path) -> bytes:
    try:
        # Both files of a zombie, which has ended, read as empty.
        return file.read_bytes()
    except OSError:
        return b""
