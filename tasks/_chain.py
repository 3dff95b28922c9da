"""The records of one run, each made from the one before."""

from __future__ import annotations

from hardgate.records import (
    AttributionRecord,
    CandidateRecord,
    CorpusRecord,
    DatasetRecord,
    EvaluationRecord,
    Record,
)
from tasks import _store


class Chain(Record):
    """The records of one run, from raw data to measurements; each made from the one before."""

    dataset: DatasetRecord
    corpus: CorpusRecord
    candidate: CandidateRecord
    attributions: AttributionRecord
    evaluation: EvaluationRecord

    @property
    def sha256(self) -> str:
        """Digest of all of them."""
        return _store.digest(self)
