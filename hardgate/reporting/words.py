"""How numbers and names are said: the same everywhere on a page.

Rates, areas and correlations have three decimals, as bounds in ``params.yaml`` do; a reader
compares the two by eye.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime

from hardgate.gates.questions import paragraph
from hardgate.measurements import WORST_CASE
from hardgate.records import Measurement, Record

DECIMALS = 3
MOST_DECIMALS = 6
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
MINUTE, HOUR = 60, 3600

METRICS = {
    "accuracy": "Accuracy",
    "auc": "AUC",
    "balanced_accuracy": "Balanced accuracy",
    "ece": "Calibration error",
    "brier": "Brier score",
    "log_loss": "Log loss",
}
SIGNS = {
    "zero_gradient_share": "inputs whose loss has no gradient at all",
    "gradient_misleads": "inputs where a small step does not do what its gradient says",
    "decision_jumps": "inputs on whose way to another class the margin jumps at the border",
    "loss_does_not_rise": "inputs whose loss the attack does not raise",
    "black_box_beats_white_box": "inputs that only an attack without gradients flips",
    "one_step_beats_many": "inputs that one large step flips and many small ones do not",
    "noise_beats_gradient": "inputs that noise flips and the gradient attack does not",
    "survives_unbounded": "inputs still right when eps covers everything",
    "answers_differ": "inputs whose answer changes with when and how they are asked",
    "outputs_are_probabilities": "inputs answered by shares of one instead of logits",
    "curve_rises": "1 when a larger eps leaves clearly more inputs right",
}
PROPERTIES = {
    "additivity_error": "largest gap between summed attributions and the score they explain",
    "additivity_error_mean": "the same gap, mean over samples",
    "rank_stability_noise": "same order of reasons after noise (rank correlation)",
    "rank_stability_attack": "same order of reasons under attack (rank correlation)",
    "cosine_stability_noise": "same attributions after noise (cosine)",
    "cosine_stability_attack": "same attributions under attack (cosine)",
    "deletion_faithfulness": "deleting by rank moves the score more than deleting at random by",
    "second_opinion": "agreement with a gradient method (rank correlation)",
    "reference_agreement": "agreement with the shap library (cosine)",
}
RATES = {
    "selection_rate": ("Selection rate", "share that gets the positive prediction"),
    "true_positive_rate": ("True positive rate", "share of the positives that is found"),
    "false_positive_rate": ("False positive rate", "share of the negatives called positive"),
    "accuracy": ("Accuracy", "share predicted correctly"),
    "calibration_gap": ("Calibration", "mean probability of the positive less their share"),
}
PLOTS = {
    "beeswarm": "Every decision's attributions",
    "images": "Attributions of single images",
    "deletion": "What deleting the most important features does",
    "importance": "Importance with its intervals",
    "decision-highest": "The decision with the highest output",
    "decision-between": "A decision in between",
    "decision-lowest": "The decision with the lowest output",
}
STOPPED = {
    "finished": "it had trained for all its epochs",
    "early stopping": "the held-out score had not improved for as long as patience allows",
    "catastrophic overfitting": "it had learned to defeat one-step attacks and nothing else "
    "(catastrophic overfitting); the best weights were taken back",
    "robust overfitting": "robustness on unseen data was decaying (robust overfitting); the best "
    "weights were taken back",
}


def number(value: float, decimals: int = DECIMALS) -> str:
    """Say a number: ``0.876``, ``0.0004``, ``12.4``, ``30,000``, ``2.3 × 10⁻⁶``."""
    size = abs(value)
    if 1e-4 <= size < 0.5 * 10**-decimals:
        return f"{value:.4f}"
    if 0 < size < 0.5 * 10**-decimals:
        power = math.floor(math.log10(size))
        return f"{value / 10**power:.1f} × 10{str(power).translate(SUPERSCRIPTS)}"
    if size >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.{decimals}f}"


def plain(value: float) -> str:
    """Say a number that somebody wrote, with the digits it was written with: ``0.3``, ``1000``."""
    return f"{value:g}" if abs(value) < 1e5 else f"{value:,.0f}"


def amount(value: float) -> str:
    """Say a quantity of the data, in its own unit: ``0``, ``−80,000``, ``0.125``."""
    said = f"{abs(value):,.0f}" if float(value).is_integer() else number(abs(value))
    return f"−{said}" if value < 0 else said


def decimals(end: float, bound: float) -> int:
    """Give as many decimals as show on which side of the bound an end of an interval lies."""
    for digits in range(DECIMALS, MOST_DECIMALS):
        if end == bound or round(end, digits) != round(bound, digits):
            return digits
    return MOST_DECIMALS


def value(measured: Measurement, decimals: int = DECIMALS) -> str:
    """Say a measurement's number; a count is a whole one."""
    if measured.interval == "exact" and measured.value.is_integer():
        return f"{measured.value:,.0f}"
    return number(measured.value, decimals)


