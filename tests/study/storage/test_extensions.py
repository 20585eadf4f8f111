"""A new storage backend: one file, and one line in the table of backends."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import study

BACKEND = '''
"""Trials of studies in one SQLite file of a folder, for one driver at a time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import FrozenTrial

from cpc_core.errors import CpcError
from study.folders.study_folder import StudyFolder
from study.spec.study_spec import StudySpec
from study.storage.base import SingleDriver, content


class KeptStorage(SingleDriver):
    def __init__(self, folder: StudyFolder, spec: StudySpec) -> None:
        super().__init__()
        self.name, self._file = spec.name, Path(urlsplit(spec.store or "").path)
        self._lock = self._file.with_suffix(".lock")

    def read(self) -> tuple[list[FrozenTrial], Mapping[str, Any]]:
        return content(self.open(), self.name) if self._file.exists() else ([], {})

    def revision(self) -> str:
        return str(self._file.stat().st_mtime_ns) if self._file.exists() else ""

    def driver(self) -> str | None:
        return self._lock.read_text() if self._lock.exists() else None

    def lock(self) -> None:
        if self._lock.exists():
            raise CpcError(f"{self._file} is being written by {self._lock.read_text()}")
        self._lock.write_text("a driver")

    def open(self) -> BaseStorage:
        return RDBStorage(f"sqlite:///{self._file}")

    def check(self) -> None:
        pass

    def explain(self, error: BaseException) -> CpcError | None:
        return CpcError(f"{self._file} is damaged") if isinstance(error, OSError) else None

    def close(self) -> None:
        if self._locked:
            self._lock.unlink()
'''

USE = """
import sys
from study.dispatch.dispatcher import Dispatcher
from study.folders.study_folder import StudyFolder
from study.results.reader import read_study
from study.results.reader import StudyReader
from study.spec.study_spec import StudySpec
from study.storage.backends import driver_of
from tests.helpers.specs import tiny_spec
from cpc_core.errors import CpcError

folder = StudyFolder(sys.argv[1])
spec = tiny_spec(store=f"kept://here{sys.argv[1]}.db")
before = StudyReader(folder).revision()
for number in range(2):
    dispatcher = Dispatcher.create_or_open(folder, spec, "c" * 64, "")
    assert driver_of(folder) == "a driver"
    try:
        Dispatcher.create_or_open(folder, spec, "c" * 64, "")
    except CpcError as error:
        assert "is being written by a driver" in str(error)
    else:
        raise AssertionError("a second driver")
    trial = dispatcher.ask()
    assert trial is not None and trial.number == number
    dispatcher.report(number, 10, {"dev_map": 0.25})
    dispatcher.tell(number, "complete", {"dev_map": 0.5 + number})
    dispatcher.close()
assert not (folder.path / "journal.log").exists()
assert StudyReader(folder).revision() != before
for trial in read_study(folder).trials:
    print(trial.number, trial.outcome, trial.metrics["dev_map"])
"""


def test_new_backend_is_a_file_and_a_line(tmp_path: Path) -> None:
    root = Path(study.__file__).parents[1]
    for package in ("cpc_core", "search_spaces", "study", "tests"):
        skipped = shutil.ignore_patterns("__pycache__", "cli", "integration", "benchmarks")
        shutil.copytree(root / package, tmp_path / package, ignore=skipped)
    table = tmp_path / "study" / "spec" / "stores.py"
    line = '    "postgresql": "study.storage.postgres:PostgresStorage",\n'
    added = line + '    "kept": "study.storage.kept:KeptStorage",\n'
    assert table.read_text().count(line) == 1
    table.write_text(table.read_text().replace(line, added))
    (tmp_path / "study" / "storage" / "kept.py").write_text(BACKEND)
    home = tmp_path / "studies"
    home.mkdir()
    used = subprocess.run(
        [sys.executable, "-c", USE, str(home / "tiny")],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert used.returncode == 0, used.stderr
    assert used.stdout.splitlines() == ["0 complete 0.5", "1 complete 1.5"]
