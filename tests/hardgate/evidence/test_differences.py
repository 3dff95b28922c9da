from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hardgate import provenance
from hardgate.datasets import fetching
from hardgate.errors import IntegrityError
from hardgate.evidence import differences
from hardgate.records import FileRecord


@pytest.mark.parametrize(
    ("signed", "found", "said"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}, ["p.a.b[1] is 3, the evidence says 2"]),
        ({"a": [1]}, {"a": [1, 2]}, ["p.a is [1,2], the evidence says [1]"]),
        ({"a": 1}, {}, ["p.a is missing, the evidence says 1"]),
        ({}, {"a": 1}, ["p.a is 1, the evidence has no such key"]),
        ({"a": True}, {"a": 1}, ["p.a is 1, the evidence says true"]),
        ({"a": None}, {"a": {}}, ["p.a is {}, the evidence says null"]),
        ({"a": 1}, [1], ['p is [1], the evidence says {"a":1}']),
    ],
)
def test_every_key_that_differs_is_named(signed: Any, found: Any, said: list[str]) -> None:
    assert list(differences.of_values(signed, found, "p")) == said


def test_long_values_and_long_lists_are_cut() -> None:
    (words,) = differences.of_values("x" * 500, "y", "p")
    assert len(words) < 120
    with pytest.raises(IntegrityError, match="a; b; c; d; e; and 2 more"):
        differences.refuse("abcdefg")


def test_no_difference_is_not_refused() -> None:
    differences.refuse([])


def test_a_directory_in_place_of_a_file_is_missing(tmp_path: Path) -> None:
    (tmp_path / "raw.csv").mkdir()
    record = FileRecord(path=Path("raw.csv"), sha256="0" * 64)
    assert list(differences.of_files([record], tmp_path)) == ["raw.csv is missing"]


def test_a_missing_directory_is_said(tmp_path: Path) -> None:
    (said,) = differences.of_directory([], tmp_path / "model")
    assert "is missing" in said


def test_raw_data_in_a_package_is_found_there(tmp_path: Path) -> None:
    from hardgate.datasets.breast_cancer import PACKAGED

    record = FileRecord(path=PACKAGED, sha256="0" * 64)
    (said,) = differences.of_data([record], tmp_path)
    assert "breast_cancer.csv has changed" in said
    found = said.split("its digest is ")[1][:12]
    assert provenance.sha256_file(fetching.packaged(PACKAGED)).startswith(found)


def test_raw_data_in_a_folder_is_digested_as_a_whole(tmp_path: Path) -> None:
    (tmp_path / "cats").mkdir()
    (tmp_path / "cats" / "1.png").write_bytes(b"x")
    record = FileRecord(path=Path("cats"), sha256=provenance.sha256_tree(tmp_path / "cats"))
    assert list(differences.of_data([record], tmp_path)) == []
    (tmp_path / "cats" / "2.png").write_bytes(b"y")
    (said,) = differences.of_data([record], tmp_path)
    assert "cats has changed" in said


def test_raw_data_that_is_nowhere_is_said(tmp_path: Path) -> None:
    record = FileRecord(path=Path("nowhere/raw.csv"), sha256="0" * 64)
    (said,) = differences.of_data([record], tmp_path)
    assert "nowhere/raw.csv" in said
