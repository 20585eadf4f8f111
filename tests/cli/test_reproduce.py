"""A trial trained again: the same numbers, or the first step at which they differ, and why."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cpc_core.report import Outcome
from study.cli import app
from study.cli.exit_codes import INTERRUPTED, OK, run
from study.cli.trial import reproduce
from tests.helpers.cli import Result, cpc
from tests.helpers.corpus import one_trial, tones
from tests.helpers.records import trial

Edit = Callable[[list[dict[str, Any]]], None]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a corpus and a study of one trial of 12 steps."""
    home = tmp_path_factory.mktemp("home")
    corpus = tones(home / "tones")
    (home / "one.yaml").write_text(one_trial(corpus, 12).to_yaml())
    cpc("trial", "run", "--base", "one.yaml", "--threads", "1", "-o", "studies/one", cwd=home)
    return home


def edited(home: Path, copy: str, edit: Edit) -> Path:
    """A copy of the study whose metrics log was edited."""
    shutil.copytree(home / "studies" / "one", home / "edited" / copy)
    log = home / "edited" / copy / "trials" / "t00000" / "metrics.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    edit(lines)
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return home / "edited" / copy


def reproduced(
    home: Path, study: str | Path, out: str, *options: str, code: int = 0
) -> tuple[Result, dict[str, Any]]:
    command = ("trial", "reproduce", study, "0", "-o", f"again/{out}", "--output", "json")
    result = cpc(*command, *options, cwd=home, code=code)
    return result, result.parsed() if result.out else {}


def test_an_untouched_trial_is_identical_to_its_last_step(home: Path) -> None:
    result, found = reproduced(home, "one", "untouched")
    assert found == {"identical": True, "through": 12, "differences": [], "changed": []}
    assert "step     12" in result.err
    again = cpc("trial", "reproduce", "one", "0", "-o", "again/untouched", cwd=home)
    assert "trained again already" in again.err
    assert "identical through step 12" in again.err


def test_an_edited_number_names_its_step_and_its_metric(home: Path) -> None:
    def nudge(lines: list[dict[str, Any]]) -> None:
        lines[1]["metrics"]["train_loss"] *= 1 + 1e-12
        lines[1]["metrics"]["clips_per_s"] = 1.0
        lines[2]["metrics"]["dev_map"] = 0.0

    study = edited(home, "nudged", nudge)
    result, found = reproduced(home, study, "nudged", code=1)
    assert (found["identical"], found["through"], found["changed"]) == (False, 4, [])
    (difference,) = found["differences"]
    assert (difference["step"], difference["metric"]) == (8, "train_loss")
    assert difference["difference"] == pytest.approx(-1e-12 * difference["recorded"], rel=1e-2)
    assert "differs first at step 8, in train_loss; identical through step 4" in result.err
    _, found = reproduced(home, study, "nudged", "--tolerance", "1e-9", code=1)
    assert (found["through"], [each["metric"] for each in found["differences"]]) == (8, ["dev_map"])


def test_fewer_steps_are_those_of_the_whole_training(home: Path) -> None:
    _, found = reproduced(home, "one", "fewer", "--steps", "9")
    assert (found["identical"], found["through"]) == (True, 8)


def test_what_has_changed_since_is_listed(home: Path) -> None:
    study = edited(home, "older", lambda lines: lines[0]["metrics"].update(dev_loss=3.0))
    path = study / "trials" / "t00000" / "provenance.json"
    content = json.loads(path.read_text())
    ours = content["attempts"][0]["versions"]["torch"]
    content["attempts"][0]["versions"]["torch"] = "1.0"
    path.write_text(json.dumps(content))
    _, found = reproduced(home, study, "older", code=1)
    assert found["changed"] == [f"versions.torch: 1.0 then, {ours} now"]


def test_another_corpus_is_refused(home: Path, tmp_path: Path) -> None:
    study = edited(home, "moved", lambda lines: None)
    path = study / "trials" / "t00000" / "provenance.json"
    path.write_text(
        path.read_text().replace(
            json.loads(path.read_text())["attempts"][0]["corpus_hash"], "f" * 64
        )
    )
    result, _ = reproduced(home, study, "moved", code=2)
    assert "was trained on a corpus with hash ffffffffffff" in result.err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [(["7"], 3, "trial 7 of"), (["0", "--steps", "3"], 2, "ends before the first report")],
)
def test_an_impossible_reproduction_is_refused(
    home: Path, arguments: list[str], code: int, message: str
) -> None:
    result = cpc("trial", "reproduce", "one", *arguments, cwd=home, code=code)
    assert message in result.err


def test_a_trial_is_shown_with_where_its_numbers_come_from(home: Path) -> None:
    shown = cpc("study", "show", "one", "--trial", "0", "-o", "json", cwd=home)
    trial = shown.parsed()
    (attempt,) = trial["attempts"]
    assert (trial["outcome"], trial["step"]) == ("complete", 12)
    assert trial["trial_id"] == attempt["trial_id"]
    assert (attempt["from_step"], attempt["device"]) == (0, "cpu")
    assert (attempt["workers"], attempt["threads"]) == (1, 1)
    table = cpc("study", "show", "one", "--trial", "0", cwd=home).out
    assert attempt["started"] in table and f"torch {attempt['versions']['torch']}" in table
    missing = cpc("study", "show", "one", "--trial", "9", cwd=home, code=3)
    assert "has no trial 9" in missing.err


@pytest.mark.parametrize("outcome", ["waiting", "running"])
def test_the_same_command_resumes_a_stopped_training(
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    outcome: Outcome,
) -> None:
    command = ["trial", "reproduce", str(home / "studies" / "one"), "0", "-o", str(tmp_path)]
    monkeypatch.setattr(reproduce, "train_here", lambda *_: trial(0, {}, 0, outcome))
    assert run(app, command) == OK
    said = capsys.readouterr()
    assert "the same command resumes" in said.err
    assert said.out == ""


def test_a_training_that_was_cancelled_is_an_interruption(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["trial", "reproduce", str(home / "studies" / "one"), "0", "-o", str(tmp_path)]
    monkeypatch.setattr(
        reproduce,
        "train_here",
        lambda *_: trial(0, {}, 0, "cancelled", reason="by the user"),
    )
    assert run(app, command) == INTERRUPTED
    assert "by the user: to train it again, delete" in capsys.readouterr().err
