"""What is recorded of code and machine, at the start of a study and at each attempt at a trial."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from study.folders import code_version as module
from study.folders.code_version import MAX_DIFF_BYTES, Changes, CodeState, code_state
from study.folders.provenance import attempts, record_attempt
from study.folders.trial_folder import Identity, TrialFolder

IDENTITY = Identity("aaa", "bbb", 30, "sss", "ccc", 7)


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    return subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments],
        check=True,
        capture_output=True,
        text=True,
    ).stdout


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A checkout that stands for the one of the running code."""
    own = tmp_path / "checkout" / "study" / "folders" / "code_version.py"
    own.parent.mkdir(parents=True)
    own.write_text("one = 1\n")
    (own.parent / "notes.txt").write_text("nothing\n")
    git(tmp_path, "init", "-q", str(tmp_path / "checkout"))
    git(tmp_path / "checkout", "add", "-A")
    git(tmp_path / "checkout", "commit", "-qm", "first")
    monkeypatch.setattr(module, "__file__", str(own))
    code_state.cache_clear()
    yield tmp_path / "checkout"
    code_state.cache_clear()


def test_a_clean_checkout_is_its_commit(checkout: Path) -> None:
    state = code_state()
    assert state.git == {"commit": git(checkout, "rev-parse", "HEAD").strip(), "dirty": False}
    assert state.changes is None


def test_uncommitted_changes_are_kept_as_text_with_their_hash(checkout: Path) -> None:
    before = code_state().source
    (checkout / "study" / "folders" / "code_version.py").write_text("one = 2\n")
    code_state.cache_clear()
    state = code_state()
    assert state.git["dirty"] is True
    assert state.changes is not None
    assert state.changes.text == git(checkout, "diff", "HEAD")
    assert "-one = 1\n+one = 2\n" in state.changes.text
    assert state.changes.sha256 == hashlib.sha256(state.changes.text.encode()).hexdigest()
    assert state.source != before


def test_a_change_that_is_too_large_is_named_and_not_kept(checkout: Path) -> None:
    (checkout / "study" / "folders" / "notes.txt").write_text("x" * MAX_DIFF_BYTES)
    (checkout / "study" / "folders" / "code_version.py").write_text("one = 2\n")
    changes = code_state().changes
    assert changes is not None
    assert len(changes.text) < 2000
    assert "+one = 2" in changes.text
    assert (
        "left out, because it is too large: diff --git a/study/folders/notes.txt "
        "b/study/folders/notes.txt (1,048,7" in changes.text
    )
    assert changes.sha256 == hashlib.sha256(git(checkout, "diff", "HEAD").encode()).hexdigest()


def test_a_checkout_that_does_not_track_this_code_is_not_its_own(checkout: Path) -> None:
    git(checkout, "rm", "-q", "--cached", "study/folders/code_version.py")
    git(checkout, "commit", "-qm", "second")
    assert (code_state().git, code_state().changes) == ({}, None)


def attempt(folder: TrialFolder, step: int, device: str = "cpu") -> None:
    record_attempt(folder, device=device, precision="float32", workers=2, threads=3, step=step)


def test_each_attempt_at_a_trial_is_recorded_where_it_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = TrialFolder(tmp_path, 7)
    folder.identify(IDENTITY)
    states = [
        CodeState({"commit": "one", "dirty": False}, None, "s1"),
        CodeState({"commit": "one", "dirty": True}, Changes("the text", "h" * 64), "s2"),
    ]
    monkeypatch.setattr("study.folders.provenance.code_state", lambda: states[0])
    attempt(folder, 0)
    monkeypatch.setattr("study.folders.provenance.code_state", lambda: states[1])
    attempt(folder, 20, "a GPU")
    first, second = attempts(folder)
    assert first.keys() == second.keys()
    assert {"started", "versions", "hardware", "system", "git", "source"} <= first.keys()
    assert {name: first[name] for name in ("trial_id", "spec_hash", "corpus_hash", "seed")} == {
        "trial_id": "aaa",
        "spec_hash": "sss",
        "corpus_hash": "ccc",
        "seed": 7,
    }
    assert [
        (each["from_step"], each["device"], each["workers"], each["threads"])
        for each in (first, second)
    ] == [
        (0, "cpu", 2, 3),
        (20, "a GPU", 2, 3),
    ]
    assert second["git"] == {
        "commit": "one",
        "dirty": True,
        "diff": "code-hhhhhhhhhhhh.diff",
        "diff_sha256": "h" * 64,
    }
    assert (tmp_path / "code-hhhhhhhhhhhh.diff").read_text() == "the text"


def test_hardware_names_the_processor_and_every_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\nprintf 'A GPU, 535.1\\nA GPU, 535.1\\n'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    from study.folders.provenance import _machine

    _machine.cache_clear()
    folder = TrialFolder(tmp_path, 0)
    Path(folder.path).mkdir(parents=True)
    attempt(folder, 0)
    _machine.cache_clear()
    hardware = json.loads((Path(folder.path) / "provenance.json").read_text())["attempts"][0][
        "hardware"
    ]
    assert hardware["gpus"] == ["A GPU, driver 535.1"] * 2
    assert hardware["cpu"] and hardware["cores"] >= 1
