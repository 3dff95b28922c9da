"""The whole way: draw samples, attribute, and put the attributions to trial."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from pydantic import Field, NonNegativeInt, PositiveInt
from torch import Tensor, nn

from hardgate import measurements, provenance, statistics
from hardgate.attacks import Attack
from hardgate.attacks.ascent import frozen
from hardgate.attribution import features, gradients, permutation, reference, scores, trials
from hardgate.attribution.features import Features
from hardgate.attribution.result import Attributions
from hardgate.attribution.scores import Score
from hardgate.attribution.trials import Array, Deletion
from hardgate.errors import ContractError, ParamsError
from hardgate.measurements import Property
from hardgate.records import InputSpec, Measurement, Record, TableInput
from hardgate.samples import Samples

# Maps clean inputs and their labels to adversarial inputs within the threat model.
Perturb = Callable[[Tensor, Tensor], Tensor]

FEWEST_RANKED = 3  # with two features a rank correlation is 1 or -1, whatever they are


class Deleting(Record):
    """The deletion trial: at how many shares, beside how many random orders, on what background."""

    steps: PositiveInt
    orders: PositiveInt
    background: PositiveInt  # the first ones of the whole background


class Explaining(Record):
    """What is explained, against what, and how attributions are put to trial."""

    background: PositiveInt  # training samples that stand for an absent feature
    explained: PositiveInt  # test samples
    path_steps: PositiveInt  # points per path of expected gradients: images' additivity hangs on it
    region: PositiveInt | None = None  # images only: side of a region in pixels
    noise: Annotated[float, Field(gt=0)]  # standard deviation, in the unit of the threat's eps
    stability: PositiveInt  # how many of the explained are explained again after a change
    attack: Attack | None = None  # the change that is no accident; without it that is unmeasured
    deletion: Deleting
    reference: NonNegativeInt  # how many are explained by the shap library too; 0 leaves it out

    def check(self, *, train: int, test: int) -> None:
        """Refuse to explain or to change more samples than there are, with a ParamsError."""
        for key, asked, there, what in (
            ("background", self.background, train, "samples in the training split"),
            ("explained", self.explained, test, "samples in the test split"),
            ("stability", self.stability, self.explained, "explained samples"),
            ("reference", self.reference, self.explained, "explained samples"),
            ("deletion.background", self.deletion.background, self.background, "in background"),
        ):
            if asked > there:
                raise ParamsError(
                    f"explanation.{key}: {asked} asked for, there are {there} {what}; "
                    f"give at most {there}"
                )


@dataclass(frozen=True)
class _Subject:
    """What is explained, and against what."""

    params: Explaining
    spec: InputSpec
    score: Score
    inputs: Tensor
    classes: Tensor
    background: Tensor
    features: Features
    seed: int

    def attribute(self, inputs: Tensor) -> Array:
        """Give SHAP values of as many inputs, or of the first so many, in their shape."""
        classes = self.classes[: len(inputs)]
        if isinstance(self.spec, TableInput):
            values = permutation.shapley(
                self.score, inputs, self.background, classes, seed=self.seed
            )
        else:
            values = gradients.expected_gradients(
                self.score, inputs, self.background, classes, steps=self.params.path_steps
            )
        return values.numpy()

    def by_feature(self, values: Array) -> Array:
        """Sum attributions by feature."""
        return self.features.sum(torch.from_numpy(values)).numpy()

    def mean(self, numbers: Array) -> Measurement:
        """Measure the mean of one number per sample."""
        return trials.mean(numbers, seed=self.seed)


def explain(
    params: Explaining,
    spec: InputSpec,
    model: nn.Module,
    *,
    train: Samples,
    test: Samples,
    seed: int,
    device: torch.device,
    perturb: Perturb | None,
) -> Attributions:
    """Explain a model, and measure how far its explanations can be relied on.

    Parameters
    ----------
    train, test
        The background is drawn from ``train``, the explained samples from ``test``.
    perturb
        Makes adversarial inputs for stability under attack. Without it, or when it moves no
        sample, that stays unmeasured; so does stability under noise that moves none.

    Raises
    ------
    ParamsError
        If more samples are asked for than there are, or the region does not fit the data.
    ContractError
        If the model or ``perturb`` returns something else than it should.
    """
    params.check(train=len(train), test=len(test))
    generator = np.random.default_rng(seed)
    background = train.take(_draw(len(train), params.background, generator))
    explained = test.take(_draw(len(test), params.explained, generator))
    with frozen(model.to(device)):
        subject = _Subject(
            params=params,
            spec=spec,
            score=scores.of(model, device),
            inputs=explained.floats(),
            classes=_classes(model, explained.floats(), device),
            background=background.floats(),
            features=features.of(spec, params.region),
            seed=seed,
        )
        return _explained(subject, background, explained, perturb)


def _explained(
    subject: _Subject, background: Samples, explained: Samples, perturb: Perturb | None
) -> Attributions:
    """Attribute, try the attributions, and bring everything together."""
    outputs = scores.evaluate(subject.score, subject.inputs, subject.classes).numpy()
    starts = scores.crossed(subject.score, subject.background, subject.classes).numpy()
    if not (np.isfinite(outputs).all() and np.isfinite(starts).all()):
        raise ContractError("the model's logits are not all finite; there is nothing to explain")
    values = subject.attribute(subject.inputs)
    contributions = subject.by_feature(values)
    second_method, second = _second_opinion(subject)
    deletion = _delete(subject, contributions)
    found = {
        **_additivity(subject, contributions, outputs, starts),
        **_under_noise(subject, values),
        **_under_attack(subject, values, explained.labels, perturb),
        "deletion_faithfulness": deletion.faithfulness(seed=subject.seed),
        **_agreement(subject, contributions, second),
        **_refereed(subject, values),
    }
    return Attributions(
        explainer=_explainer(subject.spec),
        seed=subject.seed,
        background_sha256=digest(subject.background),
        background_rows=background.rows,
        rows=explained.rows,
        inputs=subject.inputs,
        labels=explained.labels,
        classes=subject.classes,
        outputs=outputs,
        base=starts.mean(axis=1),
        values=values,
        second_method=second_method,
        second_opinion=second,
        features=subject.features,
        importance=_importance(subject, contributions),
        measurements={
            measurements.explanation(name): measurement for name, measurement in found.items()
        },
        deletion=deletion,
    )


def digest(background: Tensor) -> str:
    """Digest background inputs: their shape and every bit of them, in order."""
    shape = ",".join(str(size) for size in background.shape)
    return provenance.sha256_bytes(f"{shape};".encode() + background.numpy().tobytes())


def _draw(there: int, count: int, generator: np.random.Generator) -> Tensor:
    return torch.from_numpy(generator.choice(there, count, replace=False))


def _classes(model: nn.Module, inputs: Tensor, device: torch.device) -> Tensor:
    """Choose whose log-odds are explained: class 1 of two, else the predicted class."""
    size = scores.at_once(inputs)
    with torch.no_grad():
        logits = torch.cat([model(part.to(device)).cpu() for part in torch.split(inputs, size)])
    if logits.ndim != 2 or logits.shape[1] < 2:
        raise ContractError(
            f"the model returns shape {tuple(logits.shape)}; logits of shape (n, 2 or more) "
            "are needed"
        )
    predicted = logits.argmax(dim=1)
    return torch.ones_like(predicted) if logits.shape[1] == 2 else predicted


def _explainer(spec: InputSpec) -> str:
    if isinstance(spec, TableInput):
        return "SHAP values by antithetic permutations"
    return "SHAP values by expected gradients on midpoints"


def _second_opinion(subject: _Subject) -> tuple[str, Array]:
    """Ask gradients: on tables along paths, where they are not the method itself."""
    ask = subject.score, subject.inputs, subject.background, subject.classes
    if isinstance(subject.spec, TableInput):
        values = gradients.expected_gradients(
            *ask, steps=subject.params.path_steps, movable=subject.features.continuous
        )
        return "expected gradients of the columns that are no categories", values.numpy()
    return "gradient times input", gradients.gradient_times_input(*ask).numpy()


def _delete(subject: _Subject, contributions: Array) -> Deletion:
    asked = subject.params.deletion
    return trials.delete(
        subject.score,
        subject.inputs,
        subject.background[: asked.background],
        subject.classes,
        features=subject.features,
        contributions=contributions,
        steps=asked.steps,
        orders=asked.orders,
        seed=subject.seed,
    )


def _importance(subject: _Subject, contributions: Array) -> dict[str, Measurement]:
    def pick(column: int) -> Callable[[Array], Array]:
        return lambda means: means[..., column]

    picks = {name: pick(column) for column, name in enumerate(subject.features.names)}
    return statistics.bootstrap_means(np.abs(contributions), picks, seed=subject.seed)


def _additivity(
    subject: _Subject, contributions: Array, outputs: Array, starts: Array
) -> dict[Property, Measurement]:
    missed = trials.additivity(contributions, outputs, starts)
    return {
        "additivity_error": statistics.exact(float(missed.max()), len(missed)),
        "additivity_error_mean": subject.mean(missed),
    }


def _under_noise(subject: _Subject, values: Array) -> dict[Property, Measurement]:
    clean = subject.inputs[: subject.params.stability]
    moved = trials.noisy(clean, subject.spec, noise=subject.params.noise, seed=subject.seed)
    return _stability(
        subject, values, clean, moved, ("rank_stability_noise", "cosine_stability_noise")
    )


def _under_attack(
    subject: _Subject, values: Array, labels: Tensor, perturb: Perturb | None
) -> dict[Property, Measurement]:
    if perturb is None:
        return {}
    clean = subject.inputs[: subject.params.stability]
    moved = perturb(clean.clone(), labels[: len(clean)]).detach().cpu()
    if moved.shape != clean.shape or not torch.equal(moved.isnan(), clean.isnan()):
        raise ContractError(
            f"the attack returns shape {tuple(moved.shape)} for {tuple(clean.shape)}, or other "
            "missing cells; it must change values only"
        )
    return _stability(
        subject, values, clean, moved, ("rank_stability_attack", "cosine_stability_attack")
    )


def _stability(
    subject: _Subject,
    values: Array,
    clean: Tensor,
    moved: Tensor,
    names: tuple[Property, Property],
) -> dict[Property, Measurement]:
    """Compare attributions before and after, of the samples that moved at all."""
    changed = ((moved != clean) & ~clean.isnan()).flatten(1).any(dim=1).numpy()
    if not changed.any():
        return {}
    before = subject.by_feature(values[: len(clean)])[changed]
    after = subject.by_feature(subject.attribute(moved))[changed]
    return {
        names[0]: subject.mean(trials.rank_agreement(before, after)),
        names[1]: subject.mean(trials.cosine(before, after)),
    }


def _agreement(
    subject: _Subject, contributions: Array, second: Array
) -> dict[Property, Measurement]:
    """Compare with the second opinion, on the features that have one."""
    shared = subject.features.continuous.numpy()
    if shared.sum() < FEWEST_RANKED:
        return {}
    opinion = subject.by_feature(second)[:, shared]
    agreement = trials.rank_agreement(contributions[:, shared], opinion)
    return {"second_opinion": subject.mean(agreement)}


def _refereed(subject: _Subject, values: Array) -> dict[Property, Measurement]:
    count = subject.params.reference
    if count == 0:
        return {}
    theirs = reference.values(
        subject.score,
        subject.inputs[:count],
        subject.background,
        subject.classes[:count],
        seed=subject.seed,
    )
    similar = trials.cosine(subject.by_feature(values[:count]), subject.by_feature(theirs))
    return {"reference_agreement": subject.mean(similar)}
