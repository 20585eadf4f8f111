"""Tasks and partitions of a corpus, and its cached features."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from cpc_core.corpus.corpus import Corpus
from cpc_core.corpus.sample import open_corpus
from cpc_core.errors import CorpusError
from cpc_core.evaluation.features import JoinedFeatures, LogMelFeatures
from cpc_core.probing.evaluate import evaluate
from cpc_core.probing.examples import Examples, examples_of
from cpc_core.probing.protocols import PROTOCOLS
from cpc_core.probing.task import (
    fold_partitions,
    labelling,
    named_task,
    scorable,
    split_partition,
    tagging,
)


def _examples(**columns: Any) -> Examples:
    count = len(next(iter(columns.values())))
    names = ("group", "label", "split", "fold", "task", "target")
    clips: dict[str, Any] = {name: [""] * count for name in names} | {"labels": [[]] * count}
    features = np.random.default_rng(0).normal(size=(count, 3)).astype(np.float32)
    return Examples(features, clips | columns)


def test_a_named_task_is_its_clips_with_their_targets() -> None:
    examples = _examples(
        task=["a", "b", "a", ""], target=["x", "9", "y", ""], label=["p", "q", "r", "s"]
    )
    task = named_task(examples, "a")
    assert task.classes == ("x", "y") and task.single
    np.testing.assert_array_equal(task.rows, [0, 2])
    np.testing.assert_array_equal(task.targets, [[True, False], [False, True]])
    with pytest.raises(CorpusError, match="no task 'c'; its tasks are a, b"):
        named_task(examples, "c")
    assert named_task(_examples(task=["a"], label=["p"]), "a").classes == ("p",)


def test_each_fold_is_tested_once_and_never_trained_on() -> None:
    folds = [str(number % 4) for number in range(20)]
    examples = _examples(fold=folds, label=["x", "y"] * 10)
    partitions = fold_partitions(examples, labelling(examples))
    tested = np.concatenate([each.test for each in partitions])
    assert sorted(tested.tolist()) == list(range(20))
    for each in partitions:
        parts = [set(part.tolist()) for part in (each.train, each.dev, each.test)]
        assert set().union(*parts) == set(range(20)) and sum(map(len, parts)) == 20
        names = [{folds[place] for place in part} for part in parts]
        assert not names[0] & names[1] and not names[0] & names[2] and not names[1] & names[2]


@pytest.mark.parametrize("folds", [["1", "2", "1", "2"], ["1", "2", "3", ""]])
def test_too_few_folds_are_refused(folds: list[str]) -> None:
    examples = _examples(fold=folds, label=["x"] * 4)
    with pytest.raises(CorpusError, match="a cross-validation needs at least 3"):
        fold_partitions(examples, labelling(examples))


def test_classes_that_cannot_be_scored_are_named() -> None:
    examples = _examples(
        split=["train", "train", "dev", "test", "test"],
        labels=[["a", "all"], ["all"], ["a"], ["a", "all", "new"], ["all"]],
    )
    task = tagging(examples)
    columns, left_out = scorable(task, split_partition(examples, task, "test"))
    assert [task.classes[column] for column in columns] == ["a"]
    assert left_out == {"all": "on all tested clips", "new": "on no training clip"}
    with pytest.raises(CorpusError, match="no dev clips"):
        alone = _examples(split=["train", "test"], labels=[["a"], ["a"]])
        split_partition(alone, tagging(alone), "test")


def test_clips_of_a_class_that_training_lacks_are_left_out() -> None:
    label = ["x", "y", "x", "y", "x", "y", "z"]
    split = ["train", "train", "dev", "dev", "test", "test", "test"]
    examples = _examples(label=label, split=split, group=list("abcdefg"))
    task = labelling(examples)
    partition = split_partition(examples, task, "test")
    scores = evaluate(examples, task, [partition], PROTOCOLS["knn"])
    assert scores.left_out == {"z": "on no training clip"}
    assert scores.groups == ("e", "f") and scores.confusion is not None
    assert scores.confusion.sum() == 2


class Counted(LogMelFeatures):
    """Log-mel statistics that count how often they are computed."""

    calls = 0

    def __call__(self, audio: Tensor, samples: Tensor) -> Tensor:
        self.calls += 1
        return super().__call__(audio, samples)


@pytest.fixture(scope="module")
def sample() -> Corpus:
    return open_corpus("sample")


def test_cached_features_are_those_of_the_clips(sample: Corpus, tmp_path: Path) -> None:
    features = Counted()
    examples = examples_of(features, sample, tmp_path)
    calls = features.calls
    begin = 0
    for split in sample.splits:
        for clips in sample.stream_split(split):
            found = examples.features[begin : begin + len(clips)]
            np.testing.assert_array_equal(found, LogMelFeatures()(clips.audio, clips.num_samples))
            assert examples.clips["group"][begin : begin + len(clips)] == list(clips.groups)
            begin += len(clips)
    assert begin == len(examples)
    examples_of(features, sample, tmp_path)
    assert features.calls == calls
    examples_of(LogMelFeatures("mean"), sample, tmp_path)
    assert len(list((tmp_path / "features").iterdir())) == 2


@pytest.mark.parametrize("name", ["features.npy", "clips.parquet", "sha256"])
@pytest.mark.parametrize("damage", ["cut", "flip"])
def test_a_damaged_entry_is_made_again(
    sample: Corpus, tmp_path: Path, name: str, damage: str
) -> None:
    whole = np.array(examples_of(LogMelFeatures(), sample, tmp_path).features)
    (entry,) = (tmp_path / "features").iterdir()
    content = bytearray((entry / name).read_bytes())
    content[len(content) // 2] ^= 0x40
    (entry / name).write_bytes(content[: len(content) // 2] if damage == "cut" else content)
    np.testing.assert_array_equal(examples_of(LogMelFeatures(), sample, tmp_path).features, whole)


def test_joined_features_lie_beside_each_other(sample: Corpus, tmp_path: Path) -> None:
    joined = JoinedFeatures([LogMelFeatures(), LogMelFeatures("mean")])
    found = examples_of(joined, sample, tmp_path).features
    clips = next(sample.stream_split(sample.splits[0]))
    expected = joined(clips.audio, clips.num_samples)
    torch.testing.assert_close(torch.from_numpy(found[: len(clips)]), expected)
