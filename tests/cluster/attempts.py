"""Trials small enough for unit tests, and what can be compared of their logs."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

from cluster.recording import in_process, recorded_training
from cpc_core.config import CpcConfig
from cpc_core.corpus.corpus import Corpus
from cpc_core.training import Progress
from study.trial_folder import TrialFolder
from tests.cpc_core.tiny import tiny_config

REPORTS = (4, 8, 12)


def attempt_config(**changes: Any) -> CpcConfig:
    """Three reports."""
    return tiny_config(**{"training": {"steps": REPORTS[-1], "report_every": REPORTS[0], "dev_clips": 4}, **changes})


def attempt(trial: TrialFolder, corpus: Corpus, *, reports: int = len(REPORTS)) -> list[Progress]:
    """Trains until so many reports have been made, then gives up."""
    training = recorded_training(trial, corpus, in_process)
    made = list(islice(training, reports))
    training.close()
    return made


def log_without_timing(study: Path, number: int) -> list[dict[str, Any]]:
    """Every line of a trial's log, without what depends on the clock."""
    entries = []
    for line in (TrialFolder(study, number).path / "metrics.jsonl").read_text().splitlines():
        entry = json.loads(line)
        del entry["elapsed_s"]
        entry["metrics"].pop("clips_per_s", None)
        entries.append(entry)
    return entries
