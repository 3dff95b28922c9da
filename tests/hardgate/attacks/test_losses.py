"""Losses on logits small enough to reckon by hand."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from hardgate.attacks import losses

LOGITS = torch.tensor([[5.0, 1.0, 3.0, -1.0], [0.0, 4.0, 2.0, 1.0]])
LABELS = torch.tensor([0, 0])
TARGETS = torch.tensor([2, 3])


def numbers(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)


def test_margins_rise_towards_a_mistake() -> None:
    torch.testing.assert_close(losses.towards_any(LOGITS, LABELS, TARGETS), numbers(-2, 4))
    torch.testing.assert_close(losses.towards_target(LOGITS, LABELS, TARGETS), numbers(-2, 1))


def test_ratios_are_those_of_the_paper() -> None:
    torch.testing.assert_close(losses.ratio(LOGITS, LABELS, TARGETS), numbers(-2 / 4, 4 / 3))
    expected = numbers(-2 / (5 - (1 - 1) / 2), 1 / (4 - (1 + 0) / 2))
    torch.testing.assert_close(losses.targeted_ratio(LOGITS, LABELS, TARGETS), expected)


@given(st.floats(0.5, 50), st.floats(-20, 20))
def test_ratios_do_not_know_the_scale_or_the_shift_of_logits(scale: float, shift: float) -> None:
    moved = LOGITS * scale + shift
    for loss in (losses.ratio, losses.targeted_ratio):
        expected = loss(LOGITS, LABELS, TARGETS)
        torch.testing.assert_close(loss(moved, LABELS, TARGETS), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("loss", [losses.ratio, losses.targeted_ratio])
def test_ratios_stay_finite_where_all_logits_are_equal(loss: losses.Loss) -> None:
    assert loss(torch.zeros(2, 4), LABELS, TARGETS).isfinite().all()


def test_few_classes_get_a_loss_that_is_defined_for_them() -> None:
    assert [losses.untargeted(k) for k in (2, 3, 4)] == [
        losses.towards_any,
        losses.towards_any,
        losses.ratio,
    ]
    assert [losses.targeted(k) for k in (2, 3, 4)] == [
        losses.towards_target,
        losses.towards_target,
        losses.targeted_ratio,
    ]


def test_targets_are_the_likeliest_wrong_classes_in_order() -> None:
    expected = torch.tensor([[2, 1, 3], [1, 2, 3]])
    assert torch.equal(losses.likeliest_wrong(LOGITS, LABELS, 3), expected)
    assert torch.equal(losses.likeliest_wrong(LOGITS, LABELS, 9), expected)
    assert torch.equal(losses.likeliest_wrong(LOGITS, LABELS, 1), expected[:, :1])
