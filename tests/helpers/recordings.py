"""Small recordings and corpora that the tests write, and the awkward recordings."""

from __future__ import annotations

import csv
import io
import tarfile
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from cpc_core.corpus.corpus import Corpus
from cpc_core.corpus.importing.run import import_folder
from cpc_core.corpus.manifest import ImportOptions
from cpc_core.corpus.sources.detect import open_source
from cpc_core.corpus.sources.entry import Entry
from tests.helpers.shared_data import shared_file


def awkward_recordings(folder: Path) -> Path:
    """Unpacks the damaged and odd files into `folder`, or skips the test if there are none."""
    with tarfile.open(shared_file("data/nasty.tar.gz")) as archive:
        archive.extractall(folder, filter="data")
    return folder / "nasty"


def recordings(path: Path) -> list[Entry]:
    """Entries of the source at a path, without its remarks."""
    return [entry for entry in open_source(path).entries() if isinstance(entry, Entry)]


def noise(seconds: float, seed: int = 0, rate: int = 16_000) -> NDArray[np.float32]:
    """White noise at a tenth of full scale."""
    return (0.1 * np.random.default_rng(seed).standard_normal(round(seconds * rate))).astype(
        np.float32
    )


def write_tone(path: Path, hz: float, seconds: float) -> None:
    """Writes a sine in a little noise as WAV, and creates the folder."""
    time = np.arange(round(seconds * 16_000)) / 16_000
    write_recording(
        path, (0.3 * np.sin(2 * np.pi * hz * time)).astype(np.float32) + 0.1 * noise(seconds)
    )


def write_recording(
    path: Path, samples: NDArray[np.floating], rate: int = 16_000, subtype: str = "FLOAT"
) -> None:
    """Writes `[L]` or `[L, channels]` samples as WAV, and creates the folder.

    Encoded in memory, because libsndfile syncs every file to the disk: most of the time of tests.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    encoded = io.BytesIO()
    soundfile.write(encoded, samples, rate, subtype=subtype, format="WAV")
    path.write_bytes(encoded.getvalue())


def write_labels(folder: Path, rows: list[dict[str, str]]) -> None:
    """Writes labels.csv with the columns of the first row."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def noise_corpus(
    folder: Path, train: int, dev: int = 0, clip_s: float = 0.1, own_s: tuple[float, ...] = ()
) -> Corpus:
    """Corpus of noise clips of two classes with given splits; `own_s` are the lengths of its
    recordings in turn, by default those of the clips.
    """
    rows = []
    for index in range(train + dev):
        name = f"{index:04d}.wav"
        write_recording(
            folder / "source" / name,
            noise((own_s or (clip_s,))[index % max(1, len(own_s))], index),
            subtype="PCM_16",
        )
        rows.append(
            {
                "path": name,
                "label": "even" if index % 2 == 0 else "odd",
                "split": "train" if index < train else "dev",
            }
        )
    write_labels(folder / "source", rows)
    summary = import_folder(folder / "source", folder / "corpus", ImportOptions(clip_s=clip_s))
    return summary.corpus


def listed(path: Path) -> list[dict[str, str]]:
    """Rows of rejected.csv or notes.csv."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
