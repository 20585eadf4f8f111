"""The probe: its labels, its classifiers against a full-batch oracle, and its memory."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.profiler import profile

from cpc_core.config import ProbeConfig
from cpc_core.corpus.corpus import Corpus
from cpc_core.corpus.importing.run import import_folder
from cpc_core.corpus.manifest import ImportOptions
from cpc_core.errors import CorpusError
from cpc_core.evaluation import probe as probe_module
from cpc_core.evaluation.features import (
    JoinedFeatures,
    LogMelFeatures,
    ModelFeatures,
    pooled,
)
from cpc_core.evaluation.probe import (
    average_precision,
    probe,
    scored_labels,
)
from cpc_core.model.cpc_model import CpcModel
from tests.helpers.configs import tiny_config
from tests.helpers.recordings import noise, write_labels, write_recording


class Made:
    """Features that are no model's."""

    device, identity = torch.device("cpu"), "made"

    def __init__(self, of_clips: Callable[[int], Tensor]) -> None:
        self._of_clips = of_clips

    def __call__(self, audio: Tensor, samples: Tensor) -> Tensor:
        return self._of_clips(len(audio))


@pytest.fixture
def model() -> CpcModel:
    return CpcModel(tiny_config())


def tones(root: Path, train: int, dev: int) -> Corpus:
    """Tones of three pitches in noise, each with its pitch and a louder half as tags."""
    rows = []
    for index in range(train + dev):
        pitch, loud = index % 3, index % 2
        time = np.arange(1600) / 16_000
        tone = (0.1 + 0.2 * loud) * np.sin(2 * np.pi * (500, 1200, 2500)[pitch] * time)
        write_recording(root / f"{index}.wav", tone + 2 * noise(0.1, index), subtype="PCM_16")
        tags = f"pitch{pitch}" + "|loud" * loud
        split = "train" if index < train else "dev"
        rows.append(
            {"path": f"{index}.wav", "label": f"pitch{pitch}", "tags": tags, "split": split}
        )
    write_labels(root, rows)
    return import_folder(root, root / "corpus", ImportOptions(clip_s=0.1)).corpus


def counted_average_precision(targets: list[int], scores: list[float]) -> float:
    """Mean over the positives of the precision at each, by counting down the ranking."""
    order = sorted(range(len(scores)), key=lambda row: -scores[row])
    hits, precisions = 0, []
    for rank, row in enumerate(order, start=1):
        if targets[row]:
            hits += 1
            precisions.append(hits / rank)
    return sum(precisions) / len(precisions)


def test_average_precision_against_counting() -> None:
    rng = np.random.default_rng(4)
    for _ in range(5):
        targets = (rng.random(30) < 0.3).astype(np.uint8)
        targets[0] = 1
        scores = rng.standard_normal(30).astype(np.float32)
        expected = counted_average_precision(targets.tolist(), scores.tolist())
        found = average_precision(torch.from_numpy(targets), torch.from_numpy(scores))
        assert found == pytest.approx(expected)


def test_a_perfect_ranking_scores_one() -> None:
    targets = torch.tensor([1, 1, 0], dtype=torch.uint8)
    assert average_precision(targets, targets.float()) == 1.0


def columns(*clips: set[int], of: int = 12) -> Tensor:
    """Targets `[of, K]` whose columns are on these clips."""
    return torch.tensor([[clip in each for each in clips] for clip in range(of)]).byte()


def test_labels_on_the_same_held_out_clips_count_once() -> None:
    held_out = columns({0, 1, 2, 3, 4}, {5, 6, 7, 8, 9}, {0, 1, 2, 3, 4}, {1, 2, 3, 4, 5})
    assert scored_labels(torch.ones_like(held_out), held_out) == [0, 1, 3]


