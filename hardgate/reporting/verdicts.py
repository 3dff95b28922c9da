"""The decision and its gates, as a page shows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from hardgate import measurements
from hardgate.gates import Gate
from hardgate.gates.questions import RATE, Question, paragraph
from hardgate.params import Params
from hardgate.records import Decision, Finding, Verdict
from hardgate.reporting import charts, words
from hardgate.reporting.charts import Bound, Scale
from hardgate.reporting.run import Run

SAID = {
    Verdict.PASSED: "Passed",
    Verdict.FAILED: "Failed",
    Verdict.UNMEASURED: "Not measured",
}
COIN = 0.5  # the AUC of guessing


@dataclass(frozen=True)
class Row:
    """One gate: what it asked, what was found, and the interval beside its bound."""

    title: str
    asked: str  # in one sentence
    verdict: str  # a key of SAID, for styles
    said: str  # the verdict in words
    value: str
    interval: str
    samples: str
    must: str  # "at least 0.68"
    condition: str  # in full, when the message does not hold it
    message: str
    reason: str  # the part of the message that says what was found
    paragraph: str  # of docs/gates.md
    chart: Markup


@dataclass(frozen=True)
class Banner:
    """The decision, as the first thing that is seen."""

    promoted: bool
    word: str
    name: str  # model and version
    sentence: str
    refusing: tuple[Row, ...]
    decided: str
    valid_until: str
    next_step: str


@dataclass(frozen=True)
class Tile:
    """One number that sums up a part."""

    title: str
    value: str
    note: str


def drilled(run: Run) -> str:
    """Say whether anybody has seen these gates refuse."""
    drill = run.drill
    if drill is None:
        return (
            "Whether these gates refuse what they should was not tried on this machine: run "
            "hardgate drill gates, whole."
        )
    when = words.moment(drill.drilled_at)
    said = f"Drilled on {when}: {drill}, a score of {100 * drill.score:.0f} %."
    if drill.commit != run.candidate.commit:
        said += " That was with other code than this run's; drill again."
    wrong = [each.name for each in drill.outcomes if not each.right]
    return f"{said} Wrong: {', '.join(wrong)}." if wrong else said


def rows(params: Params, decision: Decision) -> tuple[Row, ...]:
    """Show every finding, in the order of the policy."""
    asked = {gate.label: gate for gate in params.promotion.gates}
    return tuple(_row(finding, asked.get(finding.gate)) for finding in decision.findings)


def _row(finding: Finding, gate: Gate | None) -> Row:
    question = gate.questions()[0] if gate else None
    end = question.end if question else "lower"
    seen = finding.observed
    scale = _scale(finding, question)
    digits = words.DECIMALS
    if seen:
        digits = words.decimals(seen.lower if end == "lower" else seen.upper, finding.bound)
    drawn = [(_style(finding), seen)] if seen else []
    return Row(
        title=words.gate(finding.gate),
        asked=words.about(gate) if gate else "",
        verdict=finding.verdict.value,
        said=SAID[finding.verdict],
        value=words.value(seen, digits) if seen else "–",
        interval=words.interval(seen, digits) if seen else "no interval",
        samples=words.count(seen.samples, "sample") if seen else "",
        must=f"{charts.AT[end]} {words.plain(finding.bound)}",
        condition="" if finding.condition in finding.message else finding.condition,
        message=finding.message,
        reason=_reason(finding),
        paragraph=paragraph(finding.gate.partition("/")[0]),
        chart=charts.intervals(drawn, scale, bound=Bound(finding.bound, end)),
    )


def _reason(finding: Finding) -> str:
    return finding.message.removeprefix(f"{finding.verdict.value}: ").partition("; to pass")[0]


def _style(finding: Finding) -> Literal["passed", "failed", "unmeasured"]:
    return finding.verdict.value


def _scale(finding: Finding, question: Question | None) -> Scale:
    """Choose a range in which interval and bound can be told apart."""
    seen = finding.observed
    low = min([finding.bound, seen.lower] if seen else [finding.bound])
    high = max([finding.bound, seen.upper] if seen else [finding.bound])
    domain = question.domain if question else RATE
    if question and question.end == "upper":
        most = min(domain[1], max(2 * finding.bound, 1.2 * high)) or 1.0
        return Scale(0.0, charts.around([most]).high)
    if "auc" in finding.gate.split("/") or finding.gate.startswith("robust_auc"):
        return Scale(COIN if low >= COIN else 0.0, 1.0)
    return Scale(-1.0 if low < 0 else 0.0, max(1.0, high))


def banner(decision: Decision, shown: tuple[Row, ...]) -> Banner:
    """Say what was decided, why, and what to do next."""
    refusing = tuple(row for row in shown if row.verdict != Verdict.PASSED)
    if decision.promoted:
        sentence = f"All {words.count(len(shown), 'gate')} said yes."
        if len(shown) == 1:
            sentence = "The only gate of the policy said yes."
        step = (
            f"A release manager who did not submit it can now approve version {decision.version} "
            "by adding the alias champion to it in the MLflow UI, after hardgate verify "
            f"{decision.model}/{decision.version} has passed."
        )
    else:
        sentence = f"{len(refusing)} of {words.count(len(shown), 'gate')} said no."
        step = (
            f"Version {decision.version} is in the registry for the record, marked refused, and "
            "no alias points at it. What to do about each gate stands in docs/gates.md, in the "
            "paragraph named beside it."
        )
    version = f", version {decision.version}" if decision.version else ""
    return Banner(
        promoted=decision.promoted,
        word="Promotable" if decision.promoted else "Refused",
        name=f"{decision.model}{version}",
        sentence=sentence,
        refusing=refusing,
        decided=words.moment(decision.decided_at),
        valid_until=words.moment(decision.valid_until),
        next_step=step,
    )


def tiles(run: Run) -> tuple[Tile, ...]:
    """Sum the run up in a few numbers."""
    metric: measurements.Metric = "auc" if _judged_by_auc(run.params) else "accuracy"
    said = words.METRICS[metric] if metric == "auc" else "accuracy"
    found = [
        (f"Clean {said}", measurements.clean(metric)),
        (f"{said} under attack".capitalize(), measurements.robust("worst_case", metric)),
        ("Accuracy under corruption", measurements.CORRUPTION_MEAN),
    ]
    shown = [
        Tile(
            title.replace("Auc", "AUC"),
            words.value(run.measured[name]),
            f"{words.interval(run.measured[name])}, "
            f"{words.count(run.measured[name].samples, 'sample')}",
        )
        for title, name in found
        if name in run.measured
    ]
    candidate = run.candidate
    trained = Tile(
        "Trained in",
        words.duration(candidate.seconds),
        f"{candidate.recipe}, {words.count(candidate.epochs, 'epoch')}, "
        f"{words.count(candidate.weights, 'weight')}",
    )
    return (*shown, trained)


def _judged_by_auc(params: Params) -> bool:
    kinds = {gate.label for gate in params.promotion.gates}
    return "clean_quality/auc" in kinds or any(kind.startswith("robust_auc") for kind in kinds)
