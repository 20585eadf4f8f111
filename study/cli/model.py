"""`cpc export` and `cpc probe`: a trained model, exported and evaluated."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from cpc_core.errors import ConfigError
from cpc_core.storage_path import StoragePath
from study.analysis.cells import Cell, best_cell, cell_named, pareto_front
from study.analysis.labels import count_text
from study.cli.arguments import Study, study_folder
from study.cli.output import Output, message, next_steps, print_rows, stderr
from study.errors import NotFoundError
from study.folders.provenance import attempts
from study.folders.study_folder import StudyFolder
from study.results.reader import read_study
from study.results.records import StudyRecord, TrialRecord

Chosen = tuple[TrialRecord, dict[str, Any]]
"""A trial, and the record of how it was chosen."""


def export(
    study: Study,
    /,
    *,
    out: Annotated[str, Parameter(name=["--out", "-o"])],
    best: bool = False,
    cell: str | None = None,
    trial: int | None = None,
    front: bool = False,
    seeds: Literal["best", "all"] = "best",
    unfinished: bool = False,
    onnx: bool = False,
    pt2: bool = False,
    optimizer: bool = False,
    overwrite: bool = False,
) -> None:
    """Exports a trained model: safetensors, its architecture, code that loads it, its provenance.

    Parameters
    ----------
    out
        The folder to make, a path or a URI.
    best
        The best cell by its mean over seeds, and in it the best seed.
    cell
        A cell: its knobs (similarity=dot,temperature=1), its label as `best` prints it, or the
        beginning of its id; and in it the best seed.
    trial
        The trial of that number.
    front
        Every cell on the Pareto front of several objectives, each in a folder of its own.
    seeds
        The best seed of a cell, or all of them, each in a folder of its own.
    unfinished
        Also a trial that has not completed, from its newest checkpoint, recorded as what it is.
    onnx
        Also model.onnx, for ONNX Runtime, compared with the model; needs the extra `onnx`.
    pt2
        Also model.pt2, for `torch.export.load`, compared with the model.
    optimizer
        Also Adam's averages, from which `cpc trial run --from` goes on.
    overwrite
        Replace an export that is already there, or an empty folder; nothing else.
    """
    from cpc_core.export.formats import require_packages
    from cpc_core.export.layout import Format
    from cpc_core.export.writer import export_model, require_replaceable

    wanted: dict[Format, bool] = {"onnx": onnx, "pt2": pt2}
    formats = [name for name, asked in wanted.items() if asked]
    require_packages(formats)
    if [best, cell is not None, trial is not None, front].count(True) != 1:
        raise ConfigError("say which model: --best, --cell KNOB=VALUE, --trial NUMBER, or --front")
    folder, target = study_folder(study), StoragePath.of(out)
    if folder.path.is_local and target.is_local:
        inside, home = Path(target).resolve(), Path(folder.path).resolve()
        if inside.is_relative_to(home) or home.is_relative_to(inside):
            raise ConfigError(f"{out} lies in the study, or the study in it: choose another folder")
    record = read_study(folder)
    chosen = (
        [_of_number(record, trial, unfinished)]
        if trial is not None
        else _of_cells(record, _cells(record, cell, front=front), every_seed=seeds == "all")
    )
    places = [
        target if len(chosen) == 1 and not front else target / f"trial-{each.number}"
        for each, _ in chosen
    ]
    for place in places:
        if place.exists() or (place.is_local and Path(place).is_symlink()):
            if not overwrite:
                raise ConfigError(
                    f"{place} is already there: choose another folder, or add --overwrite"
                )
            require_replaceable(place)
    for place, (each, how) in zip(places, chosen, strict=True):
        checkpoint = folder.trial(each.number).require_checkpoint()
        told = _provenance(folder, record, each, how)
        export_model(checkpoint, place, told, formats, optimizer=optimizer)
        settings = {**each.knobs, "seed": each.seed}
        setting = ", ".join(f"{name} {value}" for name, value in settings.items())
        message(f"exported trial {each.number} ({setting}) to {place if len(chosen) > 1 else out}")
    next_steps(f"cpc probe {out if len(chosen) == 1 else places[0]} sample")


def _cells(record: StudyRecord, named: str | None, *, front: bool) -> list[Cell]:
    """The cells to export from.

    Raises:
        NotFoundError: There is none.
    """
    if front:
        cells = list(pareto_front(record))
        if not cells:
            raise NotFoundError(
                f"{record.name} has no Pareto front: it has one objective, or no complete trial"
            )
        return cells
    cell = best_cell(record) if named is None else cell_named(record, named)
    if cell is None or not cell.values.get(record.metric):
        raise NotFoundError(f"no trial of {record.name} has completed yet: nothing can be exported")
    if not record.complete:
        ended = sum(each.ended for each in record.trials)
        message(
            f"{record.name} is unfinished: {ended} of {record.planned} trials have ended, and "
            "others may come to be better"
        )
    return [cell]


def _of_cells(record: StudyRecord, cells: list[Cell], *, every_seed: bool) -> list[Chosen]:
    chosen: list[Chosen] = []
    for cell in cells:
        values = cell.values[record.metric]
        missing = len(cell.trials) - len(values)
        if missing > 0:
            message(f"{cell.label} lacks {count_text(missing, 'seed')} of {len(cell.trials)}")
        pick = max if record.direction == "maximize" else min
        seeds = sorted(values) if every_seed else [pick(values, key=lambda each: values[each])]
        interval = cell.metrics[record.metric]
        how = {
            "how": f"{'each' if every_seed else 'best'} seed of the cell {cell.label}",
            "metric": record.metric,
            "mean": interval.mean,
            "interval": [interval.low, interval.high],
            "by_seed": {str(seed): value for seed, value in sorted(values.items())},
            "lost_seeds": missing,
            "study_complete": record.complete,
        }
        for seed in seeds:
            chosen.append((_trial_of(record, cell, seed), how))
    return chosen


def _trial_of(record: StudyRecord, cell: Cell, seed: int) -> TrialRecord:
    return next(
        trial
        for trial in record.trials
        if trial.cell_id == cell.cell_id and trial.seed == seed and trial.outcome == "complete"
    )


def _of_number(record: StudyRecord, number: int, unfinished: bool) -> Chosen:
    trial = record.trial(number)
    if trial.outcome != "complete" and not unfinished:
        reason = f" ({trial.reason})" if trial.reason else ""
        raise ConfigError(
            f"trial {number} of {record.name} is not complete but {trial.outcome}{reason}: add "
            "--unfinished to export its newest checkpoint as what it is"
        )
    return trial, {"how": f"trial {number}, by its number"}


def _provenance(
    folder: StudyFolder, record: StudyRecord, trial: TrialRecord, how: dict[str, Any]
) -> dict[str, Any]:
    return {
        "study": record.name,
        "trial": trial.number,
        "trial_id": trial.trial_id,
        "seed": trial.seed,
        "knobs": dict(trial.knobs),
        "outcome": trial.outcome,
        "reason": trial.reason,
        "metrics": dict(trial.metrics),
        "chosen": how,
        **record.provenance,
        "attempts": attempts(folder.trial(trial.number)),
    }


def probe(
    *models_and_corpus: Annotated[
        str,
        Parameter(
            name="MODEL… CORPUS",
            help="Exports, paths or URIs; `logmel`, `untrained`, or several joined by +, such as "
            "exports/demo+logmel. Last, a corpus folder, or `sample` for the bundled audio.",
        ),
    ],
    split: Literal["dev", "test"] = "test",
    features: Literal["context", "latent"] | None = None,
    pooling: Literal["mean", "mean_std"] | None = None,
    baselines: bool = True,
    output: Output = "table",
) -> None:
    """Trains classifiers on frozen, pooled features, and prints their scores beside baselines'.

    Parameters
    ----------
    split
        The clips to score on; the classifiers are trained on train.
    features
        What to pool; by default as in the model's configuration.
    pooling
        The mean over frames, or that and the standard deviation; by default as in the model's
        configuration. Of log-mel bands always both.
    baselines
        Also score three untrained encoders of the same shape, log-mel statistics, and chance.
    """
    from cpc_core.corpus.sample import open_corpus
    from study.cli.probing import Choice, chance_row, contestants, row_of, scores_of

    if len(models_and_corpus) < 2:
        raise ConfigError("name what to probe and then a corpus: `cpc probe exports/demo sample`")
    *models, corpus = models_and_corpus
    opened = open_corpus(corpus)
    rows = []
    for contestant in contestants(models, Choice(features, pooling), baselines=baselines):
        with stderr.status(f"{contestant.name}: features and classifiers"):
            scores = scores_of(contestant, opened, split)
        rows.append(row_of(contestant.name, scores))
    if baselines:
        rows.append(chance_row(scores[0]))
    print_rows(rows, output)
    first = scores[0]
    message(
        f"{first.train_clips} train and {first.scored_clips} {split} clips of {opened.name}, 95 % "
        f"intervals over recordings; mAP of {first.labels_scored} labels ({first.labels_left_out} "
        f"left out) by a hidden layer, accuracies of {first.classes} classes by a linear map"
    )
