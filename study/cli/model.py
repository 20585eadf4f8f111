"""`cpc export` and `cpc probe`: a trained model, exported and evaluated."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from study.analysis.cells import best_cell
from study.cli.arguments import Study, study_folder
from study.cli.output import Output, message, next_steps, print_rows
from study.errors import NotFoundError
from study.folders.provenance import attempts
from study.results.reader import read_study
from study.results.records import StudyRecord, TrialRecord


def export(
    study: Study,
    /,
    *,
    out: Annotated[str, Parameter(name=["--out", "-o"])],
    best: bool = False,
    trial: int | None = None,
    overwrite: bool = False,
) -> None:
    """Exports a trained model: safetensors, its configuration, and its provenance.

    Parameters
    ----------
    out
        The folder to make.
    best
        The best cell by its mean over seeds, and in it the best seed.
    trial
        The trial of that number.
    overwrite
        Replace an export that is already there, or an empty folder; nothing else.
    """
    from cpc_core.errors import ConfigError
    from cpc_core.export.writer import export_model, require_replaceable

    if "://" in out:
        raise ConfigError(f"{out}: an export is a folder of this machine: name one, and copy it")
    target = Path(out)
    if best == (trial is not None):
        raise ConfigError("say which model: --best, or --trial NUMBER")
    if target.exists() or target.is_symlink():
        if not overwrite:
            raise ConfigError(f"{out} is already there: choose another folder, or add --overwrite")
        require_replaceable(target)
    folder = study_folder(study)
    if folder.path.is_local and target.resolve().is_relative_to(Path(folder.path).resolve()):
        raise ConfigError(f"{out} lies in the study: choose a folder beside it")
    record = read_study(folder)
    chosen = _best(record) if trial is None else record.trial(trial)
    provenance = {
        "study": record.name,
        "trial": chosen.number,
        "trial_id": chosen.trial_id,
        "seed": chosen.seed,
        "knobs": dict(chosen.knobs),
        "metrics": dict(chosen.metrics),
        **record.provenance,
        "attempts": attempts(folder.trial(chosen.number)),
    }
    export_model(folder.trial(chosen.number).require_checkpoint(), target, provenance)
    settings = {**chosen.knobs, "seed": chosen.seed}
    setting = ", ".join(f"{name} {value}" for name, value in settings.items())
    message(f"exported trial {chosen.number} ({setting}) to {out}")
    next_steps(f"cpc probe {out} sample")


def probe(
    model: Path,
    corpus: str,
    /,
    *,
    split: Literal["dev", "test"] = "test",
    features: Literal["context", "latent"] | None = None,
    output: Output = "table",
) -> None:
    """Trains classifiers on a model's frozen, time-averaged features, and prints their scores.

    Parameters
    ----------
    model
        A folder that `cpc export` made.
    corpus
        A corpus folder, or `sample` for the bundled audio.
    split
        The clips to score on; the classifiers are trained on train.
    features
        What to average; by default as in the model's configuration.
    """
    from cpc_core.corpus.sample import open_corpus
    from cpc_core.evaluation.probe import probe as fit
    from cpc_core.export.reader import read_model, read_training_config

    config = read_training_config(model).probe
    if features is not None:
        config = config.model_copy(update={"features": features})
    opened = open_corpus(corpus)
    scores = fit(read_model(model), opened, split, config)
    mlp = f"MLP, {config.hidden} hidden"
    rows = (
        (mlp, "macro mAP", scores.mean_average_precision, scores.labels_scored),
        ("linear", "accuracy", scores.accuracy, scores.classes),
        ("linear", "balanced accuracy", scores.balanced_accuracy, scores.classes),
    )
    columns = ("classifier", "metric", "value", "labels")
    print_rows([dict(zip(columns, row, strict=True)) for row in rows], output)
    message(
        f"{config.features} features, {scores.train_clips} train clips, {scores.scored_clips} "
        f"{split} clips of {opened.name}; labels left out of the mAP: {scores.labels_left_out}"
    )


def _best(record: StudyRecord) -> TrialRecord:
    """The best complete trial of the cell with the best mean over seeds."""
    cell = best_cell(record)
    if cell is None:
        raise NotFoundError(f"no trial of {record.name} has completed yet: nothing can be exported")
    values = cell.values[record.metric]
    seed = (max if record.direction == "maximize" else min)(values, key=lambda each: values[each])
    return next(
        trial
        for trial in record.trials
        if trial.cell_id == cell.cell_id and trial.seed == seed and trial.outcome == "complete"
    )
