import numpy as np
import pytest
import torch

from hardgate.augmentations.codec import Codec


@pytest.fixture
def codec(table) -> Codec:
    return Codec.of(table.train.inputs, table.spec)


def test_a_row_is_read_back_as_it_was_written(table, codec) -> None:
    rows = table.train.inputs
    again = codec.decode(codec.encode(rows, np.random.default_rng(0)))
    torch.testing.assert_close(again, rows, rtol=1e-3, atol=0.05, equal_nan=True)
    assert torch.equal(again[:, 1:], rows[:, 1:]), "whole numbers and categories are exact"


def test_a_code_is_ranks_and_one_of_each_choice(table, codec) -> None:
    codes = codec.encode(table.train.inputs, np.random.default_rng(0))
    assert codec.ranks == 2 and codec.choices == (2, 4)  # income present or not; three jobs or none
    assert codes.shape == (400, codec.width)
    assert codes[:, :2].min() >= -1 and codes[:, :2].max() <= 1
    assert (codes[:, 2:4].sum(1) == 1).all() and (codes[:, 4:].sum(1) == 1).all()


def test_a_heap_of_equal_values_is_spread_over_its_ranks(table, codec) -> None:
    zeros = table.train.inputs[:, 1] == 0
    ranks = codec.encode(table.train.inputs, np.random.default_rng(0))[zeros, 1]
    share = float(zeros.float().mean())
    assert float(ranks.min()) < -0.98 and float(ranks.max()) == pytest.approx(
        2 * share - 1, abs=0.05
    )


def test_whatever_a_network_says_is_a_row_within_the_ranges(table, codec) -> None:
    said = torch.rand(500, codec.width, generator=torch.Generator().manual_seed(0)) * 2.2 - 1.1
    rows = codec.decode(said)
    for values, column in zip(rows.T, table.spec.columns, strict=True):
        known = values[~values.isnan()]
        assert (known >= min(column.low, -1 if column.categories else column.low)).all()
        assert (known <= column.high).all()
    assert rows[:, 0].isnan().any() and (rows[:, 2] == -1).any(), "gaps are part of the data"
    assert not rows[:, 1].isnan().any(), "a column without gaps got one"
