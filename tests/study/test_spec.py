from __future__ import annotations

from pathlib import Path

import pytest

from cpc_core.errors import ConfigError
from study.catalog import preset_names
from study.document import parse
from study.spec import StudySpec
from study.spec_problems import SpecError


def written(folder: Path, text: str) -> str:
    """Path of a spec file with that text."""
    path = folder / "my.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def problems(folder: Path, text: str, overrides: list[str] | None = None) -> list[str]:
    with pytest.raises(SpecError) as caught:
        StudySpec.load(written(folder, text), overrides)
    return caught.value.problems


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_valid_and_says_its_question(name: str) -> None:
    spec = StudySpec.load(name)
    assert spec.name == name
    assert spec.question.endswith("?")
    assert spec.planned_trials > 0


def test_the_demo_is_two_similarities_by_two_temperatures_by_two_seeds_under_attack() -> None:
    spec = StudySpec.load("demo")
    assert spec.planned_trials == 8
    configs = [spec.config(cell, seed) for cell in spec.space.grid() for seed in spec.seeds]
    assert {(config.similarity.kind, config.objective.temperature, config.seed) for config in configs} == {
        (similarity, temperature, seed) for similarity in ("dot", "nonlinear_cosine") for temperature in (1.0, 0.05) for seed in (0, 1)
    }
    assert {(config.adversary.kind, config.adversary.epsilon_db) for config in configs} == {("fgsm", -55.0)}  # type: ignore[union-attr]


def test_every_problem_at_once_each_with_its_line(tmp_path: Path) -> None:
    text = """name: Bad Name
questoin: hm
base:
  encoder: {widht: 64}
  adversary: {kind: fgms}
  objective: {temperature: -1}
  optimizer: {learning_rate: fast}
space:
  temprature: [1, 0.1]
seeds: [0, 0]
sampler: {kind: tpe}
"""
    assert problems(tmp_path, text) == [
        "my.yaml:1: name: string should match pattern '^[a-z0-9][a-z0-9_-]{0,63}$', not 'Bad Name'",
        "my.yaml:2: 'questoin' is not a setting; did you mean 'question'?",
        "my.yaml:4: 'base.encoder.widht' is not a setting; did you mean 'width'?",
        "my.yaml:5: base.adversary: 'fgms' is not one of none, gaussian, fgsm, pgd; did you mean 'fgsm'?",
        "my.yaml:6: base.objective.temperature: input should be greater than 0, not -1",
        "my.yaml:7: base.optimizer.learning_rate: input should be a valid number, unable to parse string as a number, not 'fast'",
        "my.yaml:9: 'temprature' is not a knob or a field; did you mean 'temperature'?",
        "my.yaml:10: seeds: a seed is listed twice: [0, 0]",
        "my.yaml:11: 'sampler.trials' is missing",
    ]


def test_cells_that_cannot_be_trained_are_named_by_their_knob(tmp_path: Path) -> None:
    text = """name: corners
space:
  temperature: [1, -3]
  first_step: [1, 4]
  adversary: [fgsm, foo]
"""
    found = problems(tmp_path, text)
    assert "my.yaml:3: temperature=-3: input should be greater than 0, not -3" in found
    assert any(problem.startswith("my.yaml:5: adversary=foo: 'foo' is not one of") for problem in found)
    assert any("first safe step is 3" in problem for problem in found)


def test_overrides_win_and_are_named_in_errors(tmp_path: Path) -> None:
    text = "name: a\nbase: {encoder: {width: 8}}\nseeds: [0]\n"
    spec = StudySpec.load(written(tmp_path, text), ["base.encoder.width=16", "base.objective.temperature=1e-1", "seeds=[3, 4]"])
    config = spec.config({}, spec.seeds[1])
    assert (config.encoder.width, config.objective.temperature, config.seed) == (16, 0.1, 4)
    assert problems(tmp_path, text, ["seeds=[-1]"]) == ["--set: seeds.0: input should be greater than or equal to 0, not -1"]
    for wrong in ("width", "=3", "name.a.b=3", "seeds=[1"):
        with pytest.raises(ConfigError, match="--set"):
            StudySpec.load(written(tmp_path, text), [wrong])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must hold a mapping"),
        ("- a\n- b\n", "must hold a mapping"),
        ("name: [1\n", "line 2, column 1"),
        ("name: a\nseeds: [0]\nname: b\n", r"my.yaml:3: 'name' is already set on line 1"),
    ],
)
def test_what_is_no_spec_is_told_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        StudySpec.load(written(tmp_path, text))


def test_a_missing_file_proposes_the_nearest_preset() -> None:
    with pytest.raises(ConfigError, match="did you mean 'demo'"):
        StudySpec.load("dem")


def test_numbers_and_words_are_those_of_yaml_1_2() -> None:
    data = parse("a: 1e-4\nb: no\nc: 2E5\nd: true\ne: .5\nf: 12\ng: none\nh: 0x10\n", "x").data
    assert data == {"a": 1e-4, "b": "no", "c": 2e5, "d": True, "e": 0.5, "f": 12, "g": "none", "h": 16}


def test_a_pruner_needs_something_to_judge_before_the_end(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, "name: a\npruner: {kind: median}\n")
    assert "dev_map is measured at the end only: set objective.metric to dev_accuracy or dev_loss" in problem
    overrides = ["objective.metric=dev_loss", "objective.direction=minimize"]
    assert StudySpec.load(written(tmp_path, "name: a\npruner: {kind: median}\n"), overrides).pruner.kind == "median"


def test_neither_resources_nor_the_corpus_place_change_the_hash(tmp_path: Path) -> None:
    text = "name: a\n"
    plain, elsewhere = StudySpec.load(written(tmp_path, text)), StudySpec.load(written(tmp_path, text), ["resources.workers=4"])
    moved = StudySpec.load(written(tmp_path, text), ["corpus=elsewhere"])
    assert Path(moved.corpus).is_absolute()
    assert plain.hash == elsewhere.hash == moved.hash != StudySpec.load(written(tmp_path, text), ["seeds=[1]"]).hash


def test_a_spec_survives_its_own_yaml(tmp_path: Path) -> None:
    spec = StudySpec.load("search")
    assert StudySpec.load(written(tmp_path, spec.to_yaml())) == spec
