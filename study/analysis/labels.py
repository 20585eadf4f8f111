"""How knobs, cells, metrics and numbers read in words: one place, so that figures, tables and
answers agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from search_spaces.knobs import KNOBS
from study.analysis.statistics import Interval

METRIC_LABELS = {
    "train_accuracy": "train CPC accuracy",
    "dev_accuracy": "dev CPC accuracy",
    "dev_map": "dev mAP",
    "dev_probe_accuracy": "dev probe accuracy",
    "dev_balanced_accuracy": "dev balanced accuracy",
    "dev_ranking_accuracy": "dev ranking accuracy",
    "dev_fgsm_accuracy": "dev CPC accuracy under FGSM",
    "dev_attack_accuracy": "dev CPC accuracy under a k-step attack",
    "train_loss": "train loss",
    "dev_loss": "dev loss",
}


_VALUE_WORDS = {
    ("similarity", "dot"): "dot product",
    ("adversary", "none"): "no adversary",
    ("adversary", "gaussian"): "Gaussian noise",
    ("adversary", "fgsm"): "FGSM",
    ("adversary", "rs_fgsm"): "random-start FGSM",
    ("adversary", "pgd"): "PGD",
    ("adversary", "free"): "free adversary",
    ("adversary", "speed"): "speed change",
    ("adversary", "pitch"): "pitch shift",
    ("loss", "bce"): "BCE",
    ("loss", "infonce"): "InfoNCE",
}


_SPEAK_FOR_THEMSELVES = ("similarity", "adversary", "loss")


_SYMBOLS = {"temperature": "τ", "epsilon_db": "ε"}


def metric_label(metric: str) -> str:
    """A metric's name in a figure or sentence."""
    return METRIC_LABELS.get(metric, metric.replace("_", " "))


def sentence_case(text: str) -> str:
    """First letter in capitals, the rest as it is: `dev mAP` becomes `Dev mAP`."""
    return text[:1].upper() + text[1:]


def knob_label(name: str) -> str:
    """A knob's name as an axis or column shows it, with its unit; a dotted path is shown as it
    is.
    """
    if name not in KNOBS:
        return name
    knob = KNOBS[name]
    return f"{knob.label} ({knob.unit})" if knob.unit else knob.label


def value_label(name: str, value: Any) -> str:
    """A knob's value alone, for example `nonlinear cosine` or `−55`."""
    if isinstance(value, float | int) and not isinstance(value, bool):
        return (f"{value:.0f}" if value == int(value) else f"{value:.3g}").replace("-", "−")
    return _VALUE_WORDS.get((name, str(value)), str(value).replace("_", " "))


def setting_label(name: str, value: Any) -> str:
    """A knob with its value, for example `τ = 0.05`, `cross negatives` or `Batch 16 clips`."""
    shown = value_label(name, value)
    if name in _SPEAK_FOR_THEMSELVES:
        return shown
    if name == "negatives":
        return f"{shown} negatives"
    unit = f" {KNOBS[name].unit}" if name in KNOBS and KNOBS[name].unit else ""
    if name in _SYMBOLS:
        return f"{_SYMBOLS[name]} = {shown}{unit}"
    return f"{KNOBS[name].label if name in KNOBS else name.rsplit('.', 1)[-1]} {shown}{unit}"


BASE = "the only setting"
"""What the only cell is called of a study that varies nothing."""


REFERENCE = "the reference"
"""What the first cell of a one-at-a-time grid is called, from which each other cell differs in one
knob.
"""


def cell_name(knobs: Mapping[str, Any], reference: Mapping[str, Any] | None = None) -> str:
    """A cell by its knobs; of a one-at-a-time grid, by those in which it differs from the grid's
    first cell.
    """
    if reference is None:
        return cell_label(knobs) or BASE
    return (
        cell_label(
            {
                name: value
                for name, value in knobs.items()
                if name not in reference or reference[name] != value
            }
        )
        or REFERENCE
    )


def cell_label(knobs: Mapping[str, Any]) -> str:
    """A cell by the knobs given, in the order of the catalog. Empty without any: see `BASE`."""
    ordered = sorted(
        knobs, key=lambda name: (list(KNOBS).index(name) if name in KNOBS else len(KNOBS), name)
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


def count_text(count: int, noun: str) -> str:
    """`1 trial`, `3 trials`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
