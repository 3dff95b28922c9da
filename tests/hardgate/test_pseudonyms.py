"""Pseudonyms: one key gives the same, another others, and without one nothing is read."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

import pandas as pd
import pytest
from pydantic import ValidationError

from hardgate import pseudonyms
from hardgate.datasets import Table
from hardgate.errors import IntegrityError, ParamsError
from hardgate.risks.personal_data import scanning

ROWS = "id,client,paid\n1,Mary Smith,yes\n2,Hans Schmidt,no\n3,Mary Smith,no\n4,,yes\n"
TABLE = {"kind": "table", "path": "rows.csv", "target": "paid", "categorical": ["client"]}
TABLE |= {"ignore": ["id"], "pseudonymise": ["id", "client"]}


@pytest.fixture(autouse=True)
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "keys" / "pseudonyms.key"
    pseudonyms.make_key(path)
    monkeypatch.setenv(pseudonyms.KEY, str(path))
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    Path("rows.csv").write_text(ROWS)
    return path


def load() -> pd.DataFrame:
    return Table.model_validate(TABLE).load(Path()).frame


def test_no_value_is_left_and_equal_values_stay_equal() -> None:
    frame = load()
    assert not set(frame["client"]) & {"Mary Smith", "Hans Schmidt"}
    assert frame["client"][0] == frame["client"][2] != frame["client"][1]
    assert frame["client"].isna().tolist() == [False, False, False, True]
    assert frame["client"].str.fullmatch("[a-p]{32}").dropna().all()
    pd.testing.assert_frame_equal(frame, load())


def test_a_pseudonym_is_the_hmac_of_its_value(key: Path) -> None:
    expected = hmac.new(key.read_bytes().strip(), b"Mary Smith", hashlib.sha256).hexdigest()
    letters = "".join("abcdefghijklmnop"[int(digit, 16)] for digit in expected[:32])
    assert load()["client"][0] == letters


def test_numbers_keep_their_pseudonym_when_a_cell_goes_missing() -> None:
    before = load()["id"]
    Path("rows.csv").write_text(ROWS + ",Luc,no\n")  # pandas then reads fractions
    assert load()["id"][:4].tolist() == before.tolist()


def test_another_key_gives_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = load()
    pseudonyms.make_key(tmp_path / "keys" / "other.key")
    monkeypatch.setenv(pseudonyms.KEY, str(tmp_path / "keys" / "other.key"))
    assert not set(before["id"]) & set(load()["id"])


def test_personal_data_are_no_longer_found() -> None:
    names = "\n".join(f"{at},Mary Smith-{chr(97 + at)},yes" for at in range(20))
    Path("rows.csv").write_text(f"id,client,paid\n{names}\n")
    assert scanning.scan(pd.read_csv("rows.csv"), values=100, seed=1)
    assert not scanning.scan(load(), values=100, seed=1)


def test_without_a_key_the_message_names_column_and_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(pseudonyms.KEY)
    with pytest.raises(ParamsError, match=r"'id' of rows\.csv: set HARDGATE_PSEUDONYM_KEY"):
        load()


def test_a_key_that_could_be_guessed_is_refused(key: Path) -> None:
    key.write_text("secret")
    with pytest.raises(IntegrityError, match="6 bytes, expected 32"):
        load()


def test_a_key_within_the_repository_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".git").mkdir()
    Path("key").write_text("x" * 64)
    monkeypatch.setenv(pseudonyms.KEY, "key")
    with pytest.raises(ParamsError, match="lies within the repository"):
        load()


@pytest.mark.parametrize("role", [{"target": "client"}, {"integer": ["client"]}])
def test_a_column_that_must_be_read_is_no_pseudonym(role: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="cannot be in both"):
        Table.model_validate(TABLE | {"categorical": []} | role)


def test_a_column_that_is_not_there_is_named() -> None:
    with pytest.raises(ParamsError, match=r"dataset\.pseudonymise names 'nobody'"):
        Table.model_validate(TABLE | {"pseudonymise": ["nobody"]}).load(Path())
