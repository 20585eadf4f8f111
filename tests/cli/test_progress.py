"""Progress where there is no terminal: a line now and then."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from study.cli.progress import LINE_S, TrialProgress
from study.folders.study_folder import StudyFolder
from tests.helpers.configs import tiny_config


def test_a_training_without_a_terminal_says_how_far_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    config = tiny_config(training={"steps": 100, "report_every": 50, "dev_clips": 8})
    measured = SimpleNamespace(loss=torch.tensor(1.5), accuracy=torch.tensor(0.75))
    with TrialProgress(StudyFolder(tmp_path), "accuracy") as progress:
        for step in range(1, 81):
            now += 1.0
            progress.on_step(config, step, cast(Any, measured))
    lines = [line for line in capsys.readouterr().err.splitlines() if "of 100" in line]
    assert len(lines) == 80 // LINE_S
    assert lines[0].split()[:4] == ["step", "30", "of", "100"]
    assert "loss 1.50  CPC accuracy 0.750" in lines[0]
    assert lines[0].endswith("left")
