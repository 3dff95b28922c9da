"""What a report is made of: the records of one run, and the files that it shows."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from hardgate.drill.result import Drill
from hardgate.errors import IntegrityError
from hardgate.records import (
    AttributionRecord,
    CandidateRecord,
    CorpusRecord,
    DatasetRecord,
    Decision,
    EvaluationRecord,
    Measurement,
)

if TYPE_CHECKING:
    from hardgate.params import Params

MEDIA = {".png": "image/png", ".svg": "image/svg+xml", ".jpg": "image/jpeg", ".webp": "image/webp"}

Row = Mapping[str, float]


@dataclass(frozen=True)
class Picture:
    """A plot as a data URI; as an image, even a hostile SVG runs no script."""

    name: str  # the file's, without its ending
    uri: str


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run that ended in a decision on a model."""

    params: Params
    dataset: DatasetRecord
    corpus: CorpusRecord
    candidate: CandidateRecord
    attributions: AttributionRecord
    evaluation: EvaluationRecord
    decision: Decision
    measured: Mapping[str, Measurement]  # everything the gates were shown
    history: Sequence[Row]  # per epoch, by column of history.csv; empty cells are left out
    plots: Sequence[Picture]  # of the explanations
    data_docs: str  # as a link from the page
    submitted_by: str | None
    drill: Drill | None = None  # the last one on this machine


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """One run that ended at its data."""

    params: Params
    decision: Decision
    data_docs: str  # as a link from the page
    commit: str


def picture(path: PurePath, content: bytes) -> Picture:
    """Put an image file into a data URI.

    Raises
    ------
    IntegrityError
        If its ending is not that of an image.
    """
    media = MEDIA.get(path.suffix.lower())
    if media is None:
        raise IntegrityError(f"{path} is no image; expected one of {', '.join(sorted(MEDIA))}")
    return Picture(path.stem, f"data:{media};base64,{base64.b64encode(content).decode()}")
