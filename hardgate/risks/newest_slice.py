"""Newest slice: what the newest training rows would do to a model that was never given them.

Whoever retrains on a schedule trusts whoever sends new rows. Here nobody trusts them: a shadow is
trained on older rows alone and asked about the newest. Three numbers come of it, each beside the
same number of random slices of older rows, as large as the newest one:

1. *contradiction*: how much more often the shadow and the labels of the slice disagree. Flipped
   labels do (Biggio et al. 2012, "Poisoning attacks against support vector machines").
2. *lean*: how much more often a class is given than the inputs say. Rows relabelled to the class
   that is likely anyway contradict nobody, and lean.
3. *influence*: how much further the slice moves the shadow's answers on test inputs, trained with
   it and without. Nelson et al. (2008), "Exploiting machine learning to subvert your spam filter",
   reject training rows by such impact; Steinhardt, Koh and Liang (2017), "Certified defenses for
   data poisoning attacks", bound it.

As long as the newest rows come from where the older ones came from, they are one slice among
others, whatever model is trained: that is what calibrates all three. No older slice and no shadow
holds a row of the newest one, so that a poisoner cannot widen what he is held against.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor
from torch.nn import functional

from hardgate import measurements, progress, quarantine, shadows, statistics
from hardgate.datasets import Raw
from hardgate.errors import ParamsError
from hardgate.measurements import SliceNumber
from hardgate.records import InputSpec, Measurement, Record
from hardgate.samples import Samples
from hardgate.subject import Origin, Subject
from hardgate.threat import Threat

SUSPECTS = "newest_slice.csv"
JUDGED: tuple[SliceNumber, ...] = ("contradiction", "lean", "influence")
MOST_APART = 0.8  # of all rows: what is left for the shadow must still teach it something
SAID: dict[SliceNumber, str] = {
    "contradiction": "labels contradict a model of the older rows more often than older ones do by",
    "lean": "a class is given more often, or less, than the inputs say by (the largest)",
    "influence": "the slice moves probabilities further than other slices of its size by",
    "error": "labels of the slice that a model of the older rows does not give",
    "usual_error": "the same of other slices",
    "moved": "how far the slice moves probabilities (total variation)",
    "usual_move": "the same of other slices, geometric mean",
}


class NewestSlice(Record):
    """The last ``share`` of the training rows beside ``slices`` random slices of older rows.

    Rows are as old as their place in the raw file.

    ``rows`` are the older rows that a shadow is trained on at most: with fewer, a slice weighs
    more. ``epochs`` and ``batch_size`` train a shadow, with the candidate's architecture, optimiser
    and schedule and without its defence. ``samples`` are the test inputs on which influence is
    measured. When a number is clear of 0, ``newest_slice.csv`` among the results lists the rows.
    """

    title: ClassVar[str] = "The newest rows"

    name: Literal["newest_slice"]
    share: float = Field(gt=0, lt=1)
    slices: int = Field(ge=3)  # the spread of fewer says little
    rows: PositiveInt
    epochs: PositiveInt
    batch_size: PositiveInt
    samples: PositiveInt

    @model_validator(mode="after")
    def _something_is_left(self) -> Self:
        if self.share * (self.slices + 1) > MOST_APART:
            raise ValueError(
                f"share x (slices + 1) is {self.share * (self.slices + 1):g} of the rows, more "
                f"than {MOST_APART}: too few are left to learn from; lower share or slices"
            )
        return self

    def check(self, spec: InputSpec, threat: Threat) -> None:
        """Any data and threat will do."""

    def measure(self, subject: Subject, origin: Origin) -> dict[str, Measurement]:
        """Train a shadow of older rows, and one more with each slice."""
        parts = self.divide(subject.train, seed=subject.seed)
        shadow = self._shadow(parts.base, subject, origin)
        probes = subject.test.take(subject.attacked[: self.samples]).inputs
        before = shadow.predict(probes)
        moves = [
            _variation(before, self._shadow(held, subject, origin).predict(probes))
            for held in progress.track([parts.with_slice(s) for s in parts.slices], "shadows")
        ]
        scores = [shadow.predict(each.inputs) for each in parts.slices]
        found = _labels(parts, scores) | _influence(moves, probes=len(probes))
        judged = [found[measurements.newest_slice(number)] for number in JUDGED]
        if origin.results is not None and any(each.lower > 0 for each in judged):
            _list(parts, shadow, subject, origin.raw(), origin.results / SUSPECTS)
        return found

    def divide(self, train: Samples, *, seed: int) -> Parts:
        """Cut off the newest rows, and random slices of the others.

        Raises
        ------
        ParamsError
            If the share is less than a row.
        """
        size = int(len(train) * self.share)
        if size == 0:
            raise ParamsError(
                f"evaluation.risks.newest_slice.share = {self.share:g}: of {len(train)} training "
                "rows this is not one; raise it"
            )
        by_age = torch.argsort(train.rows, stable=True)
        older, newest = by_age[:-size], by_age[-size:]
        drawn = older[torch.randperm(len(older), generator=torch.Generator().manual_seed(seed))]
        apart = size * self.slices
        return Parts(
            slices=tuple(train.take(part) for part in (newest, *torch.split(drawn[:apart], size))),
            base=train.take(drawn[apart : apart + self.rows]),
        )

    def _shadow(self, samples: Samples, subject: Subject, origin: Origin) -> Subject:
        """Train a model like the candidate, without its defence, and put it in its place.

        All begin with the same weights: what differs is what the slices did.
        """
        model = shadows.fit(
            origin.training,
            subject,
            samples,
            epochs=self.epochs,
            batch_size=self.batch_size,
            seed=subject.seed,
        )
        return replace(subject, model=model)

    def said(self, name: str) -> str:
        """Say what a measurement compares."""
        return SAID[name.split("/")[1]]  # type: ignore[index]


@dataclass(frozen=True)
class Parts:
    """Slices of one size, the newest first, and older rows that are in none of them."""

    slices: tuple[Samples, ...]
    base: Samples

    def with_slice(self, added: Samples) -> Samples:
        """Add a slice to the older rows."""
        return Samples(
            torch.cat([self.base.inputs, added.inputs]),
            torch.cat([self.base.labels, added.labels]),
            torch.cat([self.base.rows, added.rows]),
        )


def _labels(parts: Parts, scores: list[Tensor]) -> dict[str, Measurement]:
    """Hold the labels of the slices against what a model that saw none of them says."""
    wrong = [
        (said.argmax(1) != each.labels).numpy()
        for said, each in zip(scores, parts.slices, strict=True)
    ]
    unexpected = [
        (functional.one_hot(each.labels, said.shape[1]) - said).double().numpy()
        for said, each in zip(scores, parts.slices, strict=True)
    ]
    newest, others = wrong[0], np.concatenate(wrong[1:])
    return {
        measurements.newest_slice("contradiction"): statistics.difference(
            statistics.share(newest), statistics.share(others)
        ),
        measurements.newest_slice("lean"): statistics.largest_difference(
            unexpected[0], np.concatenate(unexpected[1:])
        ),
        measurements.newest_slice("error"): statistics.share(newest),
        measurements.newest_slice("usual_error"): statistics.share(others),
    }


def _influence(moves: list[float], *, probes: int) -> dict[str, Measurement]:
    """Hold how far the newest slice moves answers against how far the others do."""
    newest = moves[0]
    excess = statistics.beyond(newest, np.array(moves[1:]), samples=probes)
    return {
        measurements.newest_slice("influence"): excess,
        measurements.newest_slice("moved"): statistics.exact(newest, probes),
        measurements.newest_slice("usual_move"): statistics.exact(newest - excess.value, probes),
    }


def _list(parts: Parts, shadow: Subject, subject: Subject, raw: Raw, path: Path) -> None:
    """List the newest rows of all splits as a quarantine would, least believed labels first.

    A test split that the source brings is no part of what arrives.
    """
    splits = [subject.train, subject.held_out]
    splits += [] if raw.given_split is not None else [subject.test]
    since = int(parts.slices[0].rows.min())
    newest = [each.take(torch.where(each.rows >= since)[0]) for each in splits]
    labels = torch.cat([each.labels for each in newest])
    said = torch.cat([shadow.predict(each.inputs) for each in newest])
    believed = said[torch.arange(len(labels)), labels]
    order = torch.argsort(believed, stable=True)
    reasons = [
        f"newest slice: a model of the older rows gives its label {subject.spec.classes[label]} "
        f"{share:.3f}"
        for label, share in zip(labels[order].tolist(), believed[order].tolist(), strict=True)
    ]
    rows = torch.cat([each.rows for each in newest])[order]
    quarantine.write(raw, rows.numpy(), reasons, path)


def _variation(before: Tensor, after: Tensor) -> float:
    """Give the mean total variation distance between two sets of probabilities."""
    return (before - after).abs().sum(1).mean().item() / 2
