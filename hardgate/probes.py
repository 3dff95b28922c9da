"""What evaluation measures, as probes that do not need each other, and what follows from them all.

Read :class:`Evaluation` for what params.yaml says, :func:`plan` for the list of probes,
:func:`measure` for what one does, and :func:`conclude` for what is counted when all are there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor, nn

from hardgate import (
    cascade,
    corruption_errors,
    corruptions,
    diagnostics,
    fairness,
    known_answers,
    measurements,
    progress,
    quality,
    queries,
    robustness,
    samples,
    sequential,
    shifts,
    statistics,
    training,
    transfer,
)
from hardgate.attacks import Attack, Cascade
from hardgate.certification import proofs
from hardgate.certification.proofs import Bounding, Certification
from hardgate.corruption_errors import Sweep
from hardgate.defenses import Standard
from hardgate.errors import ContractError
from hardgate.evidence import outcomes, recomputation
from hardgate.evidence.outcomes import Outcomes
from hardgate.fairness import Fairness
from hardgate.queries import Queries
from hardgate.records import InputSpec, Measurement, Record, TableInput
from hardgate.region import Region
from hardgate.samples import Samples
from hardgate.shifts import Shifts
from hardgate.threat import Threat
from hardgate.training import Training
from hardgate.transfer import Transfer

CLEAN = "clean"
TWIN = "twin"
CERTIFICATION = "certification"
Kind = Literal[
    "clean",
    "attack",
    "sequential",
    "curve",
    "queries",
    "shifts",
    "diagnostics",
    "twin",
    "certification",
]


class Curve(Record):
    """The security curve: one attack over multiples of the threat's eps."""

    factors: tuple[Annotated[float, Field(gt=0)], ...] = Field(min_length=1)
    attack: Attack
    samples: PositiveInt

    @model_validator(mode="after")
    def _points_have_names_of_their_own(self) -> Self:
        named: dict[str, float] = {}
        for factor in self.factors:
            name = measurements.curve(factor)
            if name in named:
                raise ValueError(
                    f"the factors {named[name]!r} and {factor!r} are both {factor:g}; keep one"
                )
            named[name] = factor
        return self


class CorruptionSweep(Record):
    """Which severities of every corruption are measured, on how many test images."""

    severities: tuple[Annotated[int, Field(ge=1, le=5)], ...] = Field(min_length=1)
    samples: PositiveInt


class Sequential(Record):
    """Gate mode: a cascade of ``attacks`` is asked only until it is sure of one bound.

    ``alpha`` is the error rate over all attempts; each version of a model spends a part of it.
    """

    attack: str
    bound: Annotated[float, Field(gt=0, le=1)]
    alpha: Annotated[float, Field(gt=0, lt=1)]


class Evaluation(Record):
    """The evaluation section of params.yaml: what is measured, and on how many test samples."""

    samples: PositiveInt  # attacked test samples; clean quality is measured on all of them
    batch_size: PositiveInt
    attacks: tuple[Attack, ...] = Field(min_length=1)
    sequential: Sequential | None = None  # gate mode for one of the attacks
    curve: Curve
    diagnostics: PositiveInt  # samples for the signs of masked gradients
    price: PositiveInt  # samples on which an undefended twin is attacked, to price the defence
    queries: Queries | None = None  # what an attacker reaches who only asks
    transfer: Transfer | None = None  # what the twin's adversarial inputs do to the candidate
    certification: Certification | None = None  # what is proven, for networks that can be bounded
    corruptions: CorruptionSweep | None = None  # images only
    shifts: Shifts | None = None  # tables only
    fairness: Fairness | None = None  # tables only

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [attack.name for attack in self.attacks]
        if len(set(names)) < len(names):
            raise ValueError(f"an attack is named twice in {names}")
        return self

    @model_validator(mode="after")
    def _a_cascade_is_judged(self) -> Self:
        ladders = [attack.name for attack in self.attacks if isinstance(attack, Cascade)]
        if self.sequential is not None and self.sequential.attack not in ladders:
            raise ValueError(
                f"sequential.attack = {self.sequential.attack!r}: gate mode needs a cascade of "
                f"attacks; there is {', '.join(ladders) or 'none'}"
            )
        return self


