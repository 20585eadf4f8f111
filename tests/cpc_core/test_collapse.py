from __future__ import annotations

import pytest
import torch

from cpc_core.evaluation.collapse import CollapseDetector, chance_margin
from cpc_core.objective.objective import constant_answer_loss
from tests.helpers.configs import tiny_config

CONFIG = tiny_config(training={"steps": 40, "report_every": 20, "collapse_window": 2})


def reasons(ranking: float, margin: float, reports: int) -> list[str]:
    """Reasons at consecutive reports of a model whose loss is that of the constant answer."""
    detector = CollapseDetector(CONFIG)
    metrics = {
        "train_loss": constant_answer_loss(CONFIG.objective, 2),
        "train_balanced_accuracy": 0.5,
        "train_ranking_accuracy": ranking,
        "train_latent_spread": 0.5,
    }
    return [detector.collapse(20 * n, metrics, margin) for n in range(1, reports + 1)]


@pytest.mark.parametrize(("ranking", "collapsed"), [(0.353, False), (0.335, True), (0.31, True)])
def test_chance_is_judged_with_its_chance_margin(ranking: float, collapsed: bool) -> None:
    """Twenty steps that differ by .006: an error of .0014, 14 of which lie below .353."""
    steps = ranking + torch.linspace(-0.01, 0.01, 20, dtype=torch.float64)
    assert float(steps.std()) / 20**0.5 == pytest.approx(0.00139, rel=0.01)
    assert bool(reasons(ranking, chance_margin(steps, 320), 2)[-1]) is collapsed


def test_a_collapse_takes_as_many_reports_as_its_window() -> None:
    """Also where the training ends before."""
    one, two = reasons(1 / 3, 0.01, 2)
    assert one == ""
    assert two.startswith("collapsed: 2 report(s) in a row up to step 40 at the constant answer")


def test_a_single_step_has_the_largest_error_of_its_clips() -> None:
    assert chance_margin(torch.tensor([0.4]), 16) == pytest.approx(3 * 0.125)
    rankings = torch.bernoulli(torch.full((4000, 16), 0.5), generator=torch.Generator())
    assert float(rankings.mean(1).std()) == pytest.approx(0.125, rel=0.05)


@pytest.mark.parametrize("count", [2, 4, 30])
def test_a_model_at_chance_is_rarely_above_it(count: int) -> None:
    """Once in 740 reports, however few steps they have."""
    draws = torch.randn(100_000, count, dtype=torch.float64, generator=torch.Generator())
    above = [float(steps.mean()) > chance_margin(steps, 1) for steps in draws[:20_000]]
    assert sum(above) / len(above) == pytest.approx(0.00135, abs=0.001)
