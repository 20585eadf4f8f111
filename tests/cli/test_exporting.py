"""`cpc export` and `cpc exports`: which trials, where to, and what is refused."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
import torch

from cpc_core import load
from cpc_core.checkpoint import save_checkpoint
from cpc_core.errors import CheckpointError
from cpc_core.export import named
from cpc_core.report import FinalOutcome
from cpc_core.step import TrainState
from study.folders.study_folder import StudyFolder
from tests.helpers.cli import cpc
from tests.helpers.specs import TINY_BASE, tiny_spec
from tests.helpers.studies import asked, log_up_to, opened

VALUES = {(0.05, 0): 0.4, (0.05, 1): 0.5, (0.1, 0): 0.7, (0.1, 1): 0.6}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of two cells and two seeds, and one whose last two trials diverged and wait."""
    home = tmp_path_factory.mktemp("home")
    for name, count, width in (("whole", 4, 8), ("part", 3, 10)):
        spec = tiny_spec(name=name, seeds=[0, 1], base={**TINY_BASE, "encoder": {"width": width}})
        with opened(home / name, spec) as store:
            for number in range(count):
                trial = asked(store)
                outcome: FinalOutcome = "diverged" if number == 2 and count == 3 else "complete"
                steps = trial.config.training.steps
                log_up_to(store, trial, steps, outcome=outcome)
                state = TrainState.create(trial.config, torch.device("cpu"))
                state.step = steps
                store.trial_folder(trial.number).save_checkpoint(
                    steps, partial(save_checkpoint, state, {})
                )
                key = (trial.config.objective.temperature, trial.seed)
                store.tell(trial.number, outcome, {"dev_map": VALUES[key]}, "collapsed")
    assert StudyFolder(home / "whole").holds_study()
    return home


def provenance(folder: Path) -> dict[str, object]:
    told: dict[str, object] = json.loads((folder / "provenance.json").read_text())
    return told


def test_the_best_seed_of_the_best_cell(home: Path) -> None:
    cpc("export", "whole", "--best", "-o", "best", cwd=home)
    told = provenance(home / "best")
    assert (told["knobs"], told["seed"], told["outcome"]) == ({"temperature": 0.1}, 0, "complete")
    chosen = told["chosen"]
    assert isinstance(chosen, dict)
    assert chosen["mean"] == pytest.approx(0.65) and chosen["by_seed"] == {"0": 0.7, "1": 0.6}
    # Two seeds of a study have no interval.
    assert (chosen["interval"], chosen["lost_seeds"]) == ([None, None], 0)
    card = (home / "best" / "README.md").read_text()
    assert "best seed of the cell" in card and "0.700" in card


def test_a_cell_and_all_of_its_seeds(home: Path) -> None:
    cpc("export", "whole", "--cell", "temperature=0.05", "-o", "cell", cwd=home)
    assert provenance(home / "cell")["seed"] == 1
    cpc("export", "whole", "--cell", "temperature=0.05", "--seeds", "all", "-o", "all", cwd=home)
    exported = [provenance(path) for path in sorted((home / "all").iterdir())]
    assert [(told["knobs"], told["seed"]) for told in exported] == [
        ({"temperature": 0.05}, 0),
        ({"temperature": 0.05}, 1),
    ]
    refused = cpc("export", "whole", "--cell", "temperature=7", "-o", "none", cwd=home, code=3)
    assert "temperature" in refused.err and not (home / "none").exists()


def test_an_unfinished_trial_is_recorded_as_what_it_is(home: Path) -> None:
    refused = cpc("export", "part", "--trial", "2", "-o", "bad", cwd=home, code=2)
    assert (
        "trial 2 of part is not complete but diverged (collapsed): add --unfinished" in refused.err
    )
    cpc("export", "part", "--trial", "2", "--unfinished", "-o", "bad", cwd=home)
    assert provenance(home / "bad")["outcome"] == "diverged"
    assert "| outcome | diverged |" in (home / "bad" / "README.md").read_text()


