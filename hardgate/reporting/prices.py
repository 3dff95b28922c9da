"""The price tag of each defence, in accuracy and in seconds."""

from __future__ import annotations

from hardgate import diagnostics, measurements
from hardgate.measurements import Price
from hardgate.reporting import words
from hardgate.reporting.parts import Table, said
from hardgate.reporting.run import Run

SECONDS = measurements.price("seconds")


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
    """Compare with the same architecture trained without defence, if it was measured."""
    alike: tuple[tuple[str, Price, str], ...] = (
        ("Accuracy, clean", "clean_accuracy", measurements.clean("accuracy")),
        ("AUC, clean", "clean_auc", measurements.clean("auc")),
        ("Accuracy, under attack", "robust_accuracy", measurements.robust(attack(run), "accuracy")),
        ("AUC, under attack", "robust_auc", measurements.robust(attack(run), "auc")),
    )
    rows = []
    for title, price, name in alike:
        hardened, standard = run.measured.get(name), run.measured.get(measurements.price(price))
        if hardened and standard:
            rows.append((title, *said([standard, hardened]), words.difference(hardened, standard)))
    if seconds := run.measured.get(SECONDS):
        taken = run.candidate.seconds
        times = f"{taken / seconds.value:.1f} times" if seconds.value > 0 else ""
        rows.append(("Training time", words.duration(seconds.value), words.duration(taken), times))
    if not rows:
        return None
    return Table(("", "undefended", run.candidate.recipe, "difference"), tuple(rows))


def attack(run: Run) -> str:
    """Name the attack that the undefended model was measured under."""
    return diagnostics.gradient_attack(run.params.evaluation.attacks).name


def times(run: Run) -> Table:
    """Say how long each part took."""
    rows = [
        ("augmentation", sum(tally.seconds for tally in run.corpus.tallies)),
        (
            f"training, {run.candidate.recipe}, {run.candidate.passes} passes per sample",
            run.candidate.seconds,
        ),
        *((f"evaluation, {name}", seconds) for name, seconds in run.evaluation.seconds.items()),
    ]
    return Table(("part", "time"), tuple((name, words.duration(seconds)) for name, seconds in rows))
