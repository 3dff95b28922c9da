"""The probe that trains an undefended twin: its price, corruptions beside it, and transfer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from hardgate import (
    corruption_errors,
    corruptions,
    diagnostics,
    measurements,
    progress,
    quality,
    robustness,
    statistics,
    training,
    transfer,
)
from hardgate.corruption_errors import Sweep
from hardgate.defenses import Standard
from hardgate.probes.probe import Found, attacked_by
from hardgate.probes.section import Evaluation
from hardgate.records import Measurement
from hardgate.subject import Origin, Subject
from hardgate.transfer import Transfer

CHECKPOINT = "undefended.safetensors"


def beside_twin(section: Evaluation, subject: Subject, origin: Origin) -> Found:
    """Train the candidate's twin without defence or augmentation; then hold the two together.

    A probe that transfers is named for it: its outcomes stand beside those of the attacks.
    """
    fitted = training.fit(
        origin.training.model_copy(
            update={
                "defense": Standard(recipe="standard"),
                "privacy": None,
                "warmup_epochs": 0.0,
            }
        ),
        subject.spec,
        subject.region,
        subject.train,
        subject.held_out,
        seed=subject.seed,
        device=subject.device,
        checkpoint=origin.scratch / CHECKPOINT,
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
    clean = undefended.predict(undefended.test.inputs).double().numpy()
    index = undefended.attacked[: section.price]
    robust = attacked_by(diagnostics.gradient_attack(section.attacks), undefended, index)
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
        return [each.predict(inputs).argmax(1).numpy() == labels for each in pair]

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
    inputs, labels = subject.shown(subject.attacked)
    transferred = transfer.measure(
        asked.attack,
        subject.threat,
        subject.region,
        undefended.model,
        subject.model,
        inputs,
        labels,
        seed=subject.seed,
        batch_size=subject.batch_size,
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
        batch_size=subject.batch_size,
    )
    name = measurements.TRANSFER_BEATS_WHITE_BOX
    return transferred, {name: statistics.share(beats.numpy())}
