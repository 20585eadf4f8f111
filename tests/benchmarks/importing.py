"""Import against a bare loop of soundfile and torchaudio on the same CPUs, and its peak memory at 1 h against 8 h of input."""

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

from cluster.importing import import_with_ray
from cluster.processes import descendants
from cpc_core.corpus.importer import PartRunner, import_source, in_this_process
from cpc_core.corpus.manifest import ImportOptions
from cpc_core.corpus.sources.detect import open_source

RATE, CLIP_S = 44_100, 10
MEMORY_HOURS, RAY_HOURS = (1, 8), (2, 5)
ROUNDS = 3
SAMPLING_S = 0.1


def write_hours(folder: Path, hours: int) -> list[Path]:
    """Ten-second stereo FLAC files at 44.1 kHz; beyond the first hour they are links to its files, which cost as much to import."""
    generator = np.random.default_rng(0)
    time_s = np.arange(RATE * CLIP_S) / RATE
    files = [folder / f"{hour}" / f"{index:03d}.flac" for hour in range(hours) for index in range(3600 // CLIP_S)]
    for path in files:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.parent.name != "0":
            path.hardlink_to(folder / "0" / path.name)
            continue
        tones = sum(0.1 * np.sin(2 * np.pi * hz * time_s) for hz in generator.uniform(80, 6_000, 5))
        soundfile.write(path, tones[:, None] + 0.02 * generator.standard_normal((len(time_s), 2)), RATE, subtype="PCM_16")
    return files


def bare(path: Path) -> int:
    """What nobody can do without: decode, mix, resample."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return int(_resampler(rate)(torch.from_numpy((samples[:, 0] + samples[:, 1]) / 2)).shape[0])


_RESAMPLERS: dict[int, Resample] = {}


def _resampler(rate: int) -> Resample:
    return _RESAMPLERS.setdefault(rate, Resample(rate, 16_000))


def bare_pool(files: list[Path], processes: int) -> None:
    """The bare loop in as many processes, forked: another way leaves a process behind, for which Ray's end would wait."""
    with multiprocessing.get_context("fork").Pool(processes, torch.set_num_threads, (1,)) as pool:
        pool.map(bare, files, chunksize=16)


def imported(source: Path, run: PartRunner) -> None:
    """A whole import, with everything that belongs to it."""
    with tempfile.TemporaryDirectory(dir=source.parent) as out:
        import_source(open_source(source), Path(out) / "corpus", ImportOptions(clip_s=CLIP_S), run=run)


def seconds(run: Callable[[], object]) -> float:
    """Wall time."""
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def in_one_process(folder: Path) -> None:
    """Prints the ratio for an import without Ray."""
    files, source = write_hours(folder / "alone", 1), folder / "alone"
    imported(source, in_this_process)
    pairs = [(seconds(lambda: [bare(path) for path in files]), seconds(lambda: imported(source, in_this_process))) for _ in range(ROUNDS)]
    _print_ratio("one process, without Ray", pairs, len(files) * CLIP_S)


def on_all_cpus(folder: Path) -> None:
    """Prints the ratios for Ray against a pool of as many processes: with the start of both, and for what comes after it."""
    cpus = len(os.sched_getaffinity(0))
    times: dict[int, list[tuple[float, float]]] = {}
    for hours in RAY_HOURS:
        files, source = write_hours(folder / f"ray {hours}", hours), folder / f"ray {hours}"
        pool, ray = partial(bare_pool, files, cpus), partial(imported, source, import_with_ray)
        times[hours] = [(seconds(pool), seconds(ray)) for _ in range(ROUNDS)]
        _print_ratio(f"Ray on {cpus} CPUs, {hours} h, start included", times[hours], hours * 3600)
    few, many = RAY_HOURS
    further = [(long[0] - short[0], long[1] - short[1]) for short, long in zip(times[few], times[many], strict=True)]
    _print_ratio(f"Ray on {cpus} CPUs, each further hour", further, (many - few) * 3600)


def _print_ratio(name: str, pairs: list[tuple[float, float]], audio_s: float) -> None:
    loop, ours = (median(times) for times in zip(*pairs, strict=True))
    ratio = median(bare_s / import_s for bare_s, import_s in pairs)
    print(f"{name}: import {audio_s / ours:.0f} audio-s/s, bare loop {audio_s / loop:.0f}, ratio {ratio:.2f}", flush=True)


def tree_kib() -> int:
    """Memory of all processes below this one, shared pages divided among those who share them."""
    total = 0
    for process in descendants():
        try:
            lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total


def peak_mib(source: Path, out: Path, tasks: int) -> float:
    """Largest memory of an import and everything it starts."""
    command = [sys.executable, "-m", "study.cli", "data", "import", str(source), "--out", str(out), "--tasks", str(tasks)]
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
        write_hours(folder / f"{hours} h", hours)
    for tasks in (0, 2):
        peaks = [peak_mib(folder / f"{hours} h", folder / f"corpus {tasks} {hours}", tasks) for hours in MEMORY_HOURS]
        growth = peaks[-1] / peaks[0] - 1
        print(
            f"--tasks {tasks}: " + ", ".join(f"{hours} h {peak:.0f} MiB" for hours, peak in zip(MEMORY_HOURS, peaks, strict=True)), end=""
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
