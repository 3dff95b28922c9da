"""How grave an advisory is: the word its database gives, or what its CVSS vector comes to.

Base score of CVSS 3.0 and 3.1, section 7.1 of the specification: https://www.first.org/cvss/v3-1/.
A vector of another version has no word here, and what has none counts as the gravest.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

Severity = Literal["low", "moderate", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
WORDS: dict[str, Severity] = {
    **{"LOW": "low", "MODERATE": "moderate", "MEDIUM": "moderate"},
    **{"HIGH": "high", "CRITICAL": "critical"},
}
LEAST: tuple[tuple[float, Severity], ...] = ((9.0, "critical"), (7.0, "high"), (4.0, "moderate"))
WEIGHTS: dict[str, dict[str, float]] = {
    "AV": {"N": 0.85, "A": 0.62, "L": 0.55, "P": 0.2},
    "AC": {"L": 0.77, "H": 0.44},
    "UI": {"N": 0.85, "R": 0.62},
    **{metric: {"H": 0.56, "L": 0.22, "N": 0.0} for metric in "CIA"},
}
PRIVILEGES = {"U": {"N": 0.85, "L": 0.62, "H": 0.27}, "C": {"N": 0.85, "L": 0.68, "H": 0.5}}


def of(advisory: dict[str, Any]) -> Severity | None:
    """Give the severity that an OSV entry states; None when it states none that is understood."""
    for place in (advisory, *advisory.get("affected", ())):
        word = str(place.get("database_specific", {}).get("severity", "")).upper()
        if word in WORDS:
            return WORDS[word]
    vectors = [each for each in advisory.get("severity", ()) if each.get("type") == "CVSS_V3"]
    scores = [base_score(str(each.get("score"))) for each in vectors]
    known = [score for score in scores if score is not None]
    return named(max(known)) if known else None


def named(score: float) -> Severity:
    """Name a base score."""
    return next((word for least, word in LEAST if score >= least), "low")


def base_score(vector: str) -> float | None:
    """Compute the base score of a CVSS 3 vector; None if it is none."""
    version, *parts = vector.split("/")
    found = dict(part.partition(":")[::2] for part in parts)
    if not version.startswith("CVSS:3."):
        return None
    try:
        weight = {metric: WEIGHTS[metric][found[metric]] for metric in WEIGHTS}
        changed = {"U": False, "C": True}[found["S"]]
        privileges = PRIVILEGES[found["S"]][found["PR"]]
    except KeyError:
        return None
    lost = 1 - (1 - weight["C"]) * (1 - weight["I"]) * (1 - weight["A"])
    impact = 7.52 * (lost - 0.029) - 3.25 * (lost - 0.02) ** 15 if changed else 6.42 * lost
    exploited = 8.22 * weight["AV"] * weight["AC"] * privileges * weight["UI"]
    if impact <= 0:
        return 0.0
    return _rounded_up(min((1.08 if changed else 1.0) * (impact + exploited), 10.0))


def _rounded_up(score: float) -> float:
    """Round up to one decimal, as appendix A does it: without what floats add."""
    whole = round(score * 100_000)
    return whole / 100_000 if whole % 10_000 == 0 else (whole // 10_000 + 1) / 10
