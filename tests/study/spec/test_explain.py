from __future__ import annotations

from typing import Any

import jsonschema
import pytest
import yaml
from pydantic import ValidationError

from cpc_core.config import CpcConfig
from cpc_core.errors import ConfigError
from search_spaces.fields import walk
from search_spaces.knobs import KNOBS
from study.spec.explain import Explanation, explain, settings, spec_schema
from study.spec.presets import preset_names, source_text
from study.spec.study_spec import StudySpec
from study.spec.yaml_document import parse

VALIDATOR = jsonschema.Draft202012Validator(spec_schema())


def test_temperature_is_explained_in_full() -> None:
    assert explain("space.temperature") == Explanation(
        setting="space.temperature",
        meaning="τ divides the similarity (section 3.1: 0.05).",
        type="a list of values, or a range {low, high, log, step} of: number",
        allowed="above 0",
        default="0.05",
        unit="",
        source="the paper, section 3.1",
        within="base.objective.temperature",
    )
    assert explain("temperature") == explain("space.temperature")


def test_a_field_of_several_alternatives_names_them() -> None:
    explained = explain("base.adversary.epsilon_db")
    assert (explained.within, explained.unit, explained.allowed, explained.default) == (
        "kind gaussian, fgsm, rs_fgsm, pgd, free",
        "dB",
        "at most 0",
        "-55.0",
    )
    trials = explain("sampler.trials")
    assert (trials.default, trials.allowed) == ("required", "at least 1")


def test_a_choice_is_explained_by_its_alternatives() -> None:
    explained = explain("space.adversary")
    assert (explained.allowed, explained.default) == (
        "none, gaussian, fgsm, rs_fgsm, pgd, free, additive_noise, speed, pitch",
        '"none"',
    )
    assert "none: Train on the clean audio." in explained.meaning
    assert explain("base.similarity.kind").default == '"nonlinear_cosine"'
    assert explain("base.negatives.sampling").allowed == "local, cross, exclusive"


def test_a_section_lists_what_is_in_it() -> None:
    assert explain("resources").within.startswith("concurrent_trials, workers")
    assert explain("base.encoder").source == "part of what the paper describes in section 3.1"
    assert explain("sampler").allowed == ", ".join(
        f"kind: {kind}" for kind in ("grid", "random", "tpe", "gp", "cmaes", "qmc")
    )


@pytest.mark.parametrize("setting", list(settings()))
def test_every_setting_is_documented(setting: str) -> None:
    explained = explain(setting)
    assert explained.meaning
    assert explained.type and explained.default and explained.source


def test_every_field_of_a_spec_is_a_setting() -> None:
    listed = set(settings())
    assert {f"base.{path}" for path, _ in walk(CpcConfig) if path != "seed"} <= listed
    assert {f"space.{knob}" for knob in KNOBS} <= listed
    assert {
        name
        for name in StudySpec.model_fields
        if not any(each.split(".")[0] == name for each in listed)
    } == set()


@pytest.mark.parametrize(
    ("setting", "nearest"),
    [
        ("space.temprature", "space.temperature"),
        ("encoder", "base.encoder"),
        ("sampler.trails", "sampler.trials"),
        ("base.seed", "base"),
        ("sampel", "sampler"),
    ],
)
def test_what_is_no_setting_is_told_with_the_nearest(setting: str, nearest: str) -> None:
    with pytest.raises(
        ConfigError, match=f"'{setting}' is not a setting of a spec; did you mean '{nearest}"
    ):
        explain(setting)


def test_claims_and_scales_are_settings_too() -> None:
    assert {"claims.better", "claims.than", "claims.margin", "scales", "sampler.design"} <= set(
        settings()
    )


@pytest.mark.parametrize("name", preset_names())
def test_the_schema_accepts_every_preset(name: str) -> None:
    data = parse(*source_text(name)).data
    VALIDATOR.validate(data)
    VALIDATOR.validate(yaml.safe_load(StudySpec.load(name).to_yaml()))


@pytest.mark.parametrize(
    "wrong",
    [
        {"questoin": "?"},
        {"name": "Bad Name"},
        {"base": {"encoder": {"widht": 3}}},
        {"base": {"adversary": {"kind": "fgms"}}},
        {"base": {"seed": 3}},
        {"space": {"temprature": [1.0]}},
        {"space": {"temperature": []}},
        {"space": {"temperature": {"low": 1.0}}},
        {"seeds": [-1]},
        {"scales": {"small": 3}},
        {"sampler": {"kind": "tpe"}},
        {"claims": [{"question": "Better?", "better": {"temperature": 1}}]},
    ],
)
def test_the_schema_refuses_what_a_spec_refuses(wrong: dict[str, Any]) -> None:
    data = {"name": "a", **wrong}
    assert not VALIDATOR.is_valid(data)
    if "base" not in wrong and "temprature" not in str(wrong):
        with pytest.raises(ValidationError):
            StudySpec.model_validate(data)


def test_the_schema_is_a_schema_with_every_docstring() -> None:
    schema = spec_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert (
        schema["$defs"]["ObjectiveConfig"]["properties"]["temperature"]["description"]
        == "τ divides the similarity (section 3.1: 0.05)."
    )
    assert schema["properties"]["base"]["$ref"] == "#/$defs/CpcConfig"
