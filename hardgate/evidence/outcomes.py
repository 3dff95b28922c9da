"""Per-sample outcomes: what the model said to each evaluated test sample, clean and attacked.

The file is JSON lines, one leaf of the Merkle tree per line, in one spelling only: a sample's
leaf bytes are its line without the newline. An input's digest is the SHA-256 of its float32
values, little endian, as the model takes them (uint8 images are divided by 255 on the CPU).
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import NonNegativeInt, ValidationError

from hardgate import files, provenance
from hardgate.errors import ContractError, IntegrityError
from hardgate.evidence import merkle
from hardgate.records import Rate, Record, Sha256

DIGEST_SIZE = 32


@dataclass(frozen=True)
class Answers:
    """What the model said to one version of every sample: the clean one, or one attack's.

    ``inputs`` holds digests, shape ``(n, 32)``; ``predictions`` classes; ``probabilities`` the
    true class's, float32. Where ``known`` is false the sample was not attacked.
    """

    known: NDArray[np.bool_]
    inputs: NDArray[np.uint8]
    predictions: NDArray[np.int64]
    probabilities: NDArray[np.float32]


@dataclass(frozen=True)
class Outcomes:
    """The outcomes of all evaluated samples.

    ``index`` is a sample's position in the test split, rising; ``rows`` its row in the raw file.
    """

    index: NDArray[np.int64]
    rows: NDArray[np.int64]
    labels: NDArray[np.int64]
    clean: Answers
    attacks: Mapping[str, Answers]

    def __len__(self) -> int:
        return len(self.index)


@dataclass(frozen=True)
class Stored:
    """Outcomes with the digest of their file and the tree over its lines."""

    outcomes: Outcomes
    sha256: str
    tree: merkle.Tree


class Answer(Record):
    """The model's answer to one input."""

    input: Sha256
    prediction: NonNegativeInt
    probability: Rate


class Leaf(Record):
    """One line of the file."""

    index: NonNegativeInt
    row: int
    label: NonNegativeInt
    clean: Answer
    attacks: dict[str, Answer]


def answers(
    inputs: NDArray[np.float32],
    *,
    predictions: ArrayLike,
    probabilities: ArrayLike,
    labels: NDArray[np.int64],
    known: NDArray[np.bool_] | None = None,
) -> Answers:
    """Gather answers.

    Parameters
    ----------
    inputs
        As the model took them, float32, ``(m, ...)``: all samples, or the ``m`` attacked ones.
    predictions, probabilities
        Shapes ``(m,)`` and ``(m, classes)``.
    labels
        Of all samples, shape ``(n,)``.
    known
        Which of all samples were attacked, shape ``(n,)``; all of them when left out.

    Raises
    ------
    ContractError
        If the shapes disagree.
    """
    count = len(labels)
    where = np.ones(count, bool) if known is None else known
    predicted, probable = np.asarray(predictions), np.asarray(probabilities, np.float32)
    attacked = int(where.sum())
    if (len(where), len(inputs), predicted.shape) != (count, attacked, (attacked,)) or (
        probable.ndim != 2 or len(probable) != attacked
    ):
        raise ContractError(
            f"{attacked} of {count} samples were attacked, but there are {len(inputs)} inputs, "
            f"predictions of shape {predicted.shape} and probabilities of shape {probable.shape}"
        )
    digests = np.zeros((count, DIGEST_SIZE), np.uint8)
    digests[where] = input_digests(inputs)
    classes = np.zeros(count, np.int64)
    classes[where] = predicted
    true = np.zeros(count, np.float32)
    # Rounding may leave a softmax a last bit above 1.
    true[where] = probable[np.arange(attacked), labels[where]].clip(0, 1)
    return Answers(where, digests, classes, true)


