"""The READMEs against the program: commands, specs, files and code that they show."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import torch

from cpc_core.checkpoint import save_checkpoint
from cpc_core.export.encoder import Embedding
from cpc_core.export.writer import export_model
from cpc_core.step import TrainState
from study.cli import app
from study.spec.study_spec import StudySpec
from tests.helpers.cli import COMMANDS
from tests.helpers.configs import tiny_config
from tests.helpers.recordings import write_tone

ROOT = Path(__file__).parents[1]


FOLDERS = (".", "cpc_core", "study", "cluster", "tests/benchmarks")
README = "\n".join((ROOT / name / "README.md").read_text(encoding="utf-8") for name in FOLDERS)
FRONT_PAGE_LINES = 150


def blocks(language: str) -> list[str]:
    """The READMEs' fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def command_lines() -> list[str]:
    """Every `cpc …` line of the READMEs, without comments and redirections."""
    lines = [line for block in blocks("console") for line in block.splitlines()]
    return sorted({re.split(r"[#>]", line)[0].strip() for line in lines if line.startswith("cpc ")})


@pytest.mark.parametrize("line", command_lines())
def test_every_command_in_the_readme_parses(line: str) -> None:
    app.parse_args(shlex.split(line)[1:], exit_on_error=False, print_error=False)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_readme(command: str) -> None:
    assert f"cpc {command}" in README


@pytest.mark.parametrize(
    "target", re.findall(r"^make (\w+)", "\n".join(blocks("console")), flags=re.MULTILINE)
)
def test_every_make_target_in_the_readme_exists(target: str) -> None:
    assert re.search(
        rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE
    )


def test_the_spec_in_the_readme_is_valid(tmp_path: Path) -> None:
    text = "".join(blocks("yaml"))  # the later blocks add to the first
    (tmp_path / "my_study.yaml").write_text(text, encoding="utf-8")
    spec = StudySpec.load(str(tmp_path / "my_study.yaml"))
    assert spec.planned_trials == (1 + 3) * 3


def test_the_python_in_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "checkpoint").mkdir()
    save_checkpoint(
        TrainState.create(tiny_config(), torch.device("cpu")), {}, tmp_path / "checkpoint"
    )
    export_model(tmp_path / "checkpoint", tmp_path / "exports" / "demo", {})
    write_tone(tmp_path / "recording.wav", hz=440, seconds=0.2)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(blocks("python")[0], names)
    out = names["out"]
    assert isinstance(out, Embedding) and len(out.frames) == len(out.mean_std()) == 2


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_files_a_readme_names_exist(folder: str) -> None:
    text = (ROOT / folder / "README.md").read_text(encoding="utf-8")
    code = [path for path in re.findall(r"`([\w./]+\.(?:py|md))`", text) if "X" not in path]
    linked = re.findall(r"\]\(([\w./]+)\)", text)
    missing = [
        path for path in code if not any((ROOT / at / path).exists() for at in (folder, "."))
    ]
    assert missing == []
    assert [path for path in linked if not (ROOT / folder / path).exists()] == []


def test_the_front_page_stays_short() -> None:
    front = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(front.splitlines()) <= FRONT_PAGE_LINES
    assert ".github/figures/" in front
