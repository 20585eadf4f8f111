from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from cpc_core.adversary.base import SizedAdversary
from cpc_core.adversary.fgsm import Fgsm
from cpc_core.adversary.noise import Gaussian
from cpc_core.config import CpcConfig
from cpc_core.errors import ConfigError
from study.analysis.published import TABLE_1
from study.spec.messages import SpecError
from study.spec.presets import preset_names, scales
from study.spec.study_spec import StudySpec
from study.spec.yaml_document import dump, load, parse
from tests.helpers.specs import problems, written


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_valid_and_has_a_question(name: str) -> None:
    spec = StudySpec.load(name)
    assert spec.name == name
    assert spec.question.endswith("?")
    assert spec.planned_trials > 0


def test_the_demo_has_four_cells_of_figure_1_and_local_negatives() -> None:
    spec = StudySpec.load("demo")
    assert spec.planned_trials == 15
    configs = [spec.config(cell, seed) for cell in spec.space.grid() for seed in spec.seeds]
    assert {
        (
            config.negatives.sampling,
            config.similarity.kind,
            config.objective.temperature,
            config.seed,
        )
        for config in configs
    } == {
        *product(("cross",), ("dot", "nonlinear_cosine"), (1.0, 0.05), (0, 1, 2)),
        *product(("local",), ("nonlinear_cosine",), (0.05,), (0, 1, 2)),
    }


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
        "my.yaml:5: base.adversary: 'fgms' is not one of none, gaussian, fgsm, rs_fgsm, pgd, free, "
        "additive_noise, speed, pitch; did you mean 'fgsm'?",
        "my.yaml:6: base.objective.temperature: input should be greater than 0, not -1",
        "my.yaml:7: base.optimizer.learning_rate: input should be a valid number, unable to parse "
        "string as a number, not 'fast'",
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
    assert any(
        problem.startswith("my.yaml:5: adversary=foo: 'foo' is not one of") for problem in found
    )
    assert any("first safe step is 3" in problem for problem in found)


def test_overrides_win_and_are_named_in_errors(tmp_path: Path) -> None:
    text = "name: a\nbase: {encoder: {width: 8}}\nseeds: [0]\n"
    spec = StudySpec.load(
        written(tmp_path, text),
        ["base.encoder.width=16", "base.objective.temperature=1e-1", "seeds=[3, 4]"],
    )
    config = spec.config({}, spec.seeds[1])
    assert (config.encoder.width, config.objective.temperature, config.seed) == (16, 0.1, 4)
    assert problems(tmp_path, text, ["seeds=[-1]"]) == [
        "--set: seeds.0: input should be greater than or equal to 0, not -1"
    ]
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


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("2E5", 2e5),
        (".5", 0.5),
        ("0x10", 16),
        ("0o17", 15),
        ("0100", 100),
        ("-08", -8),
        ("True", True),
        ("no", "no"),
        ("On", "On"),
        ("none", "none"),
        ("~", None),
        ("1:30", "1:30"),
        ("190:20:30.15", "190:20:30.15"),
        ("1_000", 1000),
        ("0b11", "0b11"),
        ("2024-01-01", "2024-01-01"),
        ("2001-12-14t21:59:43.10-05:00", "2001-12-14t21:59:43.10-05:00"),
        ("=", "="),
    ],
)
def test_plain_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    (read,) = parse(f"a: {text}\n", "x").data.values()
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize(
    "value", ["1e5", "0o17", "0100", "1:30", "no", "2024-01-01", "~", "", "1_000", 8, 8.0, 1e-5]
)
def test_readers_of_both_versions_read_back_what_is_written(value: object) -> None:
    for read in (load(dump({"a": value})), yaml.safe_load(dump({"a": value}))):
        assert (read["a"], type(read["a"])) == (value, type(value))


def test_a_name_like_a_date_survives_being_written(tmp_path: Path) -> None:
    spec = StudySpec.load(written(tmp_path, "name: 2024-01-01\nquestion: '1e5'\n"))
    assert (spec.name, spec.question) == ("2024-01-01", "1e5")
    assert StudySpec.load(written(tmp_path, spec.to_yaml())) == spec


