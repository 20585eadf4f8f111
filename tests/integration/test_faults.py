"""SIGKILL of every kind of process, at random times: the study ends as if nothing had happened.

The faults are drawn from a seed that is printed; `CPC_FAULTS_SEED` repeats it, as far as processes
keep time.
"""

from __future__ import annotations

import itertools
import logging
import os
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from study.spec.study_spec import StudySpec
from tests.helpers.fault_injection import FaultedStudy, Killing, Kind
from tests.helpers.processes import Marked
from tests.helpers.ray_nodes import QUIET_S, TwoNodes, await_that
from tests.helpers.specs import TINY_BASE, tiny_spec

pytestmark = pytest.mark.timeout(1800)


SEED = int(os.environ.get("CPC_FAULTS_SEED", random.randrange(10**6)))


NEVER_FAILED = 1000
"""Faults are not the trial's own: no number of them is to end it."""


NESTED: StudySpec = tiny_spec(
    name="nested",
    base={
        **TINY_BASE,
        "data": {"crop_s": 0.5, "batch_size": 8},
        "training": {"steps": 120, "report_every": 10, "dev_clips": 8},
    },
    space={"temperature": [0.05, 0.1]},
    objective={"metric": "dev_accuracy"},
    resources={
        "concurrent_trials": 1,
        "workers": 2,
        "cpus_per_worker": 0.75,
        "max_failures": NEVER_FAILED,
    },
)
"""A grid of trials with two Ray Train workers each."""


INLINE: StudySpec = tiny_spec(
    name="inline",
    base={
        **TINY_BASE,
        "data": {"crop_s": 0.5, "batch_size": 8},
        "training": {"steps": 120, "report_every": 10, "dev_clips": 8},
    },
    space={"temperature": [0.05, 0.06, 0.07, 0.09, 0.11, 0.14]},
    seeds=[0, 1],
    sampler={"kind": "random", "trials": 12},
    objective={"metric": "dev_accuracy"},
    resources={
        "concurrent_trials": 2,
        "workers": 1,
        "cpus_per_worker": 0.75,
        "max_failures": NEVER_FAILED,
    },
)
"""A search whose sampler proposes points again: a repeated one must be recognised whatever has died
in between.
"""


@pytest.fixture(scope="module")
def cluster(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoNodes]:
    cluster = TwoNodes(cache, tmp_path_factory.mktemp("nodes") / "log")
    try:
        yield cluster
    finally:
        cluster.end()


@pytest.mark.parametrize(
    ("spec", "kinds"),
    [
        (NESTED, ("worker", "controller", "trial", "driver", "raylet")),
        (INLINE, ("trial", "driver", "raylet")),
    ],
    ids=["nested", "inline"],
)
def test_killed_study_ends_as_if_nothing_had_happened(
    spec: StudySpec,
    kinds: Sequence[Kind],
    cluster: TwoNodes,
    cache: Path,
    marked: Marked,
    tmp_path: Path,
    fault_rounds: int,
) -> None:
    """Kills each kind of process once a round."""
    logging.getLogger(__name__).warning("CPC_FAULTS_SEED=%d", SEED)
    # Each study has a folder to itself: in one parent folder it would reuse the trials of another.
    folders = (tmp_path / str(number) / "study" for number in itertools.count())
    killing = Killing(cluster, lambda: FaultedStudy(cluster, marked, spec, next(folders)), SEED)
    try:
        killing.rounds(kinds, fault_rounds)
    finally:
        killing.end()
    await_that(lambda: not cluster.in_use(), QUIET_S, "everything is released")
    assert not marked.processes()
    for study in killing.studies:
        study.check(cache)
