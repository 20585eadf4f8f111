"""Replicates grouped into cells, which every figure, table and answer starts from."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from cpc_core.evaluation.clip_scores import MetricsByRecording
from cpc_core.report import Outcome
from search_spaces.knobs import KNOBS
from study.analysis.labels import cell_name
from study.analysis.statistics import CONFIDENCE, ClipTable, Interval, IntervalOf, t_interval
from study.errors import NotFoundError
from study.results.records import LOST, Direction, StudyRecord, TrialRecord
from study.spec.cell_selector import Selector

SHORTEST_ID = 4
"""Digits of a cell's id that may stand for it."""

NAMED = 8
"""Cells that an error lists."""

RECORDS_KEPT = 4
"""Records of which the cells are kept: every figure and table of a page starts from them."""

_NAME_OF_PATH = {knob.path: name for name, knob in KNOBS.items()}


@dataclass(frozen=True)
class NotShown:
    """The reason for a figure or table that is absent.

    Attributes:
        reason: One sentence.
        pending: True if only results are missing: a page then keeps its place.
    """

    reason: str
    pending: bool


class Scores(Mapping[str, Interval]):
    """Metric → mean and interval over seeds, each computed when it is first asked for.

    Args:
        values: Metric → seed → value.
        clips: Seed → metrics by recording.
        interval_of: The interval of each.
    """

    def __init__(
        self,
        values: Mapping[str, Mapping[int, float]],
        clips: Mapping[int, MetricsByRecording],
        interval_of: IntervalOf,
    ) -> None:
        self._values, self._clips, self._interval_of = values, clips, interval_of
        self._known: dict[str, Interval] = {}

    def __getitem__(self, metric: str) -> Interval:
        if metric not in self._known:
            values = self._values[metric]
            self._known[metric] = _interval(metric, values, self._clips, self._interval_of)
        return self._known[metric]

    def __contains__(self, metric: object) -> bool:
        return metric in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


@dataclass(frozen=True)
class Cell:
    """All replicates of one setting.

    Attributes:
        cell_id: Signature without the seed.
        label: The setting by the knobs that vary in this study.
        knobs: Every sampled knob, under its catalog name.
        values: Metric → seed → value, of complete trials only: no other outcome enters a mean.
        metrics: Metric → mean and interval over those seeds.
        outcomes: Number of trials by status or final outcome.
        trials: Numbers of all its trials.
        clips: Seed → its probe's metrics by recording, for the seeds that kept them.
    """

    cell_id: str
    label: str
    knobs: Mapping[str, Any]
    values: Mapping[str, Mapping[int, float]]
    metrics: Mapping[str, Interval]
    outcomes: Mapping[Outcome, int]
    trials: tuple[int, ...]
    clips: Mapping[int, MetricsByRecording] = field(default_factory=dict)

    @property
    def lost(self) -> dict[Outcome, int]:
        """Number of trials that ended without a result, by outcome."""
        return {outcome: self.outcomes[outcome] for outcome in LOST if outcome in self.outcomes}

    def signed(self, metric: str, direction: Direction) -> dict[int, float]:
        """Seed → value of a metric with the sign that makes more of it better."""
        return {seed: sign_of(direction) * value for seed, value in self.values[metric].items()}


def sign_of(direction: Direction) -> float:
    """The factor that makes more of a metric better."""
    return 1.0 if direction == "maximize" else -1.0


def metric_range(metric: str) -> tuple[float, float]:
    """Least and greatest value that a metric can have."""
    if metric.endswith(("_accuracy", "_map")):
        return 0.0, 1.0
    return (0.0, math.inf) if metric.endswith("_loss") else (-math.inf, math.inf)


def clip_table(
    metric: str, clips: Mapping[int, MetricsByRecording], seeds: Sequence[int]
) -> ClipTable | None:
    """A metric by seed and recording; None unless every seed has it on the same recordings."""
    found = [clips[seed] for seed in seeds if seed in clips and metric in clips[seed].values]
    if not found or len(found) < len(seeds) or len({each.recordings for each in found}) > 1:
        return None
    counts_clips = metric.endswith("_accuracy")
    resolution = 1 / max(1, *(each.classified for each in found)) if counts_clips else 0.0
    return ClipTable(np.stack([each.values[metric] for each in found]), resolution)


def score(
    cell: Cell,
    metric: str,
    interval_of: IntervalOf = t_interval,
    confidence: float = CONFIDENCE,
) -> Interval:
    """Mean of a metric that a cell has, with an interval inside the metric's range."""
    return _interval(metric, cell.values[metric], cell.clips, interval_of, confidence)


def _interval(
    metric: str,
    values: Mapping[int, float],
    clips: Mapping[int, MetricsByRecording],
    interval_of: IntervalOf,
    confidence: float = CONFIDENCE,
) -> Interval:
    table = clip_table(metric, clips, list(values))
    return interval_of(list(values.values()), table, confidence).within(*metric_range(metric))


def catalog_knobs(knobs: Mapping[str, Any]) -> dict[str, Any]:
    """Knobs under their catalog names, where a spec gave the dotted path."""
    return {_NAME_OF_PATH.get(name, name): value for name, value in knobs.items()}