def test_labels_on_few_held_out_clips_are_left_out() -> None:
    held_out = columns({0, 1, 2, 3, 4}, {0, 1, 2, 3}, set(), {4, 5, 6, 7, 8})
    train = columns({0}, {0}, {0}, set(), of=1)
    assert scored_labels(train, held_out) == [0]


def test_the_commonest_labels_score_where_all_are_rare() -> None:
    held_out = columns({0, 1}, {2}, {3, 4}, set())
    train = torch.ones_like(held_out)
    assert scored_labels(train, held_out) == [0, 2]
    assert scored_labels(train, torch.zeros_like(held_out)) == []


def full_batch_scores(model: CpcModel, corpus: Corpus, config: ProbeConfig) -> tuple[float, float]:
    """Macro mAP and balanced accuracy, by full-batch steps and by scikit-learn."""
    train, dev = corpus.read_split("train"), corpus.read_split("dev")
    inputs, held_out = (
        ModelFeatures(model, "context")(clips.audio, clips.num_samples) for clips in (train, dev)
    )
    mean, scale = inputs.mean(dim=0), inputs.std(dim=0)
    inputs, held_out = (inputs - mean) / scale, (held_out - mean) / scale
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Linear(inputs.shape[1], config.hidden), nn.ReLU(), nn.Linear(config.hidden, 4)
    )
    optimizer = torch.optim.Adam(network.parameters(), lr=config.learning_rate)
    for _ in range(config.steps):
        optimizer.zero_grad()
        loss = nn.functional.binary_cross_entropy_with_logits(network(inputs), train.multi_hot())
        loss.backward()
        optimizer.step()
    columns = zip(dev.multi_hot().T.tolist(), network(held_out).T.tolist(), strict=True)
    precisions = [counted_average_precision(targets, scores) for targets, scores in columns]
    linear = LogisticRegression(max_iter=2000).fit(inputs.numpy(), train.labels)
    balanced = balanced_accuracy_score(dev.labels, linear.predict(held_out.numpy()))
    return sum(precisions) / 4, float(balanced)


def test_one_batch_is_the_full_batch_probe(model: CpcModel, tmp_path: Path) -> None:
    corpus = tones(tmp_path, train=48, dev=24)
    config = ProbeConfig(hidden=16, steps=200)
    found = probe(ModelFeatures(model, "context"), corpus, "dev", config)
    expected = full_batch_scores(model, corpus, config)
    assert found.mean_average_precision == pytest.approx(expected[0], abs=1e-3)
    assert found.balanced_accuracy == pytest.approx(expected[1], abs=0.05)  # a clip of 24
    assert 0.5 < found.balanced_accuracy < 1.0  # neither chance nor saturated
    assert (found.labels_scored, found.labels_left_out, found.classes) == (4, 0, 3)
    assert (found.train_clips, found.scored_clips) == (48, 24)


def test_scores_by_clip_have_the_probes_metrics_as_means(model: CpcModel, tmp_path: Path) -> None:
    corpus = tones(tmp_path, train=48, dev=24)
    found = probe(ModelFeatures(model, "context"), corpus, "dev", ProbeConfig(hidden=16, steps=60))
    clips, kept = corpus.read_split("dev"), found.by_clip
    assert {name: values.mean() for name, values in kept.values.items()} == pytest.approx(
        {
            "dev_map": found.mean_average_precision,
            "dev_probe_accuracy": found.accuracy,
            "dev_probe_balanced_accuracy": found.balanced_accuracy,
        }
    )
    assert kept.clip_ids.tolist() == clips.clip_ids.tolist()
    assert kept.groups == clips.groups
    assert balanced_accuracy_score(clips.labels, kept.predicted) == pytest.approx(
        found.balanced_accuracy
    )
    targets = clips.multi_hot()
    precisions = [
        counted_average_precision(
            targets[:, clips.label_names.index(label)].tolist(), kept.scores[:, column].tolist()
        )
        for column, label in enumerate(kept.labels)
    ]
    # Scores with half precision may tie two clips.
    assert np.mean(precisions) == pytest.approx(found.mean_average_precision, abs=0.01)


