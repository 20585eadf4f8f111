"""`cpc export` and `cpc probe`: a trained model, to keep and to score."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from study.analysis.cells import best_cell
from study.cli.arguments import study_folder
from study.cli.output import Format, message, next_steps, print_rows
from study.errors import NotFoundError
from study.folders.provenance import attempts
from study.results.reader import read_study
from study.results.records import StudyRecord, TrialRecord


def export(
    study: str,
    /,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    best: bool = False,
    trial: int | None = None,
    overwrite: bool = False,
) -> None:
    """Export a trained model: safetensors, its configuration, and where it came from.

    Parameters
    ----------
    study
        A study folder, or the name of one in studies/.
    out
        The folder to make.
    best
        The best cell by its mean over seeds, and in it the best seed.
    trial
        The trial of that number.
    overwrite
        Replace a folder that is already there.
    """
    from cpc_core.checkpoint import export_model
    from cpc_core.errors import ConfigError

    if best == (trial is not None):
        raise ConfigError("say which model: --best, or --trial NUMBER")
    if out.exists() and not overwrite:
        raise ConfigError(f"{out} is already there: choose another folder, or add --overwrite")
    folder = study_folder(study)
    record = read_study(folder)
    chosen = _best(record) if trial is None else record.trial(trial)
    provenance: dict[str, Any] = {
        "study": record.name,
        "trial": chosen.number,
        "trial_id": chosen.trial_id,
        "seed": chosen.seed,
        "knobs": dict(chosen.knobs),
    }
    provenance |= {
        "metrics": dict(chosen.metrics),
        **record.provenance,
        "attempts": attempts(folder.trial(chosen.number)),
    }
    export_model(folder.trial(chosen.number).require_checkpoint(), out, provenance)
    setting = ", ".join(f"{name} {value}" for name, value in chosen.knobs.items())
    message(
        f"exported trial {chosen.number} ({setting + ', ' if setting else ''}seed {chosen.seed}) to {out}"
    )
    next_steps(f"cpc probe {out} sample")


def probe(
    model: Path,
    corpus: str,
    /,
    *,
    split: Literal["dev", "test"] = "test",
    features: Literal["context", "latent"] | None = None,
    output: Annotated[Format, Parameter(name=["--output", "-o"])] = "table",
) -> None:
    """Score an exported model on a labelled corpus: classifiers on its frozen, time-averaged
    features.

    Parameters
    ----------
    model
        A folder that `cpc export` made.
    corpus
        A corpus folder, or `sample` for the bundled audio.
    split
        The clips to score on; the classifiers are trained on train.
    features
        What to average; the model's own configuration says otherwise.
    output
        Format of the result.
    """
    from cpc_core.checkpoint import load_model, read_config
    from cpc_core.corpus.sample import open_corpus
    from cpc_core.evaluation.probe import PROBE_CLIPS
    from cpc_core.evaluation.probe import probe as fit

    config = read_config(model).probe
    if features is not None:
        config = config.model_copy(update={"features": features})
    opened = open_corpus(corpus)
    scores = fit(
        load_model(model),
        opened.read_split("train", limit=PROBE_CLIPS),
        opened.read_split(split),
        config,
    )
    print_rows(
        [
            {
                "classifier": f"MLP, {config.hidden} hidden",
                "metric": "macro mAP",
                "value": scores.mean_average_precision,
                "labels": scores.labels,
            },
            {
                "classifier": "linear",
                "metric": "accuracy",
                "value": scores.accuracy,
                "labels": scores.classes,
            },
            {
                "classifier": "linear",
                "metric": "balanced accuracy",
                "value": scores.balanced_accuracy,
                "labels": scores.classes,
            },
        ],
        output,
    )
    message(
        f"{config.features} features, {scores.train_clips} train clips, {scores.scored_clips} {split} clips of {opened.name}"
    )


def _best(record: StudyRecord) -> TrialRecord:
    cell = best_cell(record)
    if cell is None:
        raise NotFoundError(
            f"no trial of {record.name} has completed yet: there is nothing to export"
        )
    values = cell.values[record.metric]
    seed = (max if record.direction == "maximize" else min)(values, key=lambda each: values[each])
    return next(
        trial
        for trial in record.trials
        if trial.cell_id == cell.cell_id and trial.seed == seed and trial.outcome == "complete"
    )
