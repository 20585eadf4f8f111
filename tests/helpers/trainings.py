"""Trainings small enough for unit tests, and their logs without timings, which can be compared."""

from __future__ import annotations

from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from cluster.attempt import in_process, run_attempt
from cpc_core.config import CpcConfig
from cpc_core.corpus.corpus import Corpus
from cpc_core.report import Report
from study.folders.trial_folder import TrialFolder
from tests.helpers.configs import tiny_config

REPORTS = (4, 8, 12)


def attempt_config(**changes: Any) -> CpcConfig:
    """Three reports."""
    return tiny_config(
        **{
            "training": {"steps": REPORTS[-1], "report_every": REPORTS[0], "dev_clips": 4},
            **changes,
        }
    )


def attempt(trial: TrialFolder, corpus: Corpus, *, reports: int = len(REPORTS)) -> list[Report]:
    """Trains until so many reports have been made, then gives up."""
    training = run_attempt(trial, corpus, in_process)
    made = list(islice(training, reports))
    training.close()
    return made


def log_without_timing(study: Path, number: int) -> list[dict[str, Any]]:
    """Every whole line of a trial's log, without what depends on the clock."""
    entries = [asdict(entry) for entry in TrialFolder(study, number).log()]
    for entry in entries:
        del entry["elapsed_s"]
        entry["metrics"].pop("clips_per_s", None)
    return entries
