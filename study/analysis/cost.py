"""The cost of a study, against the prediction of its plan."""

from __future__ import annotations

from dataclasses import dataclass

from study.analysis.labels import cell_name, count_text
from study.results.records import StudyRecord, TrialRecord


@dataclass(frozen=True)
class CostInfo:
    """Cost of the complete trials that were trained here from their first step.

    Attributes:
        trials: Number of those trials; others cannot be compared with the prediction.
        measured_s: Seconds of their training together, held-out evaluation and checkpoints
            included.
        predicted_s: Seconds that the plan predicted for them.
        gpus_per_trial: GPUs of each of them.
        wall_s: Seconds that a finished study ran in all, None before it is finished.
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
        sentence = (
            f"{count_text(self.trials, 'complete trial')} trained {duration_text(self.measured_s)}"
            f", predicted {duration_text(self.predicted_s)} (× {self.ratio:.2f})"
        )
        if self.gpus_per_trial:
            hours = self.gpus_per_trial / 3600
            sentence += (
                f"; {self.measured_s * hours:.2f} GPU hours, "
                f"predicted {self.predicted_s * hours:.2f}"
            )
        if self.wall_s is not None:
            sentence += (
                f"; the study ran {duration_text(self.wall_s)}, "
                f"predicted {duration_text(self.predicted_wall_s)}"
            )
        return f"{sentence}."


def cost_info(record: StudyRecord) -> CostInfo | None:
    """Prediction against actual; None without a prediction or a complete trial."""
    complete = [
        trial
        for trial in record.trials
        if trial.outcome == "complete" and trial.duration_s > 0 and not trial.adopted_steps
    ]
    if record.prediction is None or not complete:
        return None
    return CostInfo(
        trials=len(complete),
        measured_s=sum(trial.duration_s for trial in complete),
        predicted_s=sum(predicted_s(record, trial) or 0.0 for trial in complete),
        gpus_per_trial=record.prediction.gpus_per_trial,
        wall_s=record.wall_s if record.finished and record.wall_s else None,
        predicted_wall_s=record.prediction.wall_s,
    )


def predicted_s(record: StudyRecord, trial: TrialRecord) -> float | None:
    """Predicted training seconds of a trial: its cell's, or a search's mean over its corners."""
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
