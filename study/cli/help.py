"""Layout of help texts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from cyclopts.help import DefaultFormatter

if TYPE_CHECKING:
    from cyclopts.help import HelpPanel
    from rich.console import Console, ConsoleOptions


class ReflowedHelp(DefaultFormatter):
    """Help whose paragraphs end where the terminal's lines do, not those of the source."""

    def __call__(self, console: Console, options: ConsoleOptions, panel: HelpPanel) -> None:
        for entry in panel.entries:
            _reflow(entry.description)
        super().__call__(console, options, panel)

    def render_description(
        self, console: Console, options: ConsoleOptions, description: Any
    ) -> None:
        _reflow(description)
        super().render_description(console, options, description)


def _reflow(description: Any) -> None:
    text = getattr(description, "primary_renderable", None)
    if text:
        text.plain = re.sub(r"(?<!\n)\n(?!\n)", " ", text.plain)