def test_without_two_primary_labels_none_is_predicted(model: CpcModel, tmp_path: Path) -> None:
    rows = [
        {"path": f"{index}.wav", "label": "one", "split": split}
        for index, split in enumerate(("train", "train", "dev", "dev"))
    ]
    for row in rows:
        write_recording(tmp_path / row["path"], noise(0.1, int(row["path"][0])))
    write_labels(tmp_path, rows)
    corpus = import_folder(tmp_path, tmp_path / "corpus", ImportOptions(clip_s=0.1)).corpus
    found = probe(
        ModelFeatures(model, "context"), corpus, "dev", ProbeConfig(hidden=2, steps=1, epochs=1)
    )
    assert np.isnan(found.accuracy)
    assert (set(found.by_clip.values), found.by_clip.predicted) == ({"dev_map"}, ("", ""))


def test_batches_train_as_well_as_the_full_batch(model: CpcModel, tmp_path: Path) -> None:
    corpus = tones(tmp_path, train=48, dev=24)
    whole = probe(ModelFeatures(model, "context"), corpus, "dev", ProbeConfig(hidden=16, steps=200))
    parts = probe(
        ModelFeatures(model, "context"),
        corpus,
        "dev",
        ProbeConfig(hidden=16, steps=200, batch_size=20, epochs=70),
    )
    assert parts.mean_average_precision == pytest.approx(whole.mean_average_precision, abs=0.05)
    assert parts.balanced_accuracy == pytest.approx(whole.balanced_accuracy, abs=0.05)


@pytest.mark.parametrize(("steps", "epochs", "expected"), [(1, 2, 6), (7, 2, 7)])
def test_every_training_clip_is_in_every_epoch(
    model: CpcModel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    steps: int,
    epochs: int,
    expected: int,
) -> None:
    corpus = tones(tmp_path, train=50, dev=6)
    numbers = iter(range(56))
    features = Made(lambda clips: torch.tensor([[float(next(numbers))] for _ in range(clips)]))
    batches: list[list[float]] = []

    def keep(module: nn.Module, inputs: tuple[Tensor]) -> None:
        if isinstance(module, nn.Sequential) and torch.is_grad_enabled():
            batches.append(inputs[0].flatten().tolist())

    hook = register_module_forward_pre_hook(keep)
    config = ProbeConfig(hidden=2, steps=steps, epochs=epochs, batch_size=20)
    probe(features, corpus, "dev", config)
    hook.remove()
    assert len(batches) == 2 * expected  # of two classifiers
    assert {len(batch) for batch in batches} == {16, 17}
    for first in (0, 3, expected, expected + 3):
        assert sorted(chain(*batches[first : first + 3])) == list(range(50))


