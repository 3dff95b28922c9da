"""What params.yaml says of evaluation: what is measured, and on how many test samples."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, PositiveInt, model_validator

from hardgate import measurements
from hardgate.attacks import Attack, Cascade
from hardgate.certification.proofs import Certification
from hardgate.fairness import Fairness
from hardgate.queries import Queries
from hardgate.records import Record
from hardgate.risks import Risk
from hardgate.shifts import Shifts
from hardgate.transfer import Transfer


class Curve(Record):
    """The security curve: one attack over multiples of the threat's eps."""

    factors: tuple[Annotated[float, Field(gt=0)], ...] = Field(min_length=1)
    attack: Attack
    samples: PositiveInt

    @model_validator(mode="after")
    def _points_have_names_of_their_own(self) -> Self:
        named: dict[str, float] = {}
        for factor in self.factors:
            name = measurements.curve(factor)
            if name in named:
                raise ValueError(
                    f"the factors {named[name]!r} and {factor!r} are both {factor:g}; keep one"
                )
            named[name] = factor
        return self


class CorruptionSweep(Record):
    """Which severities of every corruption are measured, on how many test images."""

    severities: tuple[Annotated[int, Field(ge=1, le=5)], ...] = Field(min_length=1)
    samples: PositiveInt


class Sequential(Record):
    """Gate mode: a cascade of ``attacks`` is asked only until it is sure of one bound.

    ``alpha`` is the error rate over all attempts; each version of a model spends a part of it.
    """

    attack: str
    bound: Annotated[float, Field(gt=0, le=1)]
    alpha: Annotated[float, Field(gt=0, lt=1)]


class Evaluation(Record):
    """The evaluation section of params.yaml: what is measured, and on how many test samples."""

    samples: PositiveInt  # attacked test samples; clean quality is measured on all of them
    batch_size: PositiveInt
    attacks: tuple[Attack, ...] = Field(min_length=1)
    sequential: Sequential | None = None  # gate mode for one of the attacks
    curve: Curve
    diagnostics: PositiveInt  # samples for the signs of masked gradients
    price: PositiveInt  # samples on which an undefended twin is attacked, to price the defence
    queries: Queries | None = None  # what an attacker reaches who only asks
    transfer: Transfer | None = None  # what the twin's adversarial inputs do to the candidate
    certification: Certification | None = None  # what is proven, for networks that can be bounded
    corruptions: CorruptionSweep | None = None  # images only
    shifts: Shifts | None = None  # tables only
    fairness: Fairness | None = None  # tables only
    risks: tuple[Risk, ...] = ()  # what else can go wrong: hardgate/risks

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [attack.name for attack in self.attacks]
        if len(set(names)) < len(names):
            raise ValueError(f"an attack is named twice in {names}")
        risks = [risk.name for risk in self.risks]
        if len(set(risks)) < len(risks):
            raise ValueError(f"a risk is named twice in {risks}")
        return self

    @model_validator(mode="after")
    def _a_cascade_is_judged(self) -> Self:
        ladders = [attack.name for attack in self.attacks if isinstance(attack, Cascade)]
        if self.sequential is not None and self.sequential.attack not in ladders:
            raise ValueError(
                f"sequential.attack = {self.sequential.attack!r}: gate mode needs a cascade of "
                f"attacks; there is {', '.join(ladders) or 'none'}"
            )
        return self
