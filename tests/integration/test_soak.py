"""The short form of `python -m tests.soak`: studies under random faults, others in each run."""

from __future__ import annotations

import logging
import os
import random
from pathlib import Path

import pytest

from tests.helpers.missing import is_missing
from tests.helpers.postgres import binaries
from tests.soak import soak

MINUTES = 5

NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")


@NEEDS_ROOT
@pytest.mark.timeout(1800)
def test_disturbed_studies_end_as_if_nothing_had_happened(tmp_path: Path) -> None:
    if binaries() is None:
        is_missing("a PostgreSQL server", "postgresql")
    seed = int(os.environ.get("CPC_FAULTS_SEED", random.randrange(10**6)))
    logging.getLogger(__name__).warning("CPC_FAULTS_SEED=%d", seed)
    tally = soak(MINUTES, seed, tmp_path)
    assert tally.trials and tally.faults
