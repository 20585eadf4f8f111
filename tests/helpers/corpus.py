"""Corpus and spec of a real trial that trains in a second, without Ray."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cpc_core.corpus.corpus import Corpus
from cpc_core.corpus.importing.run import import_folder
from cpc_core.corpus.manifest import ImportOptions
from study.spec.study_spec import StudySpec
from tests.helpers.configs import tiny_config
from tests.helpers.recordings import write_recording


def tones(root: Path, labels: tuple[str, str] = ("low", "high")) -> Corpus:
    """Tones of two pitches in noise, 24 training and 8 development clips of 1600 samples."""
    root.mkdir()
    rng = np.random.default_rng(0)
    rows = ["path,label,split"]
    for index in range(32):
        time = np.arange(1600) / 16_000
        tone = 0.3 * np.sin(2 * np.pi * (500, 2000)[index % 2] * time) + 0.02 * rng.standard_normal(
            1600
        )
        write_recording(root / f"{index}.wav", tone, subtype="PCM_16")
        rows.append(f"{index}.wav,{labels[index % 2]},{'train' if index < 24 else 'dev'}")
    (root / "labels.csv").write_text("\n".join(rows) + "\n")
    return import_folder(root, root / "corpus", ImportOptions(clip_s=0.1)).corpus


def one_trial(corpus: Corpus, steps: int, **changes: Any) -> StudySpec:
    """A study of one trial whose schedule has a length of its own."""
    optimizer = {
        "learning_rate": 1e-3,
        "final_learning_rate": 1e-5,
        "warmup_steps": 2,
        "decay_steps": 10,
    }
    training = {"steps": steps, "report_every": 4, "dev_clips": 8, "collapse_window": 50}
    config = tiny_config(
        optimizer=optimizer,
        training=training,
        adversary={"kind": "fgsm"},
        probe={"hidden": 8, "steps": 5},
    )
    content = {
        "name": "one",
        "corpus": str(corpus.folder),
        "base": config.model_dump(mode="json", exclude={"seed"}),
        **changes,
    }
    return StudySpec.model_validate(content)
