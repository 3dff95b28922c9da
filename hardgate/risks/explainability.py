"""Explainability: whether the reasons of a model can be relied on, and whom they rest on.

Five questions. Do the reasons stay when another seed draws the background? Do they stay when the
model is trained again (Fel et al. 2022, "How good is your explanation? Algorithmic stability
measures to assess the quality of explanations for deep neural networks")? Are they of what was
learned, or would a network with random weights give the same (Adebayo et al. 2018, "Sanity checks
for saliency maps")? How much of the decision rests on a sensitive column, directly or through
columns that tell it? And does the model weigh columns in the same way on rows like its data and on
the mixtures that explainers ask about? One that does not may have been built to look fair to them:
Slack et al. (2020), "Fooling LIME and SHAP: adversarial attacks on post hoc explanation methods".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import PositiveInt
from torch import Tensor, nn

from hardgate import candidates, measurements, progress, statistics, training
from hardgate.attribution import features, gradients, manifold, permutation, scores, trials
from hardgate.errors import ParamsError
from hardgate.measurements import Reasons
from hardgate.records import InputSpec, Measurement, Record, TableInput
from hardgate.risks import proxies
from hardgate.subject import Origin, Subject
from hardgate.threat import Threat

SAID = {
    "seeds": "same reasons with another background (cosine)",
    "retrains": "same reasons when trained again (cosine)",
    "untrained": "same reasons as a network with random weights (cosine)",
    "off_manifold": "largest shift of a column's weight on mixtures such as explainers ask about",
}


class Explainability(Record):
    """Reasons of ``samples`` test inputs, against ``background`` training inputs.

    Two models are trained again for ``retrain_epochs`` each and held together; without that key
    none is. ``path_steps`` and ``region`` are for images, as in the explanation section. On tables,
    ``neighbours`` real rows lend a column's value to each explained row.
    """

    title: ClassVar[str] = "Whether its reasons can be relied on"

    name: Literal["explainability"]
    samples: PositiveInt
    background: PositiveInt
    retrain_epochs: PositiveInt | None = None
    path_steps: PositiveInt | None = None
    region: PositiveInt | None = None
    neighbours: PositiveInt | None = None

    def check(self, spec: InputSpec, threat: Threat) -> None:  # noqa: ARG002
        """Refuse keys of images for a table, and of tables for images, with a ParamsError."""
        table = isinstance(spec, TableInput)
        for key, wanted in (
            ("neighbours", table),
            ("path_steps", not table),
            ("region", not table),
        ):
            if (getattr(self, key) is not None) is not wanted:
                kind = "a table" if table else "images"
                raise ParamsError(
                    f"evaluation.risks.explainability.{key}: "
                    + (f"{kind} need it; give a number" if wanted else f"not for {kind}; remove it")
                )

    def measure(self, subject: Subject, origin: Origin) -> dict[str, Measurement]:
        """Ask all questions that fit the data."""
        asked = _Asked.of(self, subject)
        reasons = asked.reasons(subject.model, seed=subject.seed)
        architecture, seed = origin.training.architecture, subject.seed + 1
        random = candidates.build(architecture, subject.spec, seed=seed)
        untrained = asked.reasons(random.to(subject.device).eval(), seed=subject.seed)
        again = asked.reasons(subject.model, seed=subject.seed + 1)
        found: dict[Reasons, NDArray[np.float64]] = {
            "seeds": trials.cosine(reasons, again),
            "untrained": trials.cosine(reasons, untrained),
        }
        if self.retrain_epochs is not None:
            pair = [
                asked.reasons(self._trained(subject, origin, seed), seed=subject.seed)
                for seed in (subject.seed + 1, subject.seed + 2)
            ]
            found["retrains"] = trials.cosine(*pair)
        measured = {
            measurements.explainability(name): trials.mean(values, seed=subject.seed)
            for name, values in found.items()
        }
        if isinstance(subject.spec, TableInput):
            measured |= self._of_table(subject, subject.spec, asked, reasons)
        return measured

    def _trained(self, subject: Subject, origin: Origin, seed: int) -> nn.Module:
        """Train the candidate's like, for fewer epochs."""
        return training.fit(
            origin.training.model_copy(update={"epochs": self.retrain_epochs, "start": "scratch"}),
            subject.spec,
            subject.region,
            subject.train,
            subject.held_out,
            seed=seed,
            device=subject.device,
            checkpoint=origin.scratch / f"explainability.{seed}.safetensors",
            identity="trained again",
        ).model

    def _of_table(
        self, subject: Subject, spec: TableInput, asked: _Asked, reasons: NDArray[np.float64]
    ) -> dict[str, Measurement]:
        weight = np.abs(reasons)
        tells = proxies.tells(spec, subject.train.floats().numpy())
        found = {
            measurements.reliance(column): _share(weight, told, seed=subject.seed)
            for column, told in tells.items()
        }
        score = scores.of(subject.model, subject.device)
        near, far, moved = manifold.weights(
            score,
            spec,
            asked.inputs,
            asked.classes,
            subject.train.floats(),
            neighbours=self.neighbours or 1,
            seed=subject.seed,
        )
        name = measurements.explainability("off_manifold")
        return found | {name: _gap(near, far, moved, seed=subject.seed)}

    def said(self, name: str) -> str:
        """Say which question a measurement answers."""
        _, what, *rest = name.split("/")
        if what == "reliance":
            return f"share of the decision that rests on {rest[0]} and on columns that tell it"
        return SAID[what]


