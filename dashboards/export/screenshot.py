"""A figure as PNG, drawn by the Chromium of this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import plotly.graph_objects as go

from cpc_core.errors import CpcError

SCALE = 2
"""Device pixels per pixel: sharp on dense screens."""

PADDING_PX = 24
TIMEOUT_S = 60
_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")

_FRAME = (
    '<!doctype html><meta charset="utf-8">'
    "<style>body {{ margin: 0; padding: {padding}px; background: #fff }}</style>{figure}"
)


class ScreenshotError(CpcError):
    """A picture that could not be taken."""


def find_chromium() -> str:
    """Path of a Chromium.

    Raises:
        ScreenshotError: There is none.
    """
    found = next((path for name in _NAMES if (path := shutil.which(name))), None)
    if found is None:
        raise ScreenshotError(
            "no Chromium was found to draw the picture: "
            "install one (Debian: apt-get install chromium), or write an HTML report"
        )
    return found


def screenshot(figure: go.Figure, out: Path, width_px: int) -> Path:
    """Writes a figure as PNG on white.

    Args:
        figure: Its layout's height is kept.
        out: The PNG to write; its folder is made.
        width_px: Width in CSS pixels; the picture has `SCALE` times as many.

    Returns:
        `out`, made absolute.

    Raises:
        ScreenshotError: There is no Chromium, or it failed.
    """
    chromium, out = find_chromium(), out.absolute()
    out.parent.mkdir(parents=True, exist_ok=True)
    height_px = int(figure.layout.height) + 2 * PADDING_PX
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as scratch:
        document, picture = Path(scratch, "figure.html"), Path(scratch, "figure.png")
        drawn = figure.to_html(
            full_html=False,
            include_plotlyjs=True,
            config={"staticPlot": True},
            default_width=f"{width_px - 2 * PADDING_PX}px",
        )
        document.write_text(_FRAME.format(padding=PADDING_PX, figure=drawn), encoding="utf-8")
        _run(
            [
                *_command(chromium, scratch),
                f"--window-size={width_px},{height_px}",
                f"--screenshot={picture}",
                document.as_uri(),
            ],
            picture,
        )
        picture.replace(out)
    return out


def _command(chromium: str, scratch: str) -> list[str]:
    command = [
        chromium,
        "--headless",
        "--disable-gpu",
        "--hide-scrollbars",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--virtual-time-budget=10000",
        f"--force-device-scale-factor={SCALE}",
        f"--user-data-dir={scratch}/profile",
    ]
    return [*command, "--no-sandbox"] if os.geteuid() == 0 else command


def _run(command: list[str], picture: Path) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ScreenshotError(
            f"{command[0]} drew nothing within {TIMEOUT_S} s: try again on a less busy machine"
        ) from error
    if not picture.is_file():
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ScreenshotError(
            f"{command[0]} ended with code {done.returncode} and drew nothing ({last}): "
            "write an HTML report instead"
        )