@pytest.mark.parametrize(
    "forms",
    [
        ["base: {data: {batch_size: 8}}", "base: {data: {batch_size: 8.0}}"],
        ["base: {data: {batch_size: 8}}", "base: {data: {batch_size: '8'}}"],
        ["base: {objective: {temperature: 1}}", "base: {objective: {temperature: '1.0'}}"],
        ["base: {negatives: {share_over_k: true}}", "base: {negatives: {share_over_k: yes}}"],
        ["space: {batch_size: [8, 16]}", "space: {batch_size: ['8', 16.0]}"],
        ["space: {temperature: [0.1, 1]}", "space: {temperature: ['0.1', 1.0]}"],
        ["space: {share_over_k: [true, false]}", "space: {share_over_k: [on, off]}"],
        ["seeds: [1]", "seeds: ['1']"],
    ],
)
def test_one_value_is_one_hash_in_every_form(tmp_path: Path, forms: list[str]) -> None:
    one, other = (StudySpec.load(written(tmp_path, f"name: a\n{form}\n")) for form in forms)
    assert one.hash == other.hash
    assert one.to_yaml() == other.to_yaml()
    changed = StudySpec.load(written(tmp_path, "name: a\nbase: {data: {batch_size: 4}}\n"))
    assert changed.hash != one.hash


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seeds: 3", "my.yaml:2: seeds: a list is needed: write [3]"),
        (
            "space: {temperature: 0.5}",
            "my.yaml:2: space.temperature: a list is needed: write [0.5]",
        ),
        ("space: {loss: bce}", "my.yaml:2: space.loss: a list is needed: write [bce]"),
        (
            "space: {batch_size: [8, '8']}",
            "my.yaml:2: space.batch_size: a value is listed twice: [8, 8]",
        ),
        ("space: {5: [1]}", "my.yaml:2: space.5: input should be a valid string, not 5"),
    ],
)
def test_a_value_of_the_wrong_form_is_told_with_the_right_one(
    tmp_path: Path, text: str, message: str
) -> None:
    assert problems(tmp_path, f"name: a\n{text}\n") == [message]


def test_a_number_of_too_many_digits_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"my\.yaml: not YAML: line 2, column 9"):
        StudySpec.load(written(tmp_path, f"name: a\nseeds: [{'9' * 5000}]\n"))


def test_a_pruner_needs_something_to_judge_before_the_end(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, "name: a\npruner: {kind: median}\n")
    assert (
        "dev_map is measured at the end only: set objective.metric to dev_accuracy or "
        "dev_ranking_accuracy or dev_loss" in problem
    )
    overrides = ["objective.metric=dev_loss", "objective.direction=minimize"]
    assert (
        StudySpec.load(
            written(tmp_path, "name: a\npruner: {kind: median}\n"), overrides
        ).pruner.kind
        == "median"
    )


INFONCE = """name: a
space: {loss: [bce, infonce]}
objective: METRIC
claims:
  - {question: Better, metric: train_accuracy, better: {loss: bce}, than: {loss: infonce}}
  - {question: Better, better: {loss: bce}, than: {loss: infonce}}
"""


@pytest.mark.parametrize("several", [False, True])
def test_accuracies_that_infonce_leaves_open_are_refused(tmp_path: Path, several: bool) -> None:
    metric = "{metric: dev_accuracy}"
    metric = f"[{{metric: dev_map}}, {metric}]" if several else metric
    sampler = "sampler: {kind: tpe, trials: 3}\n" if several else ""
    found = problems(tmp_path, INFONCE.replace("METRIC", metric) + sampler)
    open_ = "means nothing under InfoNCE, whose loss leaves the level of the logits open"
    assert found == [
        f"my.yaml:3: dev_accuracy {open_}: take dev_ranking_accuracy",
        f"my.yaml:5: train_accuracy {open_}: take train_ranking_accuracy",
    ]


@pytest.mark.parametrize(
    ("changes", "accuracy"),
    [
        ({}, "accuracy"),
        ({"space": {"loss": ["bce"]}}, "accuracy"),
        ({"space": {"loss": ["bce", "infonce"]}}, "ranking_accuracy"),
        ({"space": {"objective.loss": ["infonce"]}}, "ranking_accuracy"),
        ({"base": {"objective": {"loss": "infonce"}}}, "ranking_accuracy"),
    ],
)
def test_trials_share_an_accuracy(changes: dict[str, Any], accuracy: str) -> None:
    assert StudySpec.model_validate({"name": "a", **changes}).accuracy == accuracy


def test_neither_resources_nor_the_corpus_place_change_the_hash(tmp_path: Path) -> None:
    text = "name: a\n"
    plain, elsewhere = (
        StudySpec.load(written(tmp_path, text)),
        StudySpec.load(written(tmp_path, text), ["resources.workers=4"]),
    )
    moved = StudySpec.load(written(tmp_path, text), ["corpus=elsewhere"])
    assert Path(moved.corpus).is_absolute()
    assert (
        plain.hash
        == elsewhere.hash
        == moved.hash
        != StudySpec.load(written(tmp_path, text), ["seeds=[1]"]).hash
    )


