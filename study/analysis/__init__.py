"""Records turned into small frozen infos; each figure, table and sentence shows exactly one of
them.
"""

from __future__ import annotations

from study.analysis.answer import AnswerInfo, answer_info
from study.analysis.cells import (
    Cell,
    NotShown,
    best_cell,
    group_cells,
    pareto_front,
    ranked,
    varied_knobs,
)
from study.analysis.claims import ClaimInfo, claim_infos
from study.analysis.comparison import Comparison, compare
from study.analysis.tables import TrialTableInfo, trial_table_info

__all__ = [
    "AnswerInfo",
    "Cell",
    "ClaimInfo",
    "Comparison",
    "NotShown",
    "TrialTableInfo",
    "answer_info",
    "best_cell",
    "claim_infos",
    "compare",
    "pareto_front",
    "group_cells",
    "ranked",
    "trial_table_info",
    "varied_knobs",
]
