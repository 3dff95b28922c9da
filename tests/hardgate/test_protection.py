"""Encryption at rest: who has the key reads, who has not is told so, and no key is published."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyrage
import pytest
import torch
import yaml
from pydantic import TypeAdapter, ValidationError
from typer.testing import CliRunner

from hardgate import protection, regression, samples, tensors
from hardgate.cli import app
from hardgate.datasets import Idx, Npz, Table, fetching
from hardgate.errors import DataError, IntegrityError, ParamsError
from hardgate.evidence import spotcheck
from hardgate.records import FileRecord
from hardgate.regression import Corpus
from hardgate.samples import Samples

ROWS = "age,town,paid\n20,here,yes\n30,there,no\n"
TABLE = {"kind": "table", "target": "paid", "categorical": ["town"]}


@pytest.fixture
def public(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A project to stand in, and an identity outside of it."""
    path = tmp_path / "keys" / "identity.txt"
    made = protection.make_identity(path)
    monkeypatch.setenv(protection.IDENTITY, str(path))
    project = tmp_path / "project"
    project.mkdir()
    (project / "params.yaml").write_text("models: []\n")
    monkeypatch.chdir(project)
    return made


def encrypted(path: Path, content: bytes, public: str) -> Path:
    path.write_bytes(content)
    made = protection.protect(path, [public])
    path.unlink()
    return made


@pytest.mark.parametrize("packed", [False, True])
def test_an_encrypted_table_reads_as_the_plain_one(public: str, packed: bool) -> None:
    content = gzip.compress(ROWS.encode()) if packed else ROWS.encode()
    Path("plain.csv").write_bytes(content)
    plain = Table.model_validate(TABLE | {"path": "plain.csv"}).load(Path())
    made = encrypted(Path("rows.csv.gz"), content, public)
    assert b"here" not in made.read_bytes()
    table = Table.model_validate(TABLE | {"path": str(made), "encrypt_to": [public]})
    pd.testing.assert_frame_equal(table.load(Path()).frame, plain.frame)


def test_parquet_npz_and_idx_are_opened_too(public: str) -> None:
    frame = pd.DataFrame({"age": [20, 30], "town": ["here", "there"], "paid": ["yes", "no"]})
    frame.to_parquet("t.parquet")
    made = encrypted(Path("u.parquet"), Path("t.parquet").read_bytes(), public)
    read = Table.model_validate(TABLE | {"path": str(made)}).load(Path()).frame
    assert read["town"].tolist() == ["here", "there"]

    images, labels = np.zeros((4, 5, 5), np.uint8), np.array([0, 1, 0, 1])
    parts = {
        f"{part}_{what}": each
        for part in ("train", "test")
        for what, each in (("images", images), ("labels", labels))
    }
    np.savez("i.npz", **parts)
    made = encrypted(Path("j.npz"), Path("i.npz").read_bytes(), public)
    assert Npz(kind="npz", path=str(made)).load(Path()).images.shape == (8, 1, 5, 5)  # type: ignore[union-attr]

    def idx(name: str, array: np.ndarray[Any, Any]) -> fetching.Source:
        sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
        content = bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes()
        return fetching.Source(path=str(encrypted(Path(name), gzip.compress(content), public)))

    pair = {
        f"{part}_{what}": idx(f"{part}{what}", each)
        for part in ("train", "test")
        for what, each in (("images", images), ("labels", labels))
    }
    assert len(Idx(kind="idx", **pair).load(Path()).frame) == 8


