"""Bad data are refused by the name of the expectation, the column and the first rows."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hardgate import splits
from hardgate.datasets import BreastCancer, Idx, Raw, Table
from hardgate.errors import ContractError, ParamsError
from hardgate.records import Objection
from tasks import _expectations, _suites

ROOT = Path(__file__).parents[2]
SHARES = splits.Shares(held_out=0.1, test=0.2)
CREDIT = "data/credit/uci-default-of-credit-card-clients.csv.gz"
TARGET = "default.payment.next.month"
MNIST = {
    f"{split}_{kind}": {"path": f"data/mnist/{file}-{kind}-idx{dimensions}-ubyte.gz"}
    for split, file in (("train", "train"), ("test", "t10k"))
    for kind, dimensions in (("images", 3), ("labels", 1))
}
ROLES: dict[str, Any] = {"target": "late", "categorical": ["region"], "ignore": ["id"]}

Break = Callable[[pd.DataFrame], pd.DataFrame]
Judge = Callable[..., _expectations.Verdicts]


@pytest.fixture
def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "id": np.arange(200, dtype=np.int32),
            "age": rng.integers(18, 80, 200, dtype=np.int32),
            "income": rng.normal(3000, 500, 200).astype(np.float32),
            "region": rng.choice(["north", "south"], 200),
            "late": np.tile(np.array([0, 0, 0, 1], dtype=np.int32), 50),
        }
    )
    return audited(raw_of(frame))[0]


def raw_of(frame: pd.DataFrame) -> Raw:
    inputs = tuple(name for name in frame if name not in ("id", "late"))
    return Raw(frame=frame, files=(), inputs=inputs, target="late")


def audited(raw: Raw, shares: splits.Shares = SHARES) -> tuple[pd.DataFrame, splits.Assignment]:
    assignment = splits.assign(raw, shares, seed=0)
    return raw.frame.assign(**splits.audit(raw, assignment)), assignment


def suite(folder: Path, *expectations: dict[str, Any], name: str = "small") -> Path:
    path = folder / f"{name}.json"
    path.write_text(_suites.spell({"name": name, "expectations": list(expectations)}))
    return path


def expect(kind: str, **kwargs: Any) -> dict[str, Any]:
    return {"type": f"expect_{kind}", "kwargs": kwargs, "notes": f"why {kind}"}


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    def of(frame: pd.DataFrame, path: Path) -> _expectations.Verdicts:
        return _expectations.judge(frame, path, model="small", data_docs=tmp_path / "docs")

    return of


@pytest.fixture
def drafted(tmp_path: Path, table: pd.DataFrame) -> Path:
    document = _expectations.draft(table, name="small", **ROLES)
    path = tmp_path / "small.json"
    path.write_text(_suites.spell(document))
    return path


def find(objections: tuple[Objection, ...], kind: str, column: str | None) -> Objection:
    found = [o for o in objections if (o.expectation, o.column) == (f"expect_{kind}", column)]
    assert len(found) == 1, f"no {kind} of {column} among {objections}"
    return found[0]


def put(column: str, rows: list[int], value: object) -> Break:
    def broken(frame: pd.DataFrame) -> pd.DataFrame:
        cells = frame[column].astype(object)
        cells.iloc[rows] = value
        return frame.assign(**{column: cells.infer_objects()})

    return broken


def text_at(column: str, row: int, text: str) -> Break:
    """Make a column what pandas reads when one cell is text: all text."""

    def broken(frame: pd.DataFrame) -> pd.DataFrame:
        cells = frame[column].astype(str)
        cells.iloc[row] = text
        return frame.assign(**{column: cells})

    return broken


def with_wrong_splits(frame: pd.DataFrame) -> pd.DataFrame:
    raw = raw_of(frame[["id", "age", "income", "region", "late"]].copy())
    raw.frame.iloc[1, 1:4] = raw.frame.iloc[0, 1:4]
    codes = np.tile(np.array([0, 2], dtype=np.int8), 100)
    groups = pd.factorize(splits.identify(raw.frame, raw.inputs))[0].astype(np.int64)
    return raw.frame.assign(**splits.audit(raw, splits.Assignment(codes, groups)))


def with_contradictions(frame: pd.DataFrame) -> pd.DataFrame:
    raw = raw_of(frame[["id", "age", "income", "region", "late"]].copy())
    raw.frame.iloc[7, 1:4] = raw.frame.iloc[4, 1:4]  # row 7 is late, row 4 is not
    return audited(raw)[0]


BROKEN: dict[str, tuple[Break, str, str | None, tuple[int, ...], int | None]] = {
    "a text cell": (
        text_at("age", 17, "old"),
        "column_values_to_be_of_type",
        "age",
        (17,),
        1,
    ),
    "a text cell, out of its range": (
        text_at("age", 17, "old"),
        "column_values_to_be_between",
        "age",
        (17,),
        1,
    ),
    "a wrong type": (
        lambda frame: frame.assign(age=frame["age"] + 0.5),
        "column_values_to_be_of_type",
        "age",
        (),
        None,
    ),
    "a missing cell": (
        put("income", [3, 50], None),
        "column_values_to_not_be_null",
        "income",
        (3, 50),
        2,
    ),
    "infinity": (
        put("income", [9], np.inf),
        "column_values_to_be_between",
        "income",
        (9,),
        1,
    ),
    "a value out of range": (
        put("age", [5, 6, 199], 400),
        "column_values_to_be_between",
        "age",
        (5, 6, 199),
        3,
    ),
    "an unknown category": (
        put("region", [11], "west"),
        "column_values_to_be_in_set",
        "region",
        (11,),
        1,
    ),
    "an identifier twice": (
        put("id", [20], 19),
        "column_values_to_be_unique",
        "id",
        (19, 20),
        2,
    ),
    "skewed classes": (
        put("late", list(range(160)), 1),
        "column_kl_divergence_to_be_less_than",
        "late",
        (),
        None,
    ),
    "copies across splits": (
        with_wrong_splits,
        "column_values_to_be_in_set",
        "hardgate_copy_across_splits",
        (0, 1),
        2,
    ),
    "a duplicate": (
        with_wrong_splits,
        "column_values_to_be_in_set",
        "hardgate_duplicate",
        (1,),
        1,
    ),
    "contradictions": (
        with_contradictions,
        "column_values_to_be_in_set",
        "hardgate_contradicts",
        (4, 7),
        2,
    ),
    "a missing column": (
        lambda frame: frame.drop(columns="income"),
        "table_columns_to_match_ordered_list",
        "income",
        (),
        1,
    ),
    "an extra column": (
        lambda frame: frame.assign(note="x"),
        "table_columns_to_match_ordered_list",
        "note",
        (),
        1,
    ),
    "columns in another order": (
        lambda frame: frame[["age", "id", *frame.columns[2:]]],
        "table_columns_to_match_ordered_list",
        "id, age",
        (),
        2,
    ),
    "too few rows": (
        lambda frame: frame.iloc[:50],
        "table_row_count_to_be_between",
        None,
        (),
        None,
    ),
}


def test_good_data_are_accepted_by_their_own_draft(
    table: pd.DataFrame, drafted: Path, judge: Judge
) -> None:
    verdicts = judge(table, drafted)
    assert verdicts.objections == ()
    assert verdicts.expectations == len(json.loads(drafted.read_text())["expectations"]) > 20


@pytest.mark.parametrize("case", BROKEN)
def test_bad_data_are_refused_by_expectation_column_and_rows(
    case: str, table: pd.DataFrame, drafted: Path, judge: Judge
) -> None:
    broken, kind, column, rows, count = BROKEN[case]
    objection = find(judge(broken(table), drafted).objections, kind, column)
    assert objection.rows == rows
    assert objection.count == count
    assert objection.values
    assert objection.reason


def test_an_objection_shows_the_cells_as_the_file_has_them(
    table: pd.DataFrame, drafted: Path, judge: Judge
) -> None:
    broken = text_at("age", 17, "old")(put("income", [3], np.float32(0.1))(table))
    objections = judge(broken, drafted).objections
    assert find(objections, "column_values_to_be_of_type", "age").values == ("old",)
    assert find(objections, "column_values_to_be_between", "income").values[0].startswith("0.1")


def test_a_skew_is_shown_with_the_shares_found(
    table: pd.DataFrame, drafted: Path, judge: Judge
) -> None:
    objections = judge(put("late", list(range(160)), 1)(table), drafted).objections
    skew = find(objections, "column_kl_divergence_to_be_less_than", "late")
    assert "1: 85.00%" in skew.values


def test_only_the_first_rows_are_named_but_all_are_counted(
    table: pd.DataFrame, drafted: Path, judge: Judge
) -> None:
    objections = judge(put("age", list(range(30, 130)), -5)(table), drafted).objections
    objection = find(objections, "column_values_to_be_between", "age")
    assert (objection.count, objection.rows) == (100, tuple(range(30, 40)))


def test_rows_are_numbered_by_place_whatever_the_index(
    table: pd.DataFrame, drafted: Path, judge: Judge
) -> None:
    broken = put("age", [5], 400)(table).set_axis([f"r{n}" for n in range(200)], axis=0)
    broken.index.name = "row"
    assert find(judge(broken, drafted).objections, "column_values_to_be_between", "age").rows == (
        5,
    )


def test_the_frame_is_never_changed(table: pd.DataFrame, drafted: Path, judge: Judge) -> None:
    broken = text_at("age", 17, "old")(put("region", [11], "west")(table)).drop(columns="income")
    broken.index.name = "row"
    before = broken.copy(deep=True)
    assert judge(broken, drafted).objections
    pd.testing.assert_frame_equal(broken, before)


def test_an_exception_inside_great_expectations_is_an_objection(
    tmp_path: Path, table: pd.DataFrame, judge: Judge
) -> None:
    path = suite(
        tmp_path,
        expect("column_mean_to_be_between", column="region", min_value=0),
        expect("column_values_to_be_between", column="nowhere", min_value=0),
        expect("column_values_to_be_between", column="age", min_value=9, max_value=3),
        expect("query_results_to_match_comparison", base_query="a", comparison_query="b",
               comparison_data_source_name="x"),
    )  # fmt: skip
    objections = judge(table, path).objections
    assert len(objections) == 4
    assert all("it could not be judged" in objection.reason for objection in objections)
    assert "nowhere" in objections[1].reason


def where(region: str) -> dict[str, Any]:
    return {
        "type": "comparison",
        "column": {"name": "region"},
        "operator": "==",
        "parameter": region,
    }


def test_a_question_that_meets_no_value_is_an_objection(
    tmp_path: Path, table: pd.DataFrame, judge: Judge
) -> None:
    path = suite(
        tmp_path,
        expect("column_values_to_be_between", column="income", min_value=0),
        expect(
            "column_values_to_be_between", column="age", min_value=0, row_condition=where("east")
        ),
    )
    verdicts = judge(table.assign(income=np.nan), path)
    assert [o.column for o in verdicts.objections] == ["income", "age"]
    assert all("no value was there" in o.reason for o in verdicts.objections)


def test_a_condition_on_another_column_is_kept(
    tmp_path: Path, table: pd.DataFrame, judge: Judge
) -> None:
    table.loc[table["region"] == "south", "age"] += 100
    oldest = int(table.loc[table["region"] == "north", "age"].max())
    condition = {"type": "and", "conditions": [where("north"), where("north")]}
    kept, broken = (
        expect("column_values_to_be_between", column="age", max_value=age, row_condition=condition)
        for age in (oldest, oldest - 1)
    )
    assert judge(table, suite(tmp_path, kept)).objections == ()
    (objection,) = judge(table, suite(tmp_path, broken)).objections
    assert all(table["region"].iloc[row] == "north" for row in objection.rows)


@pytest.mark.parametrize(
    "condition",
    [
        "region == 'north'",
        {"type": "pass_through", "pass_through_filter": "region == 'north'"},
        {"type": "or", "conditions": [where("north"), "region == 'north'"]},
    ],
)
def test_a_condition_that_pandas_would_run_is_wrong_usage(
    condition: Any, tmp_path: Path, table: pd.DataFrame, judge: Judge
) -> None:
    path = suite(
        tmp_path,
        expect("column_values_to_not_be_null", column="age", row_condition=condition),
    )
    with pytest.raises(ParamsError, match="which pandas would run"):
        judge(table, path)


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint16", "Int32", "uint64"])
def test_whole_numbers_are_judged_alike_however_they_are_stored(
    dtype: str, tmp_path: Path, judge: Judge
) -> None:
    path = suite(
        tmp_path,
        expect("column_values_to_be_of_type", column="n", type_="int64"),
        expect("column_values_to_be_between", column="n", min_value=0, max_value=5),
    )
    frame = pd.DataFrame({"n": pd.Series([1, 2, 9], dtype=dtype)})
    (objection,) = judge(frame, path).objections
    assert (objection.rows, objection.values) == ((2,), ("9",))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "Float32"])
def test_real_numbers_are_judged_alike_however_they_are_stored(
    dtype: str, tmp_path: Path, judge: Judge
) -> None:
    path = suite(
        tmp_path,
        expect("column_values_to_be_of_type", column="x", type_="float64"),
        expect("column_values_to_not_be_null", column="x"),
        expect("column_values_to_be_between", column="x", min_value=0, max_value=5),
    )
    frame = pd.DataFrame({"x": pd.Series([1.5, None, 9.5], dtype=dtype)})
    assert [o.rows for o in judge(frame, path).objections] == [(1,), (2,)]


@pytest.mark.parametrize("dtype", ["str", "object", "category"])
def test_text_is_judged_alike_however_it_is_stored(
    dtype: str, tmp_path: Path, judge: Judge
) -> None:
    path = suite(
        tmp_path,
        expect("column_values_to_be_of_type", column="w", type_="str"),
        expect("column_values_to_be_in_set", column="w", value_set=["a"]),
    )
    frame = pd.DataFrame({"w": pd.Series(["a", "b"], dtype=dtype)})
    (objection,) = judge(frame, path).objections
    assert (objection.rows, objection.values) == ((1,), ("b",))


def test_columns_together_name_both_columns_and_their_values(tmp_path: Path, judge: Judge) -> None:
    path = suite(
        tmp_path,
        expect(
            "column_pair_values_a_to_be_greater_than_b", column_A="a", column_B="b", or_equal=True
        ),
        expect("compound_columns_to_be_unique", column_list=["a", "b"]),
    )
    frame = pd.DataFrame({"a": [1, 5, 5], "b": [2, 5, 5], "c": [0, 0, 0]})
    pair, both = judge(frame, path).objections
    assert (pair.column, pair.rows, pair.values) == ("a, b", (0,), ("1, 2",))
    assert (both.column, both.rows) == ("a, b", (1, 2))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "not JSON"),
        ('{"name": "small", "expectations": []}', "it is empty"),
        ('{"name": "other", "expectations": [X]}', "named 'other', expected 'small'"),
        ('{"name": "small", "expectation": [X]}', "expectation: not a known key"),
        ('{"name": "small", "expectations": ["no"]}', "expectation 1"),
        ('{"name": "small", "expectations": [{"type": "expect_t"}]}', "it needs a reason"),
        (
            '{"name": "small", "expectations": [X, {"type": "t", "notes": " "}]}',
            "expectation 2 (t): notes",
        ),
        (
            '{"name": "small", "expectations": [{"type": "t", "notes": "n", "severity": "info"}]}',
            "expectation 1 (t): severity",
        ),
        ('{"name": "small", "expectations": [X], "suite_parameters": {"a": 1}}', "not supported"),
        ('{"name": "small", "notes": NaN, "expectations": [X]}', "not JSON"),
        ('{"name": "small", "notes": 1e999, "expectations": [X]}', "not JSON"),
    ],
)
def test_a_malformed_suite_is_wrong_usage(
    content: str, says: str, tmp_path: Path, table: pd.DataFrame, judge: Judge
) -> None:
    path = tmp_path / "small.json"
    path.write_text(
        content.replace("X", json.dumps(expect("column_to_exist", column="age"))), encoding="utf-8"
    )
    with pytest.raises(ParamsError) as refused:
        judge(table, path)
    assert str(path) in str(refused.value)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("kind", "kwargs", "says"),
    [
        ("column_values_to_be_betwen", {"column": "age"}, "did you mean expect_column_values_to"),
        ("column_values_to_be_between", {"column": "age"}, "min_value and max_value"),
        ("column_mean_to_be_between", {"column": "age"}, "needs max_value or min_value"),
        ("column_values_to_be_between", {"column": "age", "min": 1, "min_value": 1}, "min: extra"),
        ("column_values_to_be_in_set", {"column": "age", "value_set": []}, "value_set is empty"),
        ("column_values_to_not_be_null", {"column": "age", "mostly": 0}, "mostly 0"),
        ("column_values_to_not_be_null", {"column": "age", "mostly": 2}, "mostly: "),
        ("column_values_to_not_be_null", {"column": "age", "catch_exceptions": True}, "may set"),
        ("column_values_to_be_between", {"column": "age", "max_value": "x"}, "max_value: "),
    ],
)
def test_an_expectation_that_is_unknown_or_cannot_object_is_wrong_usage(
    kind: str,
    kwargs: dict[str, Any],
    says: str,
    tmp_path: Path,
    table: pd.DataFrame,
    judge: Judge,
) -> None:
    path = suite(tmp_path, expect("column_to_exist", column="age"), expect(kind, **kwargs))
    with pytest.raises(ParamsError, match=rf"expectation 2 \(expect_{kind} of age\)") as refused:
        judge(table, path)
    assert says in str(refused.value)
    assert str(path) in str(refused.value)


def test_a_missing_suite_says_how_to_draft_one(
    tmp_path: Path, table: pd.DataFrame, judge: Judge
) -> None:
    with pytest.raises(ParamsError, match="hardgate suite small"):
        judge(table, tmp_path / "small.json")


def test_no_rows_are_not_accepted(drafted: Path, table: pd.DataFrame, judge: Judge) -> None:
    with pytest.raises(ContractError, match="no rows"):
        judge(table.iloc[:0], drafted)


def test_a_refusal_says_expectation_column_rows_values_reason_and_what_to_do(
    table: pd.DataFrame, drafted: Path, judge: Judge
) -> None:
    broken = put("age", list(range(30, 45)), -5)(table).drop(columns="income")
    message = _expectations.refusal("small", judge(broken, drafted).objections)
    first, *lines = message.splitlines()
    assert "the data of small break" in first
    assert "edit expectations/small.json" in first
    assert "expect_table_columns_to_match_ordered_list of income: income is missing." in message
    (line,) = [line for line in lines if "to_be_between of age" in line]
    assert "in rows 30, 31," in line
    assert "39 and 5 more: -5; -5; -5." in line
    assert "were seen; the bounds leave a margin" in line


def test_a_refusal_of_many_expectations_stays_short() -> None:
    objection = Objection(
        expectation="expect_x", column=None, count=None, rows=(), values=(), reason="Why."
    )
    message = _expectations.refusal("small", (objection,) * 14)
    assert message.count("expect_x: not kept. Why.") == 10
    assert "and 4 more" in message


def test_a_large_table_is_never_copied_whole(tmp_path: Path, judge: Judge) -> None:
    wide = {f"x{n}": np.full(100_000, n, dtype=np.float32) for n in range(80)}
    frame = pd.DataFrame(wide, copy=False)
    path = suite(
        tmp_path,
        expect("table_columns_to_match_ordered_list", column_list=list(frame)),
        expect("column_values_to_be_between", column="x3", min_value=3, max_value=3),
        expect("column_values_to_be_between", column="x7", min_value=0, max_value=3),
        expect("column_values_to_be_unique", column="x9"),
    )
    judge(frame, path)  # imports and caches are not the table's
    tracemalloc.start()
    try:
        assert len(judge(frame, path).objections) == 2
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < frame.memory_usage().sum() / 2


def test_nothing_is_written_but_the_page(
    tmp_path: Path,
    table: pd.DataFrame,
    drafted: Path,
    judge: Judge,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    work = tmp_path / "work"
    temporary = tmp_path / "tmp"
    for folder in (work, temporary):
        folder.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    verdicts = judge(text_at("age", 17, "old")(table), drafted)
    assert list(work.iterdir()) == list(temporary.iterdir()) == []
    assert [path.name for path in (tmp_path / "docs").iterdir()] == [verdicts.data_docs.name]
    assert capfd.readouterr() == ("", "")


def test_the_page_needs_no_network_runs_no_script_and_escapes_cells(
    table: pd.DataFrame, drafted: Path, judge: Judge
) -> None:
    attack = "<script>alert(1)</script>"
    verdicts = judge(put("region", [11], attack)(table), drafted)
    page = verdicts.data_docs.read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "http" not in page.replace("http-equiv", "")
    assert "default-src 'none'" in page
    assert "Refused" in page
    assert "expect_column_values_to_be_in_set" in page


def test_the_page_is_the_same_for_the_same_data(
    table: pd.DataFrame, drafted: Path, judge: Judge
) -> None:
    first = judge(table, drafted).data_docs.read_bytes()
    assert judge(table, drafted).data_docs.read_bytes() == first
    assert b"Accepted" in first


def test_every_drafted_expectation_has_a_reason_and_the_roles_are_heeded(
    table: pd.DataFrame,
) -> None:
    document = _expectations.draft(table, name="small", **ROLES)
    entries = document["expectations"]
    assert all(entry["notes"] for entry in entries)
    kinds = {(entry["type"], entry["kwargs"].get("column")) for entry in entries}
    assert ("expect_column_values_to_be_unique", "id") in kinds
    assert ("expect_column_values_to_be_unique", "income") not in kinds
    assert ("expect_column_values_to_be_in_set", "region") in kinds
    assert ("expect_column_values_to_be_between", "age") in kinds
    assert ("expect_column_kl_divergence_to_be_less_than", "late") in kinds
    assert {column for _, column in kinds} >= set(splits.AUDIT_COLUMNS)


def test_a_draft_of_incomplete_and_odd_columns_accepts_its_data(
    tmp_path: Path, judge: Judge
) -> None:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "gaps": np.where(rng.random(300) < 0.1, np.nan, rng.integers(0, 9, 300)),
            "empty": np.full(300, np.nan),
            "constant": 7,
            "tiny": rng.normal(0, 1e-9, 300),
            "huge": rng.normal(0, 1e12, 300).astype(np.float32),
            "free text": [f"note {n}" for n in range(300)],
            "flag": rng.random(300) < 0.5,
            "word": pd.Categorical(rng.choice(["a", "b"], 300)),
            "late": rng.choice(["no", "yes"], 300),
        }
    )
    path = tmp_path / "odd.json"
    path.write_text(_suites.spell(_expectations.draft(frame, name="odd", target="late")))
    assert judge(frame, path).objections == ()


def test_a_spelled_suite_reads_back_as_it_was(table: pd.DataFrame) -> None:
    document = _expectations.draft(table, name="small", **ROLES)
    assert json.loads(_suites.spell(document)) == document


# The committed suites and the real data.


@pytest.fixture(scope="module")
def credit() -> pd.DataFrame:
    roles = {"target": TARGET, "ignore": ("ID",)}
    table = Table.model_validate({"kind": "table", "path": CREDIT, **roles})
    return audited(table.load(ROOT))[0]


@pytest.fixture(scope="module")
def diagnosis() -> pd.DataFrame:
    return audited(BreastCancer(kind="breast-cancer").load(ROOT))[0]


@pytest.fixture(scope="module")
def mnist() -> pd.DataFrame:
    raw = Idx.model_validate({"kind": "idx", **MNIST}).load(ROOT)
    return audited(raw, splits.Shares(held_out=0.1))[0]


@pytest.mark.slow
@pytest.mark.parametrize("model", ["credit", "diagnosis", "mnist"])
def test_real_data_keep_their_committed_suite(
    model: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    path = ROOT / "expectations" / f"{model}.json"
    frame = request.getfixturevalue(model)
    before = frame.copy(deep=True)
    verdicts = _expectations.judge(frame, path, model=model, data_docs=tmp_path)
    assert verdicts.objections == ()
    pd.testing.assert_frame_equal(frame, before)
    assert verdicts.expectations > 25
    assert path.read_text(encoding="utf-8") == _suites.spell(json.loads(path.read_text("utf-8")))


CORRUPTED: dict[str, tuple[str, Break, str, str | None]] = {
    "credit, ages as text": (
        "credit", text_at("AGE", 12345, "thirty"), "column_values_to_be_of_type", "AGE",
    ),
    "credit, a missing limit": (
        "credit", put("LIMIT_BAL", [12345], np.nan), "column_values_to_not_be_null", "LIMIT_BAL",
    ),
    "credit, a negative payment": (
        "credit", put("PAY_AMT3", [12345], -1), "column_values_to_be_between", "PAY_AMT3",
    ),
    "credit, an invented status": (
        "credit", put("PAY_0", [12345], 10), "column_values_to_be_between", "PAY_0",
    ),
    "credit, a third sex": (
        "credit", put("SEX", [12345], 3), "column_values_to_be_in_set", "SEX",
    ),
    "credit, a client twice": (
        "credit", put("ID", [12345], 1), "column_values_to_be_unique", "ID",
    ),
    "credit, amounts in thousands": (
        "credit",
        lambda frame: frame.assign(LIMIT_BAL=frame["LIMIT_BAL"] // 1000),
        "column_mean_to_be_between",
        "LIMIT_BAL",
    ),
    "credit, flipped labels": (
        "credit",
        lambda frame: frame.assign(**{TARGET: 1 - frame[TARGET]}),
        "column_mean_to_be_between",
        TARGET,
    ),
    "credit, a burst of copies": (
        "credit",
        put("hardgate_duplicate", list(range(500)), True),
        "column_values_to_be_in_set",
        "hardgate_duplicate",
    ),
    "diagnosis, columns that traded places": (
        "diagnosis",
        lambda frame: frame.assign(
            **{"worst area": frame["mean area"], "mean area": frame["worst area"]}
        ),
        "column_pair_values_a_to_be_greater_than_b",
        "worst area, mean area",
    ),
    "diagnosis, a contradiction": (
        "diagnosis",
        put("hardgate_contradicts", [5], True),
        "column_values_to_be_in_set",
        "hardgate_contradicts",
    ),
    "diagnosis, an unknown finding": (
        "diagnosis", put("diagnosis", [5], "unclear"), "column_values_to_be_in_set", "diagnosis",
    ),
    "mnist, inverted": (
        "mnist",
        lambda frame: frame.assign(pixel_mean=1 - frame["pixel_mean"]),
        "column_mean_to_be_between",
        "pixel_mean",
    ),
    "mnist, not scaled": (
        "mnist",
        lambda frame: frame.assign(pixel_max=frame["pixel_max"] * 255),
        "column_values_to_be_between",
        "pixel_max",
    ),
    "mnist, an empty image": (
        "mnist", put("pixel_std", [69999], 0.0), "column_values_to_be_between", "pixel_std",
    ),
    "mnist, a class gone": (
        "mnist",
        lambda frame: frame.assign(label=frame["label"].replace(9, 4)),
        "column_kl_divergence_to_be_less_than",
        "label",
    ),
    "mnist, test images in training": (
        "mnist",
        put("hardgate_copy_across_splits", [3, 69999], True),
        "column_values_to_be_in_set",
        "hardgate_copy_across_splits",
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("case", CORRUPTED)
def test_the_committed_suites_refuse_corrupted_data(
    case: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    model, corrupt, kind, column = CORRUPTED[case]
    full = ROOT / "expectations" / f"{model}.json"
    # Only the expectations of that column, for speed; the test above runs all of them.
    document = json.loads(full.read_text(encoding="utf-8"))
    about = [e for e in document["expectations"] if e["type"] == f"expect_{kind}"]
    frame = corrupt(request.getfixturevalue(model))
    verdicts = _expectations.judge(
        frame, suite(tmp_path, *about, name=model), model=model, data_docs=tmp_path / "docs"
    )
    find(verdicts.objections, kind, column)