class Probe(Record):
    """One measurement to make: its kind, and which attack for attacks."""

    kind: Kind
    name: str


@dataclass(frozen=True)
class Subject:
    """What every probe stands on; ``attacked`` holds positions in the test split."""

    model: nn.Module
    spec: InputSpec
    threat: Threat
    region: Region
    train: Samples
    held_out: Samples
    test: Samples
    attacked: Tensor
    device: torch.device
    seed: int


@dataclass(frozen=True)
class Found:
    """What one probe found: numbers, and for the clean probe and attacks what the model said."""

    measurements: dict[str, Measurement] = field(default_factory=dict)
    probabilities: Tensor | None = None  # (n, k) of the test split, or (m, k) of the attacked
    inputs: Tensor | None = None  # (m, ...), the worst inputs an attack found
    proven: Tensor | None = None  # (m,), bool, of the first attacked samples


def choose(test: Samples, count: int, *, seed: int) -> Tensor:
    """Draw which test samples are attacked: rising positions, all when there are fewer."""
    order = np.random.default_rng(seed).permutation(len(test))[:count]
    return torch.from_numpy(np.sort(order))


def plan(section: Evaluation, spec: InputSpec, threat: Threat) -> tuple[Probe, ...]:
    """List the probes, long ones first, after checking that each fits the data.

    Raises
    ------
    ParamsError
        If an attack, the shifts or the fairness section does not; names the key.
    """
    for attack in (*section.attacks, section.curve.attack):
        attack.check(spec, threat)
    diagnostics.check(section.attacks)
    if section.fairness is not None and isinstance(spec, TableInput):
        section.fairness.check(spec)
    if section.shifts is not None:
        section.shifts.check(spec)
    if section.transfer is not None:
        section.transfer.attack.check(spec, threat)
    rest: list[Kind] = ["diagnostics", "curve"]
    if section.queries is not None:
        section.queries.check(spec, threat)
        rest.append("queries")
    if section.shifts is not None:
        rest.append("shifts")
    if section.certification is not None:
        rest.append("certification")
    judged = section.sequential.attack if section.sequential is not None else None
    kinds: list[tuple[Kind, str]] = [
        ("sequential" if attack.name == judged else "attack", attack.name)
        for attack in reversed(section.attacks)
    ]
    return (
        *(Probe(kind=kind, name=name) for kind, name in kinds),
        Probe(kind="twin", name=TWIN if section.transfer is None else transfer.NAME),
        *(Probe(kind=kind, name=kind) for kind in rest),
        Probe(kind="clean", name=CLEAN),
    )


def measure(
    probe: Probe,
    section: Evaluation,
    subject: Subject,
    *,
    twin: Training,
    checkpoint: Path,
    attempt: int,
) -> Found:
    """Make one measurement.

    Parameters
    ----------
    twin, checkpoint
        How the undefended twin is trained, and where it may leave its checkpoint.
    attempt
        Which version of the model this would become, counted from 1: gate mode spends by it.
    """
    match probe.kind:
        case "clean":
            return _clean(section, subject)
        case "attack":
            attack = next(attack for attack in section.attacks if attack.name == probe.name)
            if isinstance(attack, Cascade):
                return _cascade(attack, section, subject)
            found = _attack(attack, section, subject, subject.attacked)
            return Found(inputs=found.adversarial, probabilities=found.probabilities)
        case "sequential":
            return Found(_sequential(section, subject, attempt))
        case "curve":
            return Found(_curve(section, subject))
        case "shifts":
            return Found(_shifts(section, subject))
        case "queries":
            return Found(_queries(section, subject))
        case "diagnostics":
            return Found(_diagnostics(section, subject))
        case "twin":
            return _twin(section, subject, twin, checkpoint)
        case "certification":
            return _certification(section, subject)


def gather(subject: Subject, found: Mapping[str, Found]) -> Outcomes:
    """Put together what the model said to every test sample, clean and under each attack."""
    labels = subject.test.labels.numpy()
    known = np.zeros(len(labels), bool)
    known[subject.attacked.numpy()] = True
    attacks = {
        name: _answers(part.inputs, part.probabilities, labels, known)
        for name, part in sorted(found.items())
        if part.inputs is not None and part.probabilities is not None
    }
    everything = np.ones(len(labels), bool)
    clean = found[CLEAN].probabilities
    return Outcomes(
        index=np.arange(len(labels), dtype=np.int64),
        rows=subject.test.rows.numpy(),
        labels=labels,
        clean=_answers(subject.test.floats(), clean, labels, everything),
        attacks=attacks,
    )


