from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from search_spaces.pruners.wilcoxon import WilcoxonPruner
from study.folders.study_folder import StudyFolder
from study.results.reader import read_study
from tests.helpers.specs import tiny_spec
from tests.helpers.studies import opened

PRUNER = WilcoxonPruner()


def cells(**values: list[float]) -> dict[str, dict[int, float]]:
    return {name: dict(enumerate(of_seed)) for name, of_seed in values.items()}


def test_a_cell_behind_on_every_seed_stops_at_the_fourth() -> None:
    best = [0.5, 0.52, 0.51, 0.53]
    worse = [0.4, 0.43, 0.40, 0.42]
    for n in (1, 2, 3):
        assert PRUNER.verdict(cells(best=best, worse=worse[:n]), "worse") is None
    reason = PRUNER.verdict(cells(best=best, worse=worse), "worse")
    # The four differences all point one way: 1/16.
    assert (
        reason == "pruned after 4 seeds: behind cell best by 0.1025 on average (Wilcoxon p = 0.062)"
    )
    assert WilcoxonPruner(startup_seeds=5).verdict(cells(best=best, worse=worse), "worse") is None


def test_the_best_cell_and_a_new_one_get_more_seeds() -> None:
    found = cells(best=[0.5, 0.52, 0.51, 0.53, 0.5], other=[0.4, 0.4, 0.4, 0.4, 0.4])
    assert PRUNER.verdict(found, "best") is None
    assert PRUNER.verdict(found, "new") is None
    assert PRUNER.verdict({}, "new") is None


def test_only_shared_seeds_are_compared() -> None:
    values = {"best": {0: 0.5, 1: 0.5, 2: 0.5, 3: 0.5}, "other": {4: 0.1, 5: 0.1, 6: 0.1, 7: 0.1}}
    assert PRUNER.verdict(values, "other") is None


def test_the_threshold_is_the_one_sided_p_value() -> None:
    random = np.random.default_rng(0)
    best, other = random.normal(0.5, 0.02, 7), random.normal(0.49, 0.02, 7)
    p = stats.wilcoxon(other - best, alternative="less").pvalue
    found = cells(best=best.tolist(), other=other.tolist())
    assert WilcoxonPruner(p_threshold=float(p) * 1.01).verdict(found, "other") is not None
    assert WilcoxonPruner(p_threshold=float(p) * 0.99).verdict(found, "other") is None


@pytest.mark.parametrize("values", [[0.5] * 5, [0.5, 0.4, 0.5, 0.4, 0.5]])
def test_ties_raise_no_warning(values: list[float]) -> None:
    PRUNER.verdict(cells(best=[0.5, 0.5, 0.5, 0.5, 0.5], other=values), "other")


def test_seeds_go_to_the_cells_that_may_be_best(tmp_path: Path) -> None:
    spec = tiny_spec(
        space={"temperature": [0.05, 0.1, 0.2]}, seeds=list(range(6)), pruner={"kind": "wilcoxon"}
    )
    levels = {0.05: 0.5, 0.1: 0.3, 0.2: 0.4995}
    trained: list[float] = []
    with opened(tmp_path, spec) as dispatcher:
        while (assignment := dispatcher.ask()) is not None:
            temperature = float(assignment.sample["temperature"] or 0)
            trained.append(temperature)
            dispatcher.tell(
                assignment.number,
                "complete",
                {
                    "dev_map": levels[temperature]
                    + 0.001 * (assignment.seed % 2) * (temperature == 0.2)
                },
            )
        assert dispatcher.finished
    assert [trained.count(temperature) for temperature in (0.05, 0.1, 0.2)] == [6, 4, 6]
    pruned = [
        trial for trial in read_study(StudyFolder(tmp_path)).trials if trial.outcome == "pruned"
    ]
    assert [(trial.knobs["temperature"], trial.seed) for trial in pruned] == [(0.1, 4), (0.1, 5)]
    assert all(
        trial.reason.startswith("pruned after 4 seeds") and not trial.metrics for trial in pruned
    )
