"""Scores are the papers', lines let in what they promise, and a fitted one is made of tensors."""

import math

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from safetensors.torch import load, save
from sklearn.neighbors import NearestNeighbors
from torch import nn

from hardgate import quality
from hardgate.architectures import MLP
from hardgate.errors import ContractError
from hardgate.records import Column, TableInput
from hardgate.risks.uncertainty import Detector, Score, Seen, detector, look

SCORES = [
    {"name": "softmax"},
    {"name": "energy"},
    {"name": "mahalanobis", "space": "features"},
    {"name": "mahalanobis", "space": "inputs"},
    {"name": "neighbours", "space": "features", "k": 5},
    {"name": "neighbours", "space": "inputs", "k": 5},
]
SPEC = TableInput(
    kind="table",
    columns=(
        Column(name="a", type="real", mean=1, scale=2, low=-9, high=9),
        Column(name="b", type="categorical", categories=("x", "y"), mean=0, scale=1, low=0, high=1),
    ),
    classes=("no", "yes"),
)


def score(**plain):
    return TypeAdapter(Score).validate_python(plain)


def seen(count, *, shift=0.0, seed=0):
    """Points whose columns depend on each other."""
    points = torch.randn(count, 3, generator=torch.Generator().manual_seed(seed))
    points = points @ torch.tensor([[1.0, 2, 0], [0, 1, 0], [0, 0, 0.1]]) + shift
    return Seen(logits=points[:, :2], features=points, inputs=points)


def test_softmax_and_energy_are_the_papers():
    logits = torch.tensor([[2.0, 0.0], [-1.0, 5.0]])
    given = Seen(logits, logits, logits)
    assert score(name="softmax").score({}, given).tolist() == pytest.approx(
        [1 / (1 + math.exp(-2)), 1 / (1 + math.exp(-6))]
    )
    assert score(name="energy").score({}, given).tolist() == pytest.approx(
        [math.log(math.exp(2) + 1), math.log(math.exp(-1) + math.exp(5))]
    )


def test_mahalanobis_is_the_closed_form_from_the_nearest_class():
    train, labels = seen(20_000), torch.arange(20_000) % 2
    train.inputs[labels == 1] += 10
    fitted = score(name="mahalanobis", space="inputs")
    state = fitted.fit(train, labels)
    mix = np.array([[1.0, 2, 0], [0, 1, 0], [0, 0, 0.1]])
    precision = np.linalg.inv(mix.T @ mix)
    points = np.array([[1.0, -1, 0.2], [10, 10, 10], [11, 12, 10]])
    expected = [-min(math.sqrt(d @ precision @ d) for d in (point, point - 10)) for point in points]
    shown = torch.tensor(points).float()
    assert fitted.score(state, Seen(shown, shown, shown)).tolist() == pytest.approx(
        expected, rel=0.05, abs=0.05
    )


def test_columns_that_never_change_do_not_break_a_distance():
    constant = Seen(*(torch.zeros(50, 3) for _ in range(3)))
    for space in ("features", "inputs"):
        fitted = score(name="mahalanobis", space=space)
        state = fitted.fit(constant, torch.zeros(50).long())
        assert fitted.score(state, seen(9)).isfinite().all()


@pytest.mark.parametrize("space", ["features", "inputs"])
def test_neighbours_are_scikit_learns(space):
    train, other = seen(500), seen(50, seed=1)
    fitted = score(name="neighbours", space=space, k=5)
    found = fitted.score(fitted.fit(train, torch.zeros(500).long()), other)
    unit = (lambda x: nn.functional.normalize(x, dim=1)) if space == "features" else (lambda x: x)
    distances, _ = (
        NearestNeighbors(n_neighbors=5).fit(unit(train.inputs)).kneighbors(unit(other.inputs))
    )
    assert found.tolist() == pytest.approx((-distances[:, -1]).tolist(), abs=1e-4)


@pytest.mark.parametrize("plain", SCORES, ids=lambda plain: score(**plain).label)
def test_a_line_lets_in_what_it_promises_and_is_made_of_tensors(plain):
    labels = torch.arange(1000) % 2
    fitted = detector.fit(score(**plain), seen(1000), labels, seen(1000, seed=1), accept=0.95)
    let_in = fitted.accepts(seen(2000, seed=2)).float().mean().item()
    assert let_in == pytest.approx(0.95, abs=0.025)
    loaded = Detector(score(**plain), load(save(fitted.state)))
    other = seen(100, shift=3, seed=3)
    assert torch.equal(loaded.accepts(other), fitted.accepts(other))


def test_few_held_out_inputs_draw_no_line_that_promises_too_much():
    fitted = detector.fit(score(**SCORES[1]), seen(9), torch.zeros(9), seen(9), accept=0.95)
    assert fitted.accepts(seen(500, seed=1)).all()


def test_what_has_no_score_is_not_let_in():
    fitted = detector.fit(score(**SCORES[1]), seen(99), torch.zeros(99), seen(99), accept=0.9)
    broken = seen(2)
    broken.logits[0] = math.nan
    assert fitted.accepts(broken).tolist()[0] is False


def test_features_are_what_the_last_layer_reads():
    model = MLP(name="mlp", hidden=(4,)).build(SPEC)
    rows = torch.tensor([[1.0, 0], [3.0, 1], [math.nan, -1]])
    shown = look(model, SPEC, rows, batch_size=2)
    assert torch.allclose(model[-1](shown.features), shown.logits)
    assert shown.inputs[:, 0].tolist() == pytest.approx([0, math.asinh(1), 0])
    assert not model[-1]._forward_pre_hooks
    with pytest.raises(ContractError, match="no linear layer"):
        look(nn.Identity(), SPEC, rows, batch_size=2)


def test_the_area_is_that_of_two_normal_distributions():
    generator = np.random.default_rng(0)
    own, others = generator.normal(1, size=4000), generator.normal(0, size=4000)
    area = quality.separation(own, others)
    assert area.lower < 0.7602 < area.upper  # the normal distribution function at 1 / sqrt(2)
    assert quality.separation(own, own).value == pytest.approx(0.5)
