from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from study.folders.study_folder import StudyFolder
from study.results.reader import read_study
from tests.helpers.extended import extended_package
from tests.helpers.processes import Marked
from tests.helpers.specs import tiny_spec

ONE_CPU = '''"""A Ray of one CPU on this machine."""

from cluster.kinds.capacity import Capacity
from cluster.kinds.local import LocalRay


class OneCpu(LocalRay):
    """A Ray of one CPU on this machine."""

    def capacity(self) -> Capacity:
        return Capacity(1, 0)
'''


def test_a_study_runs_on_a_new_kind_of_cluster(tmp_path: Path, marked: Marked) -> None:
    environment = extended_package(
        tmp_path,
        "cluster",
        {"kinds/one_cpu.py": ONE_CPU},
        ("kinds/__init__.py", "KINDS = {", '    "one-cpu": "cluster.kinds.one_cpu:OneCpu",'),
    )

    def run(concurrent: int) -> subprocess.CompletedProcess[str]:
        spec = tiny_spec(
            space={"temperature": [0.1]},
            resources={"concurrent_trials": concurrent, "cpus_per_worker": 1},
        )
        (tmp_path / "spec.yaml").write_text(spec.to_yaml())
        arguments = ["study", "run", "spec.yaml", "-o", f"out{concurrent}"]
        return subprocess.run(
            [sys.executable, "-m", "study.cli", *arguments, "--address", "one-cpu://"],
            cwd=tmp_path,
            env={**os.environ, **marked.environment, **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    refused = run(2)
    assert refused.returncode == 2
    assert "= 2 CPUs, the cluster has 1" in refused.stderr
    done = run(1)
    assert done.returncode == 0, done.stderr
    record = read_study(StudyFolder(tmp_path / "out1"))
    assert [trial.outcome for trial in record.trials] == ["complete"]
