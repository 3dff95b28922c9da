from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardgate.errors import ContractError, IntegrityError
from hardgate.evidence import merkle, outcomes


def make(count: int = 6, seed: int = 0) -> outcomes.Outcomes:
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, count)

    def said(known: np.ndarray | None = None) -> outcomes.Answers:
        size = count if known is None else int(known.sum())
        probabilities = random.dirichlet([1.0] * 3, size).astype(np.float32)
        return outcomes.answers(
            random.random((size, 4), np.float32),
            predictions=probabilities.argmax(1),
            probabilities=probabilities,
            labels=labels,
            known=known,
        )

    return outcomes.Outcomes(
        index=np.cumsum(random.integers(1, 4, count)),
        rows=random.integers(-1, 10_000, count),
        labels=labels,
        clean=said(),
        attacks={"apgd-ce": said(), "square": said(np.arange(count) % 2 == 0)},
    )


def same(one: outcomes.Outcomes, other: outcomes.Outcomes) -> bool:
    pairs = [(getattr(one, name), getattr(other, name)) for name in ("index", "rows", "labels")]
    for a, b in [
        (one.clean, other.clean),
        *((one.attacks[n], other.attacks[n]) for n in one.attacks),
    ]:
        pairs += [(x, y) for x, y in zip(vars(a).values(), vars(b).values(), strict=True)]
    return one.attacks.keys() == other.attacks.keys() and all(
        a.dtype == b.dtype and np.array_equal(a, b) for a, b in pairs
    )


def test_outcomes_are_read_back_bit_by_bit(tmp_path: Path) -> None:
    known = make()
    written = outcomes.write(known, tmp_path / "deep" / "outcomes.jsonl")
    read = outcomes.read(tmp_path / "deep" / "outcomes.jsonl")
    assert same(read.outcomes, known)
    assert (read.sha256, read.tree) == (written.sha256, written.tree)


def test_the_same_outcomes_give_the_same_file(tmp_path: Path) -> None:
    known = make()
    reordered = replace(known, attacks=dict(reversed(known.attacks.items())))
    outcomes.write(known, tmp_path / "a")
    outcomes.write(reordered, tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b"}


def test_anybody_can_make_the_root_from_the_lines(tmp_path: Path) -> None:
    stored = outcomes.write(make(), tmp_path / "o")
    lines = (tmp_path / "o").read_bytes().splitlines()
    assert merkle.tree(map(merkle.leaf_hash, lines)).root == stored.tree.root
    assert stored.sha256 == hashlib.sha256((tmp_path / "o").read_bytes()).hexdigest()
    assert [outcomes.leaf_bytes(stored.outcomes, n) for n in range(6)] == lines


def test_a_line_says_what_it_should(tmp_path: Path) -> None:
    known = make()
    outcomes.write(known, tmp_path / "o")
    line = json.loads((tmp_path / "o").read_bytes().splitlines()[1])
    assert line["index"] == known.index[1]
    assert line["row"] == known.rows[1]
    assert line["attacks"].keys() == {"apgd-ce"}  # square was not run on it
    assert np.float32(line["clean"]["probability"]) == known.clean.probabilities[1]


def test_an_inputs_digest_is_that_of_its_floats() -> None:
    inputs = np.array([[0.5, 1.0], [np.nan, -1.0]], np.float32)
    expected = hashlib.sha256(struct.pack("<2f", 0.5, 1.0)).digest()
    assert outcomes.input_digests(inputs)[0].tobytes() == expected
    turned = np.asfortranarray(inputs)
    assert np.array_equal(outcomes.input_digests(turned), outcomes.input_digests(inputs))


def test_inputs_that_are_not_the_models_are_refused() -> None:
    with pytest.raises(ContractError, match="float64"):
        outcomes.input_digests(np.zeros((1, 2)))  # type: ignore[arg-type]


def test_answers_of_other_lengths_are_refused() -> None:
    with pytest.raises(ContractError, match="2 of 3 samples"):
        outcomes.answers(
            np.zeros((3, 2), np.float32),
            predictions=[0, 0, 0],
            probabilities=[[1.0, 0.0]] * 3,
            labels=np.zeros(3, np.int64),
            known=np.array([True, True, False]),
        )


@pytest.mark.parametrize("index", [[1, 1], [2, 1]])
def test_outcomes_out_of_order_are_not_written(tmp_path: Path, index: list[int]) -> None:
    with pytest.raises(ContractError, match="higher index"):
        outcomes.write(replace(make(2), index=np.array(index)), tmp_path / "o")
    assert not list(tmp_path.iterdir())


def test_no_outcomes_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="at least one"):
        outcomes.write(make(0), tmp_path / "o")


@given(st.data())
def test_any_changed_byte_changes_the_root_or_is_refused(data: st.DataObject) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "o"
        stored = outcomes.write(make(3), path)
        content = bytearray(path.read_bytes())
        position = data.draw(st.integers(0, len(content) - 1))
        content[position] ^= data.draw(st.integers(1, 255))
        path.write_bytes(content)
        try:
            read = outcomes.read(path)
        except IntegrityError:
            return
        assert read.tree.root != stored.tree.root
        assert read.sha256 != stored.sha256


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda line: line.replace(b'"label":', b'"label": '), "line 2 is not spelled"),
        (lambda line: line.replace(b'"row":', b'"row":0,"row":'), "line 2 is not"),
        (lambda line: line.replace(b'"label":', b'"labels":'), "line 2 is not an outcome"),
        (lambda line: line.replace(b"{", b'{"note":1,', 1), "line 2 is not an outcome"),
        (lambda line: b"", "line 2 is not an outcome"),
        (lambda line: line[:-9], "line 2 is not an outcome"),
        (lambda line: line.replace(b'"label":', b'"label":1'), "line 2 is not"),
        (lambda line: b'{"attacks":{},' + line.split(b'},"clean"')[-1], "line 2 is not"),
    ],
)
def test_a_line_that_is_no_outcome_is_named(tmp_path: Path, change: Any, said: str) -> None:
    path = tmp_path / "o"
    outcomes.write(replace(make(3), labels=np.array([0, 10**18 * 9, 0])), path)
    lines = path.read_bytes().splitlines()
    lines[1] = change(lines[1])
    path.write_bytes(b"\n".join(lines) + b"\n")
    with pytest.raises(IntegrityError, match=said):
        outcomes.read(path)


def test_lines_in_another_order_are_named(tmp_path: Path) -> None:
    path = tmp_path / "o"
    outcomes.write(make(3), path)
    first, second, third = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + third + second)
    with pytest.raises(IntegrityError, match="line 3 is out of order"):
        outcomes.read(path)


def test_a_missing_empty_or_truncated_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "o"
    with pytest.raises(IntegrityError, match="cannot be read"):
        outcomes.read(path)
    path.write_bytes(b"")
    with pytest.raises(IntegrityError, match="empty"):
        outcomes.read(path)
    outcomes.write(make(3), path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(IntegrityError, match="cut off"):
        outcomes.read(path)