def conclude(
    section: Evaluation, subject: Subject, gathered: Outcomes, found: Mapping[str, Found]
) -> dict[str, Measurement]:
    """Count over all probes.

    The outcomes have the last word on every number that can be made again from them.

    Raises
    ------
    IntegrityError
        If an attack breaks a sample that is certified.
    """
    if CERTIFICATION in found and (proven := found[CERTIFICATION].proven) is not None:
        proofs.confront(proven, subject.attacked[: len(proven)], gathered)
    measured = {name: value for part in found.values() for name, value in part.measurements.items()}
    classes = len(subject.spec.classes)
    measured |= recomputation.recompute(gathered, classes=classes)
    return measured | _fairness(section, subject, gathered)


def _answers(
    inputs: Tensor,
    probabilities: Tensor | None,
    labels: NDArray[np.int64],
    known: NDArray[np.bool_],
) -> outcomes.Answers:
    said = np.zeros((0, 0), np.float32) if probabilities is None else probabilities.numpy()
    return outcomes.answers(
        inputs.numpy(),
        predictions=said.argmax(axis=1),
        probabilities=said,
        labels=labels,
        known=known,
    )


def _clean(section: Evaluation, subject: Subject) -> Found:
    probabilities = _predict(section, subject, subject.test.inputs)
    found = quality.measure(
        subject.test.labels.numpy(), probabilities.double().numpy(), seed=subject.seed
    )
    return Found(
        {measurements.clean(metric): value for metric, value in found.items()}, probabilities
    )


def _predict(section: Evaluation, subject: Subject, inputs: Tensor) -> Tensor:
    """Give probabilities, shape ``(n, k)``; uint8 images are scaled batch by batch."""
    with torch.no_grad():
        logits = [
            subject.model(samples.as_floats(batch).to(subject.device)).cpu()
            for batch in torch.split(inputs, section.batch_size)
        ]
    return torch.softmax(torch.cat(logits), dim=1)


def _attack(
    attack: Attack, section: Evaluation, subject: Subject, index: Tensor
) -> robustness.Outcome:
    chosen = subject.test.take(index)
    return robustness.measure(
        attack,
        subject.threat,
        subject.region,
        subject.model,
        chosen.floats().to(subject.device),
        chosen.labels.to(subject.device),
        seed=subject.seed,
        batch_size=section.batch_size,
        attack_all=isinstance(subject.spec, TableInput),  # for the AUC, which ranks all rows
    )


def _cascade(ladder: Cascade, section: Evaluation, subject: Subject) -> Found:
    chosen = subject.test.take(subject.attacked)
    found = cascade.measure(
        ladder,
        subject.threat,
        subject.region,
        subject.model,
        chosen.floats().to(subject.device),
        chosen.labels.to(subject.device),
        seed=subject.seed,
        batch_size=section.batch_size,
        certified=_certified(section, subject),
    )
    return Found(
        found.added(),
        inputs=found.worst.adversarial,
        probabilities=found.worst.probabilities,
    )


def _certified(section: Evaluation, subject: Subject) -> Tensor | None:
    """Tell which attacked samples need no attack, for it is proven that none succeeds."""
    if not isinstance(section.certification, Bounding):
        return None
    proven = _certification(section, subject).proven
    if proven is None:
        return None
    beyond = torch.zeros(len(subject.attacked) - len(proven), dtype=torch.bool)
    return torch.cat([proven.cpu(), beyond])


