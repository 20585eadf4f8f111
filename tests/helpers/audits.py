"""Audit of an invented corpus, from which its page is drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cpc_core.corpus.audit.findings import AuditResult, ClipRef, Finding, Histogram, LabelCount
from cpc_core.corpus.audit.samples import COLUMNS, ROWS, ClipSample

CLIP = ClipRef("train-00000.parquet", 0, 3, "train", "drums/<kick>.wav", 2.0, "kick", "drums/kick")


OTHER = replace(CLIP, split="dev", path="drums/copy.wav", start_s=0.0)


AUDIT = AuditResult(
    corpus="drums",
    hash="0123abc",
    clip_s=2.0,
    sample_rate_hz=16_000,
    audio_s=250.0,
    rows={"train": 1200, "dev": 60},
    histograms=(Histogram("level", "dB", (-60.0, -40.0, -20.0, 0.0), (3, 1200, 57)),),
    labels=tuple(
        LabelCount(f"label {index}", {"train": 100 - index, "dev": 1}) for index in range(30)
    ),
    findings=(
        Finding("shards", "good", 0, "shards that are not as they were written"),
        Finding("content in two splits", "look", 1, "of these pairs", ((CLIP, OTHER),)),
        Finding("silence", "look", 2, "clips of nothing but zeros", ((CLIP,), (OTHER,))),
    ),
    damages=(),
    samples=(CLIP,),
)


SPECTROGRAM = np.arange(ROWS * COLUMNS, dtype=np.uint32).astype(np.uint8).reshape(ROWS, COLUMNS)


SAMPLES = (ClipSample(CLIP, 1.25, b"fLaC", SPECTROGRAM),)