def test_a_spec_survives_its_own_yaml(tmp_path: Path) -> None:
    spec = StudySpec.load("search")
    assert StudySpec.load(written(tmp_path, spec.to_yaml())) == spec


SCALED = """name: a
base:
  encoder: {width: 8}
  training: {steps: 100, report_every: 10}
space:
  temperature: [1.0]
scales:
  small:
    base: {training: {steps: 20}}
  large:
    name: b
    base:
      encoder: {width: 16}
    space: {negatives: [cross, local]}
    seeds: [0, 1]
"""


def test_a_scale_is_laid_over_the_common_settings(tmp_path: Path) -> None:
    small, large = (
        StudySpec.load(written(tmp_path, SCALED), scale=scale) for scale in (None, "large")
    )
    assert small == StudySpec.load(written(tmp_path, SCALED), scale="small")
    assert (small.name, small.base["encoder"], small.base["training"], small.seeds) == (
        "a", {"width": 8}, {"steps": 20, "report_every": 10}, (0,),
    )  # fmt: skip
    assert (large.name, large.base["encoder"], large.base["training"]["steps"], large.seeds) == (
        "b",
        {"width": 16},
        100,
        (0, 1),
    )
    assert large.space.knobs == ("temperature", "negatives")
    assert (small.scales, large.scales) == ({}, {})
    assert scales(written(tmp_path, SCALED)) == ("small", "large")


def test_overrides_win_over_scales(tmp_path: Path) -> None:
    assert (
        StudySpec.load(written(tmp_path, SCALED), ["base.training.steps=7"]).base["training"][
            "steps"
        ]
        == 7
    )


def test_problems_of_a_scale_are_told_with_its_lines(tmp_path: Path) -> None:
    text = SCALED.replace("{width: 16}", "{widht: 16}").replace("steps: 20", "steps: 0")
    with pytest.raises(SpecError) as caught:
        StudySpec.load(written(tmp_path, text), scale="large")
    assert caught.value.problems == [
        "my.yaml:13: 'base.encoder.widht' is not a setting; did you mean 'width'?"
    ]
    assert problems(tmp_path, text) == [
        "my.yaml:9: base.training.steps: input should be greater than or equal to 1, not 0"
    ]


def test_a_scale_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"my.yaml:7: there is no scale 'huge', it has small, large"
    ):
        StudySpec.load(written(tmp_path, SCALED), scale="huge")
    with pytest.raises(
        ConfigError, match=r"there is no scale 'paper', it has none: leave out --scale"
    ):
        StudySpec.load("demo", scale="paper")
    assert any(
        problem.startswith("my.yaml:2: scales.small: ")
        for problem in problems(tmp_path, "name: a\nscales: {small: 3}\n")
    )


PAPER_SCALED = [name for name in preset_names() if scales(name)]


def test_every_preset_but_the_demo_has_two_scales() -> None:
    assert [name for name in preset_names() if name not in PAPER_SCALED] == ["demo"]
    assert {scales(name) for name in PAPER_SCALED} == {("small", "paper")}


@pytest.mark.parametrize("name", PAPER_SCALED)
def test_the_paper_scale_is_the_papers(name: str) -> None:
    spec = StudySpec.load(name, scale="paper")
    assert spec.name == f"{name}_paper"
    small = StudySpec.load(name)
    assert (spec.question, spec.seeds) == (small.question, small.seeds)
    asked, small_asked = (
        [(claim.question, claim.metric, claim.direction) for claim in each.claims]
        for each in (spec, small)
    )
    assert asked == small_asked
    paper = CpcConfig()
    for sample in spec.probe_samples:
        config = spec.config(sample, 0)
        steps = sample.get("steps") or (1_000_000 if name == "table3_final" else 400_000)
        assert (config.encoder.width, config.data.batch_size, config.training.steps) == (
            paper.encoder.width,
            paper.data.batch_size,
            steps,
        )
        assert (
            config.encoder == paper.encoder or sample.get("encoder_preset") == config.encoder.preset
        )
        assert (config.optimizer.learning_rate, config.optimizer.final_learning_rate) == (
            1e-4,
            1e-6,
        )
        assert (
            not isinstance(config.adversary, SizedAdversary) or config.adversary.warmup_steps == 0
        )


