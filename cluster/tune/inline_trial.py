"""Trials of one worker, trained by their Tune actor itself, which the next trial reuses."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import ray.tune
import torch

from cluster.attempt import TrialStopped, in_process, run_attempt
from cluster.stop_flag import StopFlag
from cluster.tune.results import as_result, failed, finished
from cluster.tune.train_trial import worker_resources
from cpc_core.corpus.corpus import Corpus
from cpc_core.errors import CpcError
from cpc_core.report import Report
from cpc_core.step import StepMetrics
from cpc_core.storage_path import StoragePath
from study.folders.study_folder import StudyFolder
from study.spec.resources import Resources


def inline_trainable(
    study: StudyFolder, corpus: StoragePath, resources: Resources, scratch: str
) -> Any:
    """Trainable of trials that their own actors train, for use with `reuse_actors=True`.

    Args:
        study: The study folder, at this path or URI on every node.
        corpus: The corpus folder, at this path or URI on every node.
        resources: Reservation of the one worker of a trial.
        scratch: Folder of the stop flags, seen by every node.
    """
    trainable = ray.tune.with_parameters(
        InlineTrial, study=study, corpus=corpus, threads=resources.threads, scratch=scratch
    )
    return ray.tune.with_resources(trainable, worker_resources(resources))


class InlineTrial(ray.tune.Trainable):
    """Trial that trains from one report to the next each time Tune requests a result.

    So a trial that is stopped at a report takes no further step, and its actor is free for another.
    """

    def setup(  # type: ignore[override]  # Tune's way to pass a class its parameters
        self,
        config: dict[str, Any],
        study: StudyFolder,
        corpus: StoragePath,
        threads: int,
        scratch: str,
    ) -> None:
        """Prepares the process, and its first trial.

        Args:
            config: `number`: the trial, whose folder holds its configuration. `attempt`: of its
                stop flag.
            study: The study folder.
            corpus: The corpus folder.
            threads: CPU threads.
            scratch: Folder of the stop flags.
        """
        torch.set_num_threads(threads)
        self._study, self._corpus, self._scratch = study, corpus, scratch
        self._reports = self._training(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Prepares the next trial."""
        self.cleanup()
        self._reports = self._training(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Trains up to the next report."""
        try:
            return as_result(next(self._reports))
        except (StopIteration, TrialStopped):
            return finished()
        except CpcError as error:
            return failed(error)

    def cleanup(self) -> None:
        """Closes the trial's readers, wherever its training is."""
        self._reports.close()

    def _training(self, config: dict[str, Any]) -> Generator[Report, None, None]:
        flag = StopFlag(self._scratch, config["number"], config["attempt"])

        def stop_if_requested(step: int, measured: StepMetrics) -> None:
            if flag.is_set():
                raise TrialStopped

        yield from run_attempt(
            self._study.trial(config["number"]),
            Corpus.open(self._corpus),
            in_process,
            on_step=stop_if_requested,
        )
