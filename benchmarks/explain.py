"""Our SHAP values beside shap's own explainers: ``python benchmarks/explain.py``.

Trains a network on credit and one on mnist for a moment, each with its recipe of params.yaml, and
explains the same rows and images against the same background with every explainer, each at several
settings. Prints processor seconds on one thread and the additivity error: the largest gap between
summed attributions and the output they explain, in units of the outputs' spread. Then, for every
peer, how much longer it takes than ours at the same error, or at the nearest that either reaches.

Where all are exactly additive, as on rows of a table, that error says nothing more. The second
number then decides: the distance from the mean of many independent runs of both ours and shap's
permutations, relative to the size of the values.

Importing shap and compiling its loops (numba) is timed apart. ``--quick`` takes fewer inputs.
The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hardgate import params as settings
from hardgate import region, splits, training
from hardgate.attacks.ascent import frozen
from hardgate.attribution import gradients, permutation, scores, trials
from hardgate.attribution.scores import Score
from hardgate.records import InputSpec
from hardgate.samples import Samples

ROOT = Path(__file__).resolve().parents[1]
EXACT = 1e-6  # additivity errors below are rounding
REFERENCES = 6  # runs of each kind that the reference is the mean of

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Subject:
    """A network, and what is explained of it."""

    spec: InputSpec
    model: nn.Module
    score: Score
    inputs: Tensor
    background: Tensor
    classes: Tensor


@dataclass(frozen=True)
class Ask:
    """One explainer at one setting; ``logit`` when it explains the bare logit of the class."""

    explainer: str
    setting: str
    explain: Callable[[], Array]
    logit: bool = False


@dataclass(frozen=True)
class Result:
    """What one explainer took and reached at one setting."""

    explainer: str
    setting: str
    seconds: float
    additivity: float
    distance: float | None = None  # from the reference, relative; tables only


class Margin(nn.Module):
    """One output, as shap wants it: the log-odds of a class, or its bare logit."""

    def __init__(self, subject: Subject, chosen: int, *, logit: bool) -> None:
        super().__init__()
        self.model, self.chosen, self.logit = subject.model, chosen, logit

    def forward(self, inputs: Tensor) -> Tensor:
        """Score inputs, shape ``(n, 1)``."""
        logits = self.model(inputs)
        if self.logit and logits.shape[1] == 2:  # the log-odds of two classes are linear in logits
            return logits[:, 1:] - logits[:, :1]
        if self.logit:
            return logits[:, self.chosen : self.chosen + 1]
        chosen = torch.full((len(inputs),), self.chosen)
        return scores.log_odds(logits, chosen).float().unsqueeze(1)


def prepare(model: str, *, samples: int, epochs: int, explained: int, background: int) -> Subject:
    """Train a network for a moment, and draw what is explained."""
    params = settings.load(model)
    with tempfile.TemporaryDirectory() as folder:
        raw = params.dataset.load(ROOT, cache=Path(folder))
        assignment = splits.assign(raw, params.validation, seed=params.seed)
        encoded = params.dataset.encode(raw, assignment.rows("train"))
        drawn = np.random.default_rng(params.seed)

        def pick(split: str, count: int) -> Samples:
            rows = drawn.permutation(assignment.rows(split))[:count]
            return Samples(
                torch.from_numpy(encoded.inputs[rows]),
                torch.from_numpy(encoded.labels[rows]),
                torch.from_numpy(rows),
            )

        fitted = training.fit(
            params.training.model_copy(update={"epochs": epochs}),
            encoded.spec,
            region.build(params.threat, encoded.spec),
            pick("train", samples),
            pick("held_out", 500),
            seed=params.seed,
            device=torch.device("cpu"),
            checkpoint=Path(folder) / "checkpoint",
            identity="0" * 64,
        )
    inputs = pick("test", explained).floats()
    with torch.no_grad():
        predicted = fitted.model(inputs).argmax(dim=1)
    two = len(encoded.spec.classes) == 2
    return Subject(
        spec=encoded.spec,
        model=fitted.model,
        score=scores.of(fitted.model, torch.device("cpu")),
        inputs=inputs,
        background=pick("train", background).floats(),
        classes=torch.ones_like(predicted) if two else predicted,
    )


def timed(subject: Subject, ask: Ask, reference: Array | None = None) -> Result:
    """Explain, and see how long it took, what it missed, and how far from a reference it is."""
    started = time.process_time()
    values = ask.explain()
    seconds = time.process_time() - started
    outputs, starts = _ends(subject, logit=ask.logit)
    missed = float(trials.additivity(values.reshape(len(values), -1), outputs, starts).max())
    away = None
    if reference is not None:
        away = float(np.linalg.norm(values - reference) / np.linalg.norm(reference))
    told = f"{ask.explainer:26}{ask.setting:24}{seconds:9.2f} s{missed:12.2g}"
    print(f"  {told}{'' if away is None else f'{away:10.2%} away'}", flush=True)
    return Result(ask.explainer, ask.setting, seconds, missed, away)


def _ends(subject: Subject, *, logit: bool) -> tuple[Array, Array]:
    """Score what is explained and every background input, as the explainer saw them."""
    if not logit or len(subject.spec.classes) == 2:
        ends = scores.evaluate(subject.score, subject.inputs, subject.classes)
        starts = scores.crossed(subject.score, subject.background, subject.classes)
        return ends.numpy(), starts.numpy()
    with torch.no_grad():
        ends = subject.model(subject.inputs).double().gather(1, subject.classes[:, None])[:, 0]
        starts = subject.model(subject.background).double()[:, subject.classes].T
    return ends.numpy(), starts.numpy()


def each(subject: Subject, explain: Callable[[int, Any], Any]) -> Array:
    """Explain inputs class by class: shap's networks have one output."""
    values = np.zeros(subject.inputs.shape)
    for chosen in sorted(set(subject.classes.tolist())):
        at = (subject.classes == chosen).numpy()
        found = np.asarray(explain(chosen, subject.inputs[torch.from_numpy(at)]))
        values[at] = found.reshape(values[at].shape)
    return values


