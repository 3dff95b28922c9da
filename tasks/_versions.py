"""Registered versions as files: their bytes and their evidence, fetched and verified.

Whoever learns from an earlier version believes it no more than a serving host does: the evidence
must be signed by a trusted key, speak of this entry of the registry, and of these very bytes.
"""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hardgate import candidates, provenance, records, regression, state
from hardgate.errors import IntegrityError, ParamsError
from hardgate.evidence import differences, signing, statement
from hardgate.evidence.statement import Predicate, RegistryEntry
from hardgate.params import Params
from hardgate.records import Ancestor, FileRecord
from hardgate.regression import Corpus
from tasks import _registry, _store
from tasks._registry import Version

EVIDENCE = "evidence.dsse.json"
EVIDENCE_FOLDER = "evidence"  # in the MLflow run
REGRESSION = "regression.safetensors"


@dataclass(frozen=True)
class Earlier:
    """A verified version: its model directory, its evidence, and the folder around it."""

    directory: Path
    predicate: Predicate
    evidence: Path

    @property
    def ancestor(self) -> Ancestor:
        """Name it by what cannot be renamed."""
        return Ancestor(
            version=self.predicate.registry.version,
            model_sha256=statement.subject(self.predicate).digest.sha256,
        )

    def regression(self) -> Corpus:
        """Read the adversarial inputs that it keeps."""
        sha256 = self.predicate.lineage.regression_sha256
        if sha256 is None:
            return regression.empty()
        return regression.read(self.evidence / REGRESSION, sha256=sha256)


def fetch(version: Version) -> Earlier:
    """Fetch a version with its evidence.

    Raises
    ------
    IntegrityError
        If it has none that holds for these bytes; names what differs.
    """
    folder = state.room("versions") / version.name / version.version
    shutil.rmtree(folder, ignore_errors=True)
    evidence = _registry.fetch_files(version.run_id, EVIDENCE_FOLDER, folder)
    model = _registry.fetch_model(version, folder / "model")
    try:
        predicate = _verified(version, evidence, model)
    except (IntegrityError, OSError) as error:
        raise IntegrityError(
            f"{version.name}/{version.version} cannot be learned from or compared with: {error}"
        ) from error
    return Earlier(weights(model), predicate, evidence)


def _verified(version: Version, evidence: Path, model: Path) -> Predicate:
    if not (evidence / EVIDENCE).is_file():
        raise IntegrityError("it has no evidence; it was registered by another tool")
    content = (evidence / EVIDENCE).read_bytes()
    signed = signing.verify(content, trusted=state.room("keys") / "trusted")
    predicate = statement.read(signed.payload).predicate
    differences.refuse(
        differences.of_values(
            predicate.registry.model_dump(), entry(version).model_dump(), "registry"
        )
    )
    differences.refuse(differences.of_directory(predicate.files, model))
    if (kept := predicate.lineage.regression_sha256) is not None:
        file = FileRecord(path=Path(REGRESSION), sha256=kept)
        differences.refuse(differences.of_files([file], evidence))
    return predicate


def champion(model: str) -> Earlier | None:
    """Fetch what is in production, if anything is."""
    version = _registry.find(model, alias=_registry.IN_PRODUCTION)
    return None if version is None else fetch(version)


def lineage(model: str, count: int) -> tuple[Earlier, ...]:
    """Fetch the champion, the champion it was compared with, and so on: at most ``count``.

    Raises
    ------
    IntegrityError
        If one of them is not what the evidence of the next names.
    """
    found: list[Earlier] = []
    latest = champion(model) if count else None
    while latest is not None and len(found) < count:
        found.append(latest)
        latest = _before(model, latest)
    return tuple(found)


def _before(model: str, later: Earlier) -> Earlier | None:
    named = later.predicate.lineage.champion
    if named is None:
        return None
    version = _registry.find(model, version=named.version)
    if version is None:  # it was deleted since
        return None
    earlier = fetch(version)
    if earlier.ancestor != named:
        raise IntegrityError(
            f"{model}/{named.version} is not the version that the evidence of {model}/"
            f"{later.predicate.registry.version} names: its digest is "
            f"{earlier.ancestor.model_sha256[:12]}, expected {named.model_sha256[:12]}"
        )
    return earlier


def start(params: Params) -> Earlier | None:
    """Fetch what training is to begin with; None is from scratch.

    A model that is to start from the champion starts from scratch while there is none.

    Raises
    ------
    ParamsError
        If the champion was trained on another split: it may know today's test samples. If it was
        trained before rows were set aside: it may know those.
    """
    if params.training.start == "scratch":
        return None
    found = champion(params.model)
    if found is None:
        logging.getLogger(__name__).warning(
            "training.start = champion: %s has no champion yet; starting from scratch",
            params.model,
        )
        return None
    _same_split(params, found.predicate)
    _same_quarantine(params.validation.quarantine, found.predicate)
    return found


def _same_split(params: Params, predicate: Predicate) -> None:
    was_signed, is_now = _split_of(predicate.params.content), _split_of(records.to_plain(params))
    for key, now in is_now.items():
        was = was_signed.get(key)
        if was != now:
            raise ParamsError(
                f"training.start: the champion was trained with {key} = {was}, today's is "
                f"{now}: another split, so it may have learned today's test samples; take "
                f"the champion's {key}, or set training.start to scratch"
            )


def _split_of(section: Any) -> dict[str, Any]:
    """Pick out what decides on the split of a row that is in one."""
    shares = section.get("validation", {})
    return {
        "seed": section.get("seed"),
        "validation": {key: shares.get(key) for key in ("held_out", "test")},
    }


def _same_quarantine(path: str | None, predicate: Predicate) -> None:
    if path is None:
        return
    was = {file.path.as_posix(): file.sha256 for file in predicate.data}
    if was.get(path) != provenance.sha256_file(_store.ROOT / path):
        raise ParamsError(
            f"training.start: the champion was trained without today's {path}, so it may have "
            "learned from rows that are set aside now; set training.start to scratch"
        )


def entry(version: Version) -> RegistryEntry:
    """Describe a version as evidence does."""
    return RegistryEntry(
        name=version.name,
        version=version.version,
        created_at=version.created,
        run_id=version.run_id,
        source=version.source,
    )


def weights(folder: Path) -> Path:
    """Find the model directory within what MLflow keeps around it."""
    found = sorted(folder.rglob(candidates.WEIGHTS))
    if len(found) != 1:
        raise IntegrityError(f"{folder} holds {len(found)} files {candidates.WEIGHTS}, expected 1")
    return found[0].parent
