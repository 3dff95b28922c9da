"""What ``data/README.md`` says of the data is true."""

from __future__ import annotations

import gzip
import hashlib
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hardgate import provenance, splits
from hardgate.datasets import BreastCancer, Idx, Raw, Table

ROOT = Path(__file__).parents[2]
DATA = ROOT / "data"
README = (DATA / "README.md").read_text(encoding="utf-8")
FILES = re.findall(r"^\| `(\S+/\S+)` \| ([\d,]+) \| `([0-9a-f]{64})` \|$", README, re.MULTILINE)
UNPACKED = re.findall(r"^\| `(\S+-ubyte)` \| `([0-9a-f]{64})` \|$", README, re.MULTILINE)
CREDIT = Table(
    kind="table",
    path="data/credit/uci-default-of-credit-card-clients.csv.gz",
    target="default.payment.next.month",
    ignore=("ID",),
    categorical=("SEX", "EDUCATION", "MARRIAGE"),
    sensitive=("SEX", "AGE", "EDUCATION", "MARRIAGE"),
)


def mnist() -> Idx:
    stems = {"train": "train", "test": "t10k"}
    endings = {"images": "images-idx3-ubyte.gz", "labels": "labels-idx1-ubyte.gz"}
    sources = {
        f"{part}_{what}": {"path": f"data/mnist/{stem}-{ending}"}
        for part, stem in stems.items()
        for what, ending in endings.items()
    }
    return Idx.model_validate({"kind": "idx", **sources})


@pytest.mark.parametrize(("name", "size", "sha256"), FILES)
def test_a_file_has_the_digest_and_size_that_are_written(name: str, size: str, sha256: str) -> None:
    assert provenance.sha256_file(DATA / name) == sha256
    assert f"{(DATA / name).stat().st_size:,}" == size


@pytest.mark.parametrize(("name", "sha256"), UNPACKED)
def test_an_unpacked_file_has_the_published_digest(name: str, sha256: str) -> None:
    content = gzip.decompress((DATA / "mnist" / f"{name}.gz").read_bytes())
    assert hashlib.sha256(content).hexdigest() == sha256


def test_every_file_of_the_built_in_sets_is_listed() -> None:
    listed = {name for name, _, _ in FILES}
    folders = {name.split("/")[0] for name in listed}  # a project may have others of its own
    present = {path for folder in folders for path in (DATA / folder).glob("[!.]*")}
    assert listed == {path.relative_to(DATA).as_posix() for path in present}
    assert folders == {"credit", "mnist"}
    assert len(UNPACKED) == 4


@pytest.fixture(scope="module")
def credit() -> Raw:
    return CREDIT.load(ROOT)


def test_every_column_is_explained(credit: Raw) -> None:
    for name in credit.frame:
        series = re.sub(r"\d$", "", str(name))
        assert f"`{name}`" in README or re.search(rf"`{series}\d` ... `{series}\d`", README)


def test_the_ranges_are_true(credit: Raw) -> None:
    frame = credit.frame
    for prefix, low, high in (("BILL_AMT", -339_603, 1_664_089), ("PAY_AMT", 0, 1_684_259)):
        columns = frame[[name for name in frame if str(name).startswith(prefix)]]
        assert (columns.min().min(), columns.max().max()) == (low, high)
        assert f"{low:,} to {high:,}" in README
    assert not frame.isna().any().any()
    assert frame["ID"].tolist() == list(range(1, 30_001))
    assert frame["EDUCATION"].between(0, 6).all()
    assert frame[CREDIT.target].value_counts().to_dict() == {0: 23_364, 1: 6_636}


def test_the_repeated_credit_rows_are_as_many_as_written(credit: Raw) -> None:
    assignment = splits.assign(credit, splits.Shares(held_out=0.1, test=0.2), seed=0)
    audit = splits.audit(credit, assignment)
    assert audit["hardgate_duplicate"].sum() == 56
    assert audit["hardgate_contradicts"].sum() == 46
    assert not audit["hardgate_copy_across_splits"].any()
    labels = CREDIT.encode(credit, assignment.rows("train")).labels
    rates = [labels[assignment.rows(split)].mean() for split in splits.SPLITS]
    assert rates == pytest.approx([0.2212] * 3, abs=1e-3)


def test_no_digit_occurs_twice() -> None:
    raw = mnist().load(ROOT)
    assignment = splits.assign(raw, splits.Shares(held_out=0.1), seed=0)
    audit = splits.audit(raw, assignment)
    assert not audit[list(splits.AUDIT_COLUMNS[1:])].to_numpy().any()
    sizes = [len(assignment.rows(split)) for split in splits.SPLITS]
    assert sizes[2] == 10_000
    assert sizes[1] == pytest.approx(6_000, abs=10)
    _, labels, spec = mnist().encode(raw, assignment.rows("train"))
    assert spec.classes == tuple("0123456789")
    counts = np.bincount(labels[assignment.rows("test")])
    assert (
        counts.tolist()
        == pd.Series(raw.frame["label"][60_000:]).value_counts(sort=False).sort_index().tolist()
    )


def test_the_packaged_set_is_where_the_readme_says() -> None:
    file = BreastCancer(kind="breast-cancer").load(ROOT).files[0]
    assert f"`{file.path.as_posix()}`" in README
