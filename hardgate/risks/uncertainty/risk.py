"""What params.yaml says of uncertainty, and what is measured of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor

from hardgate import measurements, progress, quality, statistics
from hardgate.architectures.inputs import numeric_columns
from hardgate.errors import ParamsError
from hardgate.records import ImageInput, InputSpec, Measurement, Record, TableInput
from hardgate.risks.uncertainty import (
    calibrating,
    detector,
    other_images,
    other_rows,
    selecting,
)
from hardgate.risks.uncertainty.detector import Detector
from hardgate.risks.uncertainty.other_images import IMAGE_KINDS, ImageKind
from hardgate.risks.uncertainty.other_rows import ROW_KINDS, RowKind
from hardgate.risks.uncertainty.scores import Score, Seen
from hardgate.samples import Samples
from hardgate.subject import Origin, Subject
from hardgate.threat import Threat

Share = Annotated[float, Field(gt=0, lt=1)]
SAID: dict[str, str] = {
    "inverted": "images with dark and light exchanged",
    "permuted": "what is shuffled",
    "noise": "noise",
    "photographs": "crops of photographs",
    "letters": "letters",
    "beyond": "rows with a number past what training saw",
    "worst": "the kind that is told apart worst",
    "in_distribution": "the model's own test inputs",
}


class Uncertainty(Record):
    """Answers that are declined when unsure, and inputs that do not belong, of ``kinds``.

    ``coverages`` are the shares of inputs that are answered. Each of ``scores`` is fitted on
    ``fitted`` training samples, and its line is drawn so that a share of ``accept`` of held-out
    inputs is let in; ``samples`` are the test inputs that are told from as many of each kind.
    """

    title: ClassVar[str] = "Uncertainty"

    name: Literal["uncertainty"]
    coverages: tuple[Share, ...] = Field(min_length=1)
    scores: tuple[Score, ...] = Field(min_length=1)
    kinds: tuple[ImageKind | RowKind, ...] = Field(min_length=1)
    fitted: PositiveInt
    accept: Share
    samples: PositiveInt

    @model_validator(mode="after")
    def _nothing_twice(self) -> Self:
        labels = [score.label for score in self.scores]
        asked: Sequence[Sequence[object]] = (self.coverages, labels, self.kinds)
        for named in asked:
            if len(set(named)) < len(named):
                raise ValueError(f"{list(named)} names one twice")
        return self

    def check(self, spec: InputSpec, threat: Threat) -> None:  # noqa: ARG002  one interface
        """Refuse kinds of inputs that cannot be made of such data, with a ParamsError."""
        known = ROW_KINDS if isinstance(spec, TableInput) else IMAGE_KINDS
        for kind in self.kinds:
            if kind not in known:
                raise ParamsError(
                    f"evaluation.risks, uncertainty.kinds: {kind!r} cannot be made of this data; "
                    f"choose of {', '.join(known)}"
                )
        if isinstance(spec, TableInput) and "beyond" in self.kinds and not numeric_columns(spec):
            raise ParamsError(
                "evaluation.risks, uncertainty.kinds: 'beyond' moves numbers and the table has "
                "none; leave it out"
            )

    def measure(self, subject: Subject, origin: Origin) -> dict[str, Measurement]:  # noqa: ARG002  one interface
        """Measure calibration by class, selective accuracy, and what tells other inputs apart."""
        labels = subject.test.labels.numpy()
        said = subject.predict(subject.test.inputs).double().numpy()
        classes = subject.spec.classes
        return {
            **calibrating.measure(labels, said, classes, seed=subject.seed),
            **selecting.measure(
                said.argmax(1) == labels, said.max(1), self.coverages, seed=subject.seed
            ),
            **self._told_apart(subject),
        }

    def detectors(self, subject: Subject) -> tuple[Detector, ...]:
        """Fit each score on training samples, and draw its line by held-out ones."""
        order = np.random.default_rng(subject.seed).permutation(len(subject.train))[: self.fitted]
        chosen = subject.train.take(torch.from_numpy(order))
        train, held_out = _look(subject, chosen.inputs), _look(subject, subject.held_out.inputs)
        return tuple(
            detector.fit(score, train, chosen.labels, held_out, accept=self.accept)
            for score in progress.track(self.scores, "scores")
        )

    def _told_apart(self, subject: Subject) -> dict[str, Measurement]:
        """Hold the test inputs beside as many of each kind that do not belong."""
        own = subject.test.take(subject.attacked[: self.samples])
        shown: dict[str, Seen] = {"in_distribution": _look(subject, own.inputs)}
        for kind in progress.track(self.kinds, "other inputs"):
            shown[kind] = _look(subject, _others(kind, own, subject))
        found: dict[str, Measurement] = {}
        for fitted in self.detectors(subject):
            label = fitted.score.label
            scored = {kind: fitted.scores(seen).numpy() for kind, seen in shown.items()}
            areas = [
                quality.separation(scored["in_distribution"], scored[kind]) for kind in self.kinds
            ]
            for kind, area in zip(self.kinds, areas, strict=True):
                found[measurements.told_apart(label, kind)] = area
            worst = min(areas, key=lambda area: area.lower)
            found[measurements.told_apart(label, "worst")] = worst
            for name, seen in shown.items():
                let_in = statistics.share(fitted.accepts(seen).numpy())
                found[measurements.accepted(label, name)] = let_in
        return found

    def said(self, name: str) -> str:
        """Say what a measurement is of."""
        _, *rest = name.split("/")
        match rest:
            case ["calibration", "classwise_ece"]:
                return "calibration error, mean over classes"
            case ["calibration", of_class, "ece"]:
                return f"calibration error of class {of_class}"
            case ["selective", "aurc"]:
                return "area under the risk-coverage curve"
            case ["selective", coverage, "accuracy"]:
                return f"accuracy when the surest {100 * float(coverage):g} % are answered"
            case ["ood", score, kind, "auroc"]:
                return f"{SAID[kind]}, told apart by {score} (AUROC)"
            case _:
                _, score, kind, _ = rest
                return f"{SAID[kind]}, let in by {score}"


def _look(subject: Subject, inputs: Tensor) -> Seen:
    return detector.look(subject.model, subject.spec, inputs, batch_size=subject.batch_size)


def _others(kind: ImageKind | RowKind, own: Samples, subject: Subject) -> Tensor:
    """Make inputs that do not belong, from those that do."""
    generator = np.random.default_rng(subject.seed)
    spec = subject.spec
    if isinstance(spec, ImageInput):
        return other_images.make(kind, own.floats(), spec, generator)  # type: ignore[arg-type]
    return other_rows.make(kind, own.floats(), spec, generator)  # type: ignore[arg-type]
