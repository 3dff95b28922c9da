"""What one stage hands to the next, and what a decision is made of.

Read in this order: :class:`Record`, then one record per stage in the order of the pipeline
(:class:`DatasetRecord`, :class:`CorpusRecord`, :class:`CandidateRecord`,
:class:`AttributionRecord`, :class:`EvaluationRecord`, :class:`Decision`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeInt,
    PlainSerializer,
    PositiveInt,
    StringConstraints,
    ValidationError,
    model_validator,
)

from hardgate import files
from hardgate.errors import IntegrityError


class Record(BaseModel):
    """Immutable, closed and finite: unknown keys, NaN and infinity are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def as_fraction(value: object) -> float:
    """Read a radius the way papers write it: ``8/255`` as well as ``0.03``."""
    numerator, slash, denominator = str(value).partition("/")
    try:
        return float(numerator) / (float(denominator) if slash else 1.0)
    except (ValueError, ZeroDivisionError) as error:
        raise ValueError("expected a number, or a fraction such as 8/255") from error


Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Rate = Annotated[float, Field(ge=0, le=1)]
Radius = Annotated[float, BeforeValidator(as_fraction), Field(gt=0)]
Norm = Literal["Linf", "L2", "L1", "L0"]
# Paths in records are relative to the project root and spelled with slashes on every system.
RelativePath = Annotated[Path, PlainSerializer(lambda path: path.as_posix(), when_used="json")]


class Measurement(Record):
    """One number with its 95 % interval and the samples it stands on.

    ``exact`` marks a number without sampling error: a count, a maximum, a deterministic check.
    """

    value: float
    lower: float
    upper: float
    samples: PositiveInt
    interval: Literal[
        "wilson",
        "clopper-pearson",
        "bootstrap",
        "delong",
        "dkw",
        "newcombe",
        "simultaneous",
        "prediction",
        "exact",
    ]

    @model_validator(mode="after")
    def _is_ordered(self) -> Self:
        if not self.lower <= self.value <= self.upper:
            raise ValueError(f"{self.value} lies outside its interval [{self.lower}, {self.upper}]")
        return self


class FileRecord(Record):
    """A file and the digest it must have."""

    path: RelativePath
    sha256: Sha256


class Objection(Record):
    """One broken expectation: which, where, how often, and the first rows that break it."""

    expectation: str
    column: str | None
    count: NonNegativeInt | None
    rows: tuple[int, ...]
    values: tuple[str, ...]
    reason: str


class ColumnType(StrEnum):
    """How a column's numbers are to be read."""

    REAL = "real"
    INTEGER = "integer"
    CATEGORICAL = "categorical"


class Column(Record):
    """One input column of a table, with its statistics on the training split.

    A categorical column enters the model as the index of its category (-1 when missing); its
    ``mean`` is 0 and its ``scale`` 1. ``scale`` is the standard deviation of the training split
    (1 for a constant column): the unit in which a table's ``eps`` is meant.
    """

    name: str
    type: ColumnType
    categories: tuple[str, ...] = ()
    immutable: bool = False
    sensitive: bool = False
    monotone: Literal["increasing", "decreasing"] | None = None  # the only way it ever changes
    mean: float
    scale: Annotated[float, Field(gt=0)]
    low: float
    high: float


class TableInput(Record):
    """What a model of tables takes: float32 of shape ``(n, columns)``, raw units."""

    kind: Literal["table"]
    columns: tuple[Column, ...] = Field(min_length=1)
    classes: tuple[str, ...] = Field(min_length=2)


class ImageInput(Record):
    """What a model of images takes: float32 of shape ``(n, *shape)``, pixels in [0, 1]."""

    kind: Literal["images"]
    shape: tuple[PositiveInt, PositiveInt, PositiveInt]  # channels, height, width
    classes: tuple[str, ...] = Field(min_length=2)
    mean: tuple[float, ...]  # per channel, of the training split
    scale: tuple[float, ...]


InputSpec = Annotated[TableInput | ImageInput, Field(discriminator="kind")]


class SplitRecord(Record):
    """A validated split: safetensors with ``inputs`` and ``labels`` (and ``rows`` of the raw file).

    ``inputs`` are float32; images are stored as uint8 and mean pixels of 1/255 each.
    """

    path: RelativePath
    sha256: Sha256
    samples: PositiveInt
    class_counts: tuple[NonNegativeInt, ...]


class DatasetRecord(Record):
    """A validated dataset. Data that failed its suite has no record at all."""

    schema_version: Literal[1] = 1
    model: str
    source: tuple[FileRecord, ...]  # the raw files, or the package file that carries them
    input: InputSpec
    train: SplitRecord
    held_out: SplitRecord  # for early stopping; never trained on, never reported
    test: SplitRecord  # for evidence only
    suite: FileRecord
    expectations: PositiveInt
    data_docs: RelativePath
    measurements: dict[str, Measurement]
    seed: int
    params_sha256: Sha256
    commit: str


class Ancestor(Record):
    """An earlier version of the model that something was made from, by what cannot be renamed."""

    version: str
    model_sha256: Sha256  # of the registered directory, as its evidence names it