def test_another_identity_opens_nothing_and_nothing_is_written(
    public: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = encrypted(Path("rows.csv"), ROWS.encode(), public)
    protection.make_identity(tmp_path / "other" / "identity.txt")
    monkeypatch.setenv(protection.IDENTITY, str(tmp_path / "other" / "identity.txt"))
    before = sorted(Path().rglob("*"))
    with pytest.raises(
        DataError, match=r"rows\.csv\.age is encrypted and the identity of HARDGATE"
    ):
        Table.model_validate(TABLE | {"path": str(made)}).load(Path())
    assert sorted(Path().rglob("*")) == before


@pytest.mark.parametrize("harm", ["cut", "changed"])
def test_a_cut_or_changed_file_is_refused(public: str, harm: str) -> None:
    made = encrypted(Path("rows.csv"), ROWS.encode() * 100, public)
    content = bytearray(made.read_bytes())
    content[-1] ^= 1
    made.write_bytes(content[:-40] if harm == "cut" else content)
    with pytest.raises(DataError, match="cut off or changed"):
        Table.model_validate(TABLE | {"path": str(made)}).load(Path())


def test_without_an_identity_the_message_says_how_to_name_one(
    public: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = encrypted(Path("rows.csv"), ROWS.encode(), public)
    monkeypatch.delenv(protection.IDENTITY)
    with pytest.raises(ParamsError, match="set HARDGATE_IDENTITY to the file"):
        Table.model_validate(TABLE | {"path": str(made)}).load(Path())


@pytest.mark.parametrize("marked_by", ["params.yaml", ".git"])
def test_a_key_within_a_repository_is_refused_read_or_made(
    public: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, marked_by: str
) -> None:
    made = encrypted(Path("rows.csv"), ROWS.encode(), public)
    inside = tmp_path / "repository" / "secret" / "identity.txt"
    inside.parent.mkdir(parents=True)
    (tmp_path / "repository" / marked_by).touch()
    with pytest.raises(ParamsError, match="lies within the repository"):
        protection.make_identity(inside)
    assert not inside.exists()
    inside.write_bytes((tmp_path / "keys" / "identity.txt").read_bytes())
    inside.chmod(0o600)
    monkeypatch.setenv(protection.IDENTITY, str(inside))
    with pytest.raises(ParamsError, match="lies within the repository"):
        Table.model_validate(TABLE | {"path": str(made)}).load(Path())


def test_a_key_open_to_others_or_no_key_is_refused(public: str, tmp_path: Path) -> None:
    made = encrypted(Path("rows.csv"), ROWS.encode(), public)
    key = tmp_path / "keys" / "identity.txt"
    assert key.stat().st_mode & 0o777 == 0o600
    key.chmod(0o644)
    with pytest.raises(IntegrityError, match="open to others"):
        protection.decrypt(made.read_bytes(), name="rows")
    key.chmod(0o600)
    secret = key.read_text().splitlines()[-1]
    key.write_text(secret[:-3] + "\n")
    with pytest.raises(IntegrityError, match="holds no age identity") as found:
        protection.decrypt(made.read_bytes(), name="rows")
    assert secret[15:30] not in str(found.value)


def test_only_a_public_key_is_a_recipient(public: str, tmp_path: Path) -> None:
    recipients = TypeAdapter(protection.Recipients)
    assert recipients.validate_python([public]) == (public,)
    secret = (tmp_path / "keys" / "identity.txt").read_text().splitlines()[-1]
    with pytest.raises(ValidationError, match="the secret half"):
        recipients.validate_python([secret])
    with pytest.raises(ValidationError, match="public half of an age identity"):
        recipients.validate_python(["age1wrong"])


def test_a_file_is_not_encrypted_twice_or_over_another(public: str) -> None:
    Path("rows.csv").write_text(ROWS)
    made = protection.protect(Path("rows.csv"), [public])
    with pytest.raises(ParamsError, match="is there already"):
        protection.protect(Path("rows.csv"), [public])
    with pytest.raises(ParamsError, match="is encrypted already"):
        protection.protect(made, [public])


def test_raw_files_in_the_clear_are_refused_once_somebody_is_named(public: str) -> None:
    made = encrypted(Path("rows.csv"), ROWS.encode(), public)
    record = FileRecord(path=made, sha256="0" * 64)
    fetching.refuse_plain(
        [record, FileRecord(path=Path("sklearn/x.csv"), sha256="0" * 64)], root=Path()
    )
    Path("plain.csv").write_text(ROWS)
    with pytest.raises(ParamsError, match=r"plain\.csv is not encrypted; run `hardgate protect"):
        fetching.refuse_plain([FileRecord(path=Path("plain.csv"), sha256="0" * 64)], root=Path())


def test_splits_attacked_inputs_and_kept_ones_come_back_as_they_were(public: str) -> None:
    other = str(pyrage.x25519.Identity.generate().to_public())
    rows = Samples(torch.rand(6, 3), torch.arange(6) % 2, torch.arange(6))
    record = samples.write(rows, Path("s"), root=Path(), classes=2, recipients=[other, public])
    assert samples.read(record, root=Path()).sha256() == rows.sha256()
    spotcheck.write_attacked(Path("a"), index=rows.rows, inputs=rows.inputs, recipients=[public])
    part = spotcheck._read(Path("a"), "inputs", np.array([4, 1]))
    torch.testing.assert_close(part, rows.inputs[[4, 1]])
    corpus = Corpus(rows.inputs, rows.labels, torch.zeros(6, 32, dtype=torch.uint8))
    regression.write(corpus, Path("r"), recipients=[public])
    kept = regression.read(Path("r"), sha256=fetching.digest(Path("r"), "r"))
    torch.testing.assert_close(kept.inputs, rows.inputs)
    for name in "sar":
        assert protection.is_encrypted(Path(name))
        assert rows.inputs[1].numpy().tobytes() not in Path(name).read_bytes()
    tensors.write({"x": rows.inputs}, Path("plain"))
    assert not protection.is_encrypted(Path("plain"))


def test_keys_and_protect_make_what_params_and_shell_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rows.csv").write_text(ROWS)
    made = CliRunner().invoke(app, ["keys", "keys"])
    assert made.exit_code == 0
    public = made.output.split("encrypt for: ")[1].strip()
    exported = dict(
        line.removeprefix("export ").split("=") for line in made.output.splitlines()[1:3]
    )
    for name, value in exported.items():
        monkeypatch.setenv(name, value)
    protected = CliRunner().invoke(app, ["protect", "rows.csv", "--to", public])
    written = yaml.safe_load(
        protected.output.split("params.yaml:\n")[1].rpartition("\n")[0].rpartition("\n")[0]
    )
    roles = {"pseudonymise": ["town"]}
    frame = Table.model_validate(TABLE | roles | written["dataset"]).load(Path()).frame
    assert frame["age"].tolist() == [20, 30]
    assert not set(frame["town"]) & {"here", "there"}
