"""Trials of one worker, trained by their Tune actor itself: no further process starts, and the next
trial finds it warm.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import ray.tune
import torch

from cluster.attempt import in_process, run_attempt
from cluster.tune.results import as_result, failed, finished
from cluster.tune.train_trial import worker_resources
from cpc_core.corpus.corpus import Corpus
from cpc_core.errors import CpcError
from cpc_core.report import Report
from cpc_core.storage_path import StoragePath
from study.folders.study_folder import StudyFolder
from study.spec.resources import Resources


def inline_trainable(study: StudyFolder, corpus: StoragePath, resources: Resources) -> Any:
    """The trainable of trials that their own actors train, to be used with `reuse_actors=True`.

    Args:
        study: The study folder, at this path or URI on every node.
        corpus: The corpus folder, at this path or URI on every node.
        resources: What the one worker of a trial reserves.
    """
    trainable = ray.tune.with_parameters(
        InlineTrial, study=study, corpus=corpus, threads=resources.threads
    )
    return ray.tune.with_resources(trainable, worker_resources(resources))


class InlineTrial(ray.tune.Trainable):
    """A trial that trains from one report to the next each time Tune asks for a result; between
    them it stands still.

    So a trial that is stopped at a report takes no further step, and its actor is free for another.
    """

    def setup(  # type: ignore[override]  # Tune's way to hand a class its parameters
        self, config: dict[str, Any], study: StudyFolder, corpus: StoragePath, threads: int
    ) -> None:
        """Prepares the process, and its first trial.

        Args:
            config: `number`: the trial, whose folder holds its configuration.
            study: The study folder.
            corpus: The corpus folder.
            threads: CPU threads.
        """
        torch.set_num_threads(threads)
        self._study, self._corpus = study, corpus
        self._reports = self._training(config["number"])

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Prepares the next trial."""
        self.give_up()
        self._reports = self._training(new_config["number"])
        return True

    def step(self) -> dict[str, Any]:
        """Trains up to the next report."""
        try:
            return as_result(next(self._reports))
        except StopIteration:
            return finished()
        except CpcError as error:
            return failed(error)

    def give_up(self) -> None:
        """Frees what the trial holds: nobody waits for what is left of it."""
        self._reports.close()

    def cleanup(self) -> None:
        """Leaves no reader behind."""
        self.give_up()

    def _training(self, number: int) -> Generator[Report, None, None]:
        yield from run_attempt(self._study.trial(number), Corpus.open(self._corpus), in_process)
