"""`cpc study plan`: what a study would cost, before it is started."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from study.analysis.cost import duration_text
from study.analysis.labels import count_text
from study.cli.arguments import HOME
from study.cli.output import Format, message, next_steps, print_rows
from study.dispatch.reuse import forecast_reuse
from study.folders.study_folder import Prediction, StudyFolder
from study.planning import checkpoint_bytes, planned_cells, predicted, rungs
from study.spec.study_spec import StudySpec, planned_pairs

if TYPE_CHECKING:
    from cpc_core.config import CpcConfig


def plan(
    spec: str,
    /,
    *,
    scale: str | None = None,
    set: Annotated[list[str] | None, Parameter(negative="")] = None,
    calibrate: bool = True,
    output: Annotated[Format, Parameter(name=["--output", "-o"])] = "table",
) -> None:
    """Show what a study would train, and what that would cost on this machine: time, GPU hours,
    disk.

    Parameters
    ----------
    spec
        A spec file, or the name of a preset.
    scale
        Which of the spec's scales, such as small or paper; the first by default.
    set
        Override a field of the spec: `--set a.b=c`, as often as needed.
    calibrate
        Time a few real steps of each cell for the estimate.
    output
        Format of the result.
    """
    from cpc_core.calibrate import seconds_per_step
    from cpc_core.corpus.sample import open_corpus

    loaded = StudySpec.load(spec, set or [], scale)
    corpus = open_corpus(loaded.corpus)
    cells = planned_cells(loaded, corpus.clip_samples, seconds_per_step if calibrate else None)
    print_rows([vars(cell) for cell in cells], output)
    message(f"\n{size(loaded)}{_expected(loaded, predicted(loaded, cells)) if calibrate else ''}")
    for rung in rungs(loaded):
        bracket = f"bracket {rung.bracket}, " if loaded.pruner.kind == "hyperband" else ""
        message(
            f"{bracket}up to step {rung.steps}: about {count_text(max(1, round(rung.trials)), 'trial')}"
        )
    if loaded.cells is not None and loaded.resources.share:
        trials = [loaded.config(sample, seed) for sample, seed in planned_pairs(loaded)]
        known = forecast_reuse(StudyFolder(HOME / loaded.name), trials, corpus.hash)
        if known.words:
            message(f"{known.words}: resources.share=false would train them again")
    if loaded.budget.words:
        message(f"budget: at most {loaded.budget.words}")
    next_steps(f"cpc study run {spec}{f' --scale {scale}' if scale else ''}")


def size(spec: StudySpec) -> str:
    """How many trials of what, in words."""
    trials, seeds = spec.planned_trials, len(spec.seeds)
    points = count_text(trials // seeds, "point" if spec.cells is None else "cell")
    return f"{count_text(trials, 'trial')} = {points} × {count_text(seeds, 'seed')}"


def _expected(spec: StudySpec, prediction: Prediction) -> str:
    """What the whole study is expected to cost, in words."""
    at_a_time = f"{count_text(spec.resources.concurrent_trials, 'trial')} at a time on this machine"
    gpu_hours = prediction.mean_training_s * prediction.gpus_per_trial * spec.planned_trials / 3600
    gpus = f", {gpu_hours:.1f} GPU hours" if gpu_hours else ""
    disk = f", {checkpoint_bytes(spec, _parameters) / 1e9:.2g} GB of checkpoints"
    return f", about {duration_text(prediction.wall_s)} with {at_a_time}{gpus}{disk}"


def _parameters(config: CpcConfig) -> int:
    """Parameters of a trial's model, which is never filled with numbers for that."""
    import torch

    from cpc_core.step import TrainState

    return sum(
        parameter.numel()
        for parameter in TrainState.create(config, torch.device("meta")).model.parameters()
    )
