"""A first hour without a cluster: import, train, look, export, probe."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from study.control.signals import STOP_SIGNALS
from tests.helpers.cli import cpc, start_cpc
from tests.helpers.damage import flip_audio_bit
from tests.helpers.recordings import write_tone

TINY = (
    "--width", "8", "--batch-size", "4", "--crop-s", "0.25", "--threads", "1",
    "--learning-rate", "0.002",
    "--set", "base.similarity.hidden=8", "--set", "base.training.report_every=10",
    "--set", "base.training.dev_clips=8", "--set", "base.optimizer.warmup_steps=5",
    "--set", "base.training.collapse_window=100000",
)  # fmt: skip
LEARNS = (
    "--similarity", "dot", "--temperature", "1", "--adversary", "fgsm", "--epsilon-db", "-55",
)  # fmt: skip
TRAIN = ("trial", "run", "--corpus", "corpus", "--steps", "20", *TINY, *LEARNS, "-o", "trial")
LONG = (
    "trial", "run", "--corpus", "corpus", "--steps", "4000", "--adversary", "none", *TINY,
    "-o", "long",
)  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a corpus of two pitches."""
    home = tmp_path_factory.mktemp("home")
    source = home / "tones"
    for index in range(24):
        write_tone(
            source / ("low", "high")[index % 2] / f"{index}.wav",
            hz=(300, 2500)[index % 2] * (1 + index / 100),
            seconds=0.5,
        )
    options = ("--clip-s", "0.5", "--dev-fraction", "0.3")
    cpc("data", "import", source, "-o", "corpus", *options, cwd=home)
    return home


def test_a_corpus_at_a_glance(home: Path) -> None:
    result = cpc("data", "info", "corpus", "-o", "json", cwd=home)
    assert {row["split"]: row["clips"] for row in result.parsed()}.keys() == {"train", "dev"}


def test_an_audit_prints_finds_and_draws(home: Path) -> None:
    shown = cpc("data", "audit", "corpus", "--html", "audit.html", cwd=home)
    assert re.search(r"^good +shards +0 ", shown.out, re.MULTILINE)
    assert "</html>" in (home / "audit.html").read_text()
    whole = cpc("data", "audit", "corpus", "--json", cwd=home)
    info = whole.parsed()
    assert (info["rows"].keys(), info["damages"]) == ({"train", "dev"}, [])


def test_an_audit_of_a_damaged_corpus_says_where_and_fails(home: Path) -> None:
    shutil.copytree(home / "corpus", home / "damaged")
    flip_audio_bit(home / "damaged" / "train-00000.parquet", [0])
    result = cpc("data", "audit", "damaged", "-o", "csv", cwd=home, code=1)
    assert "train-00000.parquet, row group 0: " in result.err
    assert (
        "cpc: damaged is damaged in train-00000.parquet: restore these files or import the corpus "
        "again" in result.err
    )
    assert "broken,shards,1" in result.out


def test_a_trial_from_nothing_to_a_probed_export(home: Path) -> None:
    first = cpc(*TRAIN, cwd=home)
    assert "step     20" in first.err
    assert "mAP" in first.err

    again = cpc(*TRAIN, cwd=home)
    assert "already trained, nothing to do" in again.err

    shown = cpc("study", "show", "trial", "-o", "json", cwd=home)
    (row,) = shown.parsed()
    assert (row["step"], row["outcome"]) == (20, "complete")

    cpc("report", "trial", "-o", "report.html", cwd=home)
    assert "<html" in (home / "report.html").read_text()[:2000]

    cpc("export", "trial", "--best", "-o", "model", cwd=home)
    assert (
        "8 files as exported, weights as configured"
        in cpc("exports", "verify", "model", cwd=home).err
    )
    refused = cpc("export", "trial", "--best", "-o", "model", cwd=home, code=2)
    assert "already there" in refused.err

    probed = cpc("probe", "model", "corpus", "--split", "dev", "-o", "json", cwd=home).parsed()
    assert [each["model"] for each in probed] == ["model", "untrained", "logmel", "chance"]
    assert probed[0]["mAP"] == pytest.approx(row["dev_map"])
    assert probed[0]["accuracy"] == pytest.approx(row["dev_probe_accuracy"])
    assert probed[-1]["balanced_accuracy"] == 0.5

    command = ("probe", "model", "sample", "--protocol", "knn")
    found = cpc(*command, "--task", "label", "--seeds", "2", "-o", "json", cwd=home)
    rows = {each["model"]: each for each in found.parsed()}
    assert list(rows) == ["model", "untrained", "logmel", "chance"]
    assert rows["chance"]["accuracy"] < rows["logmel"]["accuracy_low"] < 1
    assert rows["model"]["seed_sd"] == 0.0 < rows["untrained"]["seed_sd"]
    assert "11 classes, the test split, protocol knn (k = " in found.err
    classes = cpc(*command, "--classes", "--no-baselines", "-o", "json", cwd=home).parsed()
    assert {"ambience", "kick"} <= {each["class"] for each in classes}
    for options, code, sentence in (
        (("--folds",), 3, "a cross-validation needs at least 3"),
        (("--task", "nothing"), 3, "has no task 'nothing'"),
        (("--split", "dev"), 2, "chooses its settings on the dev clips"),
        (("--seeds", "0"), 2, "must be at least 1"),
    ):
        assert sentence in cpc(*command, *options, cwd=home, code=code).err
    needed = cpc("probe", "model", "sample", "--folds", cwd=home, code=2)
    assert "add --protocol linear" in needed.err


