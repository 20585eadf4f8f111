"""Authentication as a user has it: the environment says nothing of it, a token is in the home."""

from __future__ import annotations

import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.processes import Marked
from tests.helpers.ray_nodes import TOKEN, RunningRay, as_user
from tests.helpers.specs import TINY_BASE, tiny_spec

SPEC = tiny_spec(
    name="short",
    space={"temperature": [0.05]},
    base={**TINY_BASE, "training": {**TINY_BASE["training"], "steps": 2, "report_every": 2}},
)


def cpc(*arguments: str, home: Path, marked: Marked, at: Path) -> subprocess.CompletedProcess[str]:
    """Ended command of a user with that home folder."""
    return subprocess.run(
        [sys.executable, "-m", "study.cli", *arguments],
        env=as_user(marked.environment, home),
        cwd=at,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Home folder with a token, as a local Ray or `ray get-auth-token --generate` leaves it."""
    home = tmp_path_factory.mktemp("home")
    (home / TOKEN).parent.mkdir()
    (home / TOKEN).write_text(secrets.token_hex(16))
    return home


@pytest.fixture(scope="module")
def head(cache: Path, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningRay]:
    """A cluster of that user, which asks for the token."""
    ray = RunningRay(cache, tmp_path_factory.mktemp("head") / "log", home=home)
    try:
        yield ray
    finally:
        ray.end()


def test_a_study_is_submitted_with_the_token(
    head: RunningRay, home: Path, marked: Marked, tmp_path: Path
) -> None:
    """HOST:PORT of a job server is one, and the job finds the Python of the cluster's Ray."""
    (tmp_path / "spec.yaml").write_text(SPEC.to_yaml())
    at = head.dashboard.removeprefix("http://")
    submitted = cpc(
        "study", "submit", "spec.yaml", "--address", at, home=home, marked=marked, at=tmp_path
    )
    assert submitted.returncode == 0, submitted.stderr
    (job,) = re.findall(r"submitted to \S+ as (\S+),", submitted.stderr)
    logs = cpc(
        "study", "logs", job, "--follow", "--address", at, home=home, marked=marked, at=tmp_path
    )
    assert logs.returncode == 0, logs.stderr
    assert "trial 0" in logs.stdout


def test_a_study_runs_on_it(head: RunningRay, home: Path, marked: Marked, tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(SPEC.to_yaml())
    address = ("--address", head.address)
    run = cpc("study", "run", "spec.yaml", *address, home=home, marked=marked, at=tmp_path)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("command", [("status",), ("run", "spec.yaml")])
def test_without_the_token_the_refusal_is_a_sentence(
    command: tuple[str, ...], head: RunningRay, marked: Marked, tmp_path: Path
) -> None:
    (tmp_path / "spec.yaml").write_text(SPEC.to_yaml())
    address = head.address if command[0] == "run" else head.dashboard
    refused = cpc(
        "study", *command, "--address", address, home=tmp_path, marked=marked, at=tmp_path
    )
    assert refused.returncode == 4
    assert f"the cluster at {address} asks for a token that this user does" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_local_study_leaves_the_home_folder_alone(marked: Marked, tmp_path: Path) -> None:
    """Not even a home folder that cannot be written is needed."""
    (tmp_path / "spec.yaml").write_text(SPEC.to_yaml())
    home = tmp_path / "file"
    home.touch()
    run = cpc("study", "run", "spec.yaml", home=home, marked=marked, at=tmp_path)
    assert run.returncode == 0, run.stderr
    assert home.read_bytes() == b""
