"""Where the line is drawn between inputs that belong and those that do not.

A score is fitted on the training split. The line is the score that the wished share of held-out
inputs exceeds, at the rank which keeps that share on average however the scores are distributed:
Bates et al. (2023), "Testing for outliers with conformal p-values".
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hardgate import penultimate
from hardgate.architectures.inputs import TableEncoder
from hardgate.records import InputSpec, TableInput
from hardgate.risks.uncertainty.scores import Score, Seen, State
from hardgate.samples import as_floats

LINE = "line"


@dataclass(frozen=True)
class Detector:
    """A fitted score and its line; ``state`` is all it knows, as tensors."""

    score: Score
    state: State

    def scores(self, seen: Seen) -> Tensor:
        """Score inputs, shape ``(n,)``; one that has no score belongs least of all."""
        return self.score.score(self.state, seen).double().nan_to_num(nan=-math.inf)

    def accepts(self, seen: Seen) -> Tensor:
        """Tell which inputs belong, shape ``(n,)``."""
        return self.scores(seen) >= self.state[LINE]


def fit(score: Score, train: Seen, labels: Tensor, held_out: Seen, *, accept: float) -> Detector:
    """Fit a score on the training split, and draw its line by the held-out one."""
    state = score.fit(train, labels)
    ranked = Detector(score, state).scores(held_out).sort().values
    rank = math.floor((1 - accept) * (len(ranked) + 1))  # of the first that is accepted, from 1
    line = ranked[rank - 1] if rank else ranked.new_tensor(-math.inf)  # too few to draw a line
    return Detector(score, state | {LINE: line})


def look(model: nn.Module, spec: InputSpec, inputs: Tensor, *, batch_size: int) -> Seen:
    """See inputs as scores do: what the model answers, what its last layer reads, and themselves.

    Raises
    ------
    ContractError
        If the model has no linear layer to read features.
    """
    encode = TableEncoder(spec, squash=True) if isinstance(spec, TableInput) else nn.Flatten()
    read, logits = penultimate.observe(model, inputs, batch_size=batch_size)
    with torch.no_grad():
        plain = [encode(as_floats(batch)) for batch in torch.split(inputs, batch_size)]
    return Seen(logits, read, torch.cat(plain))
