"""Core of the integration tests with other versions of Ray: `python -m tests.ray_versions 2.54.0`.

Each version is tested in a virtual environment of its own, whose other packages are the locked ones
of this environment. Without arguments the oldest and the newest version that `pyproject.toml`
allows are tested; the newest is the locked one. `uv` must be on the PATH, or installed here.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import tomllib
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[1]


CORE = [
    "tests/integration/test_study_run.py::test_study_ends_with_every_trial_its_metrics_and_its_files",
    "tests/integration/test_stops.py",
    "tests/integration/test_jobs.py::test_submitted_study_runs_to_its_end_on_the_cluster",
]
"""A study, trials of two workers that are stopped, a submission."""


def default_versions() -> list[str]:
    """The oldest version that the project allows, and the installed one."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (ray,) = [line for line in project["dependencies"] if line.startswith("ray[")]
    oldest = re.search(r">=([0-9.]+)", ray)
    assert oldest is not None, ray
    return [oldest[1] if oldest[1].count(".") == 2 else f"{oldest[1]}.0", version("ray")]


def environment(folder: Path, ray: str) -> Path:
    """Python of a virtual environment with that Ray before the packages of this one."""
    uv = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder], check=True)
    python = folder / "bin" / "python"
    subprocess.run(
        [uv, "pip", "install", "--quiet", "--no-deps", "--python", python, f"ray=={ray}"],
        check=True,
    )
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "locked.pth").write_text(f"{sysconfig.get_paths()['purelib']}\n")
    return python


def tested(ray: str) -> bool:
    """True if the core passes with a version; prints a line about it."""
    with tempfile.TemporaryDirectory(prefix="ray-") as folder:
        python = environment(Path(folder) / "venv", ray)
        begin = time.monotonic()
        done = subprocess.run(
            [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--no-header", *CORE],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            check=False,
        )
    result = "passed" if done.returncode == 0 else "FAILED"
    print(f"ray {ray}: {result} in {time.monotonic() - begin:.0f} s", flush=True)
    return done.returncode == 0


def main() -> int:
    """Tests the versions; 1 if one of them fails."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("versions", nargs="*", metavar="VERSION")
    versions = parser.parse_args().versions or default_versions()
    print(
        f"{time.strftime('%Y-%m-%d')}, Python {platform.python_version()}, "
        f"{len(os.sched_getaffinity(0))} CPUs, optuna {version('optuna')}, "
        f"torch {version('torch')}",
        flush=True,
    )
    return 0 if sum(map(tested, versions)) == len(versions) else 1


if __name__ == "__main__":
    sys.exit(main())