def gradient(subject: Subject, *, points: int) -> Array:
    """Ask shap's expected gradients."""
    import shap

    def explain(chosen: int, inputs: Tensor) -> Any:
        network = Margin(subject, chosen, logit=False)
        explainer = shap.GradientExplainer(network, subject.background)
        return explainer.shap_values(inputs, nsamples=points, rseed=0)

    return each(subject, explain)


def deep(subject: Subject) -> Array:
    """Ask shap's DeepLIFT, which knows no logarithm of sums: of the logit."""
    import shap

    def explain(chosen: int, inputs: Tensor) -> Any:
        explainer = shap.DeepExplainer(Margin(subject, chosen, logit=True), subject.background)
        return explainer.shap_values(inputs, check_additivity=False)

    return each(subject, explain)


def function(subject: Subject, name: str, *, seed: int = 0, **options: int) -> Array:
    """Ask one of shap's explainers of functions, pixels flattened to columns."""
    import shap

    shape = subject.inputs.shape[1:]
    background = subject.background.flatten(1).double().numpy()

    def explain(chosen: int, inputs: Tensor) -> Any:
        def predict(rows: Array) -> Array:
            states = torch.from_numpy(np.asarray(rows, dtype=np.float32)).view(-1, *shape)
            classes = torch.full((len(states),), chosen)
            return scores.evaluate(subject.score, states, classes).numpy()

        rows = inputs.flatten(1).double().numpy()
        np.random.seed(seed)  # all that KernelExplainer knows
        if name == "KernelExplainer":
            explainer = shap.KernelExplainer(predict, background)
            return explainer.shap_values(rows, l1_reg=False, silent=True, **options)
        masker = shap.maskers.Independent(background, max_samples=len(background))
        explainer = shap.PermutationExplainer(predict, masker, seed=seed)
        return explainer(rows, silent=True, **options).values

    return each(subject, explain)


def ours_on_rows(subject: Subject, *, count: int, seed: int = 0) -> Array:
    """Ask our permutations, against the first so many rows of the background."""
    values = permutation.shapley(
        subject.score, subject.inputs, subject.background[:count], subject.classes, seed=seed
    )
    return values.numpy()


def ours_on_images(subject: Subject, *, steps: int) -> Array:
    """Ask our expected gradients."""
    values = gradients.expected_gradients(
        subject.score, subject.inputs, subject.background, subject.classes, steps=steps
    )
    return values.numpy()