class Tally(Record):
    """What one augmentation added and what it dropped, by reason."""

    name: str
    added: NonNegativeInt
    dropped: dict[str, NonNegativeInt]
    seconds: float
    detail: dict[str, float] = {}


class CorpusRecord(Record):
    """The training split with everything augmentation added."""

    schema_version: Literal[1] = 1
    model: str
    made_from: Sha256  # the dataset record
    train: SplitRecord
    original_samples: PositiveInt
    tallies: tuple[Tally, ...]
    earlier: tuple[Ancestor, ...] = ()  # that samples were made against
    seed: int
    params_sha256: Sha256
    commit: str


class CandidateRecord(Record):
    """A trained model: ``directory`` holds weights.safetensors and architecture.json."""

    schema_version: Literal[1] = 1
    model: str
    made_from: Sha256  # the corpus record
    start: Ancestor | None = None  # whose weights training began with; None is from scratch
    directory: RelativePath
    model_sha256: Sha256  # of the directory
    architecture: str
    recipe: str
    weights: PositiveInt  # how many numbers
    passes: PositiveInt  # forward and backward, per sample and epoch: what the recipe costs
    epochs: NonNegativeInt
    best_epoch: NonNegativeInt
    stopped: Literal["finished", "early stopping", "catastrophic overfitting", "robust overfitting"]
    seconds: float
    measurements: dict[str, Measurement]
    history: FileRecord
    seed: int
    params_sha256: Sha256
    commit: str


class AttributionRecord(Record):
    """Why the candidate decides as it does: measurements of the explanations, and their files."""

    schema_version: Literal[1] = 1
    model: str
    made_from: Sha256  # the candidate record
    explainer: str
    background_sha256: Sha256
    measurements: dict[str, Measurement]
    importance: dict[str, float]  # mean absolute SHAP value per column or image region
    values: FileRecord
    plots: tuple[FileRecord, ...]
    seed: int
    params_sha256: Sha256
    commit: str


class EvaluationRecord(Record):
    """Every measurement of the candidate, and the per-sample outcomes they were made from."""

    schema_version: Literal[1] = 1
    model: str
    made_from: Sha256  # the candidate record
    test_sha256: Sha256
    threat_sha256: Sha256
    measurements: dict[str, Measurement]
    outcomes: FileRecord
    merkle_root: Sha256
    adversarial: dict[str, FileRecord]  # by attack
    seconds: dict[str, float]
    seed: int
    params_sha256: Sha256
    commit: str


class Verdict(StrEnum):
    """One gate's answer; only ``passed`` promotes."""

    PASSED = "passed"
    FAILED = "failed"
    UNMEASURED = "unmeasured"


class Finding(Record):
    """What one gate found: the number, the bound, the verdict, and what to do about it."""

    gate: str  # its kind, and what it was asked of: ``robust_accuracy/worst_case``
    verdict: Verdict
    observed: Measurement | None
    bound: float
    condition: str  # in words, with the bound: "lower end at least 0.80"
    message: str


class Decision(Record):
    """What every gate said. An empty policy is refused, not waved through."""

    schema_version: Literal[1] = 1
    model: str
    version: str | None  # in the registry; None when there was nothing to register
    made_from: Sha256  # everything it rests on
    findings: tuple[Finding, ...] = Field(min_length=1)
    objections: tuple[Objection, ...] = ()
    evidence: FileRecord | None
    report: RelativePath | None
    decided_at: str  # UTC, ISO 8601
    valid_until: str

    @property
    def promoted(self) -> bool:
        """Whether every gate passed."""
        return all(finding.verdict is Verdict.PASSED for finding in self.findings)


R = TypeVar("R", bound=Record)


def write(record: Record, path: Path) -> None:
    """Write a record as JSON, whole or not at all."""
    files.write_text(path, record.model_dump_json(indent=2) + "\n")


def first_problem(error: ValidationError, whole: str) -> str:
    """Say the first thing that is wrong; ``whole`` is named when it is no single key."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"]) or whole
    return f"{key}: {first['msg'].removeprefix('Value error, ')}"


def read(kind: type[R], path: Path) -> R:
    """Read a record back with full validation.

    Raises
    ------
    IntegrityError
        If the file is missing, not JSON, or not a valid record of this kind; names the key.
    """
    try:
        return kind.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise IntegrityError(f"{path} is missing; run the stage that writes it") from error
    except ValidationError as error:
        raise IntegrityError(
            f"{path} is not a valid {kind.__name__}: {first_problem(error, 'the whole file')}; "
            "delete it and run its stage again"
        ) from error


def to_plain(record: Record) -> dict[str, Any]:
    """Turn a record into JSON's own types."""
    plain: dict[str, Any] = json.loads(record.model_dump_json())
    return plain


def values(measurements: Mapping[str, Measurement]) -> dict[str, float]:
    """Strip measurements to their values, for metrics that take one number each."""
    return {name: measurement.value for name, measurement in measurements.items()}
