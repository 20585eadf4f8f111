from __future__ import annotations

from pathlib import Path

import pytest

from cpc_core.errors import ConfigError
from study.spec.cell_selector import Selector
from study.spec.study_spec import StudySpec
from tests.helpers.specs import problems, written

SPEC = """name: a
space:
  adversary: [none, gaussian, fgsm]
  epsilon_db: {values: [-65, -55], when: {adversary: [fgsm]}}
  negatives: [cross]
"""


def claim(better: str, than: str = "{adversary: none}", rest: str = "") -> str:
    sides = f"    better: {better}\n    than: {than}\n"
    return f"{SPEC}claims:\n  - question: Does it help?\n{sides}{rest}"


def test_a_claim_is_read_with_the_spec(tmp_path: Path) -> None:
    spec = StudySpec.load(
        written(
            tmp_path,
            claim(
                "{adversary: fgsm, epsilon_db: best}",
                rest="    metric: dev_loss\n    margin: 1e-2\n",
            ),
        )
    )
    (found,) = spec.claims
    assert (found.question, found.metric, found.direction, found.margin) == (
        "Does it help?",
        "dev_loss",
        None,
        0.01,
    )
    assert found.better == Selector({"adversary": "fgsm", "epsilon_db": "best"})
    assert StudySpec.load(written(tmp_path, spec.to_yaml())) == spec


def test_a_claim_changes_no_trial(tmp_path: Path) -> None:
    plain = StudySpec.load(written(tmp_path, SPEC))
    assert StudySpec.load(written(tmp_path, claim("{adversary: gaussian}"))).hash == plain.hash


@pytest.mark.parametrize(
    ("better", "than", "message"),
    [
        (
            "{adversry: fgsm}",
            "{adversary: none}",
            "my.yaml:8: 'adversry' is not a knob that this study varies; did you mean 'adversary'?",
        ),
        (
            "{adversary: pgd}",
            "{adversary: none}",
            "my.yaml:8: 'pgd' is not among the values of 'adversary': ['none', 'gaussian', 'fgsm']",
        ),
        (
            "{adversary: fgsm, epsilon_db: -50}",
            "{adversary: none}",
            "my.yaml:8: -50 is not among the values of 'epsilon_db': [-65, -55]",
        ),
        (
            "{adversary: fgsm}",
            "{adversary: none}",
            "my.yaml:8: 'epsilon_db' varies in this study: give it a value, or 'epsilon_db: best'",
        ),
        (
            "{epsilon_db: -55}",
            "{adversary: none}",
            "my.yaml:8: 'adversary' varies in this study: give it a value, or 'adversary: best'",
        ),
        (
            "{adversary: gaussian}",
            "{adversary: none, epsilon_db: best}",
            "my.yaml:9: 'epsilon_db' has no value where 'adversary' is 'none': leave it out",
        ),
        (
            "{adversary: best, epsilon_db: best}",
            "{adversary: none}",
            "my.yaml:9: both sides of the claim can be the same cell: give a knob different values "
            "in 'better' and 'than'",
        ),
    ],
)
def test_a_claim_without_an_answer_is_named_by_its_line(
    tmp_path: Path, better: str, than: str, message: str
) -> None:
    assert message in problems(tmp_path, claim(better, than))


def test_a_claim_of_the_wrong_form_is_named_by_its_line(tmp_path: Path) -> None:
    text = claim(
        "{adversary: gaussian}", rest="    metric: dev_mapp\n    margin: -1\n    bettr: 3\n"
    )
    found = problems(tmp_path, text)
    assert any(
        problem.startswith("my.yaml:10: claims.0.metric: input should be 'dev_map'")
        for problem in found
    )
    assert (
        "my.yaml:11: claims.0.margin: input should be greater than or equal to 0, not -1" in found
    )
    assert "my.yaml:12: 'claims.0.bettr' is not a setting; did you mean 'better'?" in found


def test_in_a_search_only_best_selects_from_a_range(tmp_path: Path) -> None:
    text = """name: a
space:
  adversary: [none, fgsm]
  temperature: {low: 0.1, high: 1.0}
sampler: {kind: random, trials: 4}
claims:
  - question: Does it help?
    better: {adversary: fgsm, temperature: 0.5}
    than: {adversary: none, objective.temperature: best}
"""
    assert problems(tmp_path, text) == [
        "my.yaml:8: 'temperature' is searched as a range: write 'temperature: best' instead of 0.5"
    ]
    assert StudySpec.load(written(tmp_path, text.replace("0.5", "best"))).claims


def test_selectors_match_by_field_whatever_the_knob_is_called() -> None:
    selector = Selector({"temperature": 1, "adversary": "best"})
    assert selector.matches({"objective.temperature": 1.0, "adversary.kind": "fgsm"})
    assert selector.matches({"temperature": 1.0})
    assert not selector.matches({"temperature": 0.5, "adversary": "fgsm"})
    assert not selector.matches({"adversary": "fgsm"})


def test_selectors_exclude_each_other_by_one_differing_value() -> None:
    first = Selector({"adversary": "fgsm", "epsilon_db": "best"})
    assert first.excludes(Selector({"adversary.kind": "none"}))
    assert not first.excludes(Selector({"adversary": "fgsm"}))
    assert not first.excludes(Selector({"epsilon_db": -55}))


def test_selectors_are_read_from_the_command_line() -> None:
    assert Selector.from_text("similarity=dot, temperature=1e-1") == Selector(
        {"similarity": "dot", "temperature": 0.1}
    )
    for wrong in ("dot", "=dot", "temperature=[1", "temperature=[1]"):
        with pytest.raises(ConfigError, match=r"knob=value|not YAML|a number or a word"):
            Selector.from_text(wrong)