def rows(subject: Subject) -> list[Result]:
    """Explain rows of credit with everything that can."""
    width, whole = subject.inputs.shape[1], len(subject.background)
    walk = 2 * width + 1  # runs of the model that one permutation takes, there and back
    permuted = partial(function, subject, "PermutationExplainer")
    kernel = partial(function, subject, "KernelExplainer")
    runs = range(100, 100 + REFERENCES)
    many = [ours_on_rows(subject, seed=seed, count=whole) for seed in runs]
    theirs = [permuted(seed=seed, max_evals=3 * walk) for seed in runs]
    reference = (np.mean(many, axis=0) + np.mean(theirs, axis=0)) / 2
    all_coalitions = 2 * width + 2048  # shap's own default
    asks = [
        *(
            Ask(
                "ours, permutations",
                f"{n} background rows",
                partial(ours_on_rows, subject, count=n),
            )
            for n in (whole // 4, whole)
        ),
        *(
            Ask("shap PermutationExplainer", f"{n} per row", partial(permuted, max_evals=n * walk))
            for n in (1, 3, 10)
        ),
        *(
            Ask("shap KernelExplainer", f"{n} coalitions", partial(kernel, nsamples=n))
            for n in (256, all_coalitions)
        ),
        Ask("shap GradientExplainer", "200 points", partial(gradient, subject, points=200)),
        Ask("shap DeepExplainer", "", partial(deep, subject), logit=True),
    ]
    return [timed(subject, ask, reference) for ask in asks]


def images(subject: Subject, *, patient: bool) -> list[Result]:
    """Explain digits with everything that can."""
    pixels = subject.inputs[0].numel()
    coalitions = 2 * pixels + 2048 if patient else 1024
    walk = 2 * pixels + 1
    asks = [
        *(
            Ask(
                "ours, expected gradients",
                f"{steps} points per path",
                partial(ours_on_images, subject, steps=steps),
            )
            for steps in (1, 2, 3, 5, 10, 20, 50, 100)
        ),
        *(
            Ask("shap GradientExplainer", f"{n} points", partial(gradient, subject, points=n))
            for n in ((200, 1000, 5000) if patient else (200, 1000))
        ),
        Ask("shap DeepExplainer", "of the logit", partial(deep, subject), logit=True),
        Ask(
            "shap PermutationExplainer",
            "1 per image",
            partial(function, subject, "PermutationExplainer", max_evals=walk),
        ),
        Ask(
            "shap KernelExplainer",
            f"{coalitions} coalitions",
            partial(function, subject, "KernelExplainer", nsamples=coalitions),
        ),
    ]
    return [timed(subject, ask) for ask in asks]


def ratios(found: Sequence[Result], error: Callable[[Result], float]) -> dict[str, dict[str, Any]]:
    """Compare every setting of a peer with our cheapest that misses no more, or our nearest."""
    ours = [one for one in found if one.explainer.startswith("ours")]
    told = {}
    for peer in found:
        if peer in ours:
            continue
        enough = [one for one in ours if error(one) <= max(error(peer), EXACT)]
        match = min(enough, key=lambda o: o.seconds) if enough else min(ours, key=error)
        told[f"{peer.explainer}, {peer.setting}".strip(", ")] = {
            "times_ours": peer.seconds / match.seconds,
            "error": error(peer),
            "our_error": error(match),
            "ours": match.setting,
            "reached": bool(enough),
        }
    return told


def show(told: dict[str, dict[str, Any]], what: str) -> None:
    """Print the ratios."""
    print(f"at no larger {what} than the peer's:")
    for peer, ratio in told.items():
        remark = "" if ratio["reached"] else "  (ours does not reach the peer's; its nearest)"
        print(
            f"  {peer:52}{ratio['times_ours']:9.1f} times ours   "
            f"{ratio['error']:.2g} against {ratio['our_error']:.2g}, {ratio['ours']}{remark}"
        )


def _start() -> float:
    """Import shap and let it compile its loops; give the processor seconds that took."""
    started = time.process_time()
    import shap

    ones = np.ones((4, 3))
    masker = shap.maskers.Independent(ones, max_samples=4)
    shap.PermutationExplainer(lambda x: x.sum(axis=1), masker)(2 * ones, silent=True)
    return time.process_time() - started


def main() -> None:
    """Explain both networks with everybody."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer inputs, within 5 minutes")
    quick = parser.parse_args().quick
    os.chdir(ROOT)
    warnings.simplefilter("ignore")  # shap's and those of what it imports
    torch.set_num_threads(1)
    start = _start()
    print(f"importing shap and compiling its loops: {start:.1f} s", flush=True)

    table = prepare(
        "credit",
        samples=20000,
        epochs=10 if quick else 30,
        explained=20 if quick else 100,
        background=100,
    )
    print(f"credit: {len(table.inputs)} rows, background {len(table.background)}", flush=True)
    with frozen(table.model):
        of_rows = rows(table)
    nearness = ratios(of_rows, lambda one: one.distance or 0.0)
    additive = ratios(of_rows, lambda one: one.additivity)
    show(additive, "additivity error")
    show(nearness, "distance from the reference")

    digits = prepare(
        "mnist",
        samples=6000 if quick else 20000,
        epochs=1 if quick else 2,
        explained=3 if quick else 20,
        background=20,
    )
    print(f"mnist: {len(digits.inputs)} images, background {len(digits.background)}", flush=True)
    with frozen(digits.model):
        of_images = images(digits, patient=not quick)
    on_images = ratios(of_images, lambda one: one.additivity)
    show(on_images, "additivity error")
    print(
        json.dumps(
            {
                "threads": 1,
                "shap_start_seconds": start,
                "credit": [asdict(one) for one in of_rows],
                "credit_at_equal_additivity": additive,
                "credit_at_equal_distance": nearness,
                "mnist": [asdict(one) for one in of_images],
                "mnist_at_equal_additivity": on_images,
            }
        )
    )


if __name__ == "__main__":
    main()
