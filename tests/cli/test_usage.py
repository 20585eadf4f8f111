"""Help, exit codes, and one clear sentence for what a user gets wrong."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from search_spaces.fields import allowed_values
from study.errors import NotFoundError
from study.home import list_studies, study_folder
from tests.helpers.cli import COMMANDS, cpc, cpc_process


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    result = cpc(*command.split(), "--help")
    usage = re.sub(r"\s+", " ", result.out)
    assert f"Usage: cpc {command}" in usage
    # A parameter without a description leaves nothing between its type and the end of the row.
    assert not re.findall(
        r"^│ (?:\* +)?--?\S+(?: +-\S+)* *(?:STR|INT|FLOAT|PATH|CHOICE)?\.* *│$",
        result.out,
        flags=re.MULTILINE,
    )


@pytest.mark.parametrize("group", [(), ("study",), ("trial",), ("data",)])
def test_a_list_of_commands_loads_nothing_heavy(group: tuple[str, ...]) -> None:
    code = (
        "import sys\n"
        "from study.cli import app\n"
        "app(sys.argv[1:], result_action='return_none')\n"
        "heavy = {'torch', 'ray', 'optuna', 'plotly', 'pydantic', 'numpy'}\n"
        "sys.exit(','.join(heavy & set(sys.modules)) or None)"
    )
    command = [sys.executable, "-c", code, *group, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
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
        ("probe nothing sample", 3, "is no export"),
        ("data info nothing", 3, "there is no corpus folder"),
        ("data import nothing -o x", 3, "nothing"),
        ("trial run --temperature 0", 2, "greater than 0"),
        ("trial run --epsilon-db 6", 2, "less than or equal to 0"),
        ("trial run --grace soon", 2, "such as 60s or 5m, not 'soon'"),
        ("study run demo --grace -5s", 2, "such as 60s or 5m, not '-5s'"),
        ("trial run --adversary fgms", 2, "did you mean 'fgsm'?"),
        ("trial run --adversary none --epsilon-db -55", 2, "not a setting of adversary none"),
        (
            "trial run --adversary fgsm --set base.adversary.warmup_steps=-1",
            2,
            "base.adversary.warmup_steps: input should be greater than or equal to 0",
        ),
        ("trial run --similarity dots", 2, "did you mean 'dot'?"),
        ("trial run --negatives far", 2, "should be 'local', 'cross' or 'exclusive'"),
        ("study frobnicate", 2, "frobnicate"),
        ("study run demo --set corpus=/nowhere", 3, "there is no corpus folder"),
    ],
)
def test_a_mistake_gives_one_sentence_and_its_exit_code(
    command: str, code: int, message: str, tmp_path: Path
) -> None:
    result = cpc(*command.split(), cwd=tmp_path, code=code)
    assert message in re.sub(r"\s+", " ", result.err)
    assert result.out == ""


@pytest.mark.parametrize("debug", [(), ("--debug",)])
def test_a_process_exits_with_the_code_of_its_error(tmp_path: Path, debug: tuple[str, ...]) -> None:
    result = cpc_process("study", "show", "demo", *debug, cwd=tmp_path)
    assert (result.code, result.out) == (1 if debug else 3, "")
    assert "there is no study 'demo' here" in result.err
    assert ("Traceback" in result.err) == bool(debug)


def test_validate_says_what_a_spec_holds(tmp_path: Path) -> None:
    result = cpc("study", "validate", "demo", cwd=tmp_path)
    assert "15 trials = 5 cells × 3 seeds" in result.err


def test_plan_prints_cells_and_time(tmp_path: Path) -> None:
    result = cpc(
        "study", "plan", "demo", "-o", "csv", "--set", "base.encoder.width=8", cwd=tmp_path
    )
    lines = result.out.splitlines()
    assert lines[0] == "cell,trials,steps,seconds_per_step,minutes_per_trial"
    assert len(lines) == 1 + 5
    assert re.search(r"about (\d+ min )?\d+ s with 2 trials at a time", result.err)


@pytest.mark.parametrize("knob", ["adversary", "negatives", "similarity"])
def test_help_of_a_trial_lists_every_kind(knob: str) -> None:
    words = re.sub(r"[\s│]+", " ", cpc("trial", "run", "--help").out)
    (listed,) = re.findall(rf"--{knob} CHOICE [^\[]*\[choices: ([^\]]*)\]", words)
    assert tuple(listed.split(", ")) == allowed_values(knob)


def test_help_breaks_lines_only_at_the_terminals_edge() -> None:
    row = cpc("study", "stop", "--help").out.partition("--grace TIME")[2].splitlines()[0]
    assert row.strip(" │").startswith("Time that a job's trials have")
    assert len(row.rstrip(" │")) > 80


@contextmanager
def without_root() -> Iterator[None]:
    """The super-user may read everything: the block runs as nobody instead."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_unreadable_folder_in_studies_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    # Not in pytest's own folder, which nobody else may read.
    with tempfile.TemporaryDirectory() as home:
        Path(home).chmod(0o755)
        monkeypatch.chdir(home)
        unreadable = Path("studies", "unreadable")
        unreadable.mkdir(parents=True)
        unreadable.chmod(0)
        with without_root():
            assert list_studies() == []
            with pytest.raises(NotFoundError, match="there is no study 'typo' here"):
                study_folder("typo")
        unreadable.chmod(0o700)
        monkeypatch.undo()
