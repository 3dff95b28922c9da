"""Negative flips: samples that the champion gets right and the candidate gets wrong.

Yan, S. et al. (2021), "Positive-congruent training", arXiv:2011.09161; under attack: Angioni, D.
et al. (2024), "Robustness-congruent adversarial training", arXiv:2402.17390.

Only a sample that the candidate loses can flip, so the champion is attacked on those alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hardgate import attacks, measurements, robustness, statistics
from hardgate.evidence.outcomes import Outcomes
from hardgate.probes import Evaluation
from hardgate.records import Measurement
from hardgate.region import Region
from hardgate.regression import Corpus, Usable
from hardgate.samples import Samples
from hardgate.threat import Threat


@dataclass(frozen=True)
class Versus:
    """Candidate and champion, and what both are asked; models take today's inputs."""

    candidate: nn.Module
    champion: nn.Module
    test: Samples
    known: Outcomes  # of the candidate, over the whole test split
    kept: Usable
    device: torch.device


def nobody(samples: int, attacked: int) -> dict[str, Measurement]:
    """Say that nothing flips where there is no champion: of so many samples, exactly none."""
    return {
        measurements.negative_flips("clean"): statistics.exact(0.0, samples),
        measurements.negative_flips("under_attack"): statistics.exact(0.0, max(1, attacked)),
    }


def clean(known: Outcomes, champion: NDArray[np.int64]) -> dict[str, Measurement]:
    """Count on the clean test split; ``champion`` holds its predictions, shape ``(n,)``."""
    flipped = (champion == known.labels) & (known.clean.predictions != known.labels)
    return {measurements.negative_flips("clean"): statistics.share(flipped)}


def under_attack(
    versus: Versus, section: Evaluation, threat: Threat, region: Region, *, seed: int
) -> dict[str, Measurement]:
    """Count on the attacked samples, with the kept inputs as one more attack.

    A sample is lost when the model is wrong about it clean, under an attack of this run, or on one
    of its kept inputs.
    """
    kept, size = versus.kept, section.batch_size
    candidate, champion = (
        _errs(model, kept.corpus, versus.device, size)
        for model in (versus.candidate, versus.champion)
    )
    compared = torch.from_numpy(attacked(versus.known))
    compared[kept.positions] = True
    lost = torch.from_numpy(_lost(versus.known))
    lost[kept.positions[candidate]] = True
    could_hold = torch.ones_like(lost)
    could_hold[kept.positions[champion]] = False
    suspects = (compared & lost & could_hold).nonzero().flatten()
    flipped = torch.zeros_like(lost)
    flipped[suspects] = _holds(versus, suspects, section, threat, region, seed=seed)
    found = {
        measurements.negative_flips("under_attack"): statistics.share(flipped[compared].numpy()),
        measurements.REGRESSION_INPUTS: statistics.exact(len(kept.corpus), 1),
        measurements.REGRESSION_SET_ASIDE: statistics.exact(kept.set_aside, 1),
    }
    if len(kept.corpus):
        found[measurements.regression_error("candidate")] = statistics.share(candidate.numpy())
        found[measurements.regression_error("champion")] = statistics.share(champion.numpy())
    return found


def attacked(known: Outcomes) -> NDArray[np.bool_]:
    """Mark the samples that some attack of a run was tried on, shape ``(n,)``."""
    tried = np.zeros(len(known), bool)
    for attack in known.attacks.values():
        tried |= attack.known
    return tried


def _lost(known: Outcomes) -> NDArray[np.bool_]:
    lost: NDArray[np.bool_] = known.clean.predictions != known.labels
    for attack in known.attacks.values():
        lost |= attack.known & (attack.predictions != known.labels)
    return lost


def _holds(
    versus: Versus,
    suspects: Tensor,
    section: Evaluation,
    threat: Threat,
    region: Region,
    *,
    seed: int,
) -> Tensor:
    """Tell which samples the champion keeps under every attack; only survivors go on."""
    holds = torch.zeros(len(suspects), dtype=torch.bool)
    left = torch.arange(len(suspects))
    for attack in attacks.flat(section.attacks):
        if len(left) == 0:
            break
        chosen = versus.test.take(suspects[left])
        found = robustness.measure(
            attack,
            threat,
            region,
            versus.champion,
            chosen.floats().to(versus.device),
            chosen.labels.to(versus.device),
            seed=seed,
            batch_size=section.batch_size,
            step=f"champion under {attack.name}",
        )
        left = left[found.survives]
    holds[left] = True
    return holds


def _errs(model: nn.Module, corpus: Corpus, device: torch.device, size: int) -> Tensor:
    """Tell which inputs of a corpus a model gets wrong."""
    if len(corpus) == 0:
        return torch.empty(0, dtype=torch.bool)
    parts = torch.split(corpus.inputs, size)
    said = [robustness.answers(model, part.to(device)).cpu() for part in parts]
    return torch.cat(said).argmax(1) != corpus.labels
