"""Squares and ascent in turns: each goes on from where the other stopped."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from hardgate.attacks import APGDCE, Relay, Square
from hardgate.errors import ContractError, ParamsError
from hardgate.records import ImageInput
from hardgate.region import ImageRegion
from hardgate.threat import Threat

EPS = 0.1
BALL = ImageRegion("Linf", EPS)
SPEC = ImageInput(kind="images", shape=(1, 8, 8), classes=("a", "b"), mean=(0.5,), scale=(0.2,))


def threat(norm: str = "Linf") -> Threat:
    return Threat.model_validate({"norm": norm, "eps": EPS, "access": "white-box", "queries": 500})


class Plateau(nn.Module):
    """Flat where the left half is no darker than grey; off the plateau the right half decides.

    A step of a sigmoid leaves no gradient on the plateau; a search sees its edge, and needs every
    small square of the right half to finish, which is where ascent is quick.
    """

    def forward(self, images: Tensor) -> Tensor:
        centred = images.flatten(2).mean(dim=1).view(-1, 8, 8) - 0.5
        left, right = centred[:, :, :4].mean(dim=(1, 2)), centred[:, :, 4:]
        signs = torch.ones(8, 4)
        signs[::2, ::2] = signs[1::2, 1::2] = -1  # squares of more than one pixel gain nothing
        gate = (left < -0.04).float()
        score = 1 - gate * (0.5 + 5.5 * (right * signs).mean(dim=(1, 2)))
        return torch.stack([score, torch.zeros_like(score)], dim=1)


def survivors(attack: Relay | Square | APGDCE) -> int:
    clean, labels = torch.full((20, 1, 8, 8), 0.5), torch.zeros(20, dtype=torch.long)
    generator = torch.Generator().manual_seed(0)
    found = attack.perturb(Plateau(), clean, labels, threat(), BALL, generator=generator)
    assert BALL.admits(found, clean).all()
    return int((Plateau()(found).argmax(dim=1) == 0).sum())


def test_it_breaks_what_neither_of_the_two_breaks_alone() -> None:
    assert survivors(APGDCE(name="apgd-ce", steps=40, restarts=1)) == 20  # no gradient to follow
    assert survivors(Square(name="square", restarts=1, queries=80)) == 20  # too few queries
    assert survivors(Relay(name="relay", queries=20, steps=10, rounds=2)) < 10  # as many passes


def test_the_l2_ball_is_refused_with_a_way_out() -> None:
    relay = Relay(name="relay", queries=5, steps=5, rounds=1)
    with pytest.raises(ParamsError, match="norm is L2; use 'apgd-t'"):
        relay.check(SPEC, threat("L2"))
    with pytest.raises(ContractError, match="norm is L2"):
        relay.perturb(
            Plateau(),
            torch.zeros(1, 1, 8, 8),
            torch.zeros(1, dtype=torch.long),
            threat("L2"),
            ImageRegion("L2", 0.5),
            generator=torch.Generator(),
        )
