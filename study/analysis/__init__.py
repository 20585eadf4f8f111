"""Records turned into small frozen infos; each figure, table and sentence shows exactly one of them."""

from __future__ import annotations

from study.analysis.answer import AnswerInfo, answer_info
from study.analysis.cells import Cell, NotShown, best_cell, group_cells, ranked, varied_knobs
from study.analysis.claim_answers import ClaimInfo, claim_infos
from study.analysis.comparison import Comparison, compare
from study.analysis.figure_infos import EpsilonInfo, SamplingInfo, TemperatureInfo, epsilon_info, sampling_info, temperature_info
from study.analysis.front import front
from study.analysis.history import HistoryInfo, history_info
from study.analysis.tables import RankingInfo, TrialTableInfo, ranking_info, trial_table_info

__all__ = [
    "AnswerInfo",
    "Cell",
    "ClaimInfo",
    "Comparison",
    "EpsilonInfo",
    "HistoryInfo",
    "NotShown",
    "RankingInfo",
    "SamplingInfo",
    "TemperatureInfo",
    "TrialTableInfo",
    "answer_info",
    "best_cell",
    "claim_infos",
    "compare",
    "epsilon_info",
    "front",
    "group_cells",
    "history_info",
    "ranked",
    "ranking_info",
    "sampling_info",
    "temperature_info",
    "trial_table_info",
    "varied_knobs",
]
