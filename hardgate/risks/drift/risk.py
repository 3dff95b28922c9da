"""What params.yaml says of drift, and what is measured of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, PositiveInt, model_validator

from hardgate import measurements, statistics
from hardgate.errors import ParamsError
from hardgate.records import InputSpec, Measurement, Record
from hardgate.risks.drift import effects, label_shift, newer, two_sample, unlabelled, views
from hardgate.risks.drift.newer import Compared
from hardgate.subject import Origin, Subject
from hardgate.threat import Threat

Share = Annotated[float, Field(gt=0, le=0.5)]


class Drift(Record):
    """How far new data are from those of training, and what the model is worth on them.

    New data are the file ``new``, of the training data's format with or without labels; or the
    ``newest`` share of each split's rows. ``samples`` of them at most are compared with as many old
    ones. A column has drifted when more than a ``practical`` share of rows surely moved. A
    classifier of ``rounds`` trees, cross-fitted, tells new rows from old ones.
    """

    title: ClassVar[str] = "Drift"

    name: Literal["drift"]
    new: str | None = Field(None, min_length=1)
    newest: Share | None = None
    samples: PositiveInt
    practical: Annotated[float, Field(gt=0, lt=1)]
    rounds: PositiveInt

    @model_validator(mode="after")
    def _knows_what_is_new(self) -> Self:
        if (self.new is None) == (self.newest is None):
            raise ValueError(
                "say what is new: either new, a file below data/, or newest, a share of the rows"
            )
        return self

    def check(self, spec: InputSpec, threat: Threat) -> None:  # noqa: ARG002  as all risks
        """Refuse a file that is not there, before anything is trained."""
        if self.new is not None and not Path(self.new).exists():
            raise ParamsError(
                f"evaluation.risks (drift): new = {self.new!r}: there is no such file; put it there"
                ", or take newest, a share of the rows, in its place"
            )

    def measure(self, subject: Subject, origin: Origin) -> dict[str, Measurement]:
        """Compare inputs, then what the model answers."""
        if self.new is not None:
            compared = newer.in_file(self.new, subject, origin, samples=self.samples)
        else:
            compared = newer.newest(self.newest or 0.0, subject, samples=self.samples)
        return self._inputs(subject, compared) | _answers(subject, compared)

    def _inputs(self, subject: Subject, compared: Compared) -> dict[str, Measurement]:
        before, after = (views.inputs(subject, rows) for rows in (compared.old, compared.new))
        moved = _effects(before, after)
        every, old, new = moved, before.columns, after.columns
        if subject.spec.kind == "images":
            seen = [views.features(subject, rows) for rows in (compared.old, compared.new)]
            every = moved | _effects(*seen)
            old, new = np.hstack([old, seen[0].columns]), np.hstack([new, seen[1].columns])
        rows = len(old) + len(new)
        return {
            measurements.drift_effect(name): effect.measured() for name, effect in moved.items()
        } | {
            measurements.DRIFT_LARGEST: effects.largest(every),
            measurements.DRIFTED: statistics.exact(
                len(effects.drifted(every, self.practical)), rows
            ),
            measurements.DRIFT_DETECTABLE: statistics.exact(
                effects.detectable(every, self.practical), rows
            ),
            measurements.DRIFT_CLASSIFIER: two_sample.told_apart(
                old, new, rounds=self.rounds, seed=subject.seed
            ),
        }

    def said(self, name: str) -> str:
        """Say what a measurement is of."""
        fixed = {
            measurements.DRIFT_LARGEST: "rows that moved in the column that moved most",
            measurements.DRIFTED: f"columns in which surely more than {self.practical:g} moved",
            measurements.DRIFT_DETECTABLE: "the least that would have been found in 4 cases of 5",
            measurements.DRIFT_CLASSIFIER: "area under the curve of a classifier of new rows",
            measurements.DRIFT_CLASSES: "rows that moved between classes, by the model's answers",
            measurements.ACCURACY_OLD: "accuracy on old rows that it was not trained on",
            measurements.ACCURACY_ESTIMATED: "accuracy on the new rows, estimated without labels",
            measurements.ACCURACY_TRUE: "accuracy on the new rows by their labels",
            measurements.ACCURACY_NEW: "accuracy on the new rows, the lower of what is known",
        }
        if name in fixed:
            return fixed[name]
        _, kind, of, *what = name.split("/")
        if kind == "columns":
            return f"rows that moved in {of}"
        how = "by their labels" if what == ["true"] else "by the model's answers"
        return f"share of class {of} in the new rows {how}"


def _effects(before: views.View, after: views.View) -> dict[str, effects.Effect]:
    return {
        name: (effects.of_categories if codes else effects.of_numbers)(
            before.columns[:, at], after.columns[:, at]
        )
        for at, (name, codes) in enumerate(zip(before.names, before.categorical, strict=True))
    }


def _answers(subject: Subject, compared: Compared) -> dict[str, Measurement]:
    """Ask the model, and estimate from its answers what nobody has labelled."""
    logits, asked = (subject.logits(x) for x in (compared.unseen.inputs, compared.asked))
    labels, classes = compared.unseen.labels.numpy(), subject.spec.classes
    said, said_of_new = logits.argmax(1).numpy(), asked.argmax(1).numpy()
    shift = label_shift.estimate(said, labels, said_of_new, classes=len(classes), seed=subject.seed)
    estimated = unlabelled.accuracy(
        unlabelled.confidence(logits),
        said == labels,
        unlabelled.confidence(asked),
        None if shift is None else shift.accuracy(),
        seed=subject.seed,
    )
    found = {
        measurements.ACCURACY_OLD: statistics.share(said == labels),
        measurements.ACCURACY_ESTIMATED: estimated,
        measurements.ACCURACY_NEW: estimated,
    }
    if shift is not None:
        found[measurements.DRIFT_CLASSES] = shift.moved()
        for name, share in zip(classes, shift.shares(), strict=True):
            found[measurements.class_share(name)] = share
    if compared.truth is not None:
        truth = compared.truth.numpy()
        known = statistics.share(said_of_new == truth)
        found[measurements.ACCURACY_TRUE] = known
        found[measurements.ACCURACY_NEW] = min(estimated, known, key=lambda each: each.lower)
        for at, name in enumerate(classes):
            found[measurements.true_class_share(name)] = statistics.share(truth == at)
    return found
