"""Provenance of a study and of each attempt at a trial: code, versions, hardware, data."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from cpc_core.config import CONFIG_SCHEMA
from cpc_core.storage_path import StoragePath
from study.folders.code_version import code_state
from study.folders.json_file import damaged, read_as
from study.folders.trial_folder import PROVENANCE, TrialFolder

_PACKAGES = (
    "cpc-study",
    "torch",
    "torchaudio",
    "ray",
    "optuna",
    "pyarrow",
    "numpy",
    "scikit-learn",
    "pydantic",
)


def collect(study: StoragePath, spec_hash: str, corpus_hash: str, corpus: str) -> dict[str, Any]:
    """Collects the provenance of a study: the machine, code and corpus that start it.

    Args:
        study: The study folder, to which the text of uncommitted changes is written.
        spec_hash: Hash of the resolved spec.
        corpus_hash: Hash of the corpus manifest.
        corpus: Caption of the corpus: its name and totals.
    """
    return {
        "started": _now(),
        "spec_hash": spec_hash,
        "config_schema": CONFIG_SCHEMA,
        "corpus": corpus,
        "corpus_hash": corpus_hash,
        **_surroundings(study),
    }


def record_attempt(
    folder: TrialFolder, *, device: str, precision: str, workers: int, threads: int, step: int
) -> None:
    """Adds an attempt to a trial's provenance, on the node that is about to train it.

    Args:
        folder: The trial.
        device: Device of the training, for example `cpu` or the GPU's name.
        precision: `float32` or `bfloat16`.
        workers: Number of workers; this process is the first of them.
        threads: CPU threads of each worker.
        step: Steps taken before this attempt.
    """
    identity = folder.identity()
    attempt = {
        "started": _now(),
        "from_step": step,
        **({} if identity is None else asdict(identity)),
        "device": device,
        "precision": precision,
        "workers": workers,
        "threads": threads,
        **_surroundings(folder.study),
    }
    content = {"attempts": [*attempts(folder), attempt]}
    (folder.path / PROVENANCE).write_text(json.dumps(content, indent=2) + "\n")


def attempts(folder: TrialFolder) -> list[dict[str, Any]]:
    """Attempts at a trial, oldest first, beginning with those of the trial it was copied from."""
    try:
        return read_as(folder.path / PROVENANCE, dict[str, list[dict[str, Any]]])["attempts"]
    except FileNotFoundError:
        return []
    except KeyError as error:
        raise damaged(folder.path / PROVENANCE, f"it has no {error}") from error


def attempt_text(attempt: dict[str, Any]) -> str:
    """An attempt in one line: when, from which step, and on what it trained."""
    git, versions = attempt["git"], attempt["versions"]
    code = f"commit {git['commit'][:12]}" if git else f"source {attempt['source']}"
    changes = f" with the changes in {git['diff']}" if "diff" in git else ""
    device = attempt["hardware"]["cpu"] if attempt["device"] == "cpu" else attempt["device"]
    precision = f" in {attempt['precision']}" if "precision" in attempt else ""
    return (
        f"{attempt['started']}, from step {attempt['from_step']}: {code}{changes}, "
        f"torch {versions['torch']}, {device}{precision}, "
        f"{attempt['workers']} × {attempt['threads']} threads"
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _surroundings(study: StoragePath) -> dict[str, Any]:
    state = code_state()
    git = dict(state.git)
    if state.changes is not None:
        git |= {"diff": state.changes.name, "diff_sha256": state.changes.sha256}
        if not (study / state.changes.name).exists():
            (study / state.changes.name).write_text(state.changes.text)
    return {"git": git, "source": state.source, **_machine()}


@cache
def _machine() -> dict[str, Any]:
    hardware = {
        "machine": platform.machine(),
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_gib": _memory_gib(),
        "gpus": _gpus(),
    }
    return {
        "versions": {"python": platform.python_version(), **_versions()},
        "hardware": hardware,
        "system": platform.platform(),
    }


def _versions() -> dict[str, str]:
    """Installed versions. Nodes of a job lack this project's own, which travels with the job."""
    return {
        name: metadata.version(name) for name in _PACKAGES if any(metadata.distributions(name=name))
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")),
        platform.processor(),
    )


def _memory_gib() -> float:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)


def _gpus() -> list[str]:
    """Name and driver of every GPU, from `nvidia-smi`; empty where that is missing or fails."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    command = [tool, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        printed = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=20
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [
        f"{name}, driver {driver}"
        for name, _, driver in (line.partition(", ") for line in printed.splitlines())
    ]
