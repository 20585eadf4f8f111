from __future__ import annotations

import struct
from pathlib import Path

import pytest

from dashboards.drawing.panels import Panel
from dashboards.export.screenshot import SCALE, screenshot
from dashboards.figures import temperature
from tests.helpers import records
from tests.helpers.chromium import installed_chromium

INFO = temperature.FIGURE.info(records.temperature_study())


assert isinstance(INFO, Panel)


FIGURE = temperature.FIGURE.draw(INFO)


def test_picture_has_the_size_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed_chromium()
    monkeypatch.chdir(tmp_path)
    out = screenshot(FIGURE, Path("figure.png"), 800)
    assert out == tmp_path / "figure.png"
    content = out.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", content[16:24])
    assert (width, height) == (800 * SCALE, (400 + 48) * SCALE)
    assert len(content) > 20_000
