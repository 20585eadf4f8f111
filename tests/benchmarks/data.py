"""The training stream against bare reading, against individual FLAC files, and against the step
that it feeds; its memory.

Rates are measured in rounds that alternate between what is compared, on the same CPUs in the same
run. Every round begins by using up what was read ahead while the others had their turn.
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow.parquet as pq
import soundfile
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from cluster.data.batches import ray_batches
from cluster.kinds import cluster_at
from cpc_core.config import CpcConfig
from cpc_core.corpus.corpus import Corpus
from cpc_core.corpus.importing.run import import_folder
from cpc_core.corpus.manifest import ImportOptions
from cpc_core.corpus.pcm import fill_floats, pcm_matrix
from cpc_core.corpus.reading.batches import crop
from cpc_core.corpus.sample import SAMPLE_FOLDER
from cpc_core.geometry import SAMPLE_RATE_HZ
from cpc_core.model.initialise import initialise
from cpc_core.step import TrainState, train_step
from tests.benchmarks.importing import tree_kib

CLIPS, CLIP_S, BATCH_SIZE = 1024, 10, 32


ROUNDS, REFILL_S, ROUND_S = 9, 1.5, 2.5


LOADERS = 2


TRAINING_STEPS, TRAINING_BATCH = 200, 16


MEMORY_COPIES, MEMORY_S = (1, 8), 12.0


ENDLESS = 10**9


@dataclass(frozen=True)
class Material:
    """The same clips twice: as a corpus, and as one FLAC file each."""

    corpus: Corpus
    files: list[Path]


def make(folder: Path) -> Material:
    """Clips of the bundled recordings, each begun elsewhere in their concatenation."""
    tape = np.concatenate(
        [soundfile.read(path, dtype="int16")[0] for path in sorted(SAMPLE_FOLDER.rglob("*.flac"))]
    )
    source = folder / "source"
    source.mkdir()
    files = [source / f"{index:04d}.flac" for index in range(CLIPS)]
    for index, path in enumerate(files):
        start = index * 102_947 % (len(tape) - CLIP_S * SAMPLE_RATE_HZ)
        soundfile.write(path, tape[start : start + CLIP_S * SAMPLE_RATE_HZ], SAMPLE_RATE_HZ)
    import_folder(source, folder / "corpus", ImportOptions(clip_s=CLIP_S, dev_fraction=0.0))
    return Material(Corpus.open(folder / "corpus"), files)


def bare(corpus: Corpus) -> Iterator[int]:
    """Row groups read one after the other by pyarrow and converted, in this thread, for ever: clips
    of each.
    """
    while True:
        for group in corpus.row_groups("train"):
            with pq.ParquetFile(group.shard) as file:
                table = file.read_row_group(
                    group.index, columns=["clip_id", "audio"], use_threads=False
                )
            audio = torch.empty(len(table), corpus.clip_samples)
            fill_floats(
                audio.numpy(), pcm_matrix(table["audio"].combine_chunks(), corpus.clip_samples)
            )
            yield len(audio)


class FlacFiles(Dataset[Tensor]):
    """One file a clip."""

    def __init__(self, files: list[Path]) -> None:
        self.files = files

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Tensor:
        samples: Tensor = torch.from_numpy(soundfile.read(self.files[index], dtype="float32")[0])
        return samples


def flac_loader(files: list[Path]) -> Iterator[int]:
    """A plain shuffling loader, for ever: clips of each batch."""
    loader = DataLoader(
        FlacFiles(files), BATCH_SIZE, shuffle=True, num_workers=LOADERS, persistent_workers=True
    )
    while True:
        for batch in loader:
            yield len(batch)


def streamed(corpus: Corpus) -> Iterator[int]:
    """The stream, for ever: clips of each batch."""
    for batch in ray_batches(corpus, 0, BATCH_SIZE, 0, ENDLESS):
        yield len(batch.clip_ids)


def rate(clips: Iterator[int]) -> float:
    """Seconds of audio in a second, after what was read ahead is used up."""
    begin = time.perf_counter()
    while time.perf_counter() - begin < REFILL_S:
        next(clips)
    begin, count = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - begin) < ROUND_S:
        count += next(clips)
    return count * CLIP_S / elapsed


def throughput(material: Material, table: Table) -> None:
    """Audio-seconds in a second: the warm stream, bare reading, and the loader, in turns."""
    with closing(streamed(material.corpus)) as stream, closing(bare(material.corpus)) as reading:  # type: ignore[type-var]
        loading = flac_loader(material.files)
        rate(stream), rate(loading)
        rounds = [(rate(reading), rate(stream), rate(loading)) for _ in range(ROUNDS)]
    bare_rate, stream_rate, loader_rate = (median(column) for column in zip(*rounds, strict=True))
    table.add_row("bare pyarrow, one thread, to float", f"{bare_rate:,.0f} audio-s/s", "")
    table.add_row(
        f"DataLoader over FLAC files, {LOADERS} workers", f"{loader_rate:,.0f} audio-s/s", ""
    )
    table.add_row("stream through Ray Data, warm, to float", f"{stream_rate:,.0f} audio-s/s", "")
    for name, column, target in (
        ("stream ÷ bare pyarrow", 0, 0.5),
        ("stream ÷ DataLoader over FLAC", 2, 3),
    ):
        ratios = sorted(each[1] / each[column] for each in rounds)
        table.add_row(
            name, f"{median(ratios):.2f}  ({ratios[0]:.2f} to {ratios[-1]:.2f})", f"≥ {target:g}"
        )


def waiting(material: Material, table: Table) -> None:
    """First batch, and what training at width 64 waits for its input, at the ends of epochs too."""
    config = CpcConfig.model_validate(
        {
            "encoder": {"width": 64},
            "data": {"batch_size": TRAINING_BATCH, "crop_s": 1.0},
            "training": {"steps": TRAINING_STEPS},
        }
    )
    state = TrainState.create(config, torch.device("cpu"))
    begin = time.perf_counter()
    batches = ray_batches(material.corpus, 0, TRAINING_BATCH, 0, TRAINING_STEPS)
    waits: list[float] = []
    busy_s = 0.0
    asked = begin
    for batch in batches:
        waits.append(time.perf_counter() - asked)
        cropped = crop(batch, SAMPLE_RATE_HZ, config.seed)
        if state.step == 0:
            initialise(state.model, cropped.audio, config.initialisation, config.negatives.count)
        working = time.perf_counter()
        train_step(state, cropped)
        asked = time.perf_counter()
        busy_s += asked - working
    steps_per_epoch = CLIPS // TRAINING_BATCH
    between = [wait for step, wait in enumerate(waits) if step and step % steps_per_epoch == 0]
    others = [wait for step, wait in enumerate(waits) if step and step % steps_per_epoch]
    table.add_row("first batch after start", f"{waits[0]:.2f} s", "≤ 3 s")
    table.add_row(
        "wait between epochs",
        f"{median(between) * 1e3:.1f} ms (within epochs {median(others) * 1e3:.1f} ms)",
        "0 more",
    )
    share = sum(waits[1:]) / (sum(waits[1:]) + busy_s)
    table.add_row(
        f"share of a step waiting, width 64, {busy_s / len(waits) * 1e3:.0f} ms a step",
        f"{share:.1%}",
        "≤ 3 %",
    )


def memory(material: Material, table: Table) -> None:
    """Peak memory of the stream and all of Ray, for a corpus and for one of eight times its
    shards.
    """
    peaks = [_peak_mib(_repeated(material.corpus, copies)) for copies in MEMORY_COPIES]
    sizes = [copies * CLIPS * CLIP_S / 3600 for copies in MEMORY_COPIES]
    text = ", ".join(
        f"{hours:.1f} h {peak:,.0f} MiB" for hours, peak in zip(sizes, peaks, strict=True)
    )
    table.add_row(
        "peak memory of all processes", f"{text}, {peaks[-1] / peaks[0] - 1:+.1%}", "the same"
    )


def _repeated(corpus: Corpus, copies: int) -> Corpus:
    """A corpus whose manifest lists every shard several times."""
    manifest = corpus.manifest.model_copy(
        update={
            "shards": corpus.manifest.shards * copies,
            "rows": {"train": copies * corpus.rows("train")},
        }
    )
    return Corpus(corpus.folder, manifest)


def _peak_mib(corpus: Corpus) -> float:
    peak = 0
    ended = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not ended.wait(0.1):
            peak = max(peak, tree_kib() + _own_kib())

    watching = threading.Thread(target=watch)
    watching.start()
    with closing(streamed(corpus)) as stream:  # type: ignore[type-var]
        begin = time.perf_counter()
        while time.perf_counter() - begin < MEMORY_S:
            next(stream)
    ended.set()
    watching.join()
    return peak / 1024


def _own_kib() -> int:
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def _machine() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")),
        platform.machine(),
    )
    return (
        f"{len(os.sched_getaffinity(0))} CPUs of {model}, load {os.getloadavg()[0]:.1f}, "
        f"Python {platform.python_version()}"
    )


MEASURES: tuple[Callable[[Material, Table], None], ...] = (waiting, throughput, memory)


def main(names: list[str]) -> None:
    """Runs the named measurements, or all, and prints a table for each."""
    torch.set_num_threads(1)
    console = Console(width=140, highlight=False)
    console.print(_machine())
    with tempfile.TemporaryDirectory(prefix="cpc-stream-") as folder:
        material = make(Path(folder))
        with cluster_at(None).connect(None):
            for measure in MEASURES:
                if not names or measure.__name__ in names:
                    table = Table(
                        "figure",
                        "measured",
                        "must reach",
                        box=None,
                        header_style="bold",
                        pad_edge=False,
                    )
                    measure(material, table)
                    console.print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
