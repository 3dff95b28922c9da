"""What attacks and corruptions leave, and how training went."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from hardgate import measurements, transfer
from hardgate.measurements import WORST_CASE, Metric
from hardgate.records import Measurement
from hardgate.reporting import charts, words
from hardgate.reporting.charts import Line, Mark, Point, Scale, Style
from hardgate.reporting.parts import WHOLE, Entry, Figure, Table, ends, said
from hardgate.reporting.run import Run

ABOVE_COIN = Scale(0.5, 1.0)  # of an AUC
CORRUPTION = re.compile(r"corruption/(?P<name>[^/]+)/(?P<severity>[1-5])/accuracy")
CORRUPTION_ERROR = re.compile(r"corruption/([^/]+)/ce")

SHIFT = re.compile(r"shift/(?P<label>(?!worst/)[^/]+)/(?P<metric>accuracy|auc)")

Rung = tuple[str, str, Style, Measurement]  # name, note, style, what is left


@dataclass(frozen=True)
class HeatMap:
    """Accuracy by row and column; the less, the more ink. ``None`` is not measured."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Measurement | None, ...]], ...]


@dataclass(frozen=True)
class Sign:
    """A sign of masked gradients."""

    words: str
    value: str
    interval: str
    bound: str  # or why it is not asked


def ladder(run: Run) -> tuple[Figure, ...]:
    """Show what is left after each attack: accuracy and, where it was measured, AUC."""
    rungs = {"accuracy": _rungs(run, "accuracy"), "auc": _rungs(run, "auc")}
    return tuple(
        _figure(words.METRICS[metric], shown) for metric, shown in rungs.items() if len(shown) > 1
    )


def bracket(run: Run) -> str:
    """Say between which shares the truth lies: what is proven, and what was not broken."""
    proven = run.measured.get(measurements.CERTIFIED_ACCURACY)
    standing = run.measured.get(measurements.robust(WORST_CASE, "accuracy"))
    if proven is None or standing is None:
        return ""
    return (
        f"Between {words.value(proven)}, proven on {words.count(proven.samples, 'sample')}, and "
        f"{words.value(standing)}, unbroken of {standing.samples:,}, lies what a perfect attack "
        "would leave."
    )


def judged(run: Run) -> str:
    """Say what gate mode found, if one attack was asked in it."""
    asked = run.params.evaluation.sequential
    if asked is None:
        return ""
    reached = run.measured.get(measurements.reaches(asked.attack, asked.bound))
    rate = run.measured.get(measurements.error_rate(asked.attack))
    seen = run.measured.get(measurements.seen(asked.attack))
    if reached is None or rate is None or seen is None:
        return ""
    sure = "reaches" if reached.value == 1 else "does not surely reach"
    return (
        f"Gate mode: after {seen.value:.0f} of {words.count(reached.samples, 'sample')}, robust "
        f"accuracy under {words.attack(asked.attack)} {sure} {words.plain(asked.bound)}, at an "
        f"error rate of {words.plain(rate.value)}."
    )


def weakest(run: Run) -> str:
    """Say what the attacks find where it is known what there is to be found."""
    found = [
        f"{words.value(least)} of a known optimum {how}"
        for access, how in (("white-box", "with gradients"), ("black-box", "without"))
        if (least := run.measured.get(measurements.weakest_known_answer(access)))
    ]
    return f"The weakest attack finds {' and '.join(found)}." if found else ""


def _rungs(run: Run, metric: Metric) -> list[Rung]:
    section, threat = run.params.evaluation, run.params.threat
    names = [*(attack.name for attack in section.attacks), transfer.NAME, WORST_CASE]
    stronger = {attack.name for attack in section.attacks if not threat.grants(attack.needs)}
    rungs: list[Rung] = []
    if clean := run.measured.get(measurements.clean(metric)):
        rungs.append(("clean", "no attack", "clean", clean))
    for name in names:
        if found := run.measured.get(measurements.robust(name, metric)):
            style: Style = "other" if name == WORST_CASE else "attacked"
            success = run.measured.get(measurements.attack_success(name))
            flips = f"flips {words.value(success)}" if success and metric == "accuracy" else ""
            sees = "sees more than the attacker" if name in stronger else ""
            note = ", ".join(part for part in (flips, sees) if part)
            rungs.append((words.attack(name), note, style, found))
    if metric == "accuracy" and (proven := run.measured.get(measurements.CERTIFIED_ACCURACY)):
        rungs.append(("proven", "whatever the attack", "other", proven))
    return rungs


def _figure(title: str, rungs: Sequence[Rung]) -> Figure:
    above = title == words.METRICS["auc"] and all(rung[3].lower >= 0.5 for rung in rungs)
    scale = ABOVE_COIN if above else WHOLE
    return Figure(
        title,
        tuple(
            Entry(name, note, charts.intervals([(style, found)], scale), said([found]))
            for name, note, style, found in rungs
        ),
        ends(scale),
    )


