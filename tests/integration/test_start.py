"""A Ray that does not start on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import yaml

from tests.helpers.specs import tiny_spec

BROKEN = """
import sys
from pathlib import Path

if b"dashboard/dashboard.py" in Path("/proc/self/cmdline").read_bytes():
    sys.exit("broken")
"""
"""Imported by every Python process; Ray's dashboard ends at once."""


def test_a_ray_that_does_not_start_is_one_sentence(tmp_path: Path) -> None:
    """Ray raises that error `from` itself, and only Ray Train needs the dashboard."""
    (tmp_path / "sitecustomize.py").write_text(BROKEN)
    spec = tiny_spec(resources={"concurrent_trials": 1, "workers": 2, "cpus_per_worker": 0.5})
    content = spec.model_dump(mode="json", exclude_unset=True)
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(content))
    paths = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    run = subprocess.run(
        [Path(sys.executable).with_name("cpc"), "study", "run", "spec.yaml"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 4, run.stderr
    assert "Traceback" not in run.stderr
    message = " ".join(run.stderr.partition("\ncpc: ")[2].split())
    assert message.startswith("Ray did not start on this machine (")
    assert message.endswith("); nothing of the study is lost")