def interval(measured: Measurement, decimals: int = DECIMALS) -> str:
    """Say a measurement's 95 % interval."""
    if measured.interval == "exact":
        return "exact"
    return f"{number(measured.lower, decimals)} to {number(measured.upper, decimals)}"


def whole(measured: Measurement) -> str:
    """Say number, interval and samples in one breath."""
    return f"{value(measured)} ({interval(measured)}, {count(measured.samples, 'sample')})"


def difference(left: Measurement, right: Measurement) -> str:
    """Say by how much ``left`` exceeds ``right``, with its sign."""
    gap = left.value - right.value
    return f"{'−' if gap < 0 else '+'}{number(abs(gap))}"


def duration(seconds: float) -> str:
    """Say a time: ``0.4 s``, ``41 s``, ``12 min 5 s``, ``3 h 4 min``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 2 * MINUTE:
        return f"{seconds:.0f} s"
    if seconds < 2 * HOUR:
        return f"{seconds // MINUTE:.0f} min {seconds % MINUTE:.0f} s"
    return f"{seconds // HOUR:.0f} h {seconds % HOUR // MINUTE:.0f} min"


def moment(text: str) -> str:
    """Say an ISO 8601 time as ``2026-06-01 12:00 UTC``."""
    return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def count(size: int, noun: str) -> str:
    """Say how many: ``1 row``, ``30,000 rows``."""
    if size == 1:
        return f"1 {noun}"
    return f"{size:,} {noun[:-1]}ies" if noun.endswith("y") else f"{size:,} {noun}s"


def listed(parts: list[str]) -> str:
    """Join words as a sentence does: ``a, b and c``."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def unword(text: str) -> str:
    """Undo :func:`hardgate.measurements.word`."""
    return re.sub(r":([0-9a-f]+):", _sign, text)


def _sign(code: re.Match[str]) -> str:
    point = int(code[1], 16)
    return chr(point) if point <= 0x10FFFF else code[0]


def spaced(name: str) -> str:
    """Say a name without underscores."""
    return unword(name).replace("_", " ")


def gate(label: str) -> str:
    """Say which gate a finding is of: ``robust_auc/worst_case`` is "Robust AUC, worst case"."""
    kind, *rest = label.split("/")
    said = [
        "AUC" if part == "auc" else part if part.isupper() else part.replace("_", " ")
        for part in rest
    ]
    return ", ".join([paragraph(kind), *said])


def attack(name: str) -> str:
    """Say an attack's name."""
    known = {WORST_CASE: "worst case of all", "transfer": "transfer from the undefended twin"}
    return known.get(name, unword(name))


def about(record: Record) -> str:
    """Say what a record is, in the first paragraph of its docstring, with its fields' values."""

    def said(name: re.Match[str]) -> str:
        found = getattr(record, name[1], name[1])
        if isinstance(found, tuple):
            return ", ".join(str(part) for part in found)
        return plain(found) if isinstance(found, float) else str(found)

    text = (type(record).__doc__ or "").strip().partition("\n\n")[0]
    return " ".join(re.sub(r"``(\w+)``", said, text).split())


def digest(sha256: str) -> str:
    """Shorten a digest for the eye."""
    return f"{sha256[:12]}…"