def curve(run: Run) -> Markup | None:
    """Draw accuracy over the radius, from clean inputs to beyond the threat."""
    eps = run.params.threat.eps
    found = {
        factor * eps: run.measured[measurements.curve(factor)]
        for factor in sorted(run.params.evaluation.curve.factors)
        if measurements.curve(factor) in run.measured
    }
    if not found:
        return None
    if clean := run.measured.get(measurements.clean("accuracy")):
        found = {0.0: clean, **found}
    points = tuple(Point(x, seen.value, seen.lower, seen.upper) for x, seen in found.items())
    unit = "pixel range 0 to 1" if run.dataset.input.kind == "images" else "standard deviations"
    spoken = "; ".join(f"eps {words.plain(x)}: {words.whole(seen)}" for x, seen in found.items())
    return charts.lines(
        [Line("accuracy", "attacked", points)],
        x=Scale(0.0, max(found)),
        y=WHOLE,
        x_title=f"eps ({unit})",
        marks=[Mark(eps, f"the threat's eps, {words.plain(eps)}")],
        label=f"Accuracy over the radius of the attack. {spoken}",
    )


def signs(run: Run) -> tuple[Sign, ...]:
    """Show every sign of masked gradients, and what its gate makes of it."""
    gate = next((g for g in run.params.promotion.gates if g.kind == "masked_gradients"), None)
    shown = []
    for sign in measurements.SIGNS:
        found = run.measured.get(measurements.diagnostics(sign))
        excused = gate.not_asked.get(sign) if gate else None
        if found is None and excused is None:
            continue
        bound = f"at most {words.plain(gate.bound)}" if gate else "no gate asks"
        shown.append(
            Sign(
                words.SIGNS.get(sign, words.spaced(sign)),
                words.value(found) if found else "–",
                words.interval(found) if found else "not measured",
                f"not asked: {excused}" if excused else bound,
            )
        )
    return tuple(shown)


def corruption(run: Run) -> HeatMap | None:
    """Put accuracy under corruption into a map, hardest corruption first."""
    cells: dict[str, dict[str, Measurement]] = {}
    for name, found in run.measured.items():
        if match := CORRUPTION.fullmatch(name):
            cells.setdefault(match["name"], {})[match["severity"]] = found
    if not cells:
        return None
    severities = sorted({severity for row in cells.values() for severity in row})
    return HeatMap(
        tuple(severities),
        tuple(
            (words.spaced(name), tuple(cells[name].get(severity) for severity in severities))
            for name in sorted(cells, key=lambda name: _mean(cells[name]))
        ),
    )


def shifts(run: Run) -> Table | None:
    """Put what each natural shift leaves beside clean inputs, the lowest interval first."""
    metric: measurements.ShiftMetric = "auc" if len(run.dataset.input.classes) == 2 else "accuracy"
    clean = run.measured.get(measurements.clean(metric))
    found = {
        match["label"]: seen
        for name, seen in run.measured.items()
        if (match := SHIFT.fullmatch(name)) and match["metric"] == metric
    }
    if not found:
        return None
    return Table(
        ("shift", words.METRICS[metric], "against clean", "samples"),
        tuple(
            (
                words.unword(label),
                *said([seen]),
                words.difference(seen, clean) if clean else "–",
                f"{seen.samples:,}",
            )
            for label, seen in sorted(found.items(), key=lambda item: item[1].lower)
        ),
    )


def _mean(row: Mapping[str, Measurement]) -> float:
    return sum(found.value for found in row.values()) / len(row)


def beside_twin(run: Run) -> str:
    """Compare errors under corruption with the undefended twin's."""
    mean = run.measured.get(measurements.CORRUPTION_MCE)
    if mean is None:
        return ""
    said = (
        f"The mean corruption error is {words.number(mean.value)} times the undefended twin's "
        f"({words.interval(mean)})"
    )
    worse = [
        f"{words.spaced(match[1])} ({words.number(found.value, 1)} times)"
        for name, found in run.measured.items()
        if (match := CORRUPTION_ERROR.fullmatch(name)) and found.lower > 1
    ]
    return f"{said}; clearly worse under {words.listed(worse)}." if worse else f"{said}."


def loss(run: Run) -> Markup | None:
    """Draw the training loss over epochs."""
    return _over_epochs(run, (("loss", "training loss", "other"),))


def scores(run: Run) -> Markup | None:
    """Draw the scores that picked the best epoch."""
    columns: tuple[tuple[str, str, Style], ...] = (
        ("held_out_clean", "held out, clean", "clean"),
        ("held_out_robust", "held out, under attack", "attacked"),
        ("train_one_step", "training data, one-step attack", "other"),
    )
    return _over_epochs(run, columns, zoomed=True)


def _over_epochs(
    run: Run, columns: Sequence[tuple[str, str, Style]], *, zoomed: bool = False
) -> Markup | None:
    """Draw columns of the history, leaving out epochs in which they are empty."""
    drawn = [
        Line(name, style, points)
        for column, name, style in columns
        if (points := tuple(Point(e["epoch"], e[column]) for e in run.history if column in e))
    ]
    if not drawn:
        return None
    last, best = max(epoch["epoch"] for epoch in run.history), run.candidate.best_epoch
    spoken = "; ".join(
        f"{line.name} from {words.number(line.points[0].y)} to {words.number(line.points[-1].y)}"
        for line in drawn
    )
    return charts.lines(
        drawn,
        x=Scale(1.0 if last > 1 else 0.0, last),
        y=charts.around([point.y for line in drawn for point in line.points], zoomed=zoomed),
        x_title="epoch",
        marks=[Mark(best, f"best epoch, {best}")] if best else [],
        whole=True,
        label=f"Over {words.count(len(run.history), 'epoch')}: {spoken}",
    )