def test_a_trial_on_audio_without_labels_is_trained_and_exported(home: Path) -> None:
    for index in range(8):
        write_tone(home / "plain" / f"{index}.wav", hz=200 + 100 * index, seconds=0.5)
    options = ("--clip-s", "0.5", "--dev-fraction", "0.3")
    imported = cpc("data", "import", "plain", "-o", "unlabelled", *options, cwd=home)
    assert "no recording has a label" in imported.err
    given = ("--corpus", "unlabelled", "--steps", "6", *TINY, *LEARNS, "-o", "plain-trial")
    trained = cpc("trial", "run", *given, cwd=home)
    assert "no probe: train and dev clips of plain share no label" in trained.err
    assert "ranked by dev_accuracy instead of the probe" in trained.err
    assert "mAP" not in trained.err
    cpc("export", "plain-trial", "--best", "-o", "plain-model", cwd=home)
    cpc("report", "plain-trial", "-o", "plain.html", cwd=home)
    cpc("trial", "reproduce", "plain-trial", "0", cwd=home)
    spec = home / "mine.yaml"
    spec.write_text("name: mine\ncorpus: unlabelled\n")
    refused = cpc("study", "plan", "mine.yaml", "--no-calibrate", cwd=home, code=2)
    assert "objective.metric dev_map is of a probe" in refused.err


def wait_for_reports(log: Path, more_than: int, process: subprocess.Popen[str]) -> None:
    """Returns once the process has logged more than that many reports."""
    deadline = time.monotonic() + 300
    while not log.exists() or len(log.read_text().splitlines()) <= more_than:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, f"no more than {more_than} reports in five minutes"
        time.sleep(0.1)


def test_an_interrupted_trial_resumes_and_stops_on_request(home: Path) -> None:
    log = home / "long" / "trials" / "t00000" / "metrics.jsonl"
    before: list[str] = []
    for number in STOP_SIGNALS:
        running = start_cpc(*LONG, cwd=home)
        wait_for_reports(log, len(before) + 1, running)
        running.send_signal(number)
        _, err = running.communicate(timeout=60)
        assert running.returncode == 130, err
        assert "the same command resumes from the last checkpoint" in err
        before = log.read_text().splitlines()
        newest = max((home / "long" / "trials" / "t00000").glob("checkpoint-*"))
        assert json.loads(before[-1])["step"] == int(newest.name.rpartition("-")[2])

    # Between two reports: the trial that is never interrupted would have neither of these lines.
    far = tuple(
        "base.training.report_every=1000" if "report_every" in word else word for word in LONG
    )
    far = (*far[:-1], "far", "--grace", "1s")
    running = start_cpc(*far, cwd=home)
    folder = home / "far" / "trials" / "t00000"
    deadline = time.monotonic() + 60
    while not (folder / "provenance.json").exists():
        assert running.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(1)
    running.send_signal(signal.SIGUSR1)
    _, err = running.communicate(timeout=30)
    assert running.returncode == 130, err
    assert "stopping at the next report, or at a checkpoint within 1 s" in err
    (checkpoint,) = folder.glob("checkpoint-*")
    assert int(checkpoint.name.rpartition("-")[2]) % 1000
    assert (folder / "metrics.jsonl").read_text() == ""

    resumed = start_cpc(*LONG, cwd=home)
    wait_for_reports(log, len(before), resumed)
    assert "is requested to stop" in cpc("study", "stop", "long", cwd=home).err
    _, err = resumed.communicate(timeout=60)
    assert resumed.returncode == 0, err
    assert "stopped: the same command resumes from the last checkpoint" in err
    assert log.read_text().splitlines()[: len(before) - 1] == before[:-1]

    before = log.read_text().splitlines()
    cancelled = start_cpc(*LONG, cwd=home)
    wait_for_reports(log, len(before), cancelled)
    cpc("study", "cancel", "long", cwd=home)
    _, err = cancelled.communicate(timeout=60)
    assert cancelled.returncode == 130, err
    assert "cancelled by the user: `cpc study retry long`, then the same command" in err
