"""Trials of one worker, trained by their Tune actor itself, which the next trial reuses."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import torch

from cluster.attempt import TrialStopped, in_process, run_attempt
from cluster.grace import Grace
from cluster.stop_flag import StopFlag
from cluster.train.trainer import worker_resources
from cluster.tune.results import as_result, failed, finished, paused, unwritable
from cluster.tune.trial import StudyTrial
from cpc_core.corpus.corpus import Corpus
from cpc_core.errors import CpcError, is_of_the_disk
from cpc_core.report import Report
from cpc_core.step import StepMetrics
from cpc_core.storage_path import StoragePath
from cpc_core.training import TrainingPaused
from study.folders.trial_folder import TrialFolder
from study.spec.resources import Resources


class InlineTrial(StudyTrial):
    """Trial that trains from one report to the next each time Tune requests a result.

    So a trial that is stopped at a report takes no further step, and its actor is free for another.
    """

    def begin(self, trial: TrialFolder, flag: StopFlag) -> None:
        """Prepares the training."""
        torch.set_num_threads(self.resources.threads)
        self._reports = _training(trial, flag, self.corpus, self.grace_s, self.scratch)

    def step(self) -> dict[str, Any]:
        """Trains up to the next report."""
        try:
            return as_result(next(self._reports))
        except TrainingPaused as pause:
            return paused(pause.step)
        except (StopIteration, TrialStopped):
            return finished()
        except CpcError as error:
            return failed(error)
        except OSError as error:
            if is_of_the_disk(error):
                return unwritable(error)
            raise

    def cleanup(self) -> None:
        """Closes the trial's readers, wherever its training is."""
        self._reports.close()

    @staticmethod
    def reservation(resources: Resources) -> dict[str, float]:
        """Reservation of the one worker, which is the actor itself."""
        return worker_resources(resources)


def _training(
    trial: TrialFolder, flag: StopFlag, corpus: StoragePath, grace_s: float | None, scratch: str
) -> Generator[Report, None, None]:
    def stop_if_requested(step: int, measured: StepMetrics) -> None:
        if flag.is_set():
            raise TrialStopped

    yield from run_attempt(
        trial,
        Corpus.open(corpus),
        in_process,
        on_step=stop_if_requested,
        pause=Grace.of_study(grace_s, scratch),
    )
