"""Specs of studies that train in seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from study.spec.messages import SpecError
from study.spec.study_spec import StudySpec

TINY_BASE: dict[str, Any] = {
    "data": {"crop_s": 1.0, "batch_size": 8},
    "encoder": {"width": 8},
    "context": {"kernels": [2, 3]},
    "similarity": {"kind": "dot"},
    "negatives": {"sampling": "exclusive"},
    "initialisation": {"kind": "regression"},
    "optimizer": {"learning_rate": 1e-3, "final_learning_rate": 1e-4, "warmup_steps": 3},
    "training": {"steps": 30, "report_every": 10, "dev_clips": 8, "collapse_window": 50},
    "probe": {"hidden": 8, "steps": 5},
    "compute": {"precision": "float32"},
}
"""Learns enough of the bundled audio in thirty steps not to count as collapsed."""


STORE: str | None = None
"""Where the trials of tiny studies are remembered; tests of every store set it."""


def tiny_spec(**changes: Any) -> StudySpec:
    """Two temperatures with one seed on the bundled audio, one trial at a time."""
    content: dict[str, Any] = {
        "name": "tiny",
        "base": TINY_BASE,
        "space": {"temperature": [0.05, 0.1]},
        "resources": {"concurrent_trials": 1, "cpus_per_worker": 1},
        "store": STORE,
    }
    return StudySpec.model_validate({**content, **changes})


def written(folder: Path, text: str) -> str:
    """Path of a spec file with that text."""
    path = folder / "my.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def problems(folder: Path, text: str, overrides: list[str] | None = None) -> list[str]:
    with pytest.raises(SpecError) as caught:
        StudySpec.load(written(folder, text), overrides)
    return caught.value.problems
