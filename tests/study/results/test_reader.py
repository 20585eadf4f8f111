from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from cpc_core.errors import CheckpointError, ConfigError
from study.folders.checkpoints import checkpoint_step
from study.folders.study_folder import StudyFolder
from study.folders.trial_folder import TrialFolder
from study.results.reader import read_study
from tests.helpers.specs import tiny_spec
from tests.helpers.studies import asked, entry, log_up_to, opened, writes


def test_record_shows_waiting_running_and_ended_trials(tmp_path: Path) -> None:
    spec = tiny_spec(space={"temperature": [0.05, 0.1, 0.2]}, question="Which is best?")
    with opened(tmp_path, spec) as store:
        done, running = asked(store), asked(store)
        log_up_to(store, done, 10, 20)
        store.tell(done.number, "complete", {"dev_map": 0.5})
        log_up_to(store, running, 10)
        record = read_study(StudyFolder(tmp_path))
    assert [trial.outcome for trial in record.trials] == ["complete", "running", "waiting"]
    assert [trial.knobs for trial in record.trials] == [
        {"temperature": value} for value in (0.05, 0.1, 0.2)
    ]
    assert [report.step for report in record.trials[0].history.reports] == [10, 20]
    assert record.trials[0].metrics == {"dev_map": 0.5}
    assert record.trials[1].metrics == {"dev_accuracy": 0.1, "dev_map": 0.5}
    assert record.trials[0].trial_id == done.trial_id
    assert (record.name, record.question, record.metric, record.planned) == (
        "tiny",
        "Which is best?",
        "dev_map",
        3,
    )
    assert record.corpus == "sample (3 clips)"
    assert not record.finished


def test_reading_changes_nothing(tmp_path: Path) -> None:
    with opened(tmp_path, tiny_spec()) as store:
        log_up_to(store, asked(store), 10)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    read_study(StudyFolder(tmp_path))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_study_that_has_only_just_begun_has_no_trials(tmp_path: Path) -> None:
    with opened(tmp_path, tiny_spec()):
        pass
    (tmp_path / "journal.log").write_bytes(b"")
    assert read_study(StudyFolder(tmp_path)).trials == ()
    (tmp_path / "journal.log").unlink()
    assert read_study(StudyFolder(tmp_path)).trials == ()
    assert not (tmp_path / "journal.log").exists()


def test_folder_without_a_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"holds no study.*cpc study run"):
        read_study(StudyFolder(tmp_path))


@pytest.mark.parametrize("file", ["spec.yaml", "provenance.json", "journal.log"])
def test_damaged_file_is_named(tmp_path: Path, file: str) -> None:
    with opened(tmp_path, tiny_spec()):
        pass
    (tmp_path / file).write_bytes(b"\xff{[\n\xfe: }\n")
    with pytest.raises(ConfigError, match=file):
        read_study(StudyFolder(tmp_path))


def test_log_line_that_is_being_written_is_left_out(tmp_path: Path) -> None:
    folder = TrialFolder(tmp_path, 0)
    Path(folder.path).mkdir(parents=True)
    folder.append(entry(10))
    with (Path(folder.path) / "metrics.jsonl").open("a") as file:
        file.write('{"step": 20, "outc')
    assert folder.log() == (entry(10),)


def test_rewinding_keeps_the_lines_of_steps_that_stay_taken(tmp_path: Path) -> None:
    folder = TrialFolder(tmp_path, 0)
    Path(folder.path).mkdir(parents=True)
    for step in (10, 20, 30):
        folder.append(entry(step))
    lines = (Path(folder.path) / "metrics.jsonl").read_text().splitlines()
    folder.rewind(20)
    assert (Path(folder.path) / "metrics.jsonl").read_text().splitlines() == lines[:2]
    folder.rewind(-1)
    assert folder.log() == ()


def test_checkpoint_is_seen_whole_or_not_at_all(tmp_path: Path) -> None:
    folder = TrialFolder(tmp_path, 3)

    def fails(target: Path) -> None:
        (target / "state.pt").write_bytes(b"half")
        raise OSError("disk full")

    with pytest.raises(CheckpointError, match="trial 3"):
        TrialFolder(tmp_path, 3).require_checkpoint()
    with pytest.raises(OSError, match="disk full"):
        folder.save_checkpoint(10, fails)
    assert folder.checkpoint() is None
    for step, content in ((990, b"earlier"), (1000, b"whole"), (1000, b"again")):
        folder.save_checkpoint(step, writes(content))
    newest = TrialFolder(tmp_path, 3).require_checkpoint()
    assert checkpoint_step(newest) == 1000
    assert (newest / "state.pt").read_bytes() == b"again"


def test_checkpoint_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, done = TrialFolder(tmp_path, 0), list[str]()
    fsync, rename = os.fsync, Path.rename

    def synced(descriptor: int) -> None:
        done.append(
            str(Path(f"/proc/self/fd/{descriptor}").readlink().relative_to(Path(folder.path)))
        )
        fsync(descriptor)

    def renamed(path: Path, target: Path) -> Path:
        done.append(f"renamed to {target.name}")
        return rename(path, target)

    def fill(target: Path) -> None:
        (target / "a").write_bytes(b"a")
        (target / "b").write_bytes(b"b")

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "rename", renamed)
    folder.save_checkpoint(10, fill)
    partial = ".checkpoint-000000010.partial"
    assert sorted(done[:2]) == [f"{partial}/a", f"{partial}/b"]
    assert done[2:] == [partial, "renamed to checkpoint-000000010", "."]


def test_newest_two_checkpoints_stay_and_nothing_else(tmp_path: Path) -> None:
    folder = TrialFolder(tmp_path, 0)
    (Path(folder.path) / ".checkpoint-000000010.partial").mkdir(parents=True)
    (Path(folder.path) / ".checkpoint-000000005.dropped").mkdir()
    for step in (10, 20, 30, 1000):
        folder.save_checkpoint(step, writes(b"whole"))
    assert sorted(path.name for path in Path(folder.path).iterdir()) == [
        "checkpoint-000000030",
        "checkpoint-000001000",
    ]


def test_old_checkpoint_that_is_being_removed_has_lost_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = TrialFolder(tmp_path, 0)
    folder.save_checkpoint(10, writes(b"whole"))
    folder.save_checkpoint(20, writes(b"whole"))

    def killed(path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        folder.save_checkpoint(30, writes(b"whole"))
    assert sorted(path.name for path in Path(folder.path).glob("checkpoint-*")) == [
        "checkpoint-000000020",
        "checkpoint-000000030",
    ]
