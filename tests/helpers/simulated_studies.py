"""Studies drawn from a model whose truth is known, to count how often an analysis is wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cpc_core.evaluation.clip_scores import by_recording
from study.results.records import StudyRecord, TrialRecord
from study.spec.claims import Claim
from tests.helpers.records import study, trial

Values = NDArray[np.float64]


def claim(better: Mapping[str, Any], than: Mapping[str, Any], **changes: Any) -> Claim:
    return Claim.model_validate(
        {"question": "Is it better?", "better": better, "than": than, **changes}
    )


def crossed(
    random: np.random.Generator, seeds: int, clips: int, sizes: tuple[float, float, float]
) -> Values:
    """Values `[seeds, clips]` around 0: of seeds, of clips, and of each clip with each seed."""
    of_seed, of_clip, of_both = sizes
    return np.asarray(
        random.normal(0, of_seed, (seeds, 1))
        + random.normal(0, of_clip, (1, clips))
        + random.normal(0, of_both, (seeds, clips))
    )


def study_of_clips(
    cells: Sequence[Values], claims: Sequence[Claim], metric: str = "dev_map", **changes: Any
) -> StudyRecord:
    """A study of cells `width = 0, 1, …`, each with values `[seeds, clips]`."""
    groups = [str(clip) for clip in range(cells[0].shape[1])]
    trials: list[TrialRecord] = []
    for cell, table in enumerate(cells):
        for seed, row in enumerate(table):
            made = trial(len(trials), {"width": cell}, seed, metrics={metric: float(row.mean())})
            clips = by_recording(groups, ["a"] * len(groups), {metric: row})
            trials.append(replace(made, clips=clips))
    return study(trials, claims=tuple(claims), metric=metric, **changes)


def study_of_seeds(
    cells: Sequence[Values] | Values,
    claims: Sequence[Claim],
    knobs: Sequence[Mapping[str, Any]] | None = None,
    **changes: Any,
) -> StudyRecord:
    """A study of cells `width = 0, 1, …`, or of those knobs, by seed; NaN for a diverged trial."""
    trials: list[TrialRecord] = []
    for cell, values in enumerate(cells):
        own = {"width": cell} if knobs is None else knobs[cell]
        for seed, value in enumerate(values.tolist()):
            diverged = math.isnan(value)
            trials.append(
                trial(
                    len(trials),
                    own,
                    seed,
                    "diverged" if diverged else "complete",
                    {} if diverged else {"dev_map": value},
                )
            )
    return study(trials, claims=tuple(claims), **changes)
