"""Extraction: how good a copy an attacker trains from the model's own answers.

Tramèr et al. (2016), "Stealing machine learning models via prediction APIs"; Jagielski et al.
(2020), "High accuracy and high fidelity extraction of neural networks". Fidelity is the share of
test inputs on which copy and model give the same class. The attacker here is strong: he knows the
architecture and has inputs like those of training; he lacks their labels. What he would reach with
the labels and without asking is measured beside it, because that much is no secret of the model:
``gain`` is what the answers add to it, on the same inputs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat, PositiveInt, model_validator
from torch import Tensor
from torch.nn import functional

from hardgate import candidates, measurements, progress, seeding, statistics
from hardgate.measurements import Returned
from hardgate.records import InputSpec, Measurement, Record
from hardgate.samples import Samples, as_floats
from hardgate.subject import Origin, Subject
from hardgate.threat import Threat

SAID: dict[Returned, str] = {
    "labels": "answers are classes alone",
    "rounded": "answers are rounded scores",
    "scores": "answers are full scores",
    "nothing": "nothing is asked, and the labels are known",
}


class Extraction(Record):
    """Copies of the model, trained on its answers to as many queries as the counts say.

    ``outputs`` are what the serving side returns: the class alone, scores of ``decimals`` places,
    or scores as they are. ``steps`` and ``rate`` are those of Adam on the copy, ``samples`` the
    test inputs on which copy and model are compared.
    """

    title: ClassVar[str] = "Stolen copies"

    name: Literal["extraction"]
    outputs: tuple[Literal["labels", "rounded", "scores"], ...] = Field(min_length=1)
    queries: tuple[PositiveInt, ...] = Field(min_length=1)
    decimals: PositiveInt
    steps: PositiveInt
    batch_size: PositiveInt
    rate: PositiveFloat
    samples: PositiveInt

    @model_validator(mode="after")
    def _nothing_twice(self) -> Self:
        for asked in (self.outputs, self.queries):
            if len(set(asked)) < len(asked):
                raise ValueError(f"{list(asked)} names one twice")
        return self

    def check(self, spec: InputSpec, threat: Threat) -> None:
        """Any data and threat will do."""

    def measure(self, subject: Subject, origin: Origin) -> dict[str, Measurement]:
        """Train a copy for each output and count, and compare each with the model."""
        chosen = subject.test.take(subject.attacked[: self.samples]).floats()
        said = subject.predict(chosen).argmax(1)
        outputs_and_nothing: tuple[Returned, ...] = (*self.outputs, "nothing")
        asked = [(outputs, count) for count in self.queries for outputs in outputs_and_nothing]
        agrees: dict[tuple[Returned, int], NDArray[np.bool_]] = {}
        for outputs, count in progress.track(asked, "extraction"):
            stolen = self.steal(subject, origin, outputs, count)
            agrees[outputs, count] = (stolen.logits(chosen).argmax(1) == said).numpy()
        found = {
            measurements.fidelity(outputs, count): statistics.share(same)
            for (outputs, count), same in agrees.items()
        }
        return found | {
            measurements.extraction_gain(outputs, count): _gain(
                same, agrees["nothing", count], seed=subject.seed
            )
            for (outputs, count), same in agrees.items()
            if outputs != "nothing"
        }

    def steal(self, subject: Subject, origin: Origin, outputs: Returned, count: int) -> Subject:
        """Train a copy on the answers to ``count`` queries, drawn from inputs like the training's.

        Fewer are asked when the training split has no more.
        """
        generator = torch.Generator().manual_seed(subject.seed)
        queried = subject.train.take(
            torch.randperm(len(subject.train), generator=generator)[:count]
        )
        targets = self._answers(subject, queried, outputs)
        architecture = origin.training.architecture
        copied = candidates.build(architecture, subject.spec, seed=subject.seed)
        copied = copied.to(subject.device)
        dropout = seeding.of(copied, subject.seed, subject.device)
        optimiser = torch.optim.Adam(copied.parameters(), lr=self.rate)
        for _ in range(self.steps):
            progress.heed()
            batch = torch.randint(len(queried), (self.batch_size,), generator=generator)
            inputs = as_floats(queried.inputs[batch]).to(subject.device)
            with dropout:
                answers = copied(inputs)
            loss = functional.cross_entropy(answers, targets[batch].to(subject.device))
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        return replace(subject, model=copied.eval())

    def _answers(self, subject: Subject, queried: Samples, outputs: Returned) -> Tensor:
        """Give what the attacker learns, as probabilities of shape ``(n, k)``."""
        classes = len(subject.spec.classes)
        if outputs == "nothing":
            return functional.one_hot(queried.labels, classes).float()
        scores = subject.predict(queried.inputs)
        shown: dict[str, Callable[[Tensor], Tensor]] = {
            "labels": lambda full: functional.one_hot(full.argmax(1), classes).float(),
            "rounded": lambda full: full.round(decimals=self.decimals),
            "scores": lambda full: full,
        }
        return shown[outputs](scores)

    def said(self, name: str) -> str:
        """Say which copy a measurement is of."""
        _, outputs, count, what = name.split("/")
        after = f"after {int(count):,} queries"
        if what == "gain":
            return f"what the answers add {after}: {SAID[outputs]}"  # type: ignore[index]
        return f"same class as the model {after}: {SAID[outputs]}"  # type: ignore[index]


def _gain(asked: NDArray[np.bool_], unasked: NDArray[np.bool_], *, seed: int) -> Measurement:
    """Compare two copies on the same inputs."""
    difference = (asked.astype(float) - unasked)[:, None]
    return statistics.bootstrap_means(difference, {"gain": lambda means: means[..., 0]}, seed=seed)[
        "gain"
    ]