def input_digests(inputs: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Digest each input, shape ``(n, 32)``."""
    if inputs.dtype != np.float32:
        raise ContractError(f"inputs are {inputs.dtype}, expected float32 as the model takes them")
    plain = np.ascontiguousarray(inputs, dtype="<f4")
    digests = b"".join(hashlib.sha256(sample.tobytes()).digest() for sample in plain)
    return np.frombuffer(digests, np.uint8).reshape(len(inputs), DIGEST_SIZE)


def leaf_bytes(outcomes: Outcomes, number: int) -> bytes:
    """Spell leaf ``number`` of the tree: its line of the file."""
    return provenance.canonical_json(
        {
            "index": int(outcomes.index[number]),
            "row": int(outcomes.rows[number]),
            "label": int(outcomes.labels[number]),
            "clean": _answer(outcomes.clean, number),
            "attacks": {
                name: _answer(attack, number)
                for name, attack in outcomes.attacks.items()
                if attack.known[number]
            },
        }
    )


def write(outcomes: Outcomes, path: Path) -> Stored:
    """Write outcomes, whole or not at all.

    Raises
    ------
    ContractError
        If there are none, or they are not in the order of the test split.
    """
    if len(outcomes) == 0 or np.any(np.diff(outcomes.index) <= 0):
        raise ContractError("outcomes are at least one, each with a higher index than the last")
    digest, hashes = hashlib.sha256(), []
    with files.replacing(path) as temporary, temporary.open("wb") as file:
        for number in range(len(outcomes)):
            line = leaf_bytes(outcomes, number)
            hashes.append(merkle.leaf_hash(line))
            digest.update(line + b"\n")
            file.write(line + b"\n")
    return Stored(outcomes, digest.hexdigest(), merkle.tree(hashes))


def read(path: Path) -> Stored:
    """Read outcomes back with full validation of every line.

    Raises
    ------
    IntegrityError
        If the file is missing, empty or cut off, or a line is not a leaf; names the line.
    """
    digest, hashes = hashlib.sha256(), []
    columns = _Columns()
    for number, line in enumerate(_lines(path)):
        digest.update(line + b"\n")
        hashes.append(merkle.leaf_hash(line))
        try:
            columns.append(Leaf.model_validate_json(line))
        except (ValidationError, OverflowError) as error:
            raise IntegrityError(f"{path}, line {number + 1} is not an outcome: {error}") from error
    if not hashes:
        raise IntegrityError(f"{path} is empty; run the evaluation stage again")
    outcomes = columns.outcomes()
    for number, found in enumerate(hashes):
        if merkle.leaf_hash(leaf_bytes(outcomes, number)) != found:
            raise IntegrityError(f"{path}, line {number + 1} is not spelled as outcomes are")
    steps = np.flatnonzero(np.diff(outcomes.index) <= 0)
    if len(steps):
        raise IntegrityError(f"{path}, line {steps[0] + 2} is out of order")
    return Stored(outcomes, digest.hexdigest(), merkle.tree(hashes))


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    raise IntegrityError(f"{path} is cut off: its last line has no end")
                yield line[:-1]
    except OSError as error:
        raise IntegrityError(f"{path} cannot be read: {error.strerror}") from error


def _answer(said: Answers, number: int) -> dict[str, object]:
    return {
        "input": said.inputs[number].tobytes().hex(),
        "prediction": int(said.predictions[number]),
        # The shortest decimal that names the float32, so that nothing is lost.
        "probability": float(str(said.probabilities[number])),
    }


class _Columns:
    """Leaves, gathered into columns: a million lines must fit into memory."""

    def __init__(self) -> None:
        self._count = 0
        self._index, self._rows, self._labels = array("q"), array("q"), array("q")
        self._answers: dict[str | None, _AnswerColumns] = {None: _AnswerColumns()}

    def append(self, leaf: Leaf) -> None:
        """Take in the next leaf."""
        self._index.append(leaf.index)
        self._rows.append(leaf.row)
        self._labels.append(leaf.label)
        for name, answer in [(None, leaf.clean), *leaf.attacks.items()]:
            self._answers.setdefault(name, _AnswerColumns()).append(self._count, answer)
        self._count += 1

    def outcomes(self) -> Outcomes:
        """Give all leaves taken in."""
        attacks = {name: said.answers(self._count) for name, said in self._answers.items() if name}
        return Outcomes(
            index=np.array(self._index, np.int64),
            rows=np.array(self._rows, np.int64),
            labels=np.array(self._labels, np.int64),
            clean=self._answers[None].answers(self._count),
            attacks=dict(sorted(attacks.items())),
        )


class _AnswerColumns:
    def __init__(self) -> None:
        self._numbers, self._predictions = array("q"), array("q")
        self._probabilities, self._inputs = array("d"), bytearray()

    def append(self, number: int, answer: Answer) -> None:
        self._numbers.append(number)
        self._predictions.append(answer.prediction)
        self._probabilities.append(answer.probability)
        self._inputs += bytes.fromhex(answer.input)

    def answers(self, count: int) -> Answers:
        numbers = np.array(self._numbers, np.int64)
        known = np.zeros(count, bool)
        inputs = np.zeros((count, DIGEST_SIZE), np.uint8)
        predictions = np.zeros(count, np.int64)
        probabilities = np.zeros(count, np.float32)
        known[numbers] = True
        inputs[numbers] = np.frombuffer(bytes(self._inputs), np.uint8).reshape(-1, DIGEST_SIZE)
        predictions[numbers] = np.array(self._predictions, np.int64)
        probabilities[numbers] = np.array(self._probabilities, np.float64)
        return Answers(known, inputs, predictions, probabilities)
