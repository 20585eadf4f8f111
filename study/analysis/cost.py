"""What a study has cost, against what its plan predicted."""

from __future__ import annotations

from dataclasses import dataclass

from study.analysis.labels import cell_name, count_text
from study.results.records import StudyRecord, TrialRecord


@dataclass(frozen=True)
class CostInfo:
    """Complete trials that were trained here from their first step: the others say nothing about
    the prediction.

    Attributes:
        trials: How many.
        measured_s: Seconds they trained, all together, held-out evaluation and checkpoints
            included.
        predicted_s: Seconds that the plan predicted for the same trials.
        gpus_per_trial: GPUs that each of them held.
        wall_s: Seconds that a finished study was run in all, None while it is not.
        predicted_wall_s: Seconds that were predicted for that.
    """

    trials: int
    measured_s: float
    predicted_s: float
    gpus_per_trial: float
    wall_s: float | None
    predicted_wall_s: float

    @property
    def ratio(self) -> float:
        """Measured over predicted."""
        return self.measured_s / self.predicted_s

    @property
    def words(self) -> str:
        """The comparison as one sentence."""
        trained = (
            f"{count_text(self.trials, 'complete trial')} trained {duration_text(self.measured_s)}"
        )
        sentence = f"{trained}, predicted {duration_text(self.predicted_s)} (× {self.ratio:.2f})"
        if self.gpus_per_trial:
            hours = self.gpus_per_trial / 3600
            sentence += f"; {self.measured_s * hours:.2f} GPU hours, predicted {self.predicted_s * hours:.2f}"
        if self.wall_s is not None:
            sentence += f"; the study ran {duration_text(self.wall_s)}, predicted {duration_text(self.predicted_wall_s)}"
        return f"{sentence}."


def cost_info(record: StudyRecord) -> CostInfo | None:
    """Prediction against actual; None where nothing was predicted or nothing is complete yet."""
    complete = [
        trial
        for trial in record.trials
        if trial.outcome == "complete" and trial.duration_s > 0 and not trial.adopted_steps
    ]
    if record.prediction is None or not complete:
        return None
    expected = [
        seconds for trial in complete if (seconds := predicted_s(record, trial)) is not None
    ]
    wall_s = record.wall_s if record.finished and record.wall_s else None
    return CostInfo(
        trials=len(complete),
        measured_s=sum(trial.duration_s for trial in complete),
        predicted_s=sum(expected),
        gpus_per_trial=record.prediction.gpus_per_trial,
        wall_s=wall_s,
        predicted_wall_s=record.prediction.wall_s,
    )


def predicted_s(record: StudyRecord, trial: TrialRecord) -> float | None:
    """Training seconds that were predicted for a trial: its cell's, or in a search the mean over
    the space's corners.
    """
    if record.prediction is None:
        return None
    return record.prediction.training_s.get(
        cell_name(trial.knobs, record.reference), record.prediction.mean_training_s
    )


def duration_text(seconds: float) -> str:
    """`38 s`, `4 min 10 s`, `2 h 05 min`, `3.2 days`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 100 * 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole / 86400:.1f} days"
