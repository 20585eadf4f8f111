"""Test that a new sampler and a new pruner are one file and one import each."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import search_spaces

SAMPLER = '''
from typing import Literal

from optuna.samplers import RandomSampler

from search_spaces.samplers.proposing import ProposingSampler


class Climbing(RandomSampler):
    def sample_independent(self, study, trial, name, distribution):
        return distribution.low + 0.1 * len(study.get_trials(deepcopy=False)) / 10


class ClimbingSampler(ProposingSampler):
    """Climbs from the lower end of each range."""

    kind: Literal["climbing"] = "climbing"

    def build(self, seed, first_seed):
        return Climbing(seed)
'''

PRUNER = '''
from typing import Literal

from optuna.pruners import ThresholdPruner

from search_spaces.pruners.base import Pruner, Rung


class FloorPruner(Pruner):
    """Stops a trial below a floor."""

    kind: Literal["floor"] = "floor"
    floor: float = 0.5

    def build(self, longest):
        return ThresholdPruner(lower=self.floor)

    def rungs(self, trials, longest):
        return [Rung(0, 10, trials), Rung(0, longest, trials / 2)]
'''

STUDY = """
import sys
from pathlib import Path

import search_spaces
from study.dispatch.dispatcher import Dispatcher
from study.folders.study_folder import StudyFolder
from study.planning import planned_cells, share_of_steps
from study.spec.explain import explain
from study.spec.study_spec import StudySpec

assert Path(search_spaces.__file__).is_relative_to(Path.cwd())
spec = StudySpec.load("my.yaml")
assert (spec.sampler.kind, spec.pruner.kind) == ("climbing", "floor")
assert (spec.planned_trials, len(planned_cells(spec, 16_000, None))) == (4, 2)
assert share_of_steps(spec) == (4 * 10 + 2 * 20) / (4 * 30)
assert "kind: climbing" in explain("sampler").allowed

drawn, stopped = [], []
dispatcher = Dispatcher.create_or_open(StudyFolder("study"), spec, "c" * 64, "")
while (trial := dispatcher.ask()) is not None:
    drawn.append(trial.sample["temperature"])
    dispatcher.report(trial.number, 10, {"dev_accuracy": drawn[-1]})
    stopped.append(dispatcher.should_prune(trial.number))
    outcome = "pruned" if stopped[-1] else "complete"
    dispatcher.tell(trial.number, outcome, {"dev_accuracy": drawn[-1]})
dispatcher.close()
assert drawn == [0.48 + 0.1 * count / 10 for count in (1, 2, 3, 4)], drawn
assert stopped == [True, False, False, False], stopped
"""

SPEC = """
name: extended
base:
  training: {steps: 30, report_every: 10}
space:
  temperature: {low: 0.48, high: 1.0}
sampler: {kind: climbing, trials: 4}
objective: {metric: dev_accuracy}
pruner: {kind: floor, floor: 0.495}
"""


def study(folder: Path, *, imported: bool) -> subprocess.CompletedProcess[str]:
    """Runs a study with two new kinds from a copy of the package in `folder`."""
    package = folder / "search_spaces"
    shutil.copytree(Path(search_spaces.__file__).parent, package)
    for kinds, name, text, section in (
        ("samplers", "climbing", SAMPLER, "ClimbingSampler"),
        ("pruners", "floor", PRUNER, "FloorPruner"),
    ):
        (package / kinds / f"{name}.py").write_text(text)
        if imported:
            line = f"from search_spaces.{kinds}.{name} import {section} as {section}\n"
            table = package / kinds / "__init__.py"
            table.write_text(table.read_text().replace("# isort: on", f"{line}# isort: on"))
    (folder / "my.yaml").write_text(SPEC)
    project = Path(search_spaces.__file__).parents[1]
    return subprocess.run(
        [sys.executable, "-c", STUDY],
        cwd=folder,
        env={"PYTHONPATH": f"{folder}:{project}"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_sampler_and_a_pruner_are_a_file_and_a_line(tmp_path: Path) -> None:
    run = study(tmp_path, imported=True)
    assert run.returncode == 0, run.stderr


def test_a_kind_without_its_line_is_refused(tmp_path: Path) -> None:
    errors = study(tmp_path, imported=False).stderr
    assert "'climbing' is not one of grid, random, tpe, gp, cmaes, qmc" in errors
    assert "'floor' is not one of none, median, asha, hyperband, wilcoxon" in errors
