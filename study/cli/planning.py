"""What a study will cost, before it is started."""

from __future__ import annotations

from dataclasses import dataclass

from cpc_core.config import CpcConfig, canonical_json
from study.analysis.labels import BASE, cell_label
from study.searching import GridSampler
from study.spec import StudySpec

START_S = 8.0
"""Seconds to start Ray on two cores."""

TRIAL_OVERHEAD_S = 14.0
"""Seconds of a trial outside its training loop: processes start, the probe is fitted."""


@dataclass(frozen=True)
class PlannedCell:
    """One cell (or, for a search, one corner of its space) and its cost.

    Attributes:
        cell: The setting.
        trials: Replicates of it.
        steps: Optimizer steps of a trial.
        seconds_per_step: Measured here, None without calibration.
        minutes_per_trial: With overhead, None without calibration.
    """

    cell: str
    trials: int
    steps: int
    seconds_per_step: float | None
    minutes_per_trial: float | None


def planned_rows(spec: StudySpec, *, calibrate: bool) -> list[PlannedCell]:
    """The cells of a grid; the corners of a search, whose proposals lie between them."""
    from cpc_core.calibrate import seconds_per_step
    from cpc_core.corpus.sample import open_corpus

    grid = isinstance(spec.sampler, GridSampler)
    samples = spec.space.grid() if grid else list(spec.space.corners())
    clip_samples = open_corpus(spec.corpus).clip_samples
    threads = max(1, int(spec.resources.cpus_per_worker))
    measured: dict[str, float] = {}
    rows = []
    for sample in samples:
        config = spec.config(sample, spec.seeds[0])
        seconds = None
        if calibrate:
            cost = canonical_json(_alike(config))
            if cost not in measured:
                measured[cost] = seconds_per_step(config, clip_samples, threads)
            seconds = measured[cost] / spec.resources.workers
        steps = config.training.steps
        minutes = None if seconds is None else (steps * seconds + TRIAL_OVERHEAD_S) / 60
        rows.append(PlannedCell(cell_label(sample) or BASE, len(spec.seeds) if grid else 0, steps, seconds, minutes))
    return rows


def total(spec: StudySpec, rows: list[PlannedCell]) -> str:
    """The whole study's expected wall time, in words."""
    minutes = [row.minutes_per_trial for row in rows if row.minutes_per_trial is not None]
    expected = sum(minutes) / len(minutes) * spec.planned_trials / spec.resources.concurrent_trials + START_S / 60
    return f", about {_duration(expected)} with {spec.resources.concurrent_trials} trials at a time on this machine"


def _alike(config: CpcConfig) -> CpcConfig:
    """The configuration with everything that costs no time set to one value."""
    objective = config.objective.model_copy(update={"temperature": 1.0})
    optimizer = type(config.optimizer)()
    adversary = config.adversary.model_copy(update={"epsilon_db": -55.0}) if config.adversary.kind != "none" else config.adversary
    return config.model_copy(update={"objective": objective, "optimizer": optimizer, "adversary": adversary, "seed": 0})


def _duration(minutes: float) -> str:
    if minutes < 100:
        return f"{minutes:.0f} minutes"
    return f"{minutes / 60:.0f} hours" if minutes < 100 * 60 else f"{minutes / 60 / 24:.0f} days"
