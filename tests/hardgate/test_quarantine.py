"""A quarantine: rows are left out of every split, each only while it is the row that was meant."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hardgate import quarantine, splits
from hardgate.datasets.raw import Raw
from hardgate.errors import DataError, ParamsError
from hardgate.records import FileRecord

NAME = "quarantine.csv"
SHARES = splits.Shares(held_out=0.2, test=0.25)


def raw_of(rows: int) -> Raw:
    draws = np.random.default_rng(3)
    frame = pd.DataFrame(
        {
            "a": draws.normal(size=rows),
            "b": draws.choice(["red", "green"], rows),
            "y": np.arange(rows) % 2,
        }
    )
    file = FileRecord(path=Path("rows.csv"), sha256="0" * 64)
    return Raw(frame=frame, files=(file,), inputs=("a", "b"), target="y")


@pytest.fixture
def raw() -> Raw:
    return raw_of(40)


def wrote(root: Path, *lines: str) -> Path:
    (root / NAME).write_text("\n".join(["row,identity,reason", *lines]) + "\n", encoding="utf-8")
    return root


def test_without_a_file_every_row_is_kept(raw: Raw, tmp_path: Path) -> None:
    kept = quarantine.apply(raw, None, root=tmp_path)
    assert kept.raw is raw
    assert kept.rows.tolist() == list(range(40))
    assert len(kept.aside) == 0


def test_what_is_written_is_left_out_and_the_file_is_a_source(raw: Raw, tmp_path: Path) -> None:
    quarantine.write(
        raw, np.array([31, 7]), ["sent twice, late", "no such person"], tmp_path / NAME
    )
    kept = quarantine.apply(raw, NAME, root=tmp_path)
    assert kept.aside.tolist() == [7, 31]
    assert kept.rows.tolist() == [row for row in range(40) if row not in (7, 31)]
    pd.testing.assert_frame_equal(
        kept.raw.frame, raw.frame.drop(index=[7, 31]).reset_index(drop=True)
    )
    assert [file.path.name for file in kept.raw.files] == ["rows.csv", NAME]


def test_images_and_given_splits_are_left_out_with_their_rows(raw: Raw, tmp_path: Path) -> None:
    images = np.arange(40, dtype=np.uint8).reshape(40, 1, 1, 1)
    whole = replace(raw, images=images, given_split=np.array(["train", "test"] * 20))
    quarantine.write(whole, np.array([0]), ["blank"], tmp_path / NAME)
    kept = quarantine.apply(whole, NAME, root=tmp_path).raw
    assert kept.images is not None
    assert kept.given_split is not None
    assert kept.images.ravel().tolist() == list(range(1, 40))
    assert kept.given_split[0] == "test"


def test_a_longer_file_keeps_what_was_set_aside(raw: Raw, tmp_path: Path) -> None:
    quarantine.write(raw_of(40), np.array([5]), ["odd"], tmp_path / NAME)
    grown = replace(raw, frame=pd.concat([raw.frame, raw.frame], ignore_index=True))
    assert quarantine.apply(grown, NAME, root=tmp_path).aside.tolist() == [5]


@pytest.mark.parametrize("column", ["a", "y"])
def test_a_row_that_was_corrected_or_moved_is_refused_by_file_and_line(
    raw: Raw, tmp_path: Path, column: str
) -> None:
    quarantine.write(raw, np.array([4, 5]), ["odd", "odd"], tmp_path / NAME)
    raw.frame.loc[5, column] = 1 - raw.frame.loc[5, column]
    with pytest.raises(DataError, match=r"quarantine.csv, line 3: row 5 is not the one that was"):
        quarantine.apply(raw, NAME, root=tmp_path)


def test_a_row_without_an_identity_is_told_its_own(raw: Raw, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="row 9 has no identity; write ") as refused:
        quarantine.apply(raw, NAME, root=wrote(tmp_path, "9,,sent by nobody"))
    told = re.findall("write ([0-9a-f]{16})", str(refused.value))[0]
    kept = quarantine.apply(raw, NAME, root=wrote(tmp_path, f"9,{told},sent by nobody"))
    assert kept.aside.tolist() == [9]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("40,00,x", "line 2: '40' is no row of the data; expected a number from 0 to 39"),
        ("-1,00,x", "'-1' is no row"),
        ("1.0,00,x", "'1.0' is no row"),
        ("¹,00,x", "'¹' is no row"),
        ("3,00", "line 2: 2 cells, expected 3"),
        ("3,00,because, well", "put a reason with commas in double quotes"),
        ("3,00,x", "row 3 is not the one that was set aside: its identity is"),
    ],
)
def test_a_bad_line_is_refused(raw: Raw, tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(DataError, match=re.escape(said)):
        quarantine.apply(raw, NAME, root=wrote(tmp_path, line))


def test_a_row_twice_or_without_a_reason_is_refused(raw: Raw, tmp_path: Path) -> None:
    quarantine.write(raw, np.array([6, 6]), ["odd", "odd"], tmp_path / NAME)
    with pytest.raises(DataError, match="line 3: row 6 is set aside twice"):
        quarantine.apply(raw, NAME, root=tmp_path)
    quarantine.write(raw, np.array([6]), [" "], tmp_path / NAME)
    with pytest.raises(DataError, match="line 2: row 6 has no reason"):
        quarantine.apply(raw, NAME, root=tmp_path)


def test_a_missing_file_and_a_foreign_header_are_refused(raw: Raw, tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"validation.quarantine: quarantine.csv is missing"):
        quarantine.apply(raw, NAME, root=tmp_path)
    (tmp_path / NAME).write_text("row;reason\n1;x\n", encoding="utf-8")
    with pytest.raises(DataError, match="line 1: the header is row;reason, expected row,identity"):
        quarantine.apply(raw, NAME, root=tmp_path)
    (tmp_path / NAME).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="cannot be read"):
        quarantine.apply(raw, NAME, root=tmp_path)


def test_how_much_of_the_test_split_is_missing_follows_from_the_rows() -> None:
    raw = raw_of(2000)
    test = splits.assign(raw, SHARES, seed=5).rows("test")
    missing = splits.destined_for_test(raw, test, SHARES, seed=5)
    assert missing == pytest.approx(len(test), rel=0.03)
    others = np.setdiff1d(np.arange(2000), test)
    assert splits.destined_for_test(raw, others, SHARES, seed=5) < 0.03 * len(test)
    given = replace(raw, given_split=np.array(["train", "test"] * 1000))
    assert splits.destined_for_test(given, np.arange(10), SHARES, seed=5) == 5
