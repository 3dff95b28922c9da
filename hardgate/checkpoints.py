"""Training half done, on disk: one safetensors file, replaced whole at each epoch's end.

It holds the weights, the best weights so far, their average where one is kept, the optimiser's
tensors, where attacks start when they start warm and, as JSON in the header, the history.
Randomness needs no place in it: every epoch draws from generators seeded by the run's seed and the
epoch's number. A file of another run is ignored; a broken one is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import safetensors
import safetensors.torch
import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from torch import Tensor

from hardgate import files, provenance
from hardgate.errors import IntegrityError
from hardgate.monitors import Epoch, Stopped
from hardgate.records import Record, Sha256

HEADER = "hardgate"
DIGEST = "sha256"
PARTS = ("weights", "best", "average", "optimiser", "starts")


class Journey(Record):
    """How far a run is, and which run it is."""

    schema_version: Literal[1] = 1
    identity: Sha256
    history: tuple[Epoch, ...]
    stopped: Stopped | None


@dataclass(frozen=True)
class Checkpoint:
    """Everything a run needs to go on."""

    journey: Journey
    weights: dict[str, Tensor]
    best: dict[str, Tensor]
    average: dict[str, Tensor]
    optimiser: dict[str, Tensor]  # "<parameter>.<tensor>"
    starts: dict[str, Tensor]


def save(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint in place of the last one, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {
        f"{part}/{name}": value
        for part in PARTS
        for name, value in getattr(checkpoint, part).items()
    }
    header = checkpoint.journey.model_dump_json()
    metadata = {HEADER: header, DIGEST: digest(header, tensors)}
    files.write_bytes(path, safetensors.torch.save(tensors, metadata))


def load(path: Path, *, identity: Sha256) -> Checkpoint | None:
    """Read the checkpoint of the run ``identity``; None when there is none, or another run's.

    Raises
    ------
    IntegrityError
        If the file is not whole; names it.
    """
    if not path.exists():
        return None
    header, tensors = _read(path)
    try:
        journey = Journey.model_validate_json(header)
    except ValidationError as error:
        raise _broken(path, "its header is not a checkpoint's") from error
    if journey.identity != identity:
        return None
    return Checkpoint(journey, *(_part(part, tensors) for part in PARTS))


def _read(path: Path) -> tuple[str, dict[str, Tensor]]:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            # Cloned, because the file is mapped and will be replaced.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise _broken(path, f"it is not a safetensors file ({error})") from error
    if HEADER not in metadata or metadata.get(DIGEST) != digest(metadata[HEADER], tensors):
        raise _broken(path, "its contents do not have the digest it names")
    return metadata[HEADER], tensors


def _broken(path: Path, why: str) -> IntegrityError:
    return IntegrityError(
        f"{path} is a broken checkpoint: {why}; delete it and run the stage again from the start"
    )


def _part(part: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    start = f"{part}/"
    return {
        name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)
    }


def digest(header: str, tensors: Mapping[str, Tensor]) -> str:
    """Digest names, kinds, shapes and bytes of all tensors, and the header."""
    described = {
        name: [
            str(value.dtype),
            list(value.shape),
            provenance.sha256_bytes(
                value.contiguous().view(-1).view(torch.uint8).numpy().tobytes()
            ),
        ]
        for name, value in tensors.items()
    }
    return provenance.sha256_json({"header": header, "tensors": described})