def test_the_best_so_far_is_said_to_be_that(home: Path) -> None:
    said = cpc("export", "part", "--best", "-o", "so-far", cwd=home).err
    assert "part is unfinished: 3 of 4 trials have ended" in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "say which model"),
        (("--best", "--trial", "0"), "say which model"),
        (("--front",), "has no Pareto front"),
    ],
)
def test_which_model_is_one_choice(home: Path, options: tuple[str, ...], said: str) -> None:
    code = 3 if options == ("--front",) else 2
    assert said in cpc("export", "whole", *options, "-o", "x", cwd=home, code=code).err


def test_a_study_is_never_replaced(home: Path) -> None:
    before = sorted(str(path) for path in (home / "whole").rglob("*"))
    for target in ("whole", "whole/model", "."):
        refused = cpc("export", "whole", "--best", "-o", target, "--overwrite", cwd=home, code=2)
        assert "lies in the study, or the study in it" in refused.err
    assert sorted(str(path) for path in (home / "whole").rglob("*")) == before


def test_an_export_is_shown_and_checked(home: Path) -> None:
    cpc("export", "whole", "--trial", "3", "-o", "model", cwd=home)
    shown = cpc("exports", "show", "model", "-o", "json", cwd=home).parsed()
    assert (shown["trial"], shown["width"], shown["dimensions"]) == (3, 8, 16)
    assert "8 files as exported" in cpc("exports", "verify", "model", cwd=home).err
    weights = home / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    refused = cpc("exports", "verify", "model", cwd=home, code=3)
    assert "model.safetensors is damaged (its bytes are not those" in refused.err
    assert "is no export" in cpc("exports", "verify", "whole", cwd=home, code=3).err
    assert cpc("probe", "model", "sample", cwd=home, code=3).err.count("\n") == 1


def test_models_have_names(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is what `cpc export` makes of it, in Python and on the command line."""
    monkeypatch.chdir(home)
    cpc("export", "whole", "--best", "-o", "named-best")
    cpc("export", "whole", "--trial", "3", "-o", "named-3")
    assert provenance(home / "named-best")["seed"] != provenance(home / "named-3")["seed"]
    checkpoint = StudyFolder("whole").trial(3).require_checkpoint()
    audio = torch.randn(4_000, generator=torch.Generator().manual_seed(0))
    best, third = (load(name)(audio).frames[0] for name in ("named-best", "named-3"))
    assert not torch.equal(best, third)
    for name, wanted in (("whole:best", best), ("whole:3", third), (str(checkpoint), third)):
        assert torch.equal(load(name)(audio).frames[0], wanted)
    shown = [cpc("exports", "show", each, "-o", "json").parsed() for each in ("whole:3", "named-3")]
    assert shown[0] == shown[1]
    assert "8 files as exported" in cpc("exports", "verify", "whole:best").err


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("whoel:best", 3, "there is no study 'whoel' here"),
        ("whole:9", 3, "trial 9"),
        ("whole:worst", 2, "whole:worst names no model: use whole:best, or whole:3"),
        ("part:2", 2, "trial 2 of part is not complete but diverged"),
        (":best", 2, "a path is empty"),
        ("nowhere", 3, "nowhere is no export"),
    ],
)
def test_a_name_of_no_model_is_one_sentence(home: Path, name: str, code: int, said: str) -> None:
    for command in (("exports", "show", name), ("probe", name, "sample")):
        refused = cpc(*command, cwd=home, code=code)
        assert said in refused.err and refused.err.count("\n") == 1


def test_a_folder_with_a_colon_is_that_folder(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    cpc("export", "whole", "--trial", "0", "-o", "mine:best")
    assert load("mine:best").dims() == 16


def test_names_need_a_package_that_knows_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(named, "entry_points", lambda group: ())
    with pytest.raises(CheckpointError, match="nothing is installed that knows models by such"):
        load("demo:best")


def test_other_forms_are_shown_and_checked(home: Path) -> None:
    cpc("export", "whole", "--trial", "3", "--pt2", "-o", "forms", cwd=home)
    shown = cpc("exports", "show", "forms", "-o", "json", cwd=home).parsed()
    assert shown["pt2"] == "within 0.0e+00 of the model" and "onnx" not in shown
    assert "10 files as exported" in cpc("exports", "verify", "forms", cwd=home).err
    # Without them again: what replaces an export leaves none of its files behind.
    cpc("export", "whole", "--trial", "3", "--overwrite", "-o", "forms", cwd=home)
    assert not (home / "forms" / "model.pt2").exists()
