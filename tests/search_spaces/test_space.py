from __future__ import annotations

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from pydantic import ValidationError

from cpc_core.config import CpcConfig
from cpc_core.errors import ConfigError
from search_spaces.fields import allowed_values, fields_at, walk
from search_spaces.knobs import KNOBS
from search_spaces.space import SearchSpace, apply

CONDITIONAL = SearchSpace.model_validate(
    {
        "adversary": ["none", "gaussian", "fgsm"],
        "epsilon_db": {"values": [-75, -55], "when": {"adversary": ["fgsm"]}},
        "similarity": ["dot", "cosine"],
    }
)


def test_every_knob_names_a_field() -> None:
    assert all(fields_at(name) for name in KNOBS)


def test_every_field_has_a_docstring() -> None:
    undocumented = [
        path for path, field in walk() if not field.description and not path.endswith(".kind")
    ]
    assert undocumented == []


def test_a_conditional_grid_repeats_no_cell() -> None:
    cells = CONDITIONAL.grid()
    assert len(cells) == (1 + 1 + 2) * 2
    assert len({tuple(cell.items()) for cell in cells}) == len(cells)
    assert all(("epsilon_db" in cell) == (cell["adversary"] == "fgsm") for cell in cells)


def test_a_sample_asks_only_for_what_its_conditions_allow() -> None:
    asked: list[str] = []

    def suggest(name: str, distribution: object) -> str | float:
        asked.append(name)
        return {"adversary": "none", "similarity": "dot"}[name]

    assert CONDITIONAL.sample(suggest) == {"adversary": "none", "similarity": "dot"}
    assert asked == ["adversary", "similarity"]


def test_distributions_follow_the_fields_type() -> None:
    space = SearchSpace.model_validate(
        {
            "width": {"low": 32, "high": 512, "log": True},
            "temperature": {"low": 0.02, "high": 1.0, "log": True},
            "negatives": ["local", "cross"],
        }
    )
    assert space.distribution("width") == IntDistribution(32, 512, log=True)
    assert space.distribution("temperature") == FloatDistribution(0.02, 1.0, log=True)
    assert space.distribution("negatives") == CategoricalDistribution(("local", "cross"))


def test_changing_the_kind_leaves_the_other_kinds_fields_behind() -> None:
    base = {
        "adversary": {"kind": "pgd", "epsilon_db": -45.0, "attack_steps": 7},
        "encoder": {"width": 64},
    }
    assert apply(base, {"adversary": "none"}, seed=1) == CpcConfig.model_validate(
        {"encoder": {"width": 64}, "seed": 1}
    )
    fgsm = apply(base, {"adversary": "fgsm"}, seed=0).adversary
    assert (fgsm.kind, fgsm.epsilon_db) == ("fgsm", -45.0)  # type: ignore[attr-defined]
    assert apply(base, {"epsilon_db": -50.0}, seed=0).adversary.attack_steps == 7  # type: ignore[attr-defined]
    assert base["adversary"] == {"kind": "pgd", "epsilon_db": -45.0, "attack_steps": 7}


def test_a_samples_own_fields_are_never_dropped() -> None:
    with pytest.raises(ValidationError, match="epsilon_db"):
        apply({}, {"adversary": "none", "epsilon_db": -50.0}, seed=0)


def test_names_that_mean_nothing_are_told_with_the_nearest_one() -> None:
    space = SearchSpace.model_validate(
        {"temprature": [1.0], "similarity": {"low": 0, "high": 1}, "width": {"low": 8, "high": 16}}
    )
    problems = dict(space.problems(ranges=False))
    assert (
        problems["temprature",]
        == "'temprature' is not a knob or a field; did you mean 'temperature'?"
    )
    assert (
        problems["similarity",]
        == "'similarity' is not a number but one of dot, cosine, nonlinear_cosine: list its values"
    )
    assert "a grid needs listed values" in problems["width",]
    assert len(dict(space.problems(ranges=True))) == 2


def test_a_condition_must_name_a_listed_knob_above_it() -> None:
    space = SearchSpace.model_validate(
        {
            "epsilon_db": {"values": [-50], "when": {"adversary": ["fgsm"]}},
            "adversary": ["none", "fgsm"],
        }
    )
    assert [path for path, _ in space.problems(ranges=False)] == [
        ("epsilon_db", "when", "adversary")
    ]
    wrong = SearchSpace.model_validate(
        {"adversary": ["none"], "epsilon_db": {"values": [-50], "when": {"adversary": ["fgsm"]}}}
    )
    assert [problem for _, problem in wrong.problems(ranges=False)] == [
        "'fgsm' is not among the values of 'adversary': ['none']"
    ]


@pytest.mark.parametrize(
    ("dimension", "message"),
    [
        ({"low": 2, "high": 1}, "low 2 must be below high 1"),
        ({"low": 0, "high": 1, "log": True}, "needs low above 0"),
        ({"values": [1, 1]}, "listed twice"),
        ({"values": []}, "at least 1 item"),
    ],
)
def test_impossible_dimensions(dimension: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SearchSpace.model_validate({"temperature": dimension})


def test_one_at_a_time_changes_each_knob_from_the_first_cell() -> None:
    space = SearchSpace.model_validate(
        {
            "adversary": ["fgsm", "none", "gaussian"],
            "epsilon_db": {"values": [-55, -45], "when": {"adversary": ["fgsm"]}},
            "temperature": [0.05, 1.0, 0.3],
        }
    )
    assert space.one_at_a_time() == [
        {"adversary": "fgsm", "epsilon_db": -55, "temperature": 0.05},
        {"adversary": "none", "temperature": 0.05},
        {"adversary": "gaussian", "temperature": 0.05},
        {"adversary": "fgsm", "epsilon_db": -45, "temperature": 0.05},
        {"adversary": "fgsm", "epsilon_db": -55, "temperature": 1.0},
        {"adversary": "fgsm", "epsilon_db": -55, "temperature": 0.3},
    ]
    assert all(cell in space.grid() for cell in space.one_at_a_time())
    with pytest.raises(ConfigError, match="'temperature' is a range"):
        SearchSpace.model_validate({"temperature": {"low": 0.1, "high": 1}}).one_at_a_time()


def test_a_knob_that_the_first_cell_lacks_is_not_varied() -> None:
    space = SearchSpace.model_validate(
        {
            "adversary": ["none", "fgsm"],
            "epsilon_db": {"values": [-55, -45], "when": {"adversary": ["fgsm"]}},
        }
    )
    assert space.one_at_a_time() == [
        {"adversary": "none"},
        {"adversary": "fgsm", "epsilon_db": -55},
    ]


def test_a_range_has_no_grid_and_a_choice_lists_its_values() -> None:
    with pytest.raises(ConfigError, match="'temperature' is a range"):
        SearchSpace.model_validate({"temperature": {"low": 0.1, "high": 1}}).grid()
    assert allowed_values("negatives") == ("local", "cross", "exclusive")
    assert allowed_values("temperature") is None
