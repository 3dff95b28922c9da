"""Augmentations: more to learn from, made of the training split and of nothing else.

Read ``context.py`` (what a member is given and gives back), then the members: ``corruption.py``
for images; ``noise.py``, ``missing.py``, ``swap.py``, ``oversample.py`` for tables;
``adversarial.py`` and ``gan.py`` for both, which ask the model of ``surrogate.py``, and
``replay.py``, which asks earlier versions. ``sieve.py``
is what every made sample must pass. To add one: write its file, then name it in the union below.
Every member has

``kinds``
    the kinds of data it is for;
``check(spec, threat)``
    a ParamsError when its params do not fit the data;
``augment(samples, context, generator)``
    what it made of ``samples``, all of them from the training split.
"""

from __future__ import annotations

import functools
import time
import zlib
from collections import Counter
from collections.abc import Sequence
from typing import Annotated

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import nn

from hardgate import progress
from hardgate.augmentations import surrogate
from hardgate.augmentations.adversarial import Adversarial
from hardgate.augmentations.context import Added, Context, joined
from hardgate.augmentations.corruption import Corruption
from hardgate.augmentations.gan import Gan
from hardgate.augmentations.missing import Missing
from hardgate.augmentations.noise import Noise
from hardgate.augmentations.oversample import Oversample
from hardgate.augmentations.replay import Replay
from hardgate.augmentations.sieve import Sieve
from hardgate.augmentations.surrogate import Surrogate
from hardgate.augmentations.swap import Swap
from hardgate.errors import ContractError, ParamsError
from hardgate.records import InputSpec, Record, Tally
from hardgate.region import Region
from hardgate.samples import Samples
from hardgate.threat import Threat

Augmentation = Annotated[
    Corruption | Noise | Missing | Swap | Oversample | Adversarial | Replay | Gan,
    Field(discriminator="name"),
]
ASKING = (Adversarial, Gan)  # members that ask the surrogate


class Augmenting(Record):
    """The augmentation section of params.yaml. No members: the training split as it is."""

    members: tuple[Augmentation, ...] = ()
    surrogate: Surrogate | None = None

    @property
    def versions(self) -> int:
        """How many earlier versions the members ask for."""
        return max((m.versions for m in self.members if isinstance(m, Replay)), default=0)

    @model_validator(mode="after")
    def _has_whom_it_asks(self) -> Augmenting:
        asking = [member.name for member in self.members if isinstance(member, ASKING)]
        if asking and self.surrogate is None:
            raise ValueError(f"surrogate is missing; {', '.join(asking)} cannot do without")
        return self


def augment(
    section: Augmenting,
    samples: Samples,
    *,
    spec: InputSpec,
    threat: Threat,
    region: Region,
    device: torch.device,
    seed: int,
    earlier: Sequence[nn.Module] = (),
) -> tuple[Samples, tuple[Tally, ...]]:
    """Add what every member makes to the training split.

    Parameters
    ----------
    samples
        The training split; it comes first in the result, unchanged.
    earlier
        Versions before this one that take the same inputs, on the device, newest first.

    Raises
    ------
    ParamsError
        If a member does not fit the data.
    """
    if len(samples) == 0:
        raise ContractError("the training split is empty; there is nothing to augment")
    check(section, spec, threat)

    @functools.cache
    def model() -> nn.Module:
        if section.surrogate is None:
            raise ParamsError("augmentation.surrogate is missing; a member asks for it")
        return surrogate.train(section.surrogate, spec, region, samples, seed=seed, device=device)

    context = Context(spec, threat, region, model, device, earlier)
    sieve = Sieve(spec, samples.inputs)
    parts, tallies, occurrences = [samples], [], Counter[str]()
    for member in progress.track(section.members, "augmentation"):
        started = time.monotonic()
        generator = _generator(seed, member.name, occurrences[member.name])
        occurrences[member.name] += 1
        added = sieve.sift(member.augment(samples, context, generator))
        parts.append(added.samples)
        tallies.append(_tally(member.name, added, time.monotonic() - started))
    return joined(parts), tuple(tallies)


def check(section: Augmenting, spec: InputSpec, threat: Threat) -> None:
    """Refuse members that are not for such data, with a ParamsError."""
    for member in section.members:
        if spec.kind not in member.kinds:
            kinds = " and ".join(sorted(member.kinds))
            raise ParamsError(
                f"augmentation.members: {member.name!r} is for {kinds}, the data are {spec.kind}; "
                "remove it"
            )
        member.check(spec, threat)


def _generator(seed: int, name: str, occurrence: int) -> np.random.Generator:
    """Seed each member by itself: leaving one out leaves the draws of the others as they were."""
    return np.random.default_rng([seed, zlib.crc32(name.encode()), occurrence])


def _tally(name: str, added: Added, seconds: float) -> Tally:
    return Tally(
        name=name,
        added=len(added.samples),
        dropped=dict(added.dropped),
        seconds=seconds,
        detail=dict(added.detail),
    )
