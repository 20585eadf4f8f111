"""Import against a bare loop of soundfile and torchaudio on the same CPUs, and its peak memory at 1
h against 8 h of input.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import soundfile
import torch
from torchaudio.transforms import Resample

from cluster.data.importing import import_with_ray
from cluster.kinds.processes import descendants
from cpc_core.corpus.importing.clips import clip_samples
from cpc_core.corpus.importing.parts import plan_parts
from cpc_core.corpus.importing.run import PartRunner, import_source, in_this_process
from cpc_core.corpus.importing.splits import with_splits
from cpc_core.corpus.manifest import SHARD_BYTES, ImportOptions
from cpc_core.corpus.pcm import BYTES_PER_SAMPLE
from cpc_core.corpus.sources.detect import open_source
from tests.helpers.recordings import recordings

RATE, CLIP_S = 44_100, 10


AN_HOUR = 3600 // CLIP_S


MEMORY_HOURS, PARTS_A_CPU = (1, 8), (1, 4)


OPTIONS = ImportOptions(clip_s=CLIP_S, dev_fraction=0.0)


ROUNDS = 3


SAMPLING_S = 0.1


def write_recordings(folder: Path, count: int) -> list[Path]:
    """Ten-second stereo FLAC files at 44.1 kHz; those beyond an hour are links to its files, which
    cost as much to import.
    """
    generator = np.random.default_rng(0)
    time_s = np.arange(RATE * CLIP_S) / RATE
    files = [
        folder / f"{index // AN_HOUR}" / f"{index % AN_HOUR:03d}.flac" for index in range(count)
    ]
    for path in files:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.parent.name != "0":
            path.hardlink_to(folder / "0" / path.name)
            continue
        tones = sum(0.1 * np.sin(2 * np.pi * hz * time_s) for hz in generator.uniform(80, 6_000, 5))
        soundfile.write(
            path,
            tones[:, None] + 0.02 * generator.standard_normal((len(time_s), 2)),
            RATE,
            subtype="PCM_16",
        )
    return files


def recordings_of(parts: int) -> int:
    """How many of them an import without dev clips divides into that many parts: each is a clip."""
    return round(parts * SHARD_BYTES / (clip_samples(OPTIONS) * BYTES_PER_SAMPLE))


def bare(path: Path) -> int:
    """What nobody can do without: decode, mix, resample."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return int(_resampler(rate)(torch.from_numpy((samples[:, 0] + samples[:, 1]) / 2)).shape[0])


_RESAMPLERS: dict[int, Resample] = {}


def _resampler(rate: int) -> Resample:
    return _RESAMPLERS.setdefault(rate, Resample(rate, 16_000))


def bare_pool(files: list[Path], processes: int) -> None:
    """The bare loop in as many processes, forked: another way leaves a process behind, for which
    Ray's end would wait.
    """
    with multiprocessing.get_context("fork").Pool(processes, torch.set_num_threads, (1,)) as pool:
        pool.map(bare, files, chunksize=16)


def imported(source: Path, run: PartRunner) -> None:
    """A whole import, with everything that belongs to it."""
    with tempfile.TemporaryDirectory(dir=source.parent) as out:
        import_source(open_source(source), Path(out) / "corpus", OPTIONS, run=run)


def seconds(run: Callable[[], object]) -> float:
    """Wall time."""
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def in_one_process(folder: Path) -> None:
    """Prints the ratio for an import without Ray."""
    files, source = write_recordings(folder / "alone", AN_HOUR), folder / "alone"
    imported(source, in_this_process)
    pairs = [
        (
            seconds(lambda: [bare(path) for path in files]),
            seconds(lambda: imported(source, in_this_process)),
        )
        for _ in range(ROUNDS)
    ]
    _print_ratio("one process, without Ray", pairs, len(files) * CLIP_S)