def test_memory_does_not_grow_with_the_corpus(
    model: CpcModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    features = Made(lambda clips: torch.randn(clips, 2048))
    largest = []
    for clips in (32, 96):
        corpus = tones(tmp_path / str(clips), train=clips, dev=clips)
        with profile(profile_memory=True) as profiled:
            probe(features, corpus, "dev", ProbeConfig(hidden=8, steps=2, epochs=1, batch_size=16))
        largest.append(
            max(
                event.self_cpu_memory_usage
                for event in profiled.events()
                if event.name != "aten::from_file"  # A mapped file counts as allocated.
            )
        )
    assert largest[0] == largest[1] < 32 * 2048 * 4


def test_no_file_is_left_behind(
    model: CpcModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = tones(tmp_path / "source", train=12, dev=12)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    during = []

    def count_files(*_: Tensor) -> float:
        during.append(len([*(tmp_path / "temporary").glob("*/*")]))
        return 0.5

    monkeypatch.setattr(probe_module, "average_precision", count_files)
    probe(ModelFeatures(model, "context"), corpus, "dev", ProbeConfig(hidden=2, steps=1, epochs=1))
    assert set(during) == {5}  # features and targets of two splits, and scores
    assert not [*(tmp_path / "temporary").iterdir()]


def test_clips_without_shared_labels_are_refused(model: CpcModel, tmp_path: Path) -> None:
    for name, labels in (("none", ("", "")), ("other", ("a", "b"))):
        rows = []
        for index, split in enumerate(("train", "dev")):
            write_recording(tmp_path / name / f"{index}.wav", noise(0.1, index))
            rows.append({"path": f"{index}.wav", "label": labels[index], "split": split})
        write_labels(tmp_path / name, rows)
        corpus = import_folder(
            tmp_path / name, tmp_path / f"{name}.corpus", ImportOptions(clip_s=0.1)
        ).corpus
        with pytest.raises(CorpusError, match="labelled clips"):
            probe(ModelFeatures(model, "context"), corpus, "dev", ProbeConfig())


def test_pooled_frames_are_each_clips_own() -> None:
    vectors = torch.randn(4, 7, 3, generator=torch.Generator().manual_seed(0))
    frames = torch.tensor([7, 3, 1, 0])
    found = pooled(vectors, frames, "mean_std")
    for row, count in enumerate(frames.tolist()):
        own = vectors[row, :count]
        mean = own.mean(0) if count else torch.zeros(3)
        deviation = own.std(0, correction=0) if count else torch.zeros(3)
        assert torch.allclose(found[row], torch.cat((mean, deviation)), atol=1e-6)
    assert torch.equal(pooled(vectors, frames, "mean"), found[:, :3])
    whole = pooled(vectors, None, "mean_std")
    assert torch.allclose(whole[:, 3:], vectors.std(1, correction=0), atol=1e-6)


def test_log_mel_features_are_those_of_the_clip_alone() -> None:
    audio = torch.randn(3, 4_000, generator=torch.Generator().manual_seed(0)) * 0.1
    samples = torch.tensor([4_000, 1_234, 100])
    padded = torch.where(torch.arange(4_000) < samples[:, None], audio, 0)
    features = LogMelFeatures()
    found = features(padded, samples)
    assert found.shape == (3, 128)
    for row, own in enumerate(samples.tolist()):
        alone = features(audio[row : row + 1, :own], torch.tensor([own]))
        assert torch.allclose(found[row], alone[0], atol=1e-5)


def test_log_mel_features_tell_a_low_tone_from_a_high_one() -> None:
    time = torch.arange(16_000) / 16_000
    low, high = (torch.sin(2 * torch.pi * hz * time) for hz in (300, 5_000))
    found = LogMelFeatures("mean")(torch.stack((low, high)), torch.tensor([16_000] * 2))
    assert found[0].argmax() < 15 < 45 < found[1].argmax()


def test_joined_features_are_beside_each_other(model: CpcModel) -> None:
    audio, samples = torch.randn(2, 4_000) * 0.1, torch.tensor([4_000, 3_000])
    parts = ModelFeatures(model, "context"), LogMelFeatures()
    joined = JoinedFeatures(parts)(audio, samples)
    assert torch.equal(joined, torch.cat([part(audio, samples) for part in parts], 1))


def test_chance_is_what_answers_without_audio_get(model: CpcModel, tmp_path: Path) -> None:
    """Shuffled labels of held-out clips are at chance, too: no score leaks into them."""
    corpus = tones(tmp_path, train=40, dev=40)
    found = probe(Made(lambda clips: torch.zeros(clips, 3)), corpus, "dev", ProbeConfig(steps=5))
    assert found.accuracy == pytest.approx(found.chance["dev_probe_accuracy"])
    assert found.balanced_accuracy == pytest.approx(found.chance["dev_probe_balanced_accuracy"])
    assert found.mean_average_precision == pytest.approx(found.chance["dev_map"])
