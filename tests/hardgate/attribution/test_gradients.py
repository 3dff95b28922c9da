from __future__ import annotations

import torch
from torch import Tensor

from hardgate.attacks.ascent import frozen
from hardgate.attribution import gradients, scores

CPU = torch.device("cpu")


def ones(inputs: Tensor) -> Tensor:
    return torch.ones(len(inputs), dtype=torch.int64)


def weighted(inputs: Tensor, classes: Tensor) -> Tensor:
    weights = torch.arange(1.0, 17).view(1, 4, 4)
    return (inputs * weights).flatten(1).sum(dim=1).double()


def test_expected_gradients_of_a_linear_score_are_the_closed_form():
    generator = torch.Generator().manual_seed(1)
    inputs, background = (torch.rand(n, 1, 4, 4, generator=generator) for n in (5, 7))
    found = gradients.expected_gradients(weighted, inputs, background, ones(inputs), steps=1)
    expected = torch.arange(1.0, 17).view(1, 4, 4) * (inputs - background.mean(dim=0))
    torch.testing.assert_close(found.float(), expected)


def test_gradient_times_input_of_a_linear_score_is_the_same():
    generator = torch.Generator().manual_seed(1)
    inputs, background = (torch.rand(n, 1, 4, 4, generator=generator) for n in (5, 7))
    ask = weighted, inputs, background, ones(inputs)
    torch.testing.assert_close(
        gradients.gradient_times_input(*ask),
        gradients.expected_gradients(*ask, steps=2),
        rtol=1e-5,
        atol=1e-5,
    )


def test_the_additivity_error_shrinks_with_the_square_of_the_step(network, image_train, image_test):
    inputs, background = image_test.floats(), image_train.floats()
    classes = ones(inputs)
    score = scores.of(network, CPU)
    errors = []
    with frozen(network):
        whole = scores.evaluate(score, inputs, classes)
        whole -= scores.crossed(score, background, classes).mean(dim=1)
        for steps in (2, 8):
            found = gradients.expected_gradients(score, inputs, background, classes, steps=steps)
            errors.append((found.flatten(1).sum(dim=1) - whole).abs().mean())
    assert 10 < errors[0] / errors[1] < 25


def test_what_cannot_move_and_what_is_missing_is_attributed_nothing(additive, train, test):
    inputs = test.inputs
    movable = torch.tensor([True, True, True, True, False])
    found = gradients.expected_gradients(
        scores.of(additive, CPU), inputs, train.inputs, ones(inputs), steps=3, movable=movable
    )
    assert torch.isfinite(found).all()
    assert (found[:, 4] == 0).all()
    assert (found[inputs.isnan()] == 0).all()
    assert (found[:, 0][~inputs[:, 0].isnan()] != 0).all()
