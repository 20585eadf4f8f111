"""Reproduction of a trial: what to train again, and the first step at which the numbers differ."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cpc_core.config import PROBE_METRICS, CpcConfig
from cpc_core.errors import ConfigError
from cpc_core.report import Report
from search_spaces.samplers.grid import GridSampler
from search_spaces.space import SearchSpace
from study.errors import NotFoundError
from study.folders.provenance import attempts
from study.folders.study_folder import StudyFolder
from study.spec.study_spec import StudySpec

TIMING_METRICS = {"clips_per_s"}
"""Metrics that depend on the machine's load."""


_OF_ITS_OWN = (
    "started", "from_step", "spec_hash", "corpus", "trial_id", "trajectory_id", "steps", "git.diff",
)  # fmt: skip
"""Entries of an attempt on which its numbers do not depend."""


@dataclass(frozen=True)
class Reproduction:
    """A trial that is to be trained again.

    Attributes:
        recorded: Its log, as far as it is compared.
        attempts: Provenance of its attempts.
        spec: A study of this one trial, no longer than it is compared.
        whole: True if it is compared to its end, including its probe.
        threads: CPU threads of a worker.
        device: Device of its last attempt, None if that was not recorded.
        corpus_hash: Hash of its corpus.
    """

    recorded: tuple[Report, ...]
    attempts: tuple[Mapping[str, Any], ...]
    spec: StudySpec
    whole: bool
    threads: int
    device: str | None
    corpus_hash: str

    def require(self, corpus_hash: str) -> None:
        """Checks that the corpus is still the same.

        Raises:
            ConfigError: It is another one.
        """
        if corpus_hash != self.corpus_hash:
            raise ConfigError(
                f"the trial was trained on a corpus with hash {self.corpus_hash[:12]}, but "
                f"{self.spec.corpus} has {corpus_hash[:12]}: restore that corpus; on another one "
                "other numbers are to be expected"
            )


@dataclass(frozen=True)
class Difference:
    """A value that differs between two trainings.

    Attributes:
        metric: Its name; `outcome` for the outcome of a step, `report` for a report that one of the
            trainings lacks.
        recorded: The recorded value, None if there is none.
        again: The new value, None if there is none.
    """

    metric: str
    recorded: float | str | None
    again: float | str | None

    @property
    def amount(self) -> float | None:
        """New minus recorded value, None unless both are numbers."""
        if isinstance(self.recorded, float | int) and isinstance(self.again, float | int):
            return self.again - self.recorded
        return None


@dataclass(frozen=True)
class Comparison:
    """Two logs of the same training.

    Attributes:
        through: Last step up to which they are identical, 0 if none is.
        step: First step at which they differ, None if none does.
        differences: Differences at that step.
    """

    through: int
    step: int | None = None
    differences: tuple[Difference, ...] = ()

    @property
    def words(self) -> str:
        """The result as one sentence."""
        same = f"identical through step {self.through}"
        if self.step is None:
            return same
        metrics = ", ".join(each.metric for each in self.differences)
        before = same if self.through else "nothing before it is the same"
        return f"differs first at step {self.step}, in {metrics}; {before}"


def reproduction(study: StudyFolder, number: int, steps: int | None) -> Reproduction:
    """Plans the training of a trial from what its folder records.

    Args:
        study: The study folder.
        number: The trial.
        steps: Steps to compare at most, None for all that were taken.

    Raises:
        NotFoundError: There is no such trial, or its log is empty.
        ConfigError: The study's files are damaged, or `steps` ends before the first report.
        CheckpointError: The trial's configuration cannot be read.
    """
    stored, folder = study.spec(), study.trial(number)
    log = folder.log()
    if not log:
        raise NotFoundError(
            f"trial {number} of {study} has logged nothing to compare with: "
            f"`cpc study show {study}` lists the trials"
        )
    config = folder.config()
    tried = tuple(attempts(folder)) or (study.provenance(),)
    if "precision" in tried[-1]:
        config = config.at_precision(tried[-1]["precision"])
    length = _length(log[-1], config, steps)
    last, resources = tried[-1], stored.resources
    threads = last.get("threads", resources.threads)
    changes = {
        "share": False,
        "concurrent_trials": 1,
        "workers": last.get("workers", resources.workers),
    }
    if threads != resources.threads:
        changes["cpus_per_worker"] = float(threads)
    spec = StudySpec(
        name=f"{stored.name[:48]}-{folder.name}-again",
        question=f"Does trial {number} of {stored.name} give the same numbers again?",
        corpus=stored.corpus,
        base=_shortened(config, length).model_dump(mode="json", exclude={"seed"}),
        space=SearchSpace({}),
        seeds=(config.seed,),
        sampler=GridSampler(),
        objective=stored.objectives[0],
        resources=resources.model_copy(update=changes),
    )
    return Reproduction(
        recorded=tuple(report for report in log if report.step <= length),
        attempts=tried,
        spec=spec,
        whole=length == config.training.steps,
        threads=threads,
        device=last.get("device"),
        corpus_hash=last["corpus_hash"],
    )


