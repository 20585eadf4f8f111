"""Trial of a study as Ray Tune runs it, in an actor that the next trial reuses."""

from __future__ import annotations

from typing import Any

import ray.tune

from cluster.stop_flag import StopFlag
from cpc_core.storage_path import StoragePath
from study.folders.study_folder import StudyFolder
from study.folders.trial_folder import TrialFolder
from study.spec.resources import Resources


class StudyTrial(ray.tune.Trainable):
    """Trial of a study. A kind of trial begins and cleans up one; each `step` returns a result.

    Attributes:
        corpus: The corpus folder.
        resources: Workers and what each reserves.
        scratch: Folder of the run, for stop flags and for Ray Train.
        grace_s: Seconds in which a trial has to end once the study is stopped; None: at its next
            report, whenever that is.
    """

    def setup(  # type: ignore[override]  # Tune's way to pass a class its parameters
        self,
        config: dict[str, Any],
        study: StudyFolder,
        corpus: StoragePath,
        resources: Resources,
        scratch: str,
        grace_s: float | None,
    ) -> None:
        """Begins the actor's first trial.

        Args:
            config: `number`: the trial, whose folder holds its configuration. `attempt`: of its
                stop flag.
            study: The study folder.
            corpus: The corpus folder.
            resources: Workers and what each reserves.
            scratch: Folder of the run, seen by every node.
            grace_s: See the class.
        """
        self.corpus, self.resources, self.scratch = corpus, resources, scratch
        self.grace_s = grace_s
        self._study = study
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begins the next trial."""
        self.cleanup()
        self._begin(new_config)
        return True

    def begin(self, trial: TrialFolder, flag: StopFlag) -> None:
        """Begins an attempt at a trial.

        Args:
            trial: Its folder.
            flag: The attempt's stop flag.
        """
        raise NotImplementedError

    @staticmethod
    def reservation(resources: Resources) -> dict[str, float]:
        """Reservation of the actor itself."""
        raise NotImplementedError

    def _begin(self, config: dict[str, Any]) -> None:
        flag = StopFlag(self.scratch, config["number"], config["attempt"])
        self.begin(self._study.trial(config["number"]), flag)


def trainable(
    kind: type[StudyTrial],
    study: StudyFolder,
    corpus: StoragePath,
    resources: Resources,
    scratch: str,
    grace_s: float | None,
) -> Any:
    """Trainable of a kind of trial, for use with `reuse_actors=True`.

    Args:
        kind: Of the trials.
        study: The study folder, at this path or URI on every node.
        corpus: The corpus folder, at this path or URI on every node.
        resources: Workers and what each reserves.
        scratch: Folder of the run, for stop flags and for Ray Train, seen by every node.
        grace_s: Seconds in which trials have to end once the study is stopped, if limited.
    """
    parameters = {
        "study": study,
        "corpus": corpus,
        "resources": resources,
        "scratch": scratch,
        "grace_s": grace_s,
    }
    return ray.tune.with_resources(
        ray.tune.with_parameters(kind, **parameters), kind.reservation(resources)
    )
