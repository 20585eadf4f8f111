"""A reader that follows a study: after every change its record is that of a fresh read."""

from __future__ import annotations

import os
import random
import shutil
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cpc_core.evaluation.clip_scores import MetricsByRecording
from cpc_core.report import Report
from study.dispatch.dispatcher import Dispatcher
from study.folders.study_folder import StudyFolder
from study.folders.trial_folder import TrialFolder
from study.results.reader import StudyReader
from study.results.records import StudyRecord, TrialRecord
from study.storage.journal_file import JournalReader
from tests.helpers.specs import tiny_spec
from tests.helpers.studies import opened

SPEC = tiny_spec(
    space={"temperature": [0.05, 0.1, 0.2]}, seeds=[0, 1], objective={"metric": "dev_accuracy"}
)

CHANGES = ("ask", "report", "report", "end", "fail", "retry", "cancel", "reopen", "rewind")


TRIALS = ("trials", "retried")


def shown(record: StudyRecord) -> dict[str, Any]:
    """All of a record, with its curves."""
    trials = {name: [_trial(trial) for trial in getattr(record, name)] for name in TRIALS}
    return {each.name: getattr(record, each.name) for each in fields(record)} | trials


def _trial(trial: TrialRecord) -> dict[str, Any]:
    curve = trial.history.curve("dev_accuracy")
    own = {name: value for name, value in vars(trial).items() if name not in ("history", "clips")}
    clips = None if trial.clips is None else _clips(trial.clips)
    return {**own, "clips": clips, "curve": (curve.steps.tolist(), curve.values.tolist())}


def _clips(clips: MetricsByRecording) -> Any:
    return clips.recordings, {name: values.tolist() for name, values in clips.values.items()}


class Driven:
    """A study whose driver does one thing after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.running = folder, list[int]()
        self.store = self.open()

    def open(self) -> Dispatcher:
        return Dispatcher.create_or_open(StudyFolder(self.folder), SPEC, "c" * 64, "sample")

    def log(self, number: int) -> TrialFolder:
        return self.store.trial_folder(number)

    def do(self, change: str, chance: random.Random) -> None:
        match change:
            case "ask":
                trial = self.store.ask()
                if trial is not None:
                    self.running.append(trial.number)
            case "retry":
                lost = [
                    trial.number
                    for trial in self.store.trials()
                    if trial.user_attrs.get("ending", {}).get("outcome") in ("failed", "cancelled")
                ]
                if lost:
                    self.store.retry(chance.choice(lost), from_scratch=True)
            case "cancel":
                if self.store.unfinished:
                    waiting = set(self.store.unfinished) - set(self.running)
                    for number in sorted(waiting)[:1]:
                        self.store.cancel(number)
            case "reopen":
                self.store.close()
                self.store, self.running = self.open(), []
            case _ if self.running:
                self._train(change, chance.choice(self.running))

    def _train(self, change: str, number: int) -> None:
        folder = self.log(number)
        last = folder.last_report()
        step = 10 + (last.step if last else 0)
        metrics = {"dev_accuracy": 0.5 + step / 1000, "train_loss": 1.0}
        match change:
            case "report":
                folder.append(Report(step, metrics, "running", "", step / 10))
                self.store.report(number, step, metrics)
            case "rewind":
                folder.rewind(step - 20)
            case "end":
                folder.append(Report(step, metrics, "complete", "", step / 10))
                self.store.tell(number, "complete", metrics)
                self.running.remove(number)
            case _:
                self.store.tell(number, "failed", {}, "made up")
                self.running.remove(number)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(changes=st.lists(st.sampled_from(CHANGES), max_size=25), seed=st.integers(0, 99))
def test_following_equals_reading_anew(
    tmp_path_factory: pytest.TempPathFactory, changes: list[str], seed: int
) -> None:
    folder, chance = tmp_path_factory.mktemp("study") / "study", random.Random(seed)
    driven = Driven(folder)
    try:
        reader = StudyReader(StudyFolder(folder))
        for change in ("ask", *changes):
            driven.do(change, chance)
            if chance.random() < 0.7:
                assert shown(reader.read()) == shown(StudyReader(StudyFolder(folder)).read())
    finally:
        driven.store.close()
    assert shown(reader.read()) == shown(StudyReader(StudyFolder(folder)).read())


def test_a_study_that_another_one_replaced_is_read_anew(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    with opened(folder, SPEC) as store:
        store.ask()
    reader = StudyReader(StudyFolder(folder))
    assert [trial.outcome for trial in reader.read().trials].count("running") == 1
    shutil.rmtree(folder)
    with opened(folder, SPEC) as store:
        for _ in range(3):
            store.ask()
    assert [trial.outcome for trial in reader.read().trials].count("running") == 3
    os.truncate(folder / "journal.log", 0)
    assert reader.read().trials == ()
    assert asdict(reader.read()) == asdict(StudyReader(StudyFolder(folder)).read())


def test_entries_of_the_journal_are_read_once(tmp_path: Path) -> None:
    with opened(tmp_path, SPEC) as store:
        trial = store.ask()
        assert trial is not None
        journal = JournalReader(tmp_path / "journal.log")
        begun = list(journal.read_logs(0))
        store.report(trial.number, 10, {"dev_accuracy": 0.5})
        assert list(journal.read_logs(len(begun))) == []
        store.tell(trial.number, "complete", {"dev_accuracy": 0.5})
        ended = list(journal.read_logs(len(begun)))
    assert any("user_attr" in entry for entry in ended)
    every = [*begun, *ended]
    assert not any({"intermediate_value", "param_name"} & entry.keys() for entry in every)
    with pytest.raises(ValueError, match="was asked for"):
        list(journal.read_logs(0))


def test_half_a_journal_line_waits_for_its_end(tmp_path: Path) -> None:
    with opened(tmp_path, SPEC) as store:
        store.ask()
    journal = tmp_path / "journal.log"
    whole = journal.read_bytes()
    reader = StudyReader(StudyFolder(tmp_path))
    counts = []
    for end in (len(whole) // 2, len(whole) // 2 + 9, len(whole)):
        journal.write_bytes(whole[:end])
        counts.append(len(reader.read().trials))
        assert counts[-1] == len(StudyReader(StudyFolder(tmp_path)).read().trials)
    assert counts[-1] == 6
