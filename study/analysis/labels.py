"""Names of knobs, cells, metrics and numbers as text, the same in figures, tables and answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cpc_core.adversary import Adversary
from cpc_core.section import Section, kinds
from cpc_core.similarity import Similarity
from search_spaces.knobs import KNOBS
from study.analysis.statistics import Interval

METRIC_LABELS = {
    "train_accuracy": "train CPC accuracy",
    "dev_accuracy": "dev CPC accuracy",
    "dev_map": "dev mAP",
    "dev_probe_accuracy": "dev probe accuracy",
    "dev_balanced_accuracy": "dev balanced accuracy",
    "dev_ranking_accuracy": "dev ranking accuracy",
    "train_ranking_accuracy": "train ranking accuracy",
    "dev_attacked_clean_accuracy": "dev accuracy on the attacked clips without an attack",
    "dev_fgsm_accuracy": "dev accuracy under FGSM",
    "dev_one_step_accuracy": "dev accuracy under one step, contexts held",
    "dev_attack_accuracy": "dev accuracy under k steps, contexts held",
    "train_loss": "train loss",
    "dev_loss": "dev loss",
}


def _labels(knob: str, base: type[Section]) -> dict[tuple[str, str], str]:
    every: Iterable[Any] = kinds(base)
    return {(knob, kind.model_fields["kind"].default): kind.label for kind in every}


_VALUE_LABELS = {
    **_labels("similarity", Similarity),
    **_labels("adversary", Adversary),
    ("loss", "bce"): "BCE",
    ("loss", "infonce"): "InfoNCE",
}

_SELF_EXPLANATORY = ("similarity", "adversary", "loss")
_SYMBOLS = {"temperature": "τ", "epsilon_db": "ε"}


def metric_label(metric: str) -> str:
    """A metric's name in a figure or sentence."""
    return METRIC_LABELS.get(metric, metric.replace("_", " "))


def sentence_case(text: str) -> str:
    """The text with its first letter in capitals: `dev mAP` becomes `Dev mAP`."""
    return text[:1].upper() + text[1:]


def knob_label(name: str) -> str:
    """A knob's name with its unit, as on an axis or column; a dotted path stays one."""
    knob = KNOBS.get(name)
    if knob is None:
        return name
    return f"{knob.label} ({knob.unit})" if knob.unit else knob.label


def value_label(name: str, value: Any) -> str:
    """A knob's value alone, for example `nonlinear cosine` or `−55`."""
    if isinstance(value, float | int) and not isinstance(value, bool):
        return (f"{value:.0f}" if value == int(value) else f"{value:.3g}").replace("-", "−")
    return _VALUE_LABELS.get((name, str(value)), str(value).replace("_", " "))


def setting_label(name: str, value: Any) -> str:
    """A knob with its value, for example `τ = 0.05`, `cross negatives` or `Batch 16 clips`."""
    shown = value_label(name, value)
    if name in _SELF_EXPLANATORY:
        return shown
    if name == "negatives":
        return f"{shown} negatives"
    knob = KNOBS.get(name)
    unit = f" {knob.unit}" if knob and knob.unit else ""
    if name in _SYMBOLS:
        return f"{_SYMBOLS[name]} = {shown}{unit}"
    return f"{knob.label if knob else name.rsplit('.', 1)[-1]} {shown}{unit}"


ONLY = "the only setting"
"""Label of the only cell of a study that varies nothing."""

REFERENCE = "the reference"
"""Label of the first cell of a one-at-a-time grid, from which others differ in one knob each."""


def cell_name(knobs: Mapping[str, Any], reference: Mapping[str, Any] | None = None) -> str:
    """A cell by its knobs; of a one-at-a-time grid, by those that differ from its first cell."""
    if reference is None:
        return cell_label(knobs) or ONLY
    own = {
        name: value
        for name, value in knobs.items()
        if name not in reference or reference[name] != value
    }
    return cell_label(own) or REFERENCE


def cell_label(knobs: Mapping[str, Any]) -> str:
    """Knobs with their values, in the order of the catalog; empty without any."""
    catalog = list(KNOBS)
    ordered = sorted(
        knobs, key=lambda name: (catalog.index(name) if name in KNOBS else len(KNOBS), name)
    )
    return ", ".join(setting_label(name, knobs[name]) for name in ordered)


def number(value: float) -> str:
    """Three decimals with a true minus sign; three digits where a value is large."""
    return (f"{value:.3f}" if abs(value) < 100 else f"{value:,.0f}").replace("-", "−")


def interval_text(interval: Interval) -> str:
    """`0.467 [0.441, 0.493]`, or `0.467 (n = 1, no interval)`."""
    if interval.low is None or interval.high is None:
        return f"{number(interval.mean)} (n = {interval.n}, no interval)"
    return f"{number(interval.mean)} [{number(interval.low)}, {number(interval.high)}]"


def parts_text(interval: Interval) -> str:
    """The shares of seeds and clips in an interval, as a sentence; empty without an interval."""
    if interval.low is None:
        return ""
    if interval.clip_share is None:
        return "The interval is over seeds alone: the held-out clips are held fixed."
    clips = round(100 * interval.clip_share)
    return f"Of its variance, {100 - clips} % is the seeds' and {clips} % the held-out clips'."


def ends_text(low: float | None, high: float | None) -> str:
    """`[0.441, 0.493]`, or `(−∞, 0.493]` where an end may be anything."""
    first = "(−∞" if low is None else f"[{number(low)}"
    return f"{first}, " + ("∞)" if high is None else f"{number(high)}]")


def side(lead: float) -> str:
    """The side of another cell that a lead is on, as text."""
    return "ahead of" if lead >= 0 else "behind"


def ordinal(count: int) -> str:
    """`first`, `second`, `third`, `4th`."""
    return {1: "first", 2: "second", 3: "third"}.get(count, f"{count}th")


def count_text(count: int, noun: str) -> str:
    """`1 trial`, `3 trials`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
