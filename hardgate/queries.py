"""How far an attacker comes who only asks: accuracy against the queries spent on each input.

One run of each attack gives the whole curve, from the query with which each input first fell. An
attacker with a smaller budget would share it out otherwise (the squares of Andriushchenko et al.
2020, arXiv:1912.00049, shrink on a schedule), so that inner points of a curve are those of this
attacker on the way, and not the best that so few queries can do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Self

import torch
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor, nn

from hardgate import measurements, progress, robustness, statistics
from hardgate.attacks import RayS, SimBA, SparseRS, Square
from hardgate.attacks.ascent import frozen
from hardgate.attacks.asking import STANDS, Searched
from hardgate.errors import ContractError, ParamsError
from hardgate.records import InputSpec, Measurement, Record
from hardgate.region import Region
from hardgate.threat import Threat

Asking = Annotated[Square | SparseRS | SimBA | RayS, Field(discriminator="name")]


class Queries(Record):
    """Which attacks ask, after how many queries accuracy is looked at, and on how many samples."""

    attacks: tuple[Asking, ...] = Field(min_length=1)
    counts: tuple[PositiveInt, ...] = Field(min_length=1)
    samples: PositiveInt

    @model_validator(mode="after")
    def _nothing_is_asked_twice(self) -> Self:
        names = [attack.name for attack in self.attacks]
        if len(set(names)) < len(names):
            raise ValueError(f"an attack is named twice in {names}")
        if list(self.counts) != sorted(set(self.counts)):
            raise ValueError(f"the counts {list(self.counts)} do not rise")
        return self

    def check(self, spec: InputSpec, threat: Threat) -> None:
        """Refuse attacks and counts that do not fit the data or the threat, with a ParamsError."""
        for attack in self.attacks:
            attack.check(spec, threat)
            most = min(threat.queries, attack.budget(threat))
            if self.counts[-1] > most:
                raise ParamsError(
                    f"evaluation.queries.counts: {self.counts[-1]} queries are more than the "
                    f"{most} that {attack.name} asks; raise threat.queries, or look earlier"
                )


def measure(
    section: Queries,
    threat: Threat,
    region: Region,
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    *,
    seed: int,
    batch_size: int,
) -> dict[str, Measurement]:
    """Measure the accuracy that each attack leaves after each count of queries.

    Parameters
    ----------
    inputs, labels
        On the model's device. Those misclassified clean fell with no query at all.
    """
    found = {}
    for attack in section.attacks:
        fell_at = fall(
            attack, threat, region, model, inputs, labels, seed=seed, batch_size=batch_size
        )
        for count in section.counts:
            stands = (fell_at == STANDS) | (fell_at > count)
            found[measurements.queries(attack.name, count)] = statistics.share(stands.numpy())
    return found


def fall(
    attack: Asking,
    threat: Threat,
    region: Region,
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    *,
    seed: int,
    batch_size: int,
) -> Tensor:
    """Tell with which query each input falls, shape ``(n,)``, on the CPU; -1 if with none.

    Raises
    ------
    ContractError
        If an input that fell is admissible no more, or is classified correctly.
    """
    batches = zip(torch.split(inputs, batch_size), torch.split(labels, batch_size), strict=True)
    fell_at = []
    step = f"queries: {attack.name}"
    with frozen(model), robustness.interruptible(model):
        for index, (clean, truth) in enumerate(progress.track(list(batches), step)):
            search = partial(attack.search, generator=robustness.generator(seed, index))
            correct = robustness.answers(model, clean).argmax(dim=1) == truth
            when = torch.where(correct, STANDS, 0)
            if correct.any():
                asked = search(model, clean[correct], truth[correct], threat, region)
                _believe(asked, region, model, clean[correct], truth[correct])
                when[correct] = asked.fell_at
            fell_at.append(when.cpu())
    return torch.cat(fell_at)


def _believe(
    asked: Searched, region: Region, model: nn.Module, clean: Tensor, labels: Tensor
) -> None:
    """Ask the model itself about every input that is said to have fallen."""
    fell = asked.fell_at != STANDS
    wrong = robustness.answers(model, asked.inputs).argmax(dim=1) != labels
    if not bool((wrong & region.admits(asked.inputs, clean))[fell].all()):
        raise ContractError(
            "an attack counts inputs as fallen that are admissible no more or classified "
            "correctly; its curve is no evidence"
        )


def curves(
    names: Sequence[str], counts: Sequence[int], found: Mapping[str, Measurement]
) -> dict[str, list[tuple[int, Measurement]]]:
    """List each attack's points, for files and plots; attacks without any are left out."""
    listed = {
        name: [
            (count, found[measurements.queries(name, count)])
            for count in counts
            if measurements.queries(name, count) in found
        ]
        for name in names
    }
    return {name: points for name, points in listed.items() if points}