def _sequential(section: Evaluation, subject: Subject, attempt: int) -> dict[str, Measurement]:
    """Attack samples in random order until it is sure whether the bound would be reached."""
    asked = section.sequential
    if asked is None:
        return {}
    ladder = next(attack for attack in section.attacks if attack.name == asked.attack)
    if not isinstance(ladder, Cascade):
        raise ContractError(f"{asked.attack} is no cascade; the params section lets none other in")
    chosen = subject.test.take(subject.attacked)
    answer = cascade.judge(
        ladder,
        subject.threat,
        subject.region,
        subject.model,
        chosen.floats().to(subject.device),
        chosen.labels.to(subject.device),
        bound=asked.bound,
        alpha=sequential.spend(asked.alpha, attempt),
        seed=subject.seed,
        certified=_certified(section, subject),
    )
    samples = len(subject.attacked)
    said = {
        measurements.reaches(asked.attack, asked.bound): float(answer.passes is True),
        measurements.error_rate(asked.attack): answer.alpha,
        measurements.seen(asked.attack): float(answer.seen),
    }
    return {name: statistics.exact(value, samples) for name, value in said.items()}


def _curve(section: Evaluation, subject: Subject) -> dict[str, Measurement]:
    chosen = subject.test.take(subject.attacked[: section.curve.samples])
    return robustness.security_curve(
        section.curve.attack,
        subject.threat,
        subject.region,
        subject.model,
        chosen.floats().to(subject.device),
        chosen.labels.to(subject.device),
        factors=section.curve.factors,
        seed=subject.seed,
        batch_size=section.batch_size,
    )


def _queries(section: Evaluation, subject: Subject) -> dict[str, Measurement]:
    if section.queries is None:
        return {}
    chosen = subject.test.take(subject.attacked[: section.queries.samples])
    return queries.measure(
        section.queries,
        subject.threat,
        subject.region,
        subject.model,
        chosen.floats().to(subject.device),
        chosen.labels.to(subject.device),
        seed=subject.seed,
        batch_size=section.batch_size,
    )


def _shifts(section: Evaluation, subject: Subject) -> dict[str, Measurement]:
    asked = section.shifts
    if asked is None:
        return {}
    return shifts.measure(
        asked,
        subject.spec,
        subject.test.take(subject.attacked[: asked.samples]),
        lambda inputs: _predict(section, subject, inputs),
        seed=subject.seed,
    )


def _certification(section: Evaluation, subject: Subject) -> Found:
    certification = section.certification
    if certification is None:
        return Found()
    chosen = subject.test.take(subject.attacked[: certification.samples])
    inputs, labels = chosen.floats().to(subject.device), chosen.labels.to(subject.device)
    size = section.batch_size
    if isinstance(certification, Bounding):
        found, proven = proofs.prove(
            certification, subject.region, subject.model, inputs, labels, batch_size=size
        )
        return Found(found, proven=proven)
    return Found(
        proofs.vote(
            certification,
            subject.region,
            subject.model,
            inputs,
            labels,
            seed=subject.seed,
            batch_size=size,
        )
    )


def _diagnostics(section: Evaluation, subject: Subject) -> dict[str, Measurement]:
    chosen = subject.test.take(subject.attacked[: section.diagnostics])
    found = known_answers.measure(section.attacks, subject.spec, subject.threat)
    return found | diagnostics.measure(
        section.attacks,
        subject.threat,
        subject.region,
        subject.model,
        chosen.floats().to(subject.device),
        chosen.labels.to(subject.device),
        seed=subject.seed,
        batch_size=section.batch_size,
    )


def _twin(section: Evaluation, subject: Subject, twin: Training, checkpoint: Path) -> Found:
    """Train the candidate's twin without defence or augmentation; then hold the two together.

    A probe that transfers is named for it: its outcomes stand beside those of the attacks.
    """
    fitted = training.fit(
        twin.model_copy(update={"defense": Standard(recipe="standard"), "warmup_epochs": 0.0}),
        subject.spec,
        subject.region,
        subject.train,
        subject.held_out,
        seed=subject.seed,
        device=subject.device,
        checkpoint=checkpoint,
        identity="undefended twin",
    )
    undefended = replace(subject, model=fitted.model)
    found = _price(section, undefended, seconds=fitted.seconds)
    found |= _corruptions(section, subject, undefended)
    if section.transfer is None:
        return Found(found)
    transferred, beats = _transfer(section, section.transfer, subject, undefended)
    return Found(
        found | beats, inputs=transferred.adversarial, probabilities=transferred.probabilities
    )


