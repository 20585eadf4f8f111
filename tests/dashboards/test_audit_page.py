from __future__ import annotations

import struct
import zlib
from dataclasses import replace

import numpy as np

from cpc_core.corpus.audit.findings import AuditResult, Damage, Finding
from cpc_core.corpus.audit.samples import COLUMNS, ROWS
from dashboards.audit.figures import LABELS_SHOWN, draw_histogram, draw_labels
from dashboards.audit.page import audit_page
from dashboards.audit.png import png
from dashboards.export.report import self_contained
from tests.helpers.audits import AUDIT, SAMPLES, SPECTROGRAM
from tests.helpers.html import Document


def document(info: AuditResult) -> Document:
    page = Document(self_contained("title", "description", audit_page(info, SAMPLES)))
    assert page.open == []
    return page


def test_the_page_has_verdict_findings_and_their_clips() -> None:
    text = document(AUDIT).text
    for words in (
        "drums",
        "Whole, with 2 things worth a look.",
        "First: content in two splits.",
        "1,260",
        "1,200 train · 60 dev",
        "4 min 10 s",
        "drums/<kick>.wav (train, from 2 s) = drums/copy.wav (dev, from 0 s)",
        "6 rarer labels are not shown",
        "kick train, 1.2 s",
    ):
        assert words in text


def test_a_damaged_corpus_leads_with_the_damage() -> None:
    broken = Finding("shards", "broken", 1, "shards that are not as they were written")
    damages = (
        Damage("dev-00000.parquet", None, "is missing"),
        Damage("train-00000.parquet", 4, "CRC"),
    )
    text = document(replace(AUDIT, findings=(broken,), damages=damages)).text
    assert "Damaged: 2 shards of the corpus cannot be trusted." in text
    assert "dev-00000.parquet : is missing" in text
    assert "train-00000.parquet, row group 4 : CRC" in text


def test_a_corpus_without_labels_samples_or_findings_has_a_page() -> None:
    page = Document(
        self_contained(
            "t", "d", audit_page(replace(AUDIT, labels=(), findings=AUDIT.findings[:1]), ())
        )
    )
    assert "Whole, and nothing stands out." in page.text
    assert not {"labels", "samples"} & page.ids


def test_the_page_asks_the_network_for_nothing() -> None:
    loading = [
        value
        for _, name, value in document(AUDIT).attributes
        if name in ("src", "href", "srcset", "action", "data")
    ]
    assert len(loading) == 3
    assert all(value.startswith("data:") for value in loading)


def test_a_histogram_has_a_bar_of_each_bin_where_it_is() -> None:
    (bars,) = draw_histogram(AUDIT.histograms[0]).data
    assert (tuple(bars.x), tuple(bars.y)) == ((-50, -30, -10), (3, 1200, 57))
    assert bars.hovertext[1] == "-40 to -20 dB: 1,200 clips"


def test_labels_are_stacked_by_split_and_the_rarest_left_out() -> None:
    train, dev = draw_labels(AUDIT.labels).data
    assert list(train.x) == [100 - index for index in range(LABELS_SHOWN)]
    assert list(dev.x) == [1] * LABELS_SHOWN
    assert list(train.y) == [f"label {index}" for index in range(LABELS_SHOWN)]


def test_a_png_has_the_first_row_of_levels_at_the_bottom() -> None:
    content = png(SPECTROGRAM)
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    chunks: dict[bytes, bytes] = {}
    at = 8
    while at < len(content):
        (length,) = struct.unpack(">I", content[at : at + 4])
        name, data = content[at + 4 : at + 8], content[at + 8 : at + 8 + length]
        assert struct.unpack(">I", content[at + 8 + length : at + 12 + length])[0] == zlib.crc32(
            name + data
        )
        chunks[name] = data
        at += 12 + length
    assert struct.unpack(">IIBBBBB", chunks[b"IHDR"]) == (COLUMNS, ROWS, 8, 3, 0, 0, 0)
    assert len(chunks[b"PLTE"]) == 3 * 256
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(ROWS, COLUMNS + 1)
    assert not rows[:, 0].any()
    assert np.array_equal(rows[::-1, 1:], SPECTROGRAM)