@pytest.mark.parametrize("scale", ["small", "paper"])
def test_table_1_has_the_rows_of_the_paper(scale: str) -> None:
    spec = StudySpec.load("table1_epsilon", scale=scale)
    cells = {(sample["adversary"], sample.get("epsilon_db")) for sample in spec.probe_samples}
    assert {(row.adversary, row.epsilon_db) for row in TABLE_1} <= cells | {("gaussian", None)}


@pytest.mark.parametrize("scale", ["small", "paper"])
def test_noise_has_the_strengths_and_warmup_of_fgsm(scale: str) -> None:
    spec = StudySpec.load("table1_epsilon", scale=scale)
    configs = [spec.config(sample, 0).adversary for sample in spec.probe_samples]
    sizes: dict[type[SizedAdversary], list[tuple[float, int]]] = {}
    for adversary in configs:
        if isinstance(adversary, SizedAdversary):
            sizes.setdefault(type(adversary), []).append(
                (adversary.epsilon_db, adversary.warmup_steps)
            )
    assert set(sizes) == {Gaussian, Fgsm}
    assert sizes[Gaussian] == sizes[Fgsm]
    assert len(sizes[Fgsm]) == 5


@pytest.mark.parametrize("scale", ["small", "paper"])
@pytest.mark.parametrize("name", ["table1_epsilon", "table3_final", "search"])
def test_a_clean_control_costs_as_much_as_an_attack(name: str, scale: str) -> None:
    """An attacked step has two backward passes, so the control has twice the steps."""
    spec = StudySpec.load(name, scale=scale)
    steps: dict[str, set[int]] = {}
    for sample in spec.probe_samples:
        config = spec.config(sample, 0)
        steps.setdefault(config.adversary.kind, set()).add(config.training.steps)
    (attacked,) = steps["fgsm"]
    assert max(steps["none"]) == 2 * attacked
    claimed = [
        claim.than.root["steps"]
        for claim in spec.claims
        if claim.better.root["adversary"] == "fgsm" and claim.than.root["adversary"] == "none"
    ]
    assert claimed == ([attacked, 2 * attacked] if name != "search" else [])


def test_the_ablation_changes_one_choice_of_the_best_model() -> None:
    spec = StudySpec.load("ablation", scale="paper")
    reference = spec.config(spec.reference or {}, 0)
    best = CpcConfig.model_validate(
        {
            "adversary": {"kind": "fgsm", "epsilon_db": -55},
            "initialisation": {"kind": "plain"},
            "training": {"report_every": 5000},
        }
    )
    assert reference == best
    for sample in list(spec.probe_samples)[1:]:
        changed = {name for name, value in sample.items() if (spec.reference or {})[name] != value}
        assert len(changed) == 1 or sample["adversary"] == "none"


ONE_AT_A_TIME = """name: a
space:
  adversary: [fgsm, none]
  epsilon_db: {values: [-55, -45], when: {adversary: [fgsm]}}
  temperature: [0.05, 1.0, 0.3]
sampler: {kind: grid, design: one_at_a_time}
seeds: [0, 1]
claims:
  - question: Does it help?
    better: {adversary: fgsm}
    than: {adversary: none}
"""


def test_claims_of_an_ablation_name_only_what_differs(tmp_path: Path) -> None:
    spec = StudySpec.load(written(tmp_path, ONE_AT_A_TIME))
    assert spec.planned_trials == 5 * 2
    (stated,) = spec.completed_claims
    assert stated.better.root == {"adversary": "fgsm", "epsilon_db": -55, "temperature": 0.05}
    assert stated.than.root == {"adversary": "none", "temperature": 0.05}
    text = ONE_AT_A_TIME.replace(
        "than: {adversary: none}", "than: {adversary: none, temperature: 1.0}"
    )
    (problem,) = problems(tmp_path, text)
    assert problem.startswith(
        "my.yaml:11: no cell is like that: a one-at-a-time grid varies one knob"
    )
    full = problems(tmp_path, ONE_AT_A_TIME.replace(", design: one_at_a_time", ""))
    assert (
        "my.yaml:10: 'temperature' varies in this study: give it a value, or 'temperature: best'"
        in full
    )


def test_a_section_of_the_base_is_known_outside_of_it(tmp_path: Path) -> None:
    found = problems(tmp_path, "name: a\nquestion: Which?\ntraining: {steps: 3}\n")
    assert found == ["my.yaml:3: 'training' is not a setting; did you mean 'base.training'?"]
