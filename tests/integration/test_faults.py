"""SIGKILL of every kind of process, at random times: the study ends as if nothing had happened.

The faults are drawn from a seed that is printed; `CPC_FAULTS_SEED` repeats it, as far as processes
keep time.
"""

from __future__ import annotations

import itertools
import logging
import os
import random
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from study.spec.study_spec import StudySpec
from tests.helpers.fault_injection import FaultedStudy, Killing, Kind
from tests.helpers.specs import TINY_BASE, tiny_spec
from tests.helpers.two_nodes import QUIET_S, TwoNodes, await_that

pytestmark = pytest.mark.timeout(900)


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
    space={"temperature": [0.05, 0.07, 0.1]},
    objective={"metric": "dev_accuracy"},
    resources={
        "concurrent_trials": 1,
        "workers": 2,
        "cpus_per_worker": 0.5,
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
    ("spec", "hits"),
    [
        (NESTED, {"worker": 5, "controller": 2, "trial": 2, "driver": 2, "raylet": 2}),
        (INLINE, {"trial": 6, "driver": 6, "raylet": 5}),
    ],
    ids=["nested", "inline"],
)
def test_killed_study_ends_as_if_nothing_had_happened(
    spec: StudySpec, hits: Mapping[Kind, int], cluster: TwoNodes, cache: Path, tmp_path: Path
) -> None:
    logging.getLogger(__name__).warning("CPC_FAULTS_SEED=%d", SEED)
    # Each study has a folder to itself: beside another one it would take over what that has
    # trained.
    begun = (tmp_path / str(number) / "study" for number in itertools.count())
    killing = Killing(cluster, lambda: FaultedStudy(cluster, spec, next(begun)), SEED)
    try:
        killing.rounds(hits)
    finally:
        killing.end()
    await_that(lambda: not cluster.held(), QUIET_S, "everything is free again")
    assert not cluster.drivers.processes()
    for study in killing.studies:
        study.check(cache)
