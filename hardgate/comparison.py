"""Candidates side by side: what each is worth, what it costs, and which no other beats.

Robustness is paid for in clean accuracy, in time to train and in time to answer, what can be proven
costs more of each, and so does privacy. No single number ranks such candidates. What remains is
Pareto's order: a candidate is on the frontier when no other is at least as good in everything and
better in one.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    JsonValue,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    StringConstraints,
    model_validator,
)

from hardgate.records import Finding, Measurement, Record, Sha256, Verdict

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=40)]
Metric = Literal["accuracy", "auc"]


class Variation(Record):
    """One candidate of a comparison: what differs in its training from the model's own.

    Each key stands in the place of the whole key of the same name: a ``defense`` takes nothing
    over from the model's.
    """

    name: Name
    training: dict[str, JsonValue] = Field(default_factory=dict)

    def of(self, training: Mapping[str, Any]) -> dict[str, Any]:
        """Vary a training section."""
        return {**training, **self.training}


class Comparing(Record):
    """The compare section of params.yaml. It changes no run, and is no part of evidence."""

    candidates: tuple[Variation, ...] = Field(min_length=2)

    @model_validator(mode="after")
    def _names_and_trainings_are_unique(self) -> Self:
        names = Counter(candidate.name for candidate in self.candidates)
        if twice := [name for name, times in names.items() if times > 1]:
            raise ValueError(f"candidates: {', '.join(twice)} is named twice; rename one")
        for at, candidate in enumerate(self.candidates):
            for other in self.candidates[:at]:
                if candidate.training == other.training:
                    raise ValueError(
                        f"candidates: {other.name} and {candidate.name} are trained alike; "
                        "remove one"
                    )
        return self


class Compared(Record):
    """One candidate, measured."""

    name: Name
    experiment: str  # DVC's name of it
    changes: tuple[str, ...] = ()  # the keys of training in which it differs from the model's own
    architecture: str
    recipe: str
    weights: PositiveInt  # how many numbers
    passes: PositiveInt  # through the network per sample and epoch
    epochs: int
    seconds: NonNegativeFloat  # of training
    microseconds: PositiveFloat  # to answer one sample of a batch, on one thread
    clean: Measurement
    robust: Measurement  # worst case over all attacks
    certified: Measurement | None  # accuracy, whatever the metric
    unequal: Measurement | None = None  # widest difference between groups in who is selected
    epsilon: Measurement | None = None  # of training; without, nothing bounds what it told of a row
    delta: Measurement | None = None  # the chance in which epsilon may not hold
    membership: Measurement | None = None  # AUC of the attack that tells training rows apart best
    named: Measurement | None = None  # most training rows that one names at 1 % false alarms
    findings: tuple[Finding, ...] = Field(min_length=1)  # as if there were no champion

    @property
    def promotable(self) -> bool:
        """Whether every gate passed."""
        return all(finding.verdict is Verdict.PASSED for finding in self.findings)

    @property
    def refused_by(self) -> Finding | None:
        """The first gate that did not pass."""
        return next((f for f in self.findings if f.verdict is not Verdict.PASSED), None)

    @property
    def merits(self) -> tuple[float, ...]:
        """What is compared; more is better.

        Nothing proven counts as zero; groups that nobody compared, as far apart as can be; training
        that keeps no budget, as an epsilon without end. Two epsilons compare at one delta only, so
        delta counts too. An attack that cannot tell training rows proves nothing, and counts not.
        """
        proven = self.certified.value if self.certified else 0.0
        unequal = self.unequal.value if self.unequal else 1.0
        spent = (found.value if found else math.inf for found in (self.epsilon, self.delta))
        costs = (unequal, *spent, self.seconds, self.microseconds)
        return (self.clean.value, self.robust.value, proven, *(-cost for cost in costs))


class Failed(Record):
    """A candidate that could not be measured, and why."""

    name: Name
    reason: str


class Comparison(Record):
    """What a comparison found; beside it lie a page and a plot of it."""

    schema_version: Literal[1] = 1
    model: str
    metric: Metric  # of clean and robust
    eps: float
    norm: str
    basis: Sha256  # of code, data and params that all candidates share
    commit: str
    compared_at: str  # UTC, ISO 8601
    candidates: tuple[Compared, ...]
    failed: tuple[Failed, ...]
    frontier: tuple[Name, ...]  # best robust first

    @property
    def exit_code(self) -> int:
        """The command's: 3 when one is missing, else whether the gates would take any."""
        if self.failed:
            return 3
        return 0 if any(one.promotable for one in self.candidates) else 1


def dominates(one: Compared, other: Compared) -> bool:
    """Tell whether ``one`` is at least as good in everything, and better in something."""
    pairs = list(zip(one.merits, other.merits, strict=True))
    return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)


def frontier(candidates: Sequence[Compared]) -> tuple[str, ...]:
    """Name the candidates that no other dominates, the most robust first."""
    best = [one for one in candidates if not any(dominates(other, one) for other in candidates)]
    return tuple(one.name for one in sorted(best, key=lambda one: -one.robust.value))
