"""Where numbers come from: code, versions, hardware, data."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

_PACKAGES = ("cpc-study", "torch", "torchaudio", "ray", "optuna", "pyarrow", "numpy", "scikit-learn", "pydantic")


def collect(spec_hash: str, corpus_hash: str, corpus: str) -> dict[str, Any]:
    """What a study folder records of the machine and code that started it.

    Args:
        spec_hash: Hash of the resolved spec.
        corpus_hash: Hash of the corpus manifest.
        corpus: Corpus name and totals in words.
    """
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "spec_hash": spec_hash,
        "corpus": corpus,
        "corpus_hash": corpus_hash,
        "git": _git(),
        "versions": {"python": platform.python_version(), **_versions()},
        "hardware": {"machine": platform.machine(), "cpu": _cpu_model(), "cores": os.cpu_count(), "memory_gib": _memory_gib()},
        "system": platform.platform(),
    }


def _versions() -> dict[str, str]:
    """Installed versions; a job's nodes have the dependencies, but not this project, which travels with the job."""
    return {name: metadata.version(name) for name in _PACKAGES if any(metadata.distributions(name=name))}


def _git() -> dict[str, Any]:
    """Commit of the code and whether it was changed since, empty outside a checkout."""
    folder = Path(__file__).resolve().parent

    def ask(*arguments: str) -> str:
        return subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True).stdout.strip()

    try:
        return {"commit": ask("rev-parse", "HEAD"), "dirty": bool(ask("status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.CalledProcessError):
        return {}


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor())


def _memory_gib() -> float:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
