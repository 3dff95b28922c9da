"""What evaluation proves: the certification entry of params.yaml, and what its members measure.

Bounds speak of the model itself. Smoothing speaks of another classifier, the model asked many
times under noise; its number has another name, and the gate on certified accuracy ignores it.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from hardgate import measurements, statistics
from hardgate.certification import intervals, smoothing
from hardgate.certification.margins import Method, certify
from hardgate.certification.smoothing import Noise
from hardgate.errors import IntegrityError, ParamsError
from hardgate.evidence.outcomes import Outcomes
from hardgate.records import Measurement, Record
from hardgate.region import Region
from hardgate.threat import Threat


class Bounding(Record):
    """Bounds on every input of the region, for the first ``samples`` of the attacked ones."""

    method: Method
    samples: PositiveInt

    def check(self, model: nn.Module, threat: Threat) -> None:
        """Refuse what cannot be bounded, or not in good time, with a ParamsError."""
        if threat.switches:
            raise ParamsError(
                f"evaluation.certification.method = {self.method!r}: bounds hold numbers, and "
                "the threat lets categories be switched; leave evaluation.certification out"
            )
        if threat.norm in ("L1", "L0"):
            raise ParamsError(
                f"evaluation.certification.method = {self.method!r}: bounds are carried through "
                f"boxes, and the box around an {threat.norm} ball holds nearly all images; leave "
                "evaluation.certification out"
            )
        if (kind := intervals.obstacle(model)) is not None:
            raise ParamsError(
                f"evaluation.certification.method = {self.method!r}: layers of kind {kind} cannot "
                "be bounded; choose another architecture, or leave evaluation.certification out"
            )
        if self.method == "crown" and any(isinstance(m, nn.Conv2d) for m in model.modules()):
            raise ParamsError(
                "evaluation.certification.method = 'crown' bounds every hidden unit by itself, "
                "which takes hours for a convolutional network; choose crown-ibp"
            )


class Smoothing(Noise):
    """Votes under noise, for the first ``samples`` of the attacked ones."""

    method: Literal["smoothing"]
    samples: PositiveInt

    def check(self, model: nn.Module, threat: Threat) -> None:  # noqa: ARG002  one interface
        """Refuse a threat of another norm, with a ParamsError."""
        if threat.norm != "L2":
            raise ParamsError(
                "evaluation.certification.method = 'smoothing' proves L2 radii and threat.norm is "
                f"{threat.norm}; choose ibp or crown-ibp"
            )


Certification = Annotated[Bounding | Smoothing, Field(discriminator="method")]


def prove(
    section: Bounding,
    region: Region,
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    *,
    batch_size: int,
) -> tuple[dict[str, Measurement], Tensor]:
    """Measure certified accuracy; give it, and which samples are proven, shape ``(n,)``."""
    proven = certify(model, region, inputs, labels, method=section.method, batch_size=batch_size)
    return {measurements.CERTIFIED_ACCURACY: statistics.share(proven.numpy())}, proven


def vote(
    section: Smoothing,
    region: Region,
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    *,
    seed: int,
    batch_size: int,
) -> dict[str, Measurement]:
    """Measure how often the smoothed classifier is right, and sure of it out to the radius."""
    generator = torch.Generator().manual_seed(seed)
    found = smoothing.smooth(
        model, section, region, inputs, generator=generator, batch_size=batch_size
    )
    holds = (found.predictions == labels.cpu().numpy()) & (found.radii >= region.eps)
    return {measurements.SMOOTHED_ACCURACY: statistics.share(holds)}


def confront(proven: Tensor, index: Tensor, gathered: Outcomes) -> None:
    """Hold proofs against attacks, sample by sample.

    Parameters
    ----------
    proven, index
        Which samples are certified, and their positions in the test split; both of shape ``(m,)``.

    Raises
    ------
    IntegrityError
        If the model is wrong on a certified sample, clean or under an attack: then robust accuracy
        could fall below certified accuracy, and one of the two numbers is wrong.
    """
    certified = np.zeros(len(gathered), bool)
    certified[index.numpy()] = proven.numpy()
    for name, said in {"no attack": gathered.clean, **gathered.attacks}.items():
        broken = certified & said.known & (said.predictions != gathered.labels)
        if broken.any():
            raise IntegrityError(
                f"{int(broken.sum())} of {int(certified.sum())} certified samples are broken by "
                f"{name}, the first is test sample {int(np.flatnonzero(broken)[0])}: the bounds, "
                "the attack's check of its region or the model's answers are wrong, and none of "
                "them is evidence"
            )