def names_varying(settings: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Knobs that take more than one value over the settings; being absent counts as a value."""
    names = sorted({name for knobs in settings for name in knobs})
    return tuple(
        name
        for name in names
        if len({repr(knobs[name]) if name in knobs else None for knobs in settings}) > 1
    )


@lru_cache(maxsize=RECORDS_KEPT)
def varied_knobs(record: StudyRecord) -> tuple[str, ...]:
    """Knobs that vary over the study's trials."""
    return names_varying([catalog_knobs(trial.knobs) for trial in record.trials])


def group_cells(record: StudyRecord, interval_of: IntervalOf = t_interval) -> tuple[Cell, ...]:
    """Trials grouped by cell, in the order in which the cells first appear."""
    return _grouped(record, interval_of)


@lru_cache(maxsize=RECORDS_KEPT)
def _grouped(record: StudyRecord, interval_of: IntervalOf) -> tuple[Cell, ...]:
    groups: dict[str, list[TrialRecord]] = {}
    for trial in record.trials:
        groups.setdefault(trial.cell_id, []).append(trial)
    varied = varied_knobs(record)
    reference = None if record.reference is None else catalog_knobs(record.reference)

    def label(knobs: Mapping[str, Any]) -> str:
        if reference is not None:
            return cell_name(knobs, reference)
        return cell_name({name: knobs[name] for name in varied if name in knobs} or knobs)

    return tuple(_cell(trials, label, interval_of) for trials in groups.values())


def cell_labels(record: StudyRecord) -> dict[str, str]:
    """Cell id → label."""
    return {cell.cell_id: cell.label for cell in group_cells(record)}


def cells_varying(record: StudyRecord, *knobs: str) -> tuple[Cell, ...]:
    """Cells of a figure of some knobs.

    Of a one-at-a-time grid these are the cells that differ from its first one in no other knob.
    """
    cells = group_cells(record)
    if record.reference is None:
        return cells
    fixed = catalog_knobs(record.reference).items()
    return tuple(
        cell
        for cell in cells
        if all(name in knobs or (name, value) in fixed for name, value in cell.knobs.items())
    )


def _cell(
    trials: Sequence[TrialRecord],
    label: Callable[[Mapping[str, Any]], str],
    interval_of: IntervalOf,
) -> Cell:
    values: dict[str, dict[int, float]] = {}
    clips: dict[int, MetricsByRecording] = {}
    for trial in trials:
        if trial.outcome == "complete":
            if trial.clips is not None:
                clips[trial.seed] = trial.clips
            for metric, value in trial.metrics.items():
                if math.isfinite(value):
                    values.setdefault(metric, {})[trial.seed] = value
    knobs = catalog_knobs(trials[0].knobs)
    return Cell(
        cell_id=trials[0].cell_id,
        label=label(knobs),
        knobs=knobs,
        values=values,
        metrics=Scores(values, clips, interval_of),
        outcomes=dict(Counter(trial.outcome for trial in trials)),
        trials=tuple(trial.number for trial in trials),
        clips=clips,
    )


def ranked(record: StudyRecord, interval_of: IntervalOf = t_interval) -> tuple[Cell, ...]:
    """Cells that have a value of the study's metric, best mean first."""
    sign = sign_of(record.direction)
    scored = [cell for cell in group_cells(record, interval_of) if record.metric in cell.metrics]
    return tuple(sorted(scored, key=lambda cell: -sign * cell.metrics[record.metric].mean))


def cell_named(record: StudyRecord, name: str) -> Cell:
    """The cell of that name: its knobs (`similarity=dot,temperature=1`), label, or start of its id.

    Raises:
        NotFoundError: No cell matches, or several do.
        ConfigError: The knobs cannot be read.
    """
    cells = group_cells(record)
    found = [cell for cell in cells if cell.label == name]
    if not found and "=" in name:
        selector = Selector.from_text(name)
        found = [cell for cell in cells if selector.matches(cell.knobs)]
    elif not found and len(name) >= SHORTEST_ID:
        found = [cell for cell in cells if cell.cell_id.startswith(name)]
    if len(found) == 1:
        return found[0]
    labels = [cell.label for cell in found or cells]
    listed = "; ".join([*labels[:NAMED], *(["…"] if len(labels) > NAMED else [])])
    if found:
        raise NotFoundError(
            f"'{name}' means {len(found)} cells of {record.name}: "
            f"name more knobs of one of them ({listed})"
        )
    raise NotFoundError(
        f"'{name}' is no cell of {record.name}: "
        f"give its knobs as 'knob=value,…', or its label ({listed})"
    )


def best_cell(record: StudyRecord) -> Cell | None:
    """The cell with the best mean of the study's metric, None where no trial is complete."""
    return next(iter(ranked(record)), None)


def pareto_front(record: StudyRecord, interval_of: IntervalOf = t_interval) -> tuple[Cell, ...]:
    """Cells on the Pareto front, the best by the first objective first; none with one objective.

    A cell is dominated by another whose mean is at least as good in every objective and better in
    one. Cells that lack the mean of an objective are left out.

    Args:
        record: The study.
        interval_of: The interval of each mean; which cells are on the front does not depend on it.
    """
    if len(record.objectives) < 2:
        return ()
    signs = {objective.metric: sign_of(objective.direction) for objective in record.objectives}
    scored = [
        ([sign * cell.metrics[metric].mean for metric, sign in signs.items()], cell)
        for cell in group_cells(record, interval_of)
        if signs.keys() <= cell.metrics.keys()
    ]
    best = [
        (own, cell)
        for own, cell in scored
        if not any(
            other != own and all(a >= b for a, b in zip(other, own, strict=True))
            for other, _ in scored
        )
    ]
    return tuple(cell for _, cell in sorted(best, key=lambda pair: -pair[0][0]))
