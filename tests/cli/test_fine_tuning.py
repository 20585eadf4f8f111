"""`cpc trial run --from`: another training from the weights of an export."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from study.folders.trial_folder import TrialFolder
from tests.helpers.cli import cpc
from tests.helpers.corpus import one_trial, tones

RUN = ("trial", "run", "--threads", "1")
TUNED = (
    *RUN, "--from", "model", "--corpus", "others/corpus", "--steps", "4", "-o", "tuned",
)  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus, a trial of 8 steps, and its export."""
    home = tmp_path_factory.mktemp("home")
    corpus = tones(home / "tones")
    (home / "one.yaml").write_text(one_trial(corpus, 8).to_yaml())
    cpc(*RUN, "--base", "one.yaml", "-o", "one", cwd=home)
    cpc("export", "one", "--best", "--optimizer", "-o", "model", cwd=home)
    return home


def config_of(study: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((study / "trials/t00000/config.json").read_text())
    return found


def test_the_exports_configuration_is_the_base(home: Path) -> None:
    """On another corpus, with fewer steps."""
    tones(home / "others", labels=("a", "b"))
    said = cpc(
        *RUN,
        "--from",
        "model",
        "--corpus",
        "others/corpus",
        "--steps",
        "4",
        "-o",
        "tuned",
        cwd=home,
    ).err
    assert "starts from the weights of model\n" in said
    before, after = config_of(home / "one"), config_of(home / "tuned")
    first = after["initialisation"]
    assert first.pop("model") == str(home / "model") and len(first.pop("model_hash")) == 64
    after["training"]["steps"] = before["training"]["steps"]
    assert after == before
    tuned, scratch = (TrialFolder(home / name, 0).log()[0].metrics for name in ("tuned", "one"))
    assert tuned["train_loss"] < scratch["train_loss"]
    again = cpc(
        *RUN,
        "--from",
        "model",
        "--corpus",
        "others/corpus",
        "--steps",
        "4",
        "-o",
        "tuned",
        cwd=home,
    )
    assert "already trained, nothing to do" in again.err


def test_another_objective_is_said_to_be_drawn(home: Path) -> None:
    options = ("--similarity", "dot", "--steps", "4", "-o", "dot")
    said = cpc(*RUN, "--from", "model", *options, cwd=home).err
    assert "the objective's are drawn, since similarity or predicted steps are others" in said


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--from", "nowhere"), 3, "nowhere is no export: config.json cannot be read"),
        (
            ("--from", "model", "--width", "8"),
            2,
            "the weights of model do not fit: encoder.width 8 (the export: 6)",
        ),
        (("--from", "model", "--base", "demo"), 2, "do not fit: encoder.width"),
        (("--from", ""), 2, "a path is empty"),
    ],
)
def test_what_does_not_fit_is_one_sentence(
    home: Path, options: tuple[str, ...], code: int, said: str
) -> None:
    assert said in cpc(*RUN, *options, "-o", "none", cwd=home, code=code).err
    assert not (home / "none").exists()


def test_changed_weights_are_refused(home: Path) -> None:
    """By a resume, and by a training once more."""
    shutil.copytree(home / "model", home / "changing")
    cpc(*RUN, "--from", "changing", "--steps", "4", "-o", "study", cwd=home)
    cpc("trial", "reproduce", "study", "0", "-o", "same", cwd=home)
    cpc("export", "study", "--best", "-o", "changing", "--overwrite", cwd=home)
    refused = cpc("trial", "reproduce", "study", "0", "-o", "other", cwd=home, code=2).err
    assert "restore that export" in refused
    other = cpc(*RUN, "--from", "changing", "--steps", "4", "-o", "study", cwd=home, code=2).err
    assert "holds the study" in other
