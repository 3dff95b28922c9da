"""Where the stages' files are, and the door by which DVC calls a stage."""

from __future__ import annotations

import logging
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from hardgate import errors, progress_file, provenance, records, samples, state
from hardgate import params as settings
from hardgate.errors import HardgateError
from hardgate.params import Params
from hardgate.records import (
    AttributionRecord,
    CandidateRecord,
    CorpusRecord,
    DatasetRecord,
    EvaluationRecord,
    Record,
    SplitRecord,
)
from hardgate.samples import Samples

R = TypeVar("R", bound=Record)

STAGES = settings.STAGES
ROOT = Path()  # the project's root is the working directory
RECORD = "record.json"


def directory(model: str, stage: str) -> Path:
    """Name the folder of a stage."""
    return ROOT / "runs" / model / stage


def fresh(model: str, stage: str) -> Path:
    """Empty the folder of a stage: what an earlier or killed run left there is not mixed in."""
    path = directory(model, stage)
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


def keep(record: R, *, model: str, stage: str) -> R:
    """Write a stage's record, last of its files: without it the stage has not happened."""
    records.write(record, directory(model, stage) / RECORD)
    return record


def dataset(model: str) -> DatasetRecord:
    """Read what validation wrote."""
    return records.read(DatasetRecord, directory(model, "validation") / RECORD)


def corpus(model: str) -> CorpusRecord:
    """Read what augmentation wrote."""
    return records.read(CorpusRecord, directory(model, "augmentation") / RECORD)


def candidate(model: str) -> CandidateRecord:
    """Read what training wrote."""
    return records.read(CandidateRecord, directory(model, "training") / RECORD)


def attributions(model: str) -> AttributionRecord:
    """Read what explanation wrote."""
    return records.read(AttributionRecord, directory(model, "explanation") / RECORD)


def evaluation(model: str) -> EvaluationRecord:
    """Read what evaluation wrote."""
    return records.read(EvaluationRecord, directory(model, "evaluation") / RECORD)


def digest(record: Record) -> str:
    """Digest a record, for the ``made_from`` of the next."""
    return provenance.sha256_json(records.to_plain(record))


def file(path: Path) -> records.FileRecord:
    """Describe a file of the project."""
    return records.FileRecord(path=path, sha256=provenance.sha256_file(path))


def split(record: SplitRecord) -> Samples:
    """Read a split, once its digest is found true."""
    return samples.read(record, root=ROOT)


def commit() -> str:
    """Name the revision of the code."""
    return provenance.git_commit(ROOT)


def door(stage: Callable[[Params], object]) -> None:
    """Run a stage for the model named on the command line, as DVC does."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    _, model = sys.argv
    try:
        params = settings.load(model)
        with state.exclusive(model), progress_file.written():
            stage(params)
    except HardgateError as error:
        sys.exit(_said(str(error), error.exit_code))
    except OSError as error:
        words = errors.in_words(error)
        if words is None:
            raise
        sys.exit(_said(words, HardgateError.exit_code))


def _said(words: str, status: int) -> int:
    sys.stderr.write(f"{words}\n")
    return status
