"""`cpc probe`: scores of models and baselines on a labelled corpus."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from cpc_core.errors import ConfigError
from study.cli.output import Format, Output, message, print_rows, stderr

if TYPE_CHECKING:
    from cpc_core.corpus.corpus import Corpus
    from cpc_core.corpus.manifest import Split
    from study.cli.probe.contestants import Contestant
    from study.cli.probe.task import TaskProbe


def probe(
    *models_and_corpus: Annotated[
        str,
        Parameter(
            name="MODEL… CORPUS",
            help="Exports, paths or URIs; models of a study, such as demo:best or demo:3; "
            "`logmel`, `untrained`, or several joined by +, such as exports/demo+logmel. Last, a "
            "corpus folder, or `sample` for the bundled audio.",
        ),
    ],
    protocol: Literal["study", "paper", "linear", "knn", "hear"] = "study",
    task: str | None = None,
    folds: Annotated[bool, Parameter(negative="")] = False,
    seeds: int = 1,
    classes: Annotated[bool, Parameter(negative="")] = False,
    split: Literal["dev", "test"] = "test",
    features: Literal["context", "latent"] | None = None,
    pooling: Literal["mean", "mean_std"] | None = None,
    baselines: bool = True,
    html: Path | None = None,
    output: Output = "table",
) -> None:
    """Trains classifiers on frozen, pooled features, and prints their scores beside baselines'.

    Parameters
    ----------
    protocol
        How classifiers are fitted. `study`: as in a study, a hidden layer and a linear map of fixed
        settings. The others choose theirs on the dev clips: `paper`, a hidden layer of 512 units;
        `linear`, logistic regression; `knn`, nearest neighbours by the cosine; `hear`, the grid of
        the HEAR challenge.
    task
        A task of the corpus, `label` for the primary labels; by default all labels as tags.
    folds
        Cross-validate by the corpus's folds.
    seeds
        Seeds of the classifiers, whose scores are averaged.
    classes
        Print a row for each class.
    split
        The clips to score on; the classifiers are trained on train.
    features
        What to pool; by default as in the model's configuration.
    pooling
        The mean over frames, or that and the standard deviation; by default as in the model's
        configuration. Of log-mel bands always both.
    baselines
        Also score three untrained encoders of the same shape, log-mel statistics, and chance.
    html
        A page to write: scores beside baselines, classes, confusions.
    """
    from cpc_core.corpus.sample import open_corpus
    from study.cli.probe.contestants import Choice, contestants

    if len(models_and_corpus) < 2:
        raise ConfigError("name what to probe and then a corpus: `cpc probe exports/demo sample`")
    *models, corpus = models_and_corpus
    opened = open_corpus(corpus)
    named = contestants(models, Choice(features, pooling), baselines=baselines)
    if protocol != "study":
        from study.cli.probe.task import TaskProbe

        probed = TaskProbe(protocol, task, folds, split, seeds)
        _probe_task(probed, named, opened, html, classes, output, baselines=baselines)
        return
    if task is not None or folds or seeds != 1 or classes or html is not None:
        raise ConfigError(
            "--task, --folds, --seeds, --classes and --html need a protocol that chooses its "
            "settings: add --protocol linear, knn, paper or hear"
        )
    _probe_as_in_a_study(named, opened, split, baselines=baselines, output=output)


def _probe_as_in_a_study(
    contestants: Sequence[Contestant],
    corpus: Corpus,
    split: Split,
    *,
    baselines: bool,
    output: Format,
) -> None:
    from study.cli.probe.contestants import chance_row, row_of, scores_of

    rows = []
    for contestant in contestants:
        with stderr.status(f"{contestant.name}: features and classifiers"):
            scores = scores_of(contestant, corpus, split)
        rows.append(row_of(contestant.name, scores))
    if baselines:
        rows.append(chance_row(scores[0]))
    print_rows(rows, output)
    first = scores[0]
    message(
        f"{first.train_clips} train and {first.scored_clips} {split} clips of {corpus.name}, 95 % "
        f"intervals over recordings; mAP of {first.labels_scored} labels ({first.labels_left_out} "
        f"left out) by a hidden layer, accuracies of {first.classes} classes by a linear map"
    )


def _probe_task(
    probe: TaskProbe,
    contestants: Sequence[Contestant],
    corpus: Corpus,
    page: Path | None,
    classes: bool,
    output: Format,
    *,
    baselines: bool,
) -> None:
    from study.cli.probe.task import chance_of_task, class_rows, probe_result, task_row, words

    scores = {}
    for contestant in contestants:
        with stderr.status(f"{contestant.name}: features and classifiers"):
            scores[contestant.name] = probe.scores(contestant, corpus, lambda clips: None)
    rows = [task_row(name, each) for name, each in scores.items()]
    if baselines:
        rows.append(chance_of_task(next(iter(scores.values()))[0]))
    of_classes = [row for name, each in scores.items() for row in class_rows(name, each)]
    print_rows(of_classes if classes else rows, output)
    for sentence in words(probe, next(iter(scores.values()))[0]):
        message(sentence)
    if page is not None:
        from dashboards.probe.page import write_probe

        result = probe_result(probe, corpus.name, scores, rows)
        message(f"page: {write_probe(result, page).absolute()}")
