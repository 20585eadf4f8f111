from __future__ import annotations

import stat
from pathlib import Path

import pytest

import dashboards.export.screenshot
from dashboards.drawing.panels import Panel
from dashboards.export.screenshot import ScreenshotError, screenshot
from dashboards.figures import temperature
from tests.helpers import records

INFO = temperature.FIGURE.info(records.temperature_study())


assert isinstance(INFO, Panel)


FIGURE = temperature.FIGURE.draw(INFO)


def test_no_chromium_is_one_sentence_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ScreenshotError, match=r"no Chromium was found .* apt-get install chromium"):
        screenshot(FIGURE, tmp_path / "figure.png", 800)
    assert list(tmp_path.iterdir()) == []


def test_a_failing_chromium_is_reported_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "bin" / "chromium"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\necho 'cannot open display' >&2\nexit 3\n")
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(dashboards.export.screenshot, "find_chromium", lambda: str(fake))
    with pytest.raises(ScreenshotError, match=r"code 3 and drew nothing \(cannot open display\)"):
        screenshot(FIGURE, tmp_path / "out" / "figure.png", 800)
    assert list((tmp_path / "out").iterdir()) == []
