"""`cpc study plan`: the cost of a study, before it is started."""

from __future__ import annotations

from typing import TYPE_CHECKING

from study.analysis.cost import duration_text
from study.analysis.labels import count_text
from study.cli.arguments import Overrides, Scale, Spec, target_path
from study.cli.output import Output, message, next_steps, print_rows
from study.dispatch.reuse import forecast_reuse
from study.folders.study_folder import Prediction
from study.planning import checkpoint_bytes, planned_cells, predicted, rungs
from study.spec.objectives import label_notice, require_labels
from study.spec.study_spec import StudySpec, planned_pairs

if TYPE_CHECKING:
    from cpc_core.config import CpcConfig


def plan(
    spec: Spec,
    /,
    *,
    scale: Scale = None,
    set: Overrides = None,
    calibrate: bool = True,
    output: Output = "table",
) -> None:
    """Prints the cells of a study, and their cost on this machine in time, GPU hours and disk.

    Parameters
    ----------
    calibrate
        Time a few real steps of each cell for the estimate.
    """
    from cluster.calibrate import seconds_per_step
    from cpc_core.corpus.sample import open_corpus

    loaded = StudySpec.load(spec, set or [], scale)
    corpus = open_corpus(loaded.corpus)
    require_labels(loaded.objectives, corpus)
    cells = planned_cells(loaded, corpus.clip_samples, seconds_per_step if calibrate else None)
    print_rows([vars(cell) for cell in cells], output)
    cost = _cost_text(loaded, predicted(loaded, cells)) if calibrate else ""
    message(f"\n{size_text(loaded)}{cost}")
    for rung in rungs(loaded):
        bracket = f"bracket {rung.bracket}, " if loaded.pruner.kind == "hyperband" else ""
        trials = count_text(max(1, round(rung.trials)), "trial")
        message(f"{bracket}up to step {rung.steps}: about {trials}")
    if loaded.cells is not None and loaded.resources.share:
        configs = [loaded.config(sample, seed) for sample, seed in planned_pairs(loaded)]
        reuse = forecast_reuse(target_path(None, loaded.name), configs, corpus.hash)
        if reuse.words:
            message(f"{reuse.words}: resources.share=false would train them again")
    if notice := label_notice(corpus):
        message(notice)
    if loaded.budget.words:
        message(f"budget: at most {loaded.budget.words}")
    for reading in loaded.readings:
        message(f"• {reading}")
    next_steps(f"cpc study run {spec}{f' --scale {scale}' if scale else ''}")


def size_text(spec: StudySpec) -> str:
    """Number of trials, of cells or proposed configurations, and of seeds."""
    trials, seeds = spec.planned_trials, len(spec.seeds)
    points = count_text(trials // seeds, "point" if spec.cells is None else "cell")
    return f"{count_text(trials, 'trial')} = {points} × {count_text(seeds, 'seed')}"


def _cost_text(spec: StudySpec, prediction: Prediction) -> str:
    """Expected time, GPU hours and disk of the whole study."""
    at_a_time = f"{count_text(spec.resources.concurrent_trials, 'trial')} at a time on this machine"
    gpu_hours = prediction.mean_training_s * prediction.gpus_per_trial * spec.planned_trials / 3600
    gpus = f", {gpu_hours:.1f} GPU hours" if gpu_hours else ""
    disk = f", {checkpoint_bytes(spec, _parameters) / 1e9:.2g} GB of checkpoints"
    return f", about {duration_text(prediction.wall_s)} with {at_a_time}{gpus}{disk}"


def _parameters(config: CpcConfig) -> int:
    """Number of parameters of a model, built on the meta device: none is allocated."""
    import torch

    from cpc_core.step import TrainState

    model = TrainState.create(config, torch.device("meta")).model
    return sum(parameter.numel() for parameter in model.parameters())
