"""Trials small enough for unit tests."""

from __future__ import annotations

from itertools import islice
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
