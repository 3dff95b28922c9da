"""Tables: read as they are, encoded strictly, and every complaint names file, column and row."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from hardgate.datasets import Raw, Table, encoding, reading
from hardgate.errors import DataError, ParamsError
from hardgate.records import ColumnType, TableInput

ROWS = """id,age,income,colour,paid
1,20,1.5,red,yes
2,30,,green,no
3,40,2.5,red,yes
4,50,-3.5,,no
"""


def table(path: str = "rows.csv", **params: Any) -> Table:
    roles = {"target": "paid", "ignore": ["id"], "categorical": ["colour"], "integer": ["age"]}
    return Table.model_validate({"kind": "table", "path": path, **roles, **params})


def loaded(folder: Path, text: str = ROWS, **params: Any) -> tuple[Table, Raw]:
    (folder / "rows.csv").write_text(text)
    described = table(**params)
    return described, described.load(folder)


def all_rows(raw: Raw) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.arange(len(raw.frame), dtype=np.int64)


def test_the_frame_holds_every_column_as_it_was_read(tmp_path: Path) -> None:
    _, raw = loaded(tmp_path)
    assert list(raw.frame) == ["id", "age", "income", "colour", "paid"]
    assert raw.inputs == ("age", "income", "colour")
    assert raw.frame["income"].tolist()[0] == 1.5
    assert raw.frame["age"].tolist() == [20, 30, 40, 50]
    assert raw.files[0].path == Path("rows.csv")


def test_cells_become_numbers_and_missing_ones_stay_missing(tmp_path: Path) -> None:
    described, raw = loaded(tmp_path)
    inputs, labels, spec = described.encode(raw, all_rows(raw))
    expected = [[20, 1.5, 1], [30, np.nan, 0], [40, 2.5, 1], [50, -3.5, -1]]
    np.testing.assert_array_equal(inputs, np.array(expected, dtype=np.float32))
    assert inputs.dtype == np.float32
    assert labels.tolist() == [1, 0, 1, 0]
    assert isinstance(spec, TableInput)
    assert spec.classes == ("no", "yes")
    assert [column.type for column in spec.columns] == [
        ColumnType.INTEGER,
        ColumnType.REAL,
        ColumnType.CATEGORICAL,
    ]
    assert spec.columns[2].categories == ("green", "red")


def test_statistics_are_those_of_the_training_rows_alone(tmp_path: Path) -> None:
    described, raw = loaded(tmp_path)
    spec = described.encode(raw, np.array([0, 1, 2])).spec
    assert isinstance(spec, TableInput)
    age, income, colour = spec.columns
    assert (age.mean, age.low, age.high) == (30, 20, 40)
    assert age.scale == pytest.approx(np.std([20, 30, 40]))
    assert (income.mean, income.low, income.high, income.scale) == (2, 1.5, 2.5, 0.5)
    assert (colour.mean, colour.scale, colour.low, colour.high) == (0, 1, 0, 1)


def test_a_constant_column_has_scale_one(tmp_path: Path) -> None:
    described, raw = loaded(tmp_path, ROWS.replace(",1.5,", ",2.5,"))
    spec = described.encode(raw, np.array([0, 1, 2])).spec
    assert isinstance(spec, TableInput)
    assert spec.columns[1].scale == 1


def test_roles_are_written_into_the_columns(tmp_path: Path) -> None:
    described, raw = loaded(tmp_path, immutable=["age"], sensitive=["colour"])
    spec = described.encode(raw, all_rows(raw)).spec
    assert isinstance(spec, TableInput)
    assert [column.immutable for column in spec.columns] == [True, False, False]
    assert [column.sensitive for column in spec.columns] == [False, False, True]


def test_classes_come_in_the_order_given(tmp_path: Path) -> None:
    described, raw = loaded(tmp_path, classes=["yes", "no"])
    assert described.encode(raw, all_rows(raw)).labels.tolist() == [0, 1, 0, 1]


def test_numeric_classes_can_be_given_as_numbers(tmp_path: Path) -> None:
    text = ROWS.replace("yes", "10").replace("no", "9")
    described, raw = loaded(tmp_path, text)
    assert described.encode(raw, all_rows(raw)).spec.classes == ("9", "10")
    described, raw = loaded(tmp_path, text, classes=[10, 9])
    assert described.encode(raw, all_rows(raw)).labels.tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize("name", ["rows.csv", "rows.csv.gz", "rows.parquet", "rows.of.no.ending"])
def test_every_format_gives_the_same_numbers(tmp_path: Path, name: str) -> None:
    described, raw = loaded(tmp_path)
    expected = described.encode(raw, all_rows(raw))
    path = tmp_path / name
    if name.endswith("parquet"):
        pd.read_csv(tmp_path / "rows.csv").to_parquet(path)
    elif name.endswith("gz"):
        path.write_bytes(gzip.compress(ROWS.encode()))
    else:
        path.write_text("\ufeff" + ROWS)  # spreadsheets write a byte order mark
    again = table(name)
    raw = again.load(tmp_path)
    found = again.encode(raw, all_rows(raw))
    np.testing.assert_array_equal(found.inputs, expected.inputs)
    assert found.spec == expected.spec


def test_a_separator_can_be_named(tmp_path: Path) -> None:
    described, raw = loaded(tmp_path, ROWS.replace(",", ";"), separator=";")
    assert described.encode(raw, all_rows(raw)).inputs.shape == (4, 3)


def test_long_files_are_read_in_pieces_to_the_same_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    described, whole = loaded(tmp_path)
    monkeypatch.setattr(reading, "CHUNK", 1)
    pieces = described.load(tmp_path)
    for raw in (whole, pieces):
        assert described.encode(raw, all_rows(raw)).spec.classes == ("no", "yes")
    np.testing.assert_array_equal(
        described.encode(pieces, all_rows(pieces)).inputs,
        described.encode(whole, all_rows(whole)).inputs,
    )


def test_one_spelling_per_category_in_a_file_read_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "CHUNK", 2)
    text = "grade,x,paid\n1,0,yes\n2,0,no\n1,0,yes\n,0,no\n1.0,0,yes\nother,0,no\n"
    described, raw = loaded(tmp_path, text, categorical=["grade"], ignore=[], integer=[])
    encoded = described.encode(raw, all_rows(raw))
    assert isinstance(encoded.spec, TableInput)
    assert encoded.spec.columns[0].categories == ("1", "2", "other")
    assert encoded.inputs[:, 0].tolist() == [0, 1, 0, -1, 0, 2]


def test_reading_never_changes_a_number(tmp_path: Path) -> None:
    numbers = {
        "wide": [2**40, 1, 2],
        "narrow": [1, 2, 3],
        "tenth": [0.1, 0.7, 3.0],
        "half": [0.5, 0.25, 3],
        "huge": [1e300, 1, 2],
        "unsigned": np.array([2**31, 1, 2], dtype=np.uint32),
    }
    frame = pd.DataFrame(numbers)
    frame.to_parquet(tmp_path / "rows.parquet")
    read = reading.read_table(tmp_path / "rows.parquet", name="rows.parquet")
    for name in frame:
        assert read[name].tolist() == frame[name].tolist()
    assert read["narrow"].dtype == np.int32
    assert read["half"].dtype == np.float32


def test_a_text_cell_stays_visible_and_encoding_names_column_and_row(tmp_path: Path) -> None:
    described, raw = loaded(tmp_path, ROWS.replace("40,2.5", "40,a lot"))
    assert raw.frame["income"].tolist()[2] == "a lot"
    with pytest.raises(DataError, match=r"column 'income': 'a lot' is not a number.*row 2"):
        described.encode(raw, all_rows(raw))


def test_many_bad_cells_are_counted(tmp_path: Path) -> None:
    lines = "".join(f"{n},1,x,red,{'yes' if n % 2 else 'no'}\n" for n in range(20))
    described, raw = loaded(tmp_path, "id,age,income,colour,paid\n" + lines)
    with pytest.raises(DataError, match=r"rows 0, 1, 2, 3, 4 and 15 more, counting from 0"):
        described.encode(raw, all_rows(raw))


@pytest.mark.parametrize("cell", ["inf", "-inf", "Infinity", "1e39", "1e400"])
def test_an_infinite_cell_is_refused(tmp_path: Path, cell: str) -> None:
    described, raw = loaded(tmp_path, ROWS.replace("-3.5", cell))
    with pytest.raises(DataError, match=r"column 'income': .* is infinite or too large.*row 3"):
        described.encode(raw, all_rows(raw))


def test_a_fraction_in_an_integer_column_is_refused(tmp_path: Path) -> None:
    described, raw = loaded(tmp_path, ROWS.replace("30,", "30.5,"))
    with pytest.raises(DataError, match=r"column 'age': '30.5' is listed under integer.*row 1"):
        described.encode(raw, all_rows(raw))


def test_a_missing_label_is_refused(tmp_path: Path) -> None:
    described, raw = loaded(tmp_path, ROWS.replace("red,yes", "red,"))
    with pytest.raises(DataError, match=r"column 'paid' \(the target\) has no value in rows 0, 2"):
        described.encode(raw, all_rows(raw))


def test_a_single_class_is_refused(tmp_path: Path) -> None:
    described, raw = loaded(tmp_path, ROWS.replace("no", "yes"))
    with pytest.raises(
        DataError, match=r"column 'paid' \(the target\) holds one class only, 'yes'"
    ):
        described.encode(raw, all_rows(raw))


def test_a_label_that_is_not_among_the_classes_is_refused(tmp_path: Path) -> None:
    described, raw = loaded(
        tmp_path, ROWS.replace("green,no", "green,maybe"), classes=["no", "yes"]
    )
    with pytest.raises(DataError, match=r"column 'paid': 'maybe' is none of 'no', 'yes' \(row 1"):
        described.encode(raw, all_rows(raw))


def test_a_column_without_a_value_in_training_is_refused(tmp_path: Path) -> None:
    described, raw = loaded(tmp_path)
    with pytest.raises(DataError, match=r"column 'income' has no value in the training split"):
        described.encode(raw, np.array([1]))


def test_dates_are_refused(tmp_path: Path) -> None:
    frame = pd.DataFrame({"when": pd.to_datetime(["2024-01-01", "2024-01-02"]), "paid": [0, 1]})
    frame.to_parquet(tmp_path / "rows.parquet")
    described = table("rows.parquet", ignore=[], categorical=[], integer=[])
    raw = described.load(tmp_path)
    with pytest.raises(DataError, match=r"column 'when': '2024-01-01.*is a date or duration"):
        described.encode(raw, all_rows(raw))


def test_booleans_decimals_and_dictionaries_are_numbers_too(tmp_path: Path) -> None:
    columns = {
        "flag": pa.array([True, None, False]),
        "price": pa.array(["1.25", None, "2.5"]).cast(pa.decimal128(5, 2)),
        "level": pa.array([3, 4, 3]).dictionary_encode(),
        "paid": pa.array([0, 1, 0]),
    }
    pq.write_table(pa.table(columns), tmp_path / "rows.parquet")
    described = table("rows.parquet", ignore=[], categorical=[], integer=[])
    raw = described.load(tmp_path)
    expected = [[1, 1.25, 3], [np.nan, np.nan, 4], [0, 2.5, 3]]
    np.testing.assert_array_equal(described.encode(raw, all_rows(raw)).inputs, expected)


def test_an_index_that_was_saved_with_the_table_is_no_input(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0], "paid": [0, 1]}, index=[7, 8])
    frame.to_parquet(tmp_path / "rows.parquet", index=True)
    described = table("rows.parquet", ignore=[], categorical=[], integer=[])
    assert described.load(tmp_path).inputs == ("x",)
    frame.to_csv(tmp_path / "rows.csv")
    described = table(ignore=[], categorical=[], integer=[])
    with pytest.raises(ParamsError, match=r"'Unnamed: 0' has no name.*list it under ignore"):
        described.load(tmp_path)


def test_columns_with_dots_in_their_names_are_told_apart(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0], "a.b": [3.0, 4.0], "paid": [0, 1]})
    frame.to_parquet(tmp_path / "rows.parquet")
    read = reading.read_table(tmp_path / "rows.parquet", name="rows.parquet")
    pd.testing.assert_frame_equal(read, frame, check_dtype=False)


# Broken files.


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "rows.csv has no header"),
        ("id,age\n", "rows.csv has no row below its header"),
        ("id,age,age\n1,2,3\n", "several columns of one name: 'age'"),
        ("id,age\n1,2,3\n", "the header has 2 columns, the first row 3"),
        ("id,age\n1,2\n3,4,5\n", "not a regular table: .*line 3, saw 3"),
        ('id,age\n1,2\n3,"4\n', "not a regular table: .*EOF inside string"),
        ("hardgate_split,paid\n1,2\n", "hardgate_ is reserved"),
    ],
)
def test_an_irregular_csv_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        loaded(tmp_path, text, target="paid", ignore=[], categorical=[], integer=[])


def test_a_truncated_gz_is_refused(tmp_path: Path) -> None:
    lines = "".join(f"{n},{n * n},{n / 7},red,yes\n" for n in range(5000))
    packed = gzip.compress(("id,age,income,colour,paid\n" + lines).encode())
    (tmp_path / "rows.csv.gz").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(DataError, match=r"rows.csv.gz is cut off or broken: .*end-of-stream"):
        table("rows.csv.gz").load(tmp_path)


def test_a_gz_with_a_flipped_byte_is_refused(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(ROWS.encode() * 50))
    packed[len(packed) // 2] ^= 0xFF
    (tmp_path / "rows.csv.gz").write_bytes(packed)
    with pytest.raises(DataError, match=r"rows.csv.gz is"):
        table("rows.csv.gz").load(tmp_path)


def test_a_truncated_parquet_is_refused(tmp_path: Path) -> None:
    pd.DataFrame({"x": range(1000), "paid": 0}).to_parquet(tmp_path / "rows.parquet")
    content = (tmp_path / "rows.parquet").read_bytes()
    (tmp_path / "rows.parquet").write_bytes(content[:-100])
    with pytest.raises(DataError, match=r"rows.parquet is cut off or broken"):
        table("rows.parquet").load(tmp_path)


def test_an_empty_parquet_is_refused(tmp_path: Path) -> None:
    pd.DataFrame({"x": [], "paid": []}).to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(DataError, match=r"rows.parquet has no rows"):
        table("rows.parquet").load(tmp_path)


def test_a_nested_column_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": [[1], [2, 3]], "paid": [0, 1]}), tmp_path / "rows.parquet")
    with pytest.raises(DataError, match=r"rows.parquet: column 'x' is nested"):
        table("rows.parquet").load(tmp_path)


def test_text_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_bytes(ROWS.replace("red", "röd").encode("latin-1"))
    with pytest.raises(DataError, match=r"rows.csv is cut off or broken: .*utf-8"):
        table().load(tmp_path)


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"rows.csv has SHA-256"):
        loaded(tmp_path, sha256="0" * 64)


# Mistakes in params.


def test_a_missing_file_is_a_mistake_in_params(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"absent.csv is not there"):
        table("absent.csv").load(tmp_path)


@pytest.mark.parametrize(
    ("params", "complaint"),
    [
        ({"target": "payed"}, "target names 'payed', but the table has no such column; it has id"),
        ({"ignore": ["ID"]}, "ignore names 'ID'"),
        ({"categorical": ["color"]}, "categorical names 'color'"),
        ({"monotone": {"wealth": "increasing"}}, "monotone names 'wealth'"),
        ({"ignore": ["id", "income"], "categorical": [], "integer": []}, None),
    ],
)
def test_an_unknown_column_is_a_mistake_in_params(
    tmp_path: Path, params: dict[str, Any], complaint: str | None
) -> None:
    if complaint is None:
        assert loaded(tmp_path, **params)[1].inputs == ("age", "colour")
        return
    with pytest.raises(ParamsError, match=complaint):
        loaded(tmp_path, **params)


def test_a_table_without_inputs_is_a_mistake_in_params(tmp_path: Path) -> None:
    everything = ["id", "age", "income", "colour"]
    with pytest.raises(ParamsError, match="no input column is left"):
        loaded(tmp_path, ignore=everything, categorical=[], integer=[])


@pytest.mark.parametrize(
    ("params", "complaint"),
    [
        ({"ignore": ["paid"]}, "paid cannot be in both target and ignore"),
        ({"integer": ["colour"]}, "colour cannot be in both categorical and integer"),
        ({"monotone": {"colour": "increasing"}}, "both categorical and monotone"),
        ({"sensitive": ["id"]}, "id cannot be in both sensitive and target and ignore"),
        ({"classes": ["yes"]}, "at least two"),
        ({"classes": ["yes", "yes"]}, "a label twice"),
        ({"path": "https://example.org/rows.csv"}, "its sha256 must be given"),
        ({"taget": "paid"}, "taget"),
    ],
)
def test_roles_that_clash_are_refused(params: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        table(**params)


# New data, for a model that exists.


@pytest.fixture
def spec(tmp_path: Path) -> TableInput:
    described, raw = loaded(tmp_path)
    found = described.encode(raw, all_rows(raw)).spec
    assert isinstance(found, TableInput)
    return found


def test_new_data_is_encoded_as_the_training_data_was(tmp_path: Path, spec: TableInput) -> None:
    described, raw = loaded(tmp_path)
    shuffled = raw.frame[["colour", "income", "age"]]
    np.testing.assert_array_equal(
        encoding.encode_inputs(shuffled, spec, source="the request"),
        described.encode(raw, all_rows(raw)).inputs,
    )


@pytest.mark.parametrize(
    ("column", "cell", "complaint"),
    [
        ("colour", "violet", r"'violet' is none of 'green', 'red' \(row 0"),
        ("income", "much", r"'much' is not a number"),
        ("income", float("inf"), r"'inf' is infinite"),
        ("age", 1.5, r"'1.5' is listed under integer"),
    ],
)
def test_new_data_that_does_not_fit_is_refused(
    spec: TableInput, column: str, cell: object, complaint: str
) -> None:
    frame = pd.DataFrame({"age": [1], "income": [2.0], "colour": ["red"]}).astype(object)
    frame.loc[0, column] = cell
    with pytest.raises(DataError, match=f"the request: column '{column}': {complaint}"):
        encoding.encode_inputs(frame, spec, source="the request")


def test_new_data_without_a_column_is_refused(spec: TableInput) -> None:
    with pytest.raises(DataError, match=r"the request lacks the column\(s\) 'income', 'colour'"):
        encoding.encode_inputs(pd.DataFrame({"age": [1]}), spec, source="the request")