def on_all_cpus(folder: Path) -> None:
    """Prints the ratios for Ray against a pool of as many processes: with the start of both, and
    for what comes after it.

    The parts are a multiple of the CPUs, all equally large: a CPU without a part in the last round
    would be counted as cost.
    """
    cpus = len(os.sched_getaffinity(0))
    times: dict[int, list[tuple[float, float]]] = {}
    audio_s: dict[int, int] = {}
    for parts in PARTS_A_CPU:
        source = folder / f"ray {parts}"
        files = write_recordings(source, recordings_of(parts * cpus))
        _require_parts(source, parts * cpus)
        pool, ray = partial(bare_pool, files, cpus), partial(imported, source, import_with_ray)
        times[parts] = [(seconds(pool), seconds(ray)) for _ in range(ROUNDS)]
        audio_s[parts] = len(files) * CLIP_S
        _print_ratio(
            f"Ray on {cpus} CPUs, {_amount(parts, audio_s[parts])}, start included",
            times[parts],
            audio_s[parts],
        )
    few, many = PARTS_A_CPU
    further = [
        (long[0] - short[0], long[1] - short[1])
        for short, long in zip(times[few], times[many], strict=True)
    ]
    further_s = audio_s[many] - audio_s[few]
    _print_ratio(
        f"Ray on {cpus} CPUs, each further hour (the difference: {_amount(many - few, further_s)})",
        further,
        further_s,
    )


def _require_parts(source: Path, parts: int) -> None:
    entries = with_splits(recordings(source), OPTIONS.dev_fraction, OPTIONS.seed)
    if (planned := len(list(plan_parts(source, entries, OPTIONS)))) != parts:
        raise RuntimeError(f"{source} is divided into {planned} parts, {parts} were to be measured")


def _amount(parts: int, audio_s: int) -> str:
    return f"{parts} part{'s' if parts > 1 else ''} a CPU = {audio_s / 3600:.2f} h"


def _print_ratio(name: str, pairs: list[tuple[float, float]], audio_s: float) -> None:
    loop, ours = (median(times) for times in zip(*pairs, strict=True))
    ratio = median(bare_s / import_s for bare_s, import_s in pairs)
    print(
        f"{name}: import {audio_s / ours:.0f} audio-s/s, bare loop {audio_s / loop:.0f}, ratio "
        f"{ratio:.2f}",
        flush=True,
    )


def tree_kib() -> int:
    """Memory of all processes below this one, shared pages divided among those who share them."""
    total = 0
    for process in descendants():
        try:
            lines = (
                Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
            )
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total


def peak_mib(source: Path, out: Path, tasks: int) -> float:
    """Largest memory of an import and everything it starts."""
    command = [
        sys.executable,
        "-m",
        "study.cli",
        "data",
        "import",
        str(source),
        "--out",
        str(out),
        "--tasks",
        str(tasks),
    ]
    peak = 0
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as running:
        while running.poll() is None:
            peak = max(peak, tree_kib())
            time.sleep(SAMPLING_S)
    if running.returncode:
        raise RuntimeError(f"{command} ended with {running.returncode}")
    return peak / 1024


def memory(folder: Path) -> None:
    """Prints peak memory for each amount of input, without and with Ray."""
    for hours in MEMORY_HOURS:
        write_recordings(folder / f"{hours} h", hours * AN_HOUR)
    for tasks in (0, 2):
        peaks = [
            peak_mib(folder / f"{hours} h", folder / f"corpus {tasks} {hours}", tasks)
            for hours in MEMORY_HOURS
        ]
        growth = peaks[-1] / peaks[0] - 1
        print(
            f"--tasks {tasks}: "
            + ", ".join(
                f"{hours} h {peak:.0f} MiB" for hours, peak in zip(MEMORY_HOURS, peaks, strict=True)
            ),
            end="",
        )
        print(f", grows by {growth:.1%}")


def main(names: list[str]) -> None:
    """Runs the named measurements, or all."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="cpc-import-") as folder:
        for measure in (in_one_process, on_all_cpus, memory):
            if not names or measure.__name__ in names:
                measure(Path(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
