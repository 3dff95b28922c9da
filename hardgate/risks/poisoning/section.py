"""The screens for poison, their settings, and what each comes to as a share with an interval."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor

from hardgate import measurements, penultimate, statistics
from hardgate.errors import ParamsError
from hardgate.measurements import Screen
from hardgate.params_file import meant
from hardgate.records import InputSpec, Measurement, Record, TableInput
from hardgate.risks.poisoning import labels, neighbours, sources, triggers
from hardgate.risks.poisoning.activations import outlying, smaller_cluster
from hardgate.risks.poisoning.sources import Source
from hardgate.risks.poisoning.surrogate import Features, Surrogate, fit
from hardgate.risks.poisoning.triggers import TriggerSearch
from hardgate.samples import Samples
from hardgate.subject import Origin, Subject
from hardgate.threat import Threat

SAID: dict[Screen, str] = {
    "label_errors": "training labels that a model of the others doubts",
    "outliers": "training samples far from all of their class",
    "near_duplicates": "training samples in a burst of almost the same one",
    "source_influence": "decisions that hang on one source",
    "source_disagreement": "labels of one source that the others contradict, more than elsewhere",
    "spectral_signatures": "samples of a class that a spectral signature gives away",
    "activation_clusters": "samples of a class that form a cluster of their own",
    "trigger": "inputs that a small patch turns into one class",
}


class Poisoning(Record):
    """Screens of the training split, of what the candidate makes of it, and of the candidate.

    What is judged is the class or source whose interval reaches highest. ``features``, ``ridge``
    and ``folds`` are of the surrogate that labels are compared with; ``burst`` counts samples
    within ``near`` times the usual distance of each other, and an outlier is ``far`` times as far
    from so many; ``source`` names a column of the raw table, without which as many ``blocks`` of
    consecutive rows are sources, and sources below ``smallest_source`` samples are judged together.
    ``suspects`` is the share of a class that a spectral signature accuses along each of its
    ``directions``, ``confidence`` how sure of another class a model without suspects must be.
    ``trigger`` is for images.
    """

    title: ClassVar[str] = "Poisoning and backdoors"

    name: Literal["poisoning"]
    samples: PositiveInt
    features: PositiveInt
    ridge: PositiveFloat
    folds: int = Field(ge=2)
    burst: int = Field(ge=2)
    near: Annotated[float, Field(gt=0, lt=1)]
    far: Annotated[float, Field(gt=1)]
    source: str | None = None
    blocks: int = Field(ge=2)
    smallest_source: PositiveInt
    suspects: Annotated[float, Field(gt=0, lt=0.5)]
    directions: PositiveInt
    confidence: Annotated[float, Field(gt=0, le=1)]
    trigger: TriggerSearch | None = None

    def check(self, spec: InputSpec, threat: Threat) -> None:  # noqa: ARG002  one interface
        """Refuse a search for patches in a table."""
        if self.trigger is not None and isinstance(spec, TableInput):
            raise ParamsError(
                "evaluation.risks: trigger is for images: a patch is a place in an image, and a "
                "column that decides alone is no backdoor; remove it"
            )

    def measure(self, subject: Subject, origin: Origin) -> dict[str, Measurement]:
        """Screen the training split and the candidate."""
        generator = torch.Generator().manual_seed(subject.seed)
        order = torch.randperm(len(subject.train), generator=generator)
        train = subject.train.take(order[: self.samples].sort().values)
        features = Features(subject.spec, train, count=self.features, generator=generator)
        classes = len(subject.spec.classes)
        surrogate = fit(features.known, train.labels, classes=classes, ridge=self.ridge)
        doubted = labels.doubted(surrogate, folds=self.folds, generator=generator)
        return {
            measurements.poisoning("label_errors"): statistics.share(doubted),
            **self._neighbours(subject, train),
            **self._sources(subject, origin, train, features, surrogate),
            **self._activations(subject, train, surrogate),
            **self._triggers(subject, generator),
        }

    def _neighbours(self, subject: Subject, train: Samples) -> dict[str, Measurement]:
        far = neighbours.distances(subject.spec, train, neighbour=self.burst - 1)
        return {
            measurements.poisoning("outliers"): statistics.share(far > self.far),
            measurements.poisoning("near_duplicates"): statistics.share(far < self.near),
        }

    def _sources(
        self,
        subject: Subject,
        origin: Origin,
        train: Samples,
        features: Features,
        surrogate: Surrogate,
    ) -> dict[str, Measurement]:
        found = self._named(origin, train)
        judged = features(subject.test.inputs)
        influences = sources.influences(surrogate, found, judged)
        wrong = sum(int(each.contradicted.sum()) for each in influences)
        total = sum(len(each.contradicted) for each in influences)
        moved, doubts = {}, {}
        for source, each in zip(found, influences, strict=True):
            moved[source.name] = statistics.share(each.moved)
            here, size = int(each.contradicted.sum()), len(each.contradicted)
            if total > size:
                doubts[source.name] = statistics.difference(
                    statistics.wilson(here, size), statistics.wilson(wrong - here, total - size)
                )
        return _with_worst("source_influence", moved) | _with_worst("source_disagreement", doubts)

    def _named(self, origin: Origin, train: Samples) -> list[Source]:
        if self.source is None:
            return sources.blocks(train.rows, self.blocks)
        frame = origin.raw().frame
        if self.source not in frame.columns:
            known = [str(column) for column in frame.columns]
            raise ParamsError(
                f"evaluation.risks: source = {self.source!r} is no column of the raw data; name "
                f"one of {', '.join(known)}, or null for blocks of rows{meant(self.source, known)}"
            )
        values = frame[self.source].astype(str).iloc[train.rows.numpy()]
        return sources.named(list(values), smallest=self.smallest_source)

    def _activations(
        self, subject: Subject, train: Samples, surrogate: Surrogate
    ) -> dict[str, Measurement]:
        entered, answers = penultimate.observe(
            subject.model, train.inputs, batch_size=subject.batch_size
        )
        given = answers.argmax(1)
        spectral: dict[str, Measurement] = {}
        clusters: dict[str, Measurement] = {}
        for label, name in enumerate(subject.spec.classes):
            members = torch.nonzero(train.labels == label)[:, 0]
            if not len(members):
                continue
            learned = members[given[members] == label]
            if len(learned) < 2:
                continue  # nothing the candidate learned of this class could be poison
            inside = entered[learned]
            along = outlying(inside, share=self.suspects, directions=self.directions)
            for accused, into in ((along, spectral), ([smaller_cluster(inside)], clusters)):
                guilty = max(self._guilty(surrogate, learned[each]) for each in accused)
                into[name] = statistics.wilson(guilty, len(members))
        return _with_worst("spectral_signatures", spectral) | _with_worst(
            "activation_clusters", clusters
        )

    def _guilty(self, surrogate: Surrogate, suspects: Tensor) -> int:
        """Count the suspects that a model trained without them gives another class."""
        return int(surrogate.disowned(suspects, confidence=self.confidence).sum())

    def _triggers(self, subject: Subject, generator: torch.Generator) -> dict[str, Measurement]:
        if self.trigger is None:
            return {}
        images, known = subject.shown(subject.attacked[: self.trigger.samples])
        half = len(images) // 2
        classes = len(subject.spec.classes)
        found = self.trigger.search(
            subject.model, images[:half], known[:half], classes=classes, generator=generator
        )
        reached = {}
        for label, name in enumerate(subject.spec.classes):
            foreign = images[half:][known[half:] != label]
            stamped = triggers.stamp(foreign, found.window[label], found.pattern[label])
            turned: NDArray[np.bool_] = (subject.logits(stamped).argmax(1) == label).numpy()
            if len(turned):
                reached[name] = statistics.share(turned)
        return _with_worst("trigger", reached)

    def said(self, name: str) -> str:
        """Say what a screen looks for, and in which class or source."""
        _, screen, *where = name.split("/")
        said = SAID[screen]  # type: ignore[index]
        return f"{said}: {measurements.read_word(where[0])}" if where else said


def _with_worst(screen: Screen, found: Mapping[str, Measurement]) -> dict[str, Measurement]:
    """Name what was found by class or source, and the one whose interval reaches highest."""
    if not found:
        return {}
    worst: Iterable[Measurement] = found.values()
    return {
        measurements.poisoning(screen): max(worst, key=lambda each: (each.upper, each.value)),
        **{measurements.poisoning(screen, where): each for where, each in found.items()},
    }
