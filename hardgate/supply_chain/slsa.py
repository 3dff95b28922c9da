"""How a model was made, as SLSA provenance: an in-toto statement about each of its files.

https://slsa.dev/spec/v1.0/provenance. The signer of the evidence signs it, in a DSSE envelope of
its own, so that a verifier that knows SLSA and not this project can read it. It claims the first
level: the run describes itself, on the machine of whoever started it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pydantic import JsonValue

from hardgate import provenance
from hardgate.records import FileRecord

FILE = "provenance.dsse.json"
STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "https://slsa.dev/provenance/v1"
BUILD_TYPE: Final = "https://hardgate.dev/harden/v1"
BUILDER_ID: Final = "https://hardgate.dev/builder/v1"
COMMIT = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Build:
    """One run, and what it made."""

    model: str
    files: Sequence[FileRecord]  # of the model directory, relative to it
    params: JsonValue
    data: Sequence[FileRecord]
    settings: Sequence[FileRecord]  # the suite, the lock
    commit: str
    code_sha256: str
    versions: dict[str, str]  # of the builder and what it runs on
    run_id: str
    finished: datetime
    byproducts: Sequence[FileRecord]


def payload(build: Build) -> bytes:
    """Spell the statement as the bytes that are signed."""
    return provenance.canonical_json(
        {
            "_type": STATEMENT_TYPE,
            "subject": [_resource(file) for file in build.files],
            "predicateType": PREDICATE_TYPE,
            "predicate": {
                "buildDefinition": {
                    "buildType": BUILD_TYPE,
                    "externalParameters": {"model": build.model, "params": build.params},
                    "resolvedDependencies": [
                        _code(build),
                        *(_resource(file) for file in (*build.data, *build.settings)),
                    ],
                },
                "runDetails": {
                    "builder": {"id": BUILDER_ID, "version": build.versions},
                    "metadata": {
                        "invocationId": build.run_id,
                        "finishedOn": build.finished.strftime("%Y-%m-%dT%H:%M:%SZ"),
                    },
                    "byproducts": [_resource(file) for file in build.byproducts],
                },
            },
        }
    )


def _resource(file: FileRecord) -> dict[str, Any]:
    return {"name": file.path.as_posix(), "digest": {"sha256": file.sha256}}


def _code(build: Build) -> dict[str, Any]:
    """Name the code by its commit, if it is one that somebody can check out, and by its digest."""
    digest = {"sha256": build.code_sha256}
    if COMMIT.fullmatch(build.commit):
        digest["gitCommit"] = build.commit
    return {"name": "code", "digest": digest, "annotations": {"commit": build.commit}}
