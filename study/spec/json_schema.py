"""The JSON Schema of a spec file: what an editor needs to complete and check one while it is
written.
"""

from __future__ import annotations

from typing import Any

from cpc_core.config import CpcConfig
from search_spaces.fields import walk
from search_spaces.knobs import KNOBS
from study.spec.study_spec import StudySpec

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def spec_schema() -> dict[str, Any]:
    """The schema of a spec file, with every field's docstring, the trial configuration under
    `base`, and the knobs of `space`.

    It knows each setting alone. What settings mean together, say a crop too short for the last
    predicted step, is for `cpc study validate`.
    """
    schema = StudySpec.model_json_schema()
    config = CpcConfig.model_json_schema()
    definitions = {**schema["$defs"], **config.pop("$defs")}
    # Replicates are listed under `seeds`.
    del config["properties"]["seed"]
    dimension = definitions["SearchSpace"]["additionalProperties"]
    listed = definitions["Values"]["properties"]["values"]
    definitions["SearchSpace"] = {
        "type": "object",
        "description": definitions["SearchSpace"]["description"],
        "propertyNames": {
            "enum": [*KNOBS, *dict.fromkeys(path for path, _ in walk(CpcConfig) if path != "seed")]
        },
        "additionalProperties": {
            "anyOf": [{**listed, "title": "A list of values"}, *dimension["oneOf"]]
        },
    }
    definitions["CpcConfig"] = config
    base = schema["properties"]["base"]
    schema["properties"]["base"] = {"$ref": "#/$defs/CpcConfig", "description": base["description"]}
    definitions["Scale"] = _scale(schema["properties"], config)
    schema["properties"]["scales"]["additionalProperties"] = {"$ref": "#/$defs/Scale"}
    # A file may leave its name to its scales.
    del schema["required"]
    rest = {key: part for key, part in schema.items() if key not in ("$defs", "title")}
    return {"$schema": DIALECT, "title": "cpc-study spec", **rest, "$defs": definitions}


def _scale(properties: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    """What is laid over the rest of the file: any of its settings, where a choice of `kind` may
    have been made elsewhere.
    """
    partly = {
        name: {"anyOf" if keyword == "oneOf" else keyword: value for keyword, value in part.items()}
        for name, part in config["properties"].items()
    }
    own = {name: part for name, part in properties.items() if name != "scales"}
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            **own,
            "base": {"type": "object", "additionalProperties": False, "properties": partly},
        },
    }
