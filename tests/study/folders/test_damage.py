"""Files of a study, damaged: one sentence that names the file, never a value that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cpc_core.errors import CpcError
from study.folders.provenance import attempts
from study.folders.study_folder import StudyFolder
from study.results.reader import read_study
from tests.helpers.damage import with_random_damage
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
    if path.suffix in (".jsonl", ".log"):
        lines = content.splitlines(keepends=True)
        line = data.draw(st.integers(0, len(lines) - 1), label="line")
        changed = with_random_damage(lines[line], data, is_json=True)
        damaged = b"".join([*lines[:line], changed, *lines[line + 1 :]])
    else:
        damaged = with_random_damage(content, data, is_json=path.suffix == ".json")
    path.write_bytes(damaged)
    try:
        read(study)
    except CpcError as error:
        assert str(error)
    finally:
        path.write_bytes(content)
