"""Splits: seeded, stratified, and no identical rows on both sides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardgate import splits
from hardgate.datasets.raw import Raw
from hardgate.errors import DataError, ParamsError
from hardgate.records import FileRecord

SHARES = splits.Shares(held_out=0.25, test=0.2)
FILE = FileRecord(path=Path("rows.csv"), sha256="0" * 64)


def raw_of(frame: pd.DataFrame, given_split: list[str] | None = None) -> Raw:
    inputs = tuple(name for name in frame.columns if name != "y")
    given = None if given_split is None else np.array(given_split)
    return Raw(frame=frame, files=(FILE,), inputs=inputs, target="y", given_split=given)


def rows(count: int, *, positive: float = 0.3, seed: int = 0) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "a": generator.normal(size=count),
            "b": generator.choice(["red", "green"], size=count),
            "y": (np.arange(count) < positive * count).astype(np.int64),
        }
    )


def test_shares_are_met_within_each_class() -> None:
    raw = raw_of(rows(1000))
    assignment = splits.assign(raw, SHARES, seed=1)
    for split, share in (("test", 0.2), ("held_out", 0.2), ("train", 0.6)):
        labels = raw.frame["y"].to_numpy()[assignment.rows(split)]
        assert np.bincount(labels).tolist() == pytest.approx([700 * share, 300 * share], abs=1)


def test_the_three_splits_hold_every_row_once() -> None:
    assignment = splits.assign(raw_of(rows(200)), SHARES, seed=1)
    together = np.concatenate([assignment.rows(split) for split in splits.SPLITS])
    assert sorted(together.tolist()) == list(range(200))


def test_the_same_seed_gives_the_same_split_and_another_seed_another() -> None:
    raw = raw_of(rows(200))
    first, same, other = (splits.assign(raw, SHARES, seed=seed).codes for seed in (1, 1, 2))
    assert (first == same).all()
    assert (first != other).any()


def test_a_row_keeps_its_split_when_the_file_is_reordered() -> None:
    frame = rows(300)
    order = np.random.default_rng(5).permutation(300)
    codes = splits.assign(raw_of(frame), SHARES, seed=1).codes
    reordered = splits.assign(raw_of(frame.iloc[order].reset_index(drop=True)), SHARES, seed=1)
    assert (reordered.codes == codes[order]).all()


def test_few_rows_move_when_the_file_grows() -> None:
    frame = rows(2000)
    before = splits.assign(raw_of(frame.iloc[:1900]), SHARES, seed=1).codes
    after = splits.assign(raw_of(frame), SHARES, seed=1).codes
    assert (before != after[:1900]).mean() < 0.03


@settings(max_examples=60, deadline=None)
@given(
    cells=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 1)), min_size=12, max_size=80),
    seed=st.integers(0, 2**32),
)
def test_identical_rows_never_straddle_splits(cells: list[tuple[int, int]], seed: int) -> None:
    # Six rows of other content per class make sure that every split can be filled.
    cells = cells + [(100 + place, place % 2) for place in range(12)]
    frame = pd.DataFrame(cells, columns=["a", "y"])
    assignment = splits.assign(raw_of(frame), SHARES, seed=seed)
    assert (pd.Series(assignment.codes).groupby(frame["a"]).nunique() == 1).all()
    audit = splits.audit(raw_of(frame), assignment)
    assert not audit["hardgate_copy_across_splits"].any()


def test_numbers_that_the_model_cannot_tell_apart_are_identical() -> None:
    frame = pd.DataFrame({"a": [0.0, -0.0, 1.0, 1.0 + 1e-12, np.nan, np.nan, 2.0]})
    hashes = splits.identify(frame, ("a",))
    assert hashes[0] == hashes[1]
    assert hashes[2] == hashes[3]
    assert hashes[4] == hashes[5]
    assert len(set(hashes.tolist())) == 4


def test_rows_with_swapped_columns_are_not_identical() -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0, 1.0], "b": [2.0, 1.0, 2.0], "c": ["x", "x", "y"]})
    assert len(set(splits.identify(frame, ("a", "b", "c")).tolist())) == 3


def test_the_audit_names_copies_contradictions_and_splits() -> None:
    frame = pd.DataFrame({"a": [1, 2, 1, 3, 3, 4], "y": [0, 0, 1, 1, 1, 0]})
    given_split = ["train", "test", "train", "train", "test", "train"]
    assignment = splits.Assignment(
        codes=np.array([splits.SPLITS.index(name) for name in given_split], dtype=np.int8),
        groups=np.array([0, 1, 0, 2, 2, 3]),
    )
    audit = splits.audit(raw_of(frame), assignment)
    assert tuple(audit.columns) == splits.AUDIT_COLUMNS
    assert audit["hardgate_split"].tolist() == given_split
    assert audit["hardgate_duplicate"].tolist() == [False, False, True, False, True, False]
    assert audit["hardgate_copy_across_splits"].tolist() == [False, False, False, True, True, False]
    assert audit["hardgate_contradicts"].tolist() == [True, False, True, False, False, False]


def test_a_given_split_is_kept_and_held_out_rows_come_from_train() -> None:
    frame = rows(400)
    given_split = ["test" if place % 4 == 0 else "train" for place in range(400)]
    assignment = splits.assign(raw_of(frame, given_split), splits.Shares(held_out=0.1), seed=1)
    assert assignment.rows("test").tolist() == list(range(0, 400, 4))
    assert len(assignment.rows("held_out")) == pytest.approx(30, abs=1)


def test_a_given_held_out_split_is_kept_too() -> None:
    frame = rows(60).sample(frac=1, random_state=0).reset_index(drop=True)
    given_split = ["train", "held_out", "test"] * 20
    assignment = splits.assign(raw_of(frame, given_split), splits.Shares(held_out=0.1), seed=1)
    assert [splits.SPLITS[code] for code in assignment.codes] == given_split


def test_a_test_share_beside_a_given_test_split_is_refused() -> None:
    with pytest.raises(ParamsError, match="brings its own test split"):
        splits.assign(raw_of(rows(60), ["train", "test"] * 30), SHARES, seed=1)


def test_a_missing_test_share_is_refused() -> None:
    with pytest.raises(ParamsError, match=r"validation\.test is missing"):
        splits.assign(raw_of(rows(60)), splits.Shares(held_out=0.1), seed=1)


def test_a_single_class_is_refused() -> None:
    frame = rows(60).assign(y="paid")
    with pytest.raises(DataError, match=r"rows.csv: 'y' holds 1 class.*paid.*at least two"):
        splits.assign(raw_of(frame), SHARES, seed=1)


def test_an_empty_given_split_is_refused() -> None:
    with pytest.raises(DataError, match="the test split has no row of 60"):
        splits.assign(raw_of(rows(60), ["train"] * 60), splits.Shares(held_out=0.1), seed=1)


def test_a_class_that_is_only_tested_is_refused() -> None:
    frame = pd.DataFrame({"a": range(40), "y": [0, 1] * 15 + [2] * 10})
    given_split = ["train"] * 25 + ["test"] * 15
    with pytest.raises(DataError, match="the train split has no row of class '2'"):
        splits.assign(raw_of(frame, given_split), splits.Shares(held_out=0.1), seed=1)


def test_a_class_too_rare_for_three_splits_is_refused() -> None:
    frame = rows(60)
    frame.loc[[10, 11], "y"] = 7
    with pytest.raises(DataError, match=r"class '7' of 'y' has 2 distinct row\(s\) \(rows 10, 11"):
        splits.assign(raw_of(frame), SHARES, seed=1)


def test_a_rare_class_still_has_a_row_in_every_split() -> None:
    frame = rows(300)
    frame.loc[[1, 2, 3], "y"] = 7
    for seed in range(20):
        codes = splits.assign(raw_of(frame), SHARES, seed=seed).codes
        assert sorted(codes[[1, 2, 3]].tolist()) == [0, 1, 2]


def test_missing_labels_are_left_for_the_suite_to_refuse() -> None:
    frame = rows(60).astype({"y": "float64"})
    frame.loc[5, "y"] = np.nan
    assert len(splits.assign(raw_of(frame), SHARES, seed=1).codes) == 60


def test_a_million_rows_take_seconds() -> None:
    import time

    start = time.process_time()
    raw = raw_of(rows(1_000_000))
    splits.audit(raw, splits.assign(raw, SHARES, seed=1))
    assert time.process_time() - start < 8
