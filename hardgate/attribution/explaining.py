"""The whole way: draw samples, attribute, and put the attributions to trial."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from hardgate import measurements
from hardgate.attacks.ascent import frozen
from hardgate.attribution import features, measuring, scores
from hardgate.attribution.measuring import Perturb
from hardgate.attribution.result import Attributions
from hardgate.attribution.settings import Explaining
from hardgate.attribution.subject import Subject, digest
from hardgate.errors import ContractError
from hardgate.records import InputSpec
from hardgate.samples import Samples


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
        subject = Subject(
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
    subject: Subject, background: Samples, explained: Samples, perturb: Perturb | None
) -> Attributions:
    """Attribute, try the attributions, and bring everything together."""
    outputs = scores.evaluate(subject.score, subject.inputs, subject.classes).numpy()
    starts = scores.crossed(subject.score, subject.background, subject.classes).numpy()
    if not (np.isfinite(outputs).all() and np.isfinite(starts).all()):
        raise ContractError("the model's logits are not all finite; there is nothing to explain")
    values = subject.attribute(subject.inputs)
    contributions = subject.by_feature(values)
    second_method, second = subject.second_opinion()
    deletion = measuring.delete(subject, contributions)
    found = {
        **measuring.additivity(subject, contributions, outputs, starts),
        **measuring.under_noise(subject, values),
        **measuring.under_attack(subject, values, explained.labels, perturb),
        "deletion_faithfulness": deletion.faithfulness(seed=subject.seed),
        **measuring.agreement(subject, contributions, second),
        **measuring.refereed(subject, values),
    }
    return Attributions(
        explainer=subject.explainer(),
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
        importance=measuring.importance(subject, contributions),
        measurements={
            measurements.explanation(name): measurement for name, measurement in found.items()
        },
        deletion=deletion,
    )


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
