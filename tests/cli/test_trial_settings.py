from __future__ import annotations

from typing import Any, get_args

import pytest

from search_spaces.fields import allowed_values
from study.cli.trial.run import Adversary, Negatives, Similarity


@pytest.mark.parametrize(
    ("knob", "choices"),
    [("adversary", Adversary), ("negatives", Negatives), ("similarity", Similarity)],
)
def test_the_command_line_names_every_kind_that_can_be_trained(knob: str, choices: Any) -> None:
    assert get_args(choices) == allowed_values(knob)