@dataclass(frozen=True)
class _Asked:
    """What is explained, and how."""

    risk: Explainability
    subject: Subject
    inputs: Tensor
    classes: Tensor
    of_features: features.Features

    @classmethod
    def of(cls, risk: Explainability, subject: Subject) -> _Asked:
        inputs = subject.test.take(subject.attacked[: risk.samples]).floats()
        predicted = subject.predict(inputs).argmax(1)
        binary = len(subject.spec.classes) == 2
        return cls(
            risk=risk,
            subject=subject,
            inputs=inputs,
            classes=torch.ones_like(predicted) if binary else predicted,
            of_features=features.of(subject.spec, risk.region),
        )

    def reasons(self, model: nn.Module, *, seed: int) -> NDArray[np.float64]:
        """Give attributions by feature, shape ``(n, features)``; the seed draws the background."""
        progress.heed()
        train, generator = self.subject.train, np.random.default_rng(seed)
        chosen = generator.permutation(len(train))[: self.risk.background]
        background = train.take(torch.from_numpy(chosen)).floats()
        score = scores.of(model, self.subject.device)
        ask = score, self.inputs, background, self.classes
        if self.risk.path_steps is None:
            values = permutation.shapley(*ask, seed=seed)
        else:
            values = gradients.expected_gradients(*ask, steps=self.risk.path_steps)
        return self.of_features.sum(values).numpy()


def _share(weight: NDArray[np.float64], told: NDArray[np.float64], *, seed: int) -> Measurement:
    """Share of all weight that lies on columns, each counted by how well it tells another."""

    def share(means: NDArray[np.float64]) -> NDArray[np.float64]:
        return _ratio(means @ told, means.sum(axis=-1))

    return statistics.bootstrap_means(weight, {"share": share}, seed=seed)["share"]


def _gap(
    near: NDArray[np.float64], far: NDArray[np.float64], moved: NDArray[np.float64], *, seed: int
) -> Measurement:
    """Measure by how much the share of any column differs between rows and mixtures.

    A column weighs what the score moves per move of its value.
    """
    width = near.shape[1]

    def gap(means: NDArray[np.float64]) -> NDArray[np.float64]:
        there, off, by = (means[..., at * width : (at + 1) * width] for at in range(3))
        apart = _normal(_ratio(there, by)) - _normal(_ratio(off, by))
        largest: NDArray[np.float64] = np.abs(apart).max(axis=-1)
        return largest

    whole = np.concatenate([near, far, moved], axis=1)
    return statistics.bootstrap_means(whole, {"gap": gap}, seed=seed)["gap"]


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide; nothing of nothing is nothing."""
    found: NDArray[np.float64] = np.zeros_like(part)
    np.divide(part, whole, out=found, where=whole > 0)
    return found


def _normal(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    return _ratio(weights, np.broadcast_to(weights.sum(axis=-1, keepdims=True), weights.shape))
