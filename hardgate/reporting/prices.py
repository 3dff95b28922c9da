"""The price tag of each defence, in accuracy and in seconds."""

from __future__ import annotations

from hardgate.reporting import words
from hardgate.reporting.parts import Table, said
from hardgate.reporting.run import Run

PRICE = "price/standard/"
ALIKE = ("clean/accuracy", "clean/auc", "robust/worst_case/accuracy", "robust/worst_case/auc")


def augmentations(run: Run) -> Table | None:
    """Say what each augmentation added, dropped and cost."""
    if not run.corpus.tallies:
        return None
    return Table(
        ("augmentation", "added", "dropped", "time", "detail"),
        tuple(
            (
                tally.name,
                f"{tally.added:,}",
                "; ".join(f"{size:,} {why}" for why, size in tally.dropped.items() if size) or "0",
                words.duration(tally.seconds),
                "; ".join(
                    f"{words.spaced(name)} {words.number(number)}"
                    for name, number in tally.detail.items()
                ),
            )
            for tally in run.corpus.tallies
        ),
    )


def comparison(run: Run) -> Table | None:
    """Compare with the same architecture trained the standard way, if it was measured."""
    rows = []
    for name in ALIKE:
        hardened = run.measured.get(name)
        standard = run.measured.get(PRICE + _short(name))
        if hardened and standard:
            gap = words.difference(hardened, standard)
            rows.append((_title(name), *said([standard, hardened]), gap))
    if seconds := run.measured.get(f"{PRICE}seconds"):
        taken = run.candidate.seconds
        times = f"{taken / seconds.value:.1f} times" if seconds.value > 0 else ""
        rows.append(("Training time", words.duration(seconds.value), words.duration(taken), times))
    if not rows:
        return None
    return Table(("", "standard", run.candidate.recipe, "difference"), tuple(rows))


def _short(name: str) -> str:
    """Spell ``robust/worst_case/auc`` as ``robust_auc``, as the price measurements do."""
    kind, *_, metric = name.split("/")
    return f"{kind}_{metric}"


def _title(name: str) -> str:
    kind, *_, metric = name.split("/")
    return f"{words.METRICS[metric]}, {'clean' if kind == 'clean' else 'under attack'}"


def times(run: Run) -> Table:
    """Say how long each part took."""
    rows = [
        ("augmentation", sum(tally.seconds for tally in run.corpus.tallies)),
        (f"training, {run.candidate.recipe}", run.candidate.seconds),
        *((f"evaluation, {name}", seconds) for name, seconds in run.evaluation.seconds.items()),
    ]
    return Table(("part", "time"), tuple((name, words.duration(seconds)) for name, seconds in rows))
