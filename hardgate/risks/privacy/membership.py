"""Membership inference: telling the rows that a model was trained on.

Three attacks, from little knowledge to much. The confidence in the true label alone: Yeom et al.
(2018), "Privacy risk in machine learning", arXiv:1709.01604. LiRA in its offline form with one
variance for all rows, the form for few shadows: Carlini et al. (2022), "Membership inference
attacks from first principles", arXiv:2112.03570. RMIA: Zarifzadeh, Liu and Shokri (2024),
"Low-cost high-power membership inference attacks", arXiv:2312.03262; its share of a population
beaten is a rising function of one likelihood ratio, so that ranking by that ratio is the same
attack.

Both of the last two ask what a model says that never saw the row. Ours departs from the papers in
one step: the candidate's scale of confidence is not the shadows', because it is hardened or its
logits are scaled, so what it would say is predicted from the shadows by a line through held-out
rows, which none of them saw. A model that blunts its confidence gains nothing by it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from hardgate import measurements
from hardgate.measurements import MEMBERSHIPS, Leak, Membership
from hardgate.records import Measurement
from hardgate.samples import Samples, as_floats
from hardgate.shadows import Shadow
from hardgate.subject import Subject

LARGEST = 1e6  # a logit beyond it, or one that is no number, is as good as this one


@dataclass(frozen=True)
class Watched:
    """What one model and the shadows say of the same samples.

    ``target`` has shape ``(n,)``, ``shadows`` and ``saw`` have shape ``(shadows, n)``. The shadows'
    confidences are put on the target's scale.
    """

    target: Tensor
    shadows: Tensor
    saw: Tensor

    def expected(self) -> Tensor:
        """Give the mean confidence of the shadows that did not see each sample."""
        unseen = ~self.saw
        return (self.shadows * unseen).sum(0) / unseen.sum(0)

    def log_ratio(self, counted: Tensor) -> Tensor:
        """Give the log-likelihood of the label, less that of its mean over the counted shadows."""
        log_likelihoods = functional.logsigmoid(self.shadows).masked_fill(~counted, -torch.inf)
        mean = log_likelihoods.logsumexp(0) - counted.sum(0).log()
        return functional.logsigmoid(self.target) - mean

    def scores(self) -> dict[Membership, Tensor]:
        """Score each sample by each attack; high means trained on."""
        return {
            "confidence": self.target,
            "lira": self.target - self.expected(),
            "rmia": self.log_ratio(torch.ones_like(self.saw)),
        }


def watch(
    model: nn.Module, shadows: Sequence[Shadow], samples: Samples, saw: Tensor, subject: Subject
) -> Watched:
    """Ask a model and the shadows for samples; ``saw`` has shape ``(shadows, n)``."""
    held_out = subject.held_out
    asked = Samples(
        torch.cat([as_floats(samples.inputs), held_out.floats()]),
        torch.cat([samples.labels, held_out.labels]),
        torch.cat([samples.rows, held_out.rows]),
    )
    target = confidence(model, asked, subject)
    others = torch.stack([confidence(shadow.model, asked, subject) for shadow in shadows])
    count = len(samples)
    return Watched(target[:count], _fitted(target, others, count), saw)


def strongest(measured: Mapping[str, Measurement], leak: Leak) -> Measurement | None:
    """Give the most that any attack tells, or nothing if none was tried.

    One number for a whole model, beside which candidates are shown.
    """
    names = (measurements.membership(attack, leak) for attack in MEMBERSHIPS)
    found = [measured[name] for name in names if name in measured]
    return max(found, key=lambda seen: seen.value, default=None)


def confidence(model: nn.Module, samples: Samples, subject: Subject) -> Tensor:
    """Give the log-odds of the true label, shape ``(n,)``, in double precision.

    On this scale confidences are close to normal, as LiRA needs them.
    """
    answers = replace(subject, model=model).logits(samples.inputs)
    logits = answers.double().nan_to_num(nan=0.0, posinf=LARGEST, neginf=-LARGEST)
    label = samples.labels[:, None]
    others = logits.scatter(1, label, -math.inf).logsumexp(1)
    return logits.gather(1, label).squeeze(1) - others


def _fitted(target: Tensor, others: Tensor, count: int) -> Tensor:
    """Put the shadows on the target's scale, by least squares on what comes after ``count``."""
    mean, wanted = others[:, count:].mean(0), target[count:]
    spread = mean - mean.mean()
    slope = (spread * (wanted - wanted.mean())).sum() / (spread * spread).sum().clamp(min=1e-12)
    return wanted.mean() + slope * (others[:, :count] - mean.mean())