def _length(last: Report, config: CpcConfig, steps: int | None) -> int:
    """Steps to train: to the recorded end, or to the last report up to `steps`."""
    every, full = config.training.report_every, config.training.steps
    taken = last.step
    if last.outcome == "diverged":
        # One report more: the new training may not diverge, and is then compared there.
        taken = min(full, (taken // every + 1) * every)
    if steps is not None and steps < taken:
        if steps < every:
            raise ConfigError(
                f"--steps {steps} ends before the first report, at step {every}: there would be "
                "nothing to compare"
            )
        taken = steps
    return taken if taken == full else taken // every * every


def _shortened(config: CpcConfig, steps: int) -> CpcConfig:
    """The first steps of the same training."""
    if steps == config.training.steps:
        return config
    content = config.model_dump(mode="json")
    content["training"]["steps"] = steps
    content["optimizer"]["decay_steps"] = config.decay_steps
    return CpcConfig.model_validate(content)


def compare(wanted: Reproduction, again: Sequence[Report], tolerance: float = 0.0) -> Comparison:
    """Compares a new log with the recorded one, report by report.

    Args:
        wanted: The recorded training.
        again: Reports of the new one.
        tolerance: Largest relative difference of two values that counts as none.
    """
    old, new = ({report.step: report for report in log} for log in (wanted.recorded, again))
    through = 0
    for step in sorted(old.keys() | new.keys()):
        differences = tuple(_differences(old.get(step), new.get(step), wanted.whole, tolerance))
        if differences:
            return Comparison(through, step, differences)
        through = step
    return Comparison(through)


def _differences(
    old: Report | None, new: Report | None, whole: bool, tolerance: float
) -> Iterator[Difference]:
    if old is None or new is None:
        yield Difference("report", *(None if report is None else "made" for report in (old, new)))
        return
    if whole and old.outcome != new.outcome:
        yield Difference("outcome", old.outcome, new.outcome)
    ignored = TIMING_METRICS if whole else {*TIMING_METRICS, *PROBE_METRICS}
    for name in sorted((old.metrics.keys() | new.metrics.keys()) - ignored):
        before, now = old.metrics.get(name), new.metrics.get(name)
        if before is None or now is None or not _same(before, now, tolerance):
            yield Difference(name, before, now)


def _same(before: float, now: float, tolerance: float) -> bool:
    return math.isclose(before, now, rel_tol=tolerance) or (math.isnan(before) and math.isnan(now))


def changed_since(wanted: Reproduction, again: Mapping[str, Any]) -> list[str]:
    """Differences of the recorded attempts from a new one in code, versions, hardware and data."""
    now = dict(_flat(again))
    lines: list[str] = []
    for number, attempt in enumerate(wanted.attempts, start=1):
        then = dict(_flat(attempt))
        which = f"attempt {number}: " if len(wanted.attempts) > 1 else ""
        # An entry that an older study lacks is no difference.
        lines += [
            f"{which}{name}: {value} then, {now[name]} now"
            for name, value in then.items()
            if name in now and name not in _OF_ITS_OWN and value != now[name]
        ]
        both_known = "git.commit" in then and "git.commit" in now
        if both_known and ("git.diff_sha256" in then) != ("git.diff_sha256" in now):
            when = "then" if "git.diff_sha256" in then else "now"
            lines.append(f"{which}the code had uncommitted changes {when}")
    return lines


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
