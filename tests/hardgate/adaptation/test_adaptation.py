"""Each way of adapting undoes the shift it is made for, exactly where there is a closed form."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hardgate import candidates, penultimate
from hardgate.adaptation import alignment, importance, priors, standardising
from hardgate.architectures import MLP, FTTransformer, SmallCNN
from hardgate.errors import ContractError
from hardgate.records import Column, ColumnType, ImageInput, TableInput
from hardgate.samples import Samples

SPEC = TableInput(
    kind="table",
    columns=tuple(
        Column(name=name, type=ColumnType.REAL, mean=2, scale=3, low=-9, high=9) for name in "ab"
    ),
    classes=("no", "yes"),
)
IMAGES = ImageInput(
    kind="images", shape=(1, 8, 8), classes=("0", "1", "2"), mean=(0.5,), scale=(0.2,)
)


PLAIN = MLP(name="mlp", hidden=(6, 5))


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def built(architecture: MLP | FTTransformer = PLAIN) -> nn.Module:
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(3)
        return candidates.build(architecture, SPEC).eval()


def same(left: Tensor, right: Tensor, *, within: float = 1e-4) -> bool:
    return torch.allclose(left, right, atol=within)


def test_features_are_what_the_last_layer_takes() -> None:
    model, rows = built(), normal(7, 2)
    features = penultimate.features(model, rows, batch_size=3)
    assert features.shape == (7, 5)
    with torch.no_grad():
        assert same(penultimate.head(model)(features), model(rows))
    with pytest.raises(ContractError, match="no linear layer"):
        penultimate.head(nn.Flatten())


def test_new_shares_multiply_probabilities() -> None:
    model, rows = built(), normal(20, 2)
    before = model(rows).softmax(1)
    old, new = torch.tensor([0.8, 0.2]), torch.tensor([0.5, 0.5])
    after = priors.adjusted(model, old=old, new=new)(rows).softmax(1)
    expected = before * new / old
    assert same(after, expected / expected.sum(1, keepdim=True))
    assert same(model(rows).softmax(1), before)  # the model itself is left alone
    with pytest.raises(ContractError, match="positive old shares"):
        priors.adjusted(model, old=torch.tensor([1.0, 0.0]), new=new)


@pytest.mark.parametrize(
    "architecture",
    [MLP(name="mlp", hidden=(6,)), FTTransformer(name="ft-transformer", width=8, blocks=1)],
    ids=["mlp", "ft-transformer"],
)
def test_another_unit_of_a_column_is_undone(architecture: MLP | FTTransformer) -> None:
    model, rows = built(architecture), 2 + 3 * normal(500, 2)
    rows = (rows - rows.mean(0)) / rows.std(0, correction=0) * 3 + 2
    moved = rows * torch.tensor([100.0, 1.0]) + torch.tensor([0.0, 7.0])
    with torch.no_grad():
        assert same(standardising.renewed(model, moved)(moved), model(rows), within=1e-3)


def test_a_column_without_spread_or_number_keeps_its_statistics() -> None:
    model, rows = built(), normal(50, 2)
    rows[:, 0], rows[:, 1] = 4.0, torch.nan
    with torch.no_grad():
        assert same(standardising.renewed(model, rows)(rows), model(rows))
    with pytest.raises(ContractError, match="standardises"):
        standardising.renewed(nn.Linear(2, 2), rows)


def test_another_exposure_of_images_is_undone() -> None:
    model = candidates.build(SmallCNN(name="small-cnn", channels=2, hidden=4), IMAGES).eval()
    images = (0.5 + 0.1 * normal(300, 1, 8, 8)).clamp(0, 1)
    dark = 0.5 * images
    with torch.no_grad():
        usual = standardising.renewed(model, images)(images)
        assert same(standardising.renewed(model, dark)(dark), usual, within=1e-3)


def test_aligned_features_have_the_old_mean_and_covariance() -> None:
    head = nn.Linear(3, 3)
    with torch.no_grad():
        head.weight.copy_(torch.eye(3))
        head.bias.zero_()
    old = normal(4000, 3) @ torch.tensor([[2.0, 0, 0], [1, 1, 0], [0, 1, 1]]) + 1
    new = normal(4000, 3, seed=1) @ torch.tensor([[1.0, 1, 0], [0, 3, 1], [0, 0, 1]]) - 4
    adapted = alignment.aligned(head, old=old, new=new, batch_size=1000)
    with torch.no_grad():
        mapped = adapted(new)
    assert same(mapped.mean(0), old.mean(0), within=1e-3)
    gap = torch.linalg.matrix_norm(torch.cov(mapped.T) - torch.cov(old.T))
    assert gap < 0.2 * torch.linalg.matrix_norm(torch.cov(old.T))  # the ridge keeps a little back


def test_data_that_did_not_move_leave_the_model_as_it_is() -> None:
    model, rows = built(), normal(400, 2)
    with torch.no_grad():
        assert same(alignment.aligned(model, old=rows, new=rows, batch_size=99)(rows), model(rows))


def test_weights_follow_the_ratio_of_densities() -> None:
    generator = np.random.default_rng(1)
    old, new = generator.normal(0, 1, (6000, 1)), generator.normal(1, 1, (6000, 1))
    found = importance.weights(
        torch.from_numpy(old), torch.from_numpy(new), rounds=40, most=20, seed=1
    )
    expected = np.exp(old[:, 0] - 0.5)
    assert found.mean() == pytest.approx(1)
    assert np.corrcoef(np.log(found), np.log(expected))[0, 1] > 0.95
    assert found @ old[:, 0] / len(old) == pytest.approx(1.0, abs=0.1)
    assert importance.effective(found) < 4000


def test_rows_of_one_kind_all_weigh_about_the_same_and_none_too_much() -> None:
    generator = np.random.default_rng(2)
    old, new = (torch.from_numpy(generator.normal(size=(2000, 2))) for _ in range(2))
    found = importance.weights(old, new, rounds=20, most=3, seed=1)
    assert importance.effective(found) > 0.8 * len(old)
    assert found.max() <= 3.01
    assert importance.effective(np.ones(7)) == 7


def test_rows_that_augmentation_made_weigh_one() -> None:
    generator = np.random.default_rng(3)
    inputs = torch.from_numpy(generator.normal(size=(900, 1)))
    origin = torch.where(torch.arange(900) < 600, torch.arange(900), -1)
    corpus = Samples(inputs, torch.zeros(900).long(), origin)
    settings = importance.Importance(new="data/new.csv", rounds=20, most=10)
    new = torch.from_numpy(generator.normal(1, 1, (600, 1)))
    found = importance.of_corpus(corpus, new, settings, seed=1)
    assert (found[600:] == 1).all()
    assert found[:600][inputs[:600, 0].numpy() > 1].mean() > 1.5


def test_rows_are_drawn_as_often_as_they_weigh() -> None:
    corpus = Samples(torch.arange(4.0)[:, None], torch.arange(4) % 2, torch.arange(4))
    many = corpus.take(torch.arange(4).repeat(500))
    found = np.tile([0.0, 1.0, 1.0, 2.0], 500)
    drawn = importance.drawn(many, found, seed=1)
    shares = torch.bincount(drawn.rows, minlength=4) / len(drawn)
    assert len(drawn) == len(many)
    assert shares.tolist() == pytest.approx([0, 0.25, 0.25, 0.5], abs=0.04)
    with pytest.raises(ContractError, match="do not fit"):
        importance.drawn(corpus, found, seed=1)
