"""The loop: reports, checkpoints, bitwise resume, endings."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from cpc_core.checkpoint import load_checkpoint
from cpc_core.config import CpcConfig
from cpc_core.corpus.corpus import Corpus
from cpc_core.corpus.importing.run import import_folder
from cpc_core.corpus.manifest import ImportOptions
from cpc_core.corpus.reading.batches import Batch, batches_in_process
from cpc_core.errors import CheckpointError, ConfigError, NonFiniteError
from cpc_core.export.reader import read_model
from cpc_core.export.writer import export_model
from cpc_core.report import Report
from cpc_core.step import StepMetrics, TrainState, train_step
from cpc_core.training import SaveCheckpoint, training_reports
from tests.helpers.configs import tiny_config

CLIP_S = 0.1


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Tones of two pitches in noise, 24 training and 8 development clips of 1600 samples."""
    root = tmp_path_factory.mktemp("tones")
    rng = np.random.default_rng(0)
    rows = ["path,label,split"]
    for index in range(32):
        label = ("low", "high")[index % 2]
        time = np.arange(1600) / 16_000
        tone = 0.3 * np.sin(2 * np.pi * (500, 2000)[index % 2] * time) + 0.02 * rng.standard_normal(
            1600
        )
        soundfile.write(root / f"{index}.wav", tone, 16_000, subtype="PCM_16")
        rows.append(f"{index}.wav,{label},{'train' if index < 24 else 'dev'}")
    (root / "labels.csv").write_text("\n".join(rows) + "\n")
    import_folder(root, root / "corpus", ImportOptions(clip_s=CLIP_S))
    return Corpus.open(root / "corpus")


