"""A Ray that does not start on this machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.helpers.cli import cpc_process
from tests.helpers.specs import tiny_spec, written

BROKEN = """
import sys
from pathlib import Path

if b"dashboard/dashboard.py" in Path("/proc/self/cmdline").read_bytes():
    sys.exit("broken")
"""
"""Imported by every Python process; Ray's dashboard ends at once."""


@pytest.mark.timeout(120)
def test_a_ray_that_does_not_start_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only Ray Train needs the dashboard. Ray raises this error `from` itself."""
    (tmp_path / "sitecustomize.py").write_text(BROKEN)
    paths = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", paths)
    spec = tiny_spec(resources={"concurrent_trials": 1, "workers": 2, "cpus_per_worker": 0.5})
    run = cpc_process(
        "study",
        "run",
        written(tmp_path, spec.model_dump_json(exclude_unset=True)),
        cwd=tmp_path,
    )
    assert run.code == 4, run.err
    assert "Traceback" not in run.err
    message = " ".join(run.err.partition("\ncpc: ")[2].split())
    assert message.startswith("Ray did not start on this machine (")
    assert message.endswith(")")
