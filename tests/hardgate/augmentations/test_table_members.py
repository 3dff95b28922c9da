"""Noise, missing, swap, oversample: each does what its name says, and as much as it says."""

import numpy as np
import pytest
import torch

from hardgate.augmentations.missing import some_cells
from hardgate.augmentations.swap import draw_others
from hardgate.augmentations.tables import Relations, jitter


def test_noise_is_in_the_columns_own_scale(table) -> None:
    rows = table.train.inputs[100:, :].repeat(20, 1)
    relations = Relations(torch.zeros(0, 3).double(), torch.zeros(0).double())
    generator = np.random.default_rng(0)
    noisy = jitter(rows, table.spec, relations, generator, columns=[0, 1], scale=0.1)
    income = table.spec.columns[0]
    inside = (rows[:, 0] - income.low > income.scale) & (income.high - rows[:, 0] > income.scale)
    moved = (noisy - rows)[inside, 0]
    assert float(moved.std()) == pytest.approx(0.1 * income.scale, rel=0.05)
    assert float(moved.mean()) == pytest.approx(0, abs=0.02 * income.scale)
    assert torch.equal(noisy[:, 2], rows[:, 2]), "a category moved"


def test_noise_leaves_the_other_columns_and_missing_values_alone(table) -> None:
    added = table.added({"name": "noise", "share": 1.0, "scale": 0.2, "columns": ["income"]})
    assert set(added.inputs[:, 1].tolist()) <= set(table.train.inputs[:, 1].tolist())
    assert not added.inputs[:, 0].isnan().any(), "an unchanged row was kept, or NaN moved"


def test_noise_that_would_break_a_relation_is_made_smaller_not_given_up(table) -> None:
    _, (tally,) = table.run({"name": "noise", "share": 1.0, "scale": 3.0})
    assert tally.added > 300


def test_rows_on_the_edge_of_a_relation_stay_on_its_right_side(table) -> None:
    rows = torch.tensor([[30.0, 30.0, 1.0]]).repeat(1000, 1)
    relations = Relations.of(table.threat, table.spec)
    generator = np.random.default_rng(0)
    noisy = jitter(rows, table.spec, relations, generator, columns=[0, 1], scale=0.5)
    assert (noisy[:, 1] <= noisy[:, 0]).all()
    assert ((noisy != rows).any(1)).float().mean() > 0.5


def test_a_relation_that_the_row_breaks_is_not_demanded(table) -> None:
    relations = Relations.of(table.threat, table.spec)
    broken, sound = torch.tensor([[10.0, 20.0, 0.0]]), torch.tensor([[20.0, 10.0, 0.0]])
    assert not relations.kept(broken).any() and relations.kept(sound).all()
    assert not relations.broken(broken, broken).any()
    assert relations.broken(broken, sound).all()
    unknown = torch.tensor([[float("nan"), 20.0, 0.0]])
    assert relations.kept(unknown).all()


def test_missing_picks_the_promised_share_and_one_cell_at_least() -> None:
    picked = some_cells(50_000, 3, 0.5, np.random.default_rng(0))
    assert picked.any(axis=1).all()
    # Half of the cells, and one of three in those rows that would have kept all by chance.
    assert picked.mean() == pytest.approx(0.5 + 0.5**3 / 3, abs=0.005)


def test_a_missing_number_is_nan_and_a_missing_category_is_minus_one(table) -> None:
    added = table.added({"name": "missing", "share": 1.0, "rate": 0.5})
    assert added.inputs[:, :2].isnan().any(0).all()
    assert (added.inputs[:, 2] == -1).sum() > 50 and not added.inputs[:, 2].isnan().any()


def test_missing_can_be_kept_to_some_columns(table) -> None:
    added = table.added({"name": "missing", "share": 0.5, "rate": 1.0, "columns": ["debts"]})
    assert added.inputs[:, 1].isnan().all()


def test_swaps_are_other_categories_drawn_by_frequency() -> None:
    counts = np.array([60, 30, 10, 0])
    current = np.repeat([0, 1, 2, -1], 20_000)
    drawn = draw_others(current, counts, np.random.default_rng(0))
    for category, shares in ((0, [0, 0.75, 0.25, 0]), (1, [6 / 7, 0, 1 / 7, 0])):
        found = np.bincount(drawn[current == category], minlength=4) / 20_000
        np.testing.assert_allclose(found, shares, atol=0.02)
    assert (drawn[current == -1] == -1).all(), "a missing category was made up"


def test_the_only_category_there_is_stays() -> None:
    drawn = draw_others(np.array([0, 0]), np.array([5]), np.random.default_rng(0))
    assert drawn.tolist() == [0, 0]


def test_swap_changes_nothing_but_categories(table) -> None:
    added = table.added({"name": "swap", "share": 0.5, "rate": 1.0})
    originals = {tuple(row) for row in table.train.inputs[:, :2].nan_to_num(-9).tolist()}
    assert {tuple(row) for row in added.inputs[:, :2].nan_to_num(-9).tolist()} <= originals


def test_oversampling_fills_the_rare_class_and_no_other(table) -> None:
    common, rare = torch.bincount(table.train.labels).tolist()
    added = table.added({"name": "oversample", "share": 0.8, "jitter": 0.1})
    assert (added.labels == 1).all()
    assert len(added) == pytest.approx(0.8 * common - rare, abs=8)
    assert len(table.added({"name": "oversample", "share": 0.1, "jitter": 0.1})) == 0