def _price(section: Evaluation, undefended: Subject, *, seconds: float) -> dict[str, Measurement]:
    """Measure the twin like the candidate."""
    labels = undefended.test.labels.numpy()
    clean = _predict(section, undefended, undefended.test.inputs).double().numpy()
    index = undefended.attacked[: section.price]
    robust = _attack(diagnostics.gradient_attack(section.attacks), section, undefended, index)
    found = {
        measurements.price("clean_accuracy"): quality.accuracy(labels, clean),
        measurements.price("robust_accuracy"): statistics.share(robust.survives.numpy()),
        measurements.price("seconds"): statistics.exact(seconds, len(undefended.train)),
    }
    if len(undefended.spec.classes) == 2:
        attacked = robust.probabilities.double().numpy()
        found[measurements.price("clean_auc")] = quality.auc(labels, clean)
        found[measurements.price("robust_auc")] = quality.auc(labels[index.numpy()], attacked)
    return found


def _corruptions(
    section: Evaluation, subject: Subject, undefended: Subject
) -> dict[str, Measurement]:
    """Show candidate and twin the same corrupted images."""
    asked = section.corruptions
    if asked is None:
        return {}
    chosen = subject.test.take(subject.attacked[: asked.samples])
    images, labels = chosen.floats(), chosen.labels.numpy()
    pair = (subject, undefended)

    def right(inputs: Tensor) -> list[NDArray[np.bool_]]:
        return [_predict(section, each, inputs).argmax(1).numpy() == labels for each in pair]

    sweeps = [Sweep(clean, {}) for clean in right(images)]
    for name in progress.track(corruptions.NAMES, "corruptions"):
        for severity in asked.severities:
            generator = np.random.default_rng(subject.seed)
            corrupted = corruptions.corrupt(name, images, severity, generator)
            for sweep, answers in zip(sweeps, right(corrupted), strict=True):
                sweep.corrupted[name, severity] = answers
    candidate, twin = sweeps
    return quality.corruption(
        candidate.clean, candidate.corrupted, seed=subject.seed
    ) | corruption_errors.measure(candidate, twin, seed=subject.seed)


def _transfer(
    section: Evaluation, asked: Transfer, subject: Subject, undefended: Subject
) -> tuple[robustness.Outcome, dict[str, Measurement]]:
    """Craft on the twin, try on the candidate, and ask whether its gradients showed the way too."""
    chosen = subject.test.take(subject.attacked)
    inputs, labels = chosen.floats().to(subject.device), chosen.labels.to(subject.device)
    transferred = transfer.measure(
        asked.attack,
        subject.threat,
        subject.region,
        undefended.model,
        subject.model,
        inputs,
        labels,
        seed=subject.seed,
        batch_size=section.batch_size,
    )
    beats = transfer.beats_white_box(
        transferred,
        section.attacks,
        subject.threat,
        subject.region,
        subject.model,
        inputs,
        labels,
        seed=subject.seed,
        batch_size=section.batch_size,
    )
    name = measurements.TRANSFER_BEATS_WHITE_BOX
    return transferred, {name: statistics.share(beats.numpy())}


def _fairness(section: Evaluation, subject: Subject, gathered: Outcomes) -> dict[str, Measurement]:
    """Compare groups on clean inputs, and under the attack that leaves each sample the least."""
    spec = subject.spec
    if section.fairness is None or not isinstance(spec, TableInput):
        return {}
    inputs, attacked = subject.test.floats().numpy(), subject.attacked.numpy()
    found = fairness.measure(
        section.fairness,
        spec,
        inputs,
        labels=gathered.labels,
        predictions=gathered.clean.predictions,
        situation="clean",
        seed=subject.seed,
    )
    if not gathered.attacks:  # gate mode keeps no outcomes
        return found
    return found | fairness.measure(
        section.fairness,
        spec,
        inputs[attacked],
        labels=gathered.labels[attacked],
        predictions=_worst(gathered)[attacked],
        situation="under_attack",
        seed=subject.seed,
    )


def _worst(gathered: Outcomes) -> NDArray[np.int64]:
    """Give each sample's prediction under the attack that did it most harm: a flip, if any did."""
    attacks = list(gathered.attacks.values())
    predictions = np.stack([attack.predictions for attack in attacks])
    right = predictions == gathered.labels
    left = right + np.stack([attack.probabilities for attack in attacks])
    worst: NDArray[np.int64] = predictions[left.argmin(axis=0), np.arange(predictions.shape[1])]
    return worst
