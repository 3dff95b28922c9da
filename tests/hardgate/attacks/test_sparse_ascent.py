"""Ascent in an L1 ball: the optimum of linear programming, and the schedule."""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import linprog
from torch import nn

from hardgate.attacks import APGDDLR
from hardgate.attacks.sparse_ascent import SparseAttempts
from hardgate.region import ImageRegion
from hardgate.threat import Threat

EPS = 2.5


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_apgd_reaches_the_optimum_that_linear_programming_finds_at_the_box() -> None:
    """Pixels begin anywhere, so that the best ones have little room, and others must help."""
    weights = torch.randn(36, generator=seeded(1))
    layer = nn.Linear(36, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.stack([weights, -weights]))
        layer.bias.copy_(torch.tensor([60.0, 0.0]))  # no image falls, so that all are climbed
    clean = torch.rand(12, 1, 6, 6, generator=seeded(2))
    labels = torch.zeros(12, dtype=torch.long)
    threat = Threat(norm="L1", eps=EPS, access="white-box", queries=1)
    found = APGDDLR(name="apgd-dlr", steps=100, restarts=1).perturb(
        nn.Sequential(nn.Flatten(), layer),
        clean,
        labels,
        threat,
        ImageRegion("L1", EPS),
        generator=seeded(),
    )
    slope = weights.double().numpy()
    for start, moved in zip(clean.flatten(1), found.flatten(1), strict=True):
        room = [*(1 - start).tolist(), *start.tolist()]
        best = linprog(
            np.concatenate([slope, -slope]),
            A_ub=np.ones((1, 72)),
            b_ub=[EPS],
            bounds=[(0, most) for most in room],
        ).fun
        gain = float((moved - start).double() @ weights.double())
        assert best - 1e-4 <= gain <= 0.99 * best


def test_checkpoints_come_after_every_25th_part_of_the_steps() -> None:
    assert sorted(SparseAttempts.checkpoints(100)) == list(range(4, 100, 4))
    assert sorted(SparseAttempts.checkpoints(5)) == [1, 2, 3, 4]


def test_only_the_steepest_cells_move() -> None:
    clean = torch.full((1, 1, 6, 6), 0.5)
    ball = ImageRegion("L1", 1.4)
    attempts = SparseAttempts.begin(
        torch.zeros(1, dtype=torch.long),
        clean,
        torch.zeros(1, dtype=torch.long),
        torch.zeros(1, dtype=torch.long),
        clean.clone(),
        ball,
    )
    attempts.gradient = torch.arange(36.0).view(1, 1, 6, 6)
    attempts.move(ball, momentum=1.0)
    moved = (attempts.point - clean).flatten()
    assert moved.nonzero().flatten().tolist() == list(range(28, 36))  # a fifth, begun ones too
    torch.testing.assert_close(moved[28:], torch.full((8,), 1.4 / 8))