class Log:
    """Keeps reports, and a checkpoint of each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.reports: list[Report] = []

    def keep(self, report: Report, save: SaveCheckpoint) -> None:
        self.reports.append(report)
        target = self.folder / str(report.step)
        target.mkdir(parents=True)
        save(target)

    @property
    def metrics(self) -> list[dict[str, float]]:
        """Metrics without what depends on the clock."""
        return [
            {name: value for name, value in report.metrics.items() if name != "clips_per_s"}
            for report in self.reports
        ]


def train(config: CpcConfig, corpus: Corpus, folder: Path, **options: Any) -> Log:
    log = Log(folder)
    for report, save in training_reports(
        config,
        corpus,
        lambda start: batches_in_process(corpus, config.seed, 4, start, config.batches),
        **options,
    ):
        log.keep(report, save)
    return log


def test_a_run_reports_and_ends_with_the_probe(corpus: Corpus, tmp_path: Path) -> None:
    log = train(tiny_config(adversary={"kind": "fgsm"}), corpus, tmp_path)
    assert [report.step for report in log.reports] == [4, 8]
    assert [report.outcome for report in log.reports] == ["running", "complete"]
    assert "dev_map" not in log.reports[0].metrics
    final = log.reports[1].metrics
    assert {
        "train_loss",
        "train_accuracy",
        "dev_accuracy",
        "dev_loss",
        "latent_spread",
        "train_latent_spread",
    } <= set(final)
    assert final["train_snr_db_p05"] <= final["train_snr_db"] <= final["train_snr_db_p95"]
    assert final["pool_clips"] == 4
    assert {"dev_attacked_clean_accuracy", "dev_fgsm_accuracy", "dev_attack_accuracy"} <= set(final)
    assert 0.9 <= final["dev_map"] <= 1.0
    assert final["dev_probe_accuracy"] == 1.0
    assert log.reports[0].clip_scores is None
    kept = log.reports[1].clip_scores
    assert kept is not None
    assert kept.values["dev_map"].mean() == pytest.approx(final["dev_map"])


@pytest.mark.parametrize(
    "adversary",
    [{"kind": "fgsm"}, {"kind": "gaussian"}, {"kind": "speed"}, {"kind": "free", "replays": 2}],
)
def test_a_resumed_run_is_bitwise_the_uninterrupted_one(
    corpus: Corpus, tmp_path: Path, adversary: dict[str, str]
) -> None:
    config = tiny_config(adversary=adversary, data={"batch_size": 4, "crop_s": 0.02})
    whole = train(config, corpus, tmp_path / "whole")
    resumed = train(config, corpus, tmp_path / "resumed", resume=tmp_path / "whole" / "4")
    assert resumed.metrics == whole.metrics[1:]
    ours, theirs = (
        torch.load(tmp_path / name / "8" / "state.pt")["model"] for name in ("whole", "resumed")
    )
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_collapse_is_an_ending_of_its_own(corpus: Corpus, tmp_path: Path) -> None:
    frozen = {"learning_rate": 1e-12, "final_learning_rate": 0.0, "warmup_steps": 0}
    config = tiny_config(
        similarity={"kind": "dot"},
        objective={"first_step": 3, "n_steps": 2, "temperature": 1e6, "loss": "infonce"},
        optimizer=frozen,
        initialisation={"kind": "pytorch"},
        training={"steps": 40, "report_every": 4, "collapse_window": 3},
    )
    log = train(config, corpus, tmp_path)
    assert [report.outcome for report in log.reports] == ["running", "running", "diverged"]
    assert (
        "collapsed: 3 report(s) in a row up to step 12 at the constant answer"
        in log.reports[-1].reason
    )


def test_latents_that_are_all_alike_are_a_collapse_too(corpus: Corpus, tmp_path: Path) -> None:
    config = tiny_config(
        training={"steps": 40, "report_every": 4, "collapse_window": 2, "collapse_spread": 10.0}
    )
    log = train(config, corpus, tmp_path)
    assert [report.outcome for report in log.reports] == ["running", "diverged"]
    assert re.search(
        r"2 report\(s\) in a row up to step 8 with latents all alike: relative spread \d",
        log.reports[-1].reason,
    )


def test_a_non_finite_loss_is_an_ending_too(corpus: Corpus, tmp_path: Path) -> None:
    config = tiny_config(
        optimizer={"learning_rate": 1e30, "final_learning_rate": 1e30, "warmup_steps": 0},
        similarity={"kind": "dot"},
    )
    log = train(config, corpus, tmp_path)
    assert log.reports[-1].outcome == "diverged"
    assert "became" in log.reports[-1].reason


def test_a_divergence_after_a_report_is_of_the_next_step(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fifth_diverges(state: TrainState, batch: Batch) -> StepMetrics:
        if state.step == 4:
            raise NonFiniteError(state.step, "loss", math.nan)
        return train_step(state, batch)

    monkeypatch.setattr("cpc_core.training.train_step", fifth_diverges)
    log = train(tiny_config(), corpus, tmp_path)
    assert [(report.step, report.outcome) for report in log.reports] == [
        (4, "running"),
        (5, "diverged"),
    ]
    assert "became nan after 4 steps" in log.reports[-1].reason


def test_clips_that_are_too_short_are_refused_before_training(
    corpus: Corpus, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"has clips of 0\.1 s"):
        train(tiny_config(data={"batch_size": 4, "crop_s": 0.5}), corpus, tmp_path)
    with pytest.raises(ConfigError, match=r"has clips of 0\.1 s"):
        train(CpcConfig.model_validate({"data": {"batch_size": 4}}), corpus, tmp_path)


def test_a_corpus_with_few_held_out_clips_has_one_smaller_pool(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = corpus.draw_clips("dev", 8).select(torch.arange(3))
    monkeypatch.setattr(Corpus, "draw_clips", lambda *_: clips)
    final = train(tiny_config(), corpus, tmp_path).reports[-1].metrics
    assert (final["pool_clips"], final["dev_pool_clips"]) == (4, 3)


@pytest.mark.parametrize(("sampling", "needed"), [("cross", 1), ("exclusive", 2)])
def test_held_out_clips_without_a_negative_are_refused(
    sampling: str, needed: int, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = corpus.draw_clips("dev", 8).select(torch.arange(needed - 1))
    monkeypatch.setattr(Corpus, "draw_clips", lambda *_: clips)
    config = tiny_config(data={"batch_size": 4}, negatives={"sampling": sampling})
    with pytest.raises(ConfigError, match=f"{needed - 1} held-out clip.* {needed} are needed"):
        train(config, corpus, tmp_path, on_step=lambda *_: pytest.fail("a step was taken"))


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_training_clips_that_are_all_too_short_are_refused(
    share: float, corpus: Corpus, tmp_path: Path
) -> None:
    """Of some it learns from the others, and counts them."""

    def shortened(start: int) -> Iterator[Batch]:
        for batch in batches_in_process(corpus, 0, 4, start, 8):
            assert batch.num_samples is not None
            batch.num_samples[: round(4 * share)] = 12
            yield batch

    if share == 1.0:
        with pytest.raises(ConfigError, match=r"none of the first step's 4 clips has the \S+ s"):
            list(training_reports(tiny_config(), corpus, shortened))
    else:
        *_, (last, _) = training_reports(tiny_config(), corpus, shortened)
        assert last.metrics["train_skipped_clips"] == 0.5


def test_an_export_gives_the_same_features(corpus: Corpus, tmp_path: Path) -> None:
    train(tiny_config(), corpus, tmp_path)
    export_model(tmp_path / "8", tmp_path / "export", {"study": "test"})
    clips = corpus.read_split("dev").audio
    exported, state = (
        read_model(tmp_path / "export"),
        TrainState.create(tiny_config(), torch.device("cpu")),
    )
    load_checkpoint(state, tmp_path / "8")
    with torch.no_grad():
        assert torch.equal(exported(clips).contexts, state.model(clips).contexts)
    assert json.loads((tmp_path / "export" / "provenance.json").read_text()) == {
        "study": "test",
        "step": 8,
    }


def test_damaged_and_foreign_checkpoints_are_named(corpus: Corpus, tmp_path: Path) -> None:
    train(tiny_config(), corpus, tmp_path)
    with pytest.raises(CheckpointError, match="belongs to another configuration"):
        train(tiny_config(seed=9), corpus, tmp_path / "other", resume=tmp_path / "8")
    state = tmp_path / "8" / "state.pt"
    state.write_bytes(state.read_bytes()[: state.stat().st_size // 2])
    with pytest.raises(CheckpointError, match=r"state\.pt cannot be read"):
        train(tiny_config(), corpus, tmp_path / "again", resume=tmp_path / "8")
    with pytest.raises(CheckpointError, match="is no export"):
        read_model(tmp_path / "nothing")
