from __future__ import annotations

import time
from pathlib import Path

from cluster.train.process_group import TIMEOUT
from cpc_core.corpus.corpus import Corpus
from cpc_core.corpus.reading.order import ReadPlan
from study.folders.study_folder import StudyFolder
from study.results.reader import read_study
from tests.helpers.configs import tiny_config
from tests.helpers.damage import flip_audio_bit
from tests.helpers.processes import Driver, Marked
from tests.helpers.ray_nodes import RunningRay
from tests.helpers.recordings import noise_corpus
from tests.helpers.specs import tiny_spec

BATCH = 64


WORKERS = 2


BOUND_S = 200
"""From the start of the driver to its end, on a busy machine; most of it is Ray's start and the
workers'.
"""


def row_groups_of(corpus: Corpus, rank: int) -> set[int]:
    """Row groups of the only shard that a worker opens in the first epoch."""
    opened: set[int] = set()
    plan = ReadPlan(corpus.row_groups("train"), 0, BATCH)
    for read in plan.windows(0, plan.steps_per_epoch, rank, WORKERS):
        owners = [group.index for group in read.row_groups for _ in range(group.rows)]
        opened |= {owners[row] for row in read.rows_and_steps()[0]}
    return opened


def test_damage_that_one_worker_reads_ends_the_trial(
    tmp_path: Path, running_ray: RunningRay, marked: Marked
) -> None:
    """At once, and with the place of the damage as the reason."""
    corpus = noise_corpus(tmp_path / "made", train=BATCH, dev=8, clip_s=0.06)
    row_group = min(row_groups_of(corpus, 1) - row_groups_of(corpus, 0))
    flip_audio_bit(Path(corpus.folder) / "train-00000.parquet", [row_group])
    base = tiny_config(data={"batch_size": BATCH}).model_dump(mode="json", exclude={"seed"})
    spec = tiny_spec(
        corpus=str(corpus.folder),
        base=base,
        space={},
        resources={"concurrent_trials": 1, "workers": WORKERS, "cpus_per_worker": 0.25},
    )

    begin = time.monotonic()
    driver = Driver(marked, spec, tmp_path / "study", ray=running_ray)
    ended = [event for event in driver.events() if event[0] == "ended"]
    assert driver.finish() == (0, "")
    assert time.monotonic() - begin < BOUND_S < TIMEOUT.total_seconds()
    assert ended == [("ended", 0, 0, "failed")]
    (trial,) = read_study(StudyFolder(tmp_path / "study")).trials
    assert trial.reason.startswith(f"row group {row_group} of shard {corpus.folder}")
