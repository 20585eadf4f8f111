"""Contestants of `cpc probe`, and the rows of its table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from cpc_core.config import CpcConfig, ProbeConfig
from cpc_core.corpus.corpus import Corpus
from cpc_core.corpus.manifest import Split
from cpc_core.errors import ConfigError
from cpc_core.evaluation.clip_scores import by_recording
from cpc_core.evaluation.features import (
    ClipFeatures,
    JoinedFeatures,
    LogMelFeatures,
    ModelFeatures,
)
from cpc_core.evaluation.probe import ProbeScores, probe
from cpc_core.export.manifest import local_export, read_training_config
from cpc_core.export.reader import read_model
from cpc_core.model.cpc_model import CpcModel
from cpc_core.model.initialise import initialise
from study.analysis.statistics import Interval, t_interval

LOG_MEL, UNTRAINED = "logmel", "untrained"
"""Names of the baselines."""

UNTRAINED_SEEDS = (0, 1, 2)
"""First weights of the untrained encoder, whose scores are averaged."""

_METRICS = {
    "mAP": "dev_map",
    "accuracy": "dev_probe_accuracy",
    "balanced_accuracy": "dev_probe_balanced_accuracy",
}
"""Column of the table → name of the probe's pseudo-values by clip."""


@dataclass(frozen=True)
class Choice:
    """Settings of a probe that were given; None: as in each model's configuration."""

    features: Literal["context", "latent"] | None = None
    pooling: Literal["mean", "mean_std"] | None = None

    def of(self, config: ProbeConfig) -> ProbeConfig:
        """The configuration with what was given."""
        given = {"features": self.features, "pooling": self.pooling}
        return config.model_copy(update={name: kind for name, kind in given.items() if kind})


@dataclass(frozen=True)
class Contestant:
    """Features to be scored; several where first weights are drawn, whose scores are averaged.

    Attributes:
        name: As it was typed.
        config: Of its classifiers.
        parts: What its features are joined from: a model, the configuration of an untrained one, or
            None for log-mel statistics.
    """

    name: str
    config: ProbeConfig
    parts: tuple[CpcModel | CpcConfig | None, ...]

    def features(self, corpus: Corpus) -> Iterator[ClipFeatures]:
        """Its features; one for each seed of first weights."""
        drawn = any(isinstance(part, CpcConfig) for part in self.parts)
        for seed in UNTRAINED_SEEDS if drawn else (0,):
            found: list[ClipFeatures] = []
            for part in self.parts:
                if part is None:
                    found.append(LogMelFeatures())
                    continue
                model = part if isinstance(part, CpcModel) else untrained(part, corpus, seed)
                found.append(ModelFeatures(model, self.config.features, self.config.pooling))
            yield found[0] if len(found) == 1 else JoinedFeatures(found)


def contestants(models: Sequence[str], choice: Choice, *, baselines: bool) -> list[Contestant]:
    """Contestants, the baselines last.

    Args:
        models: Exports, `logmel`, `untrained`, or several joined by +.
        choice: Settings that were given.
        baselines: True to add those that were not named.

    Raises:
        CheckpointError: There is no such export.
        ConfigError: An untrained encoder has no shape: no export is named.
    """
    loaded: dict[str, CpcModel] = {}
    shape: CpcConfig | None = None
    for name in dict.fromkeys(part for each in models for part in each.split("+")):
        if name not in (LOG_MEL, UNTRAINED):
            with local_export(name) as folder:
                loaded[name] = read_model(folder)
                shape = shape or read_training_config(folder)
    if shape is None and any(UNTRAINED in each.split("+") for each in models):
        raise ConfigError("an untrained encoder has the shape of an export: name one, too")
    named = list(models)
    if baselines:
        named += [each for each in (UNTRAINED, LOG_MEL) if each not in named]
    config = choice.of(shape.probe if shape else ProbeConfig())
    return [
        Contestant(
            each,
            config,
            tuple(
                None if part == LOG_MEL else shape if part == UNTRAINED else loaded[part]
                for part in each.split("+")
            ),
        )
        for each in named
        if shape is not None or UNTRAINED not in each.split("+")
    ]


def untrained(config: CpcConfig, corpus: Corpus, seed: int) -> CpcModel:
    """A model with first weights, as a training on the corpus would draw them."""
    config = config.model_copy(update={"seed": seed})
    model = CpcModel(config)
    clips = corpus.draw_clips("train", min(config.data.batch_size, 32))
    initialise(model, clips.audio, config.initialisation, config.negatives.count, clips.num_samples)
    return model.eval()


def scores_of(contestant: Contestant, corpus: Corpus, split: Split) -> list[ProbeScores]:
    """Scores of a contestant, of each seed of its first weights."""
    features = contestant.features(corpus)
    return [probe(each, corpus, split, contestant.config) for each in features]


def row_of(name: str, scores: Sequence[ProbeScores]) -> dict[str, Any]:
    """Row of a contestant, with intervals over recordings."""
    row: dict[str, Any] = {"model": name}
    for column, metric in _METRICS.items():
        interval = _interval(scores, metric)
        row |= {column: None, f"{column}_low": None, f"{column}_high": None}
        if interval is not None:
            row |= {
                column: interval.mean,
                f"{column}_low": interval.low,
                f"{column}_high": interval.high,
            }
    return row


def chance_row(scores: ProbeScores) -> dict[str, Any]:
    """Row of answers that ignore the audio."""
    row: dict[str, Any] = {"model": "chance"}
    for column, metric in _METRICS.items():
        row |= {column: scores.chance[metric], f"{column}_low": None, f"{column}_high": None}
    return row


def _interval(scores: Sequence[ProbeScores], metric: str) -> Interval | None:
    """Mean over the scores, with Student's interval over recordings; None where it is unknown."""
    first = scores[0].by_clip
    if metric not in first.values:
        return None
    values = np.mean([each.by_clip.values[metric] for each in scores], axis=0)
    found = by_recording(first.groups, first.predicted, {metric: values}).values[metric]
    return t_interval(found.tolist()).within(0.0, 1.0)
