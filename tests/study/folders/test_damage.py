"""Files of a study, damaged: one sentence that names the file, never a value that is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cpc_core.errors import CpcError
from study.folders.provenance import attempts
from study.folders.study_folder import StudyFolder
from study.results.reader import read_study
from tests.helpers.specs import tiny_spec
from tests.helpers.studies import ended_study

LINES = {
    "journal.log": ["{}", "null", '{"op_code": 99}', "[]", '{"op_code": 4}'],
    "trials/t00000/metrics.jsonl": [
        "garbage",
        "null",
        "[]",
        '{"step": 1}',
        '{"step": "x", "outcome": "running", "reason": "", "elapsed_s": 1, "metrics": {}}',
        '{"step": 1, "outcome": "well", "reason": "", "elapsed_s": 1, "metrics": {}}',
        '{"step": 1, "outcome": "running", "reason": "", "elapsed_s": 1, "metrics": {"a": "b"}}',
    ],
}
CONTENTS = {
    "provenance.json": ["null", "[]", "1", ""],
    "prediction.json": ["{}", "null", '{"training_s": 1}'],
    "spec.yaml": ["[]", "name: {", "\x00"],
}


@pytest.fixture
def study(tmp_path: Path) -> Path:
    spec = tiny_spec(objective={"metric": "dev_accuracy"})
    ended_study(tmp_path / "study", spec, lambda _: {"dev_accuracy": 0.5})
    return tmp_path / "study"


def read(study: Path) -> None:
    """All that the pages and tables read."""
    folder = StudyFolder(study)
    read_study(folder)
    folder.prediction()
    folder.provenance()
    for number in range(2):
        folder.trial(number).log()
        attempts(folder.trial(number))


@pytest.mark.parametrize(
    ("name", "line"), [(name, line) for name, lines in LINES.items() for line in lines]
)
def test_a_damaged_line_is_one_sentence(study: Path, name: str, line: str) -> None:
    with (study / name).open("a") as file:
        file.write(line + "\n")
    with pytest.raises(CpcError, match=Path(name).name):
        read(study)


@pytest.mark.parametrize(
    ("name", "content"),
    [(name, content) for name, contents in CONTENTS.items() for content in contents],
)
def test_damaged_content_is_one_sentence(study: Path, name: str, content: str) -> None:
    (study / name).write_text(content)
    with pytest.raises(CpcError, match=name):
        read(study)


def damaged_json(content: bytes, data: st.DataObject) -> bytes:
    """The JSON with one of its values replaced or removed."""
    value = json.loads(content)
    places: list[tuple[Any, Any]] = []

    def collect(node: Any) -> None:
        keys = list(node) if isinstance(node, dict) else range(len(node))
        for key in keys:
            places.append((node, key))
            if isinstance(node[key], dict | list):
                collect(node[key])

    collect(value)
    node, key = data.draw(st.sampled_from(places), label="place")
    replacement: Any = data.draw(
        st.sampled_from([None, True, -1, 1e308, "x", [], {}, "remove"]), label="replacement"
    )
    if replacement == "remove" and isinstance(node, dict):
        del node[key]
    else:
        node[key] = replacement
    return json.dumps(value).encode() + b"\n"


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_random_damage_is_read_or_refused(study: Path, data: st.DataObject) -> None:
    """Bytes flipped or cut, values replaced: a typed error, or a study that can be read."""
    names = [
        "journal.log",
        "provenance.json",
        "spec.yaml",
        "trials/t00000/metrics.jsonl",
        "trials/t00000/trial.json",
        "trials/t00000/config.json",
    ]
    path = study / data.draw(st.sampled_from(names), label="file")
    content = path.read_bytes()
    kind = data.draw(st.sampled_from(["flip", "cut", "json"]), label="kind")
    at = data.draw(st.integers(0, len(content) - 1), label="at")
    if kind == "flip":
        flipped = content[at] ^ data.draw(st.integers(1, 255), label="bits")
        damaged = content[:at] + bytes([flipped]) + content[at + 1 :]
    elif kind == "cut":
        damaged = content[:at]
    elif path.suffix == ".json":
        damaged = damaged_json(content, data)
    else:
        lines = content.splitlines(keepends=True)
        if path.suffix not in (".jsonl", ".log"):
            return
        line = data.draw(st.integers(0, len(lines) - 1), label="line")
        damaged = b"".join([*lines[:line], damaged_json(lines[line], data), *lines[line + 1 :]])
    path.write_bytes(damaged)
    try:
        read(study)
    except CpcError as error:
        assert str(error)
    finally:
        path.write_bytes(content)
