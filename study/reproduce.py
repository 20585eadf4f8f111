"""A trial trained again from what was recorded of it, and the first step at which the numbers
part.
"""

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

TIMING_METRICS = ("clips_per_s",)
"""What the clock decides, and not the seed."""


_OF_ITS_OWN = (
    "started",
    "from_step",
    "spec_hash",
    "corpus",
    "trial_id",
    "trajectory_id",
    "steps",
    "git.diff",
)
"""Entries of an attempt that say nothing about where its numbers come from."""


@dataclass(frozen=True)
class Reproduction:
    """A trial that is to be trained again.

    Attributes:
        recorded: Its log, as far as it is compared.
        attempts: Where and with what it was trained.
        spec: A study of this one trial, no longer than it is compared.
        whole: Whether that is to its end, so that the probe is compared, too.
        threads: CPU threads of a worker.
        device: What it was trained on, None where that was not recorded.
        corpus_hash: Of the corpus it was trained on.
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
                f"the trial was trained on a corpus with hash {self.corpus_hash[:12]}, but {self.spec.corpus} has {corpus_hash[:12]}: "
                "restore that corpus; on another one other numbers are to be expected"
            )


@dataclass(frozen=True)
class Difference:
    """One value that is not the same.

    Attributes:
        metric: Its name; `outcome` and `report` stand for how a step ended and whether it was
            reported at all.
        recorded: As it was.
        again: As it is now; None where one of the two lacks it.
    """

    metric: str
    recorded: float | str | None
    again: float | str | None

    @property
    def amount(self) -> float | None:
        """By how much, None where that is no number."""
        if isinstance(self.recorded, float | int) and isinstance(self.again, float | int):
            return self.again - self.recorded
        return None


@dataclass(frozen=True)
class Comparison:
    """Two logs of the same training.

    Attributes:
        through: Last step up to which they are identical, 0 if none is.
        step: First step at which they differ, None if none does.
        differences: What differs there.
    """

    through: int
    step: int | None
    differences: tuple[Difference, ...]

    @property
    def words(self) -> str:
        """The result as one sentence."""
        if self.step is None:
            return f"identical through step {self.through}"
        before = (
            f"identical through step {self.through}"
            if self.through
            else "nothing before it is the same"
        )
        return f"differs first at step {self.step}, in {', '.join(each.metric for each in self.differences)}; {before}"


def reproduction(study: StudyFolder, number: int, steps: int | None) -> Reproduction:
    """Plans the training of a trial from what its folder records.

    Args:
        study: The study folder.
        number: The trial.
        steps: How many steps to compare at most, None for all that were taken.

    Raises:
        NotFoundError: There is no such trial, or it has logged nothing.
        ConfigError: The study's files are damaged, or `steps` ends before the first report.
        CheckpointError: The trial's configuration cannot be read.
    """
    stored, folder = study.spec(), study.trial(number)
    log = folder.log()
    if not log:
        raise NotFoundError(
            f"trial {number} of {study} has logged nothing to compare with: `cpc study show {study}` lists the trials"
        )
    config = folder.config()
    length = _length(log[-1], config, steps)
    recorded_attempts = attempts(folder)
    provenance = study.provenance()
    last: Mapping[str, Any] = recorded_attempts[-1] if recorded_attempts else provenance
    workers, threads = (
        last.get("workers", stored.resources.workers),
        last.get("threads", stored.resources.threads),
    )
    as_then = {} if threads == stored.resources.threads else {"cpus_per_worker": float(threads)}
    resources = stored.resources.model_copy(
        update={"share": False, "concurrent_trials": 1, "workers": workers} | as_then
    )
    spec = StudySpec(
        name=f"{stored.name[:48]}-{folder.name}-again",
        question=f"Does trial {number} of {stored.name} give the same numbers again?",
        corpus=stored.corpus,
        base=_shortened(config, length).model_dump(mode="json", exclude={"seed"}),
        space=SearchSpace({}),
        seeds=(config.seed,),
        sampler=GridSampler(),
        resources=resources,
    )
    return Reproduction(
        recorded=tuple(entry for entry in log if entry.step <= length),
        attempts=tuple(recorded_attempts or [provenance]),
        spec=spec,
        whole=length == config.training.steps,
        threads=threads,
        device=last.get("device"),
        corpus_hash=last["corpus_hash"],
    )


def compare(wanted: Reproduction, again: Sequence[Report], tolerance: float = 0.0) -> Comparison:
    """Holds a new log against the recorded one, report by report.

    Args:
        wanted: The recorded one.
        again: The new one.
        tolerance: Largest relative difference of two values that counts as none.
    """
    left_out = {*TIMING_METRICS, *(() if wanted.whole else PROBE_METRICS)}
    old, new = ({entry.step: entry for entry in log} for log in (wanted.recorded, again))
    through = 0
    for step in sorted(old.keys() | new.keys()):
        differences = tuple(
            _differences(old.get(step), new.get(step), left_out, tolerance, ends=wanted.whole)
        )
        if differences:
            return Comparison(through, step, differences)
        through = step
    return Comparison(through, None, ())


def changed_since(wanted: Reproduction, again: Mapping[str, Any]) -> list[str]:
    """Where the recorded attempts and the new one differ in code, versions, hardware or data, in
    words.
    """
    now = dict(_flat(again))
    lines: list[str] = []
    for number, attempt in enumerate(wanted.attempts, start=1):
        then = dict(_flat(attempt))
        which = f"attempt {number}: " if len(wanted.attempts) > 1 else ""
        # An older study may lack an entry: that is no difference.
        names = [
            name
            for name in then
            if name in now and name not in _OF_ITS_OWN and then[name] != now[name]
        ]
        lines += [f"{which}{name}: {then[name]} then, {now[name]} now" for name in names]
        if (
            "git.diff_sha256" in then.keys() ^ now.keys()
            and "git.commit" in then.keys() & now.keys()
        ):
            lines.append(
                f"{which}the code had uncommitted changes {'then' if 'git.diff_sha256' in then else 'now'}"
            )
    return lines


def _length(last: Report, config: CpcConfig, steps: int | None) -> int:
    """Steps to train: to the recorded end, or to the last report that is asked for and was made."""
    every, full = config.training.report_every, config.training.steps
    # A training that diverged is given one report more, in which it may not diverge again.
    taken = min(full, (last.step // every + 1) * every) if last.outcome == "diverged" else last.step
    if steps is not None and steps < taken:
        if steps < every:
            raise ConfigError(
                f"--steps {steps} ends before the first report, at step {every}: there would be nothing to compare"
            )
        return steps // every * every
    return taken if taken == full else taken // every * every


def _shortened(config: CpcConfig, steps: int) -> CpcConfig:
    """The first steps of the same training."""
    if steps == config.training.steps:
        return config
    content = config.model_dump(mode="json")
    content["training"]["steps"] = steps
    content["optimizer"]["decay_steps"] = config.decay_steps
    return CpcConfig.model_validate(content)


def _differences(
    old: Report | None, new: Report | None, left_out: set[str], tolerance: float, *, ends: bool
) -> Iterator[Difference]:
    if old is None or new is None:
        yield Difference("report", *("made" if entry is not None else None for entry in (old, new)))
        return
    if ends and old.outcome != new.outcome:
        yield Difference("outcome", old.outcome, new.outcome)
    for name in sorted((old.metrics.keys() | new.metrics.keys()) - left_out):
        before, now = old.metrics.get(name), new.metrics.get(name)
        if before is None or now is None or not _same(before, now, tolerance):
            yield Difference(name, before, now)


def _same(before: float, now: float, tolerance: float) -> bool:
    return (
        before == now
        or (math.isnan(before) and math.isnan(now))
        or math.isclose(before, now, rel_tol=tolerance)
    )


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
