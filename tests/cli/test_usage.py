"""Help, exit codes, and one clear sentence for what a user gets wrong."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.cli import COMMANDS, cpc


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, tmp_path: Path) -> None:
    result = cpc(*command.split(), "--help", cwd=tmp_path)
    assert result.code == 0
    usage = re.sub(r"\s+", " ", result.out)
    assert f"Usage: cpc {command}" in usage
    # Parameters without a description leave nothing between their name and type and the end of the
    # row.
    assert not re.findall(
        r"^│ (?:\* +)?--?\S+(?: +-\S+)* *(?:STR|INT|FLOAT|PATH|CHOICE)?\.* *│$",
        result.out,
        flags=re.MULTILINE,
    )


def test_the_first_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from study.cli import app\n"
        "app('--help', result_action='return_none')\n"
        "sys.exit(','.join({'torch', 'ray', 'optuna', 'plotly', 'pydantic', 'numpy'} & set(sys.modules)) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.returncode == 0
    assert "Exit codes" in done.stdout


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        ("study validate nowhere.yaml", 2, "there is no spec file or preset 'nowhere.yaml'"),
        (
            "study validate demo --set base.encoder.widht=3",
            2,
            "'base.encoder.widht' is not a setting; did you mean 'width'?",
        ),
        ("study show demo", 3, "there is no study 'demo' here"),
        ("study best demo", 3, "there is no study 'demo' here"),
        ("report demo -o x.html", 3, "there is no study 'demo' here"),
        ("dashboard demo", 3, "there is no study 'demo' here"),
        ("export demo -o x", 2, "say which model"),
        ("probe nothing sample", 3, "is no checkpoint or export"),
        ("data info nothing", 3, "there is no corpus folder"),
        ("data import nothing -o x", 3, "nothing"),
        ("trial run --temperature 0", 2, "greater than 0"),
        ("trial run --epsilon-db 6", 2, "less than or equal to 0"),
        ("trial run --adversary fgms", 2, "fgms"),
        ("study frobnicate", 2, "frobnicate"),
        ("study run demo --set corpus=/nowhere", 3, "there is no corpus folder"),
    ],
)
def test_a_mistake_gives_one_sentence_and_its_exit_code(
    command: str, code: int, message: str, tmp_path: Path
) -> None:
    result = cpc(*command.split(), cwd=tmp_path)
    assert result.code == code
    assert message in re.sub(r"\s+", " ", result.err)
    assert "Traceback" not in result.err
    assert result.out == ""


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "study.cli", "study", "show", "demo", "--debug"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "Traceback" in done.stderr


def test_validate_says_what_a_spec_holds(tmp_path: Path) -> None:
    result = cpc("study", "validate", "demo", cwd=tmp_path)
    assert result.code == 0
    assert "8 trials = 4 cells × 2 seeds" in result.err


def test_plan_prints_cells_and_time(tmp_path: Path) -> None:
    result = cpc(
        "study", "plan", "demo", "-o", "csv", "--set", "base.encoder.width=8", cwd=tmp_path
    )
    assert result.code == 0
    lines = result.out.splitlines()
    assert lines[0] == "cell,trials,steps,seconds_per_step,minutes_per_trial"
    assert len(lines) == 1 + 4
    assert re.search(r"about (\d+ min )?\d+ s with 2 trials at a time", result.err)
