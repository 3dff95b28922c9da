"""Adversarial copies made against the champion and the versions before it, of training samples.

What once fooled the model is part of what its successor learns. Training on examples made against
other, fixed models: Tramer, F. et al. (2018), "Ensemble adversarial training", arXiv:1705.07204;
rehearsal of what came before: Robins, A. (1995), "Catastrophic forgetting, rehearsal and
pseudorehearsal".
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import torch
from pydantic import PositiveInt

from hardgate.attacks import Attack
from hardgate.augmentations import adversarial
from hardgate.augmentations.context import (
    Added,
    Context,
    choose,
    joined,
    torch_generator,
)
from hardgate.records import InputSpec, Rate, Record
from hardgate.samples import Samples
from hardgate.threat import Threat


class Replay(Record):
    """Copies moved by an attack on earlier versions, in equal parts; none where there are none.

    ``versions`` bounds how many are asked: the champion, its champion, and so on.
    """

    kinds: ClassVar[frozenset[Literal["table", "images"]]] = frozenset({"table", "images"})
    name: Literal["replay"]
    share: Rate
    versions: PositiveInt
    attack: Attack
    batch_size: PositiveInt = 500

    def check(self, spec: InputSpec, threat: Threat) -> None:
        """Refuse an attack that is not made for this data or threat."""
        self.attack.check(spec, threat)

    def augment(self, samples: Samples, context: Context, generator: np.random.Generator) -> Added:
        """Attack a share of the samples, each on one earlier version."""
        models = context.earlier[: self.versions]
        chosen = choose(samples, self.share if models else 0.0, generator)
        draws = torch_generator(generator)
        index = torch.arange(len(chosen))
        parts = [
            adversarial.against(
                self.attack,
                model,
                chosen.take(index[at :: len(models)]),
                context,
                draws,
                batch_size=self.batch_size,
                error=f"version_error_{at + 1}",
            )
            for at, model in enumerate(models)
        ]
        return Added(
            joined([chosen.take(index[:0]), *(part.samples for part in parts)]),
            {
                why: sum(part.dropped[why] for part in parts)
                for why in ("unmoved", "not admissible")
            },
            {"versions": len(models)}
            | {name: value for part in parts for name, value in part.detail.items()},
        )
