"""The regression corpus: inputs that fooled earlier versions, kept so that holes stay closed.

They are made of test samples, so they are asked about and never trained on
(docs/decisions/regression.md). Each carries its true label and the digest of its clean original. A
corpus has one order and one spelling: the same inputs are the same file, whatever came first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor

from hardgate import provenance, tensors
from hardgate.errors import IntegrityError
from hardgate.evidence import outcomes
from hardgate.evidence.outcomes import Outcomes
from hardgate.records import FileRecord, Sha256
from hardgate.region import Region
from hardgate.samples import Samples


@dataclass(frozen=True)
class Corpus:
    """Adversarial inputs: ``sources`` holds the digests of their originals, shape ``(n, 32)``."""

    inputs: Tensor  # (n, ...), float32
    labels: Tensor  # (n,), int64
    sources: Tensor  # (n, 32), uint8

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: Tensor) -> Corpus:
        """Select inputs by index, in the order given."""
        return Corpus(self.inputs[index], self.labels[index], self.sources[index])


@dataclass(frozen=True)
class Usable:
    """What of a corpus can be asked today, and at which position of the test split each stands."""

    corpus: Corpus
    positions: Tensor  # (n,), int64
    set_aside: int


def fooling(known: Outcomes, attacked: Mapping[str, FileRecord]) -> Corpus:
    """Collect the inputs that an attack moved from a right answer to a wrong one.

    Parameters
    ----------
    known
        The outcomes of a whole test split.
    attacked
        By attack, the file of :func:`hardgate.evidence.spotcheck.write_attacked`.

    Raises
    ------
    IntegrityError
        If a file is missing or changed; names it.
    """
    right = known.clean.predictions == known.labels
    parts = [_nothing()]
    for name, file in sorted(attacked.items()):
        held = _tensors(file.path, file.sha256)
        index = held["index"]
        fooled = torch.from_numpy(right & (known.attacks[name].predictions != known.labels))[index]
        at = index[fooled].numpy()
        parts.append(
            Corpus(
                held["inputs"][fooled],
                torch.from_numpy(known.labels[at]),
                torch.from_numpy(known.clean.inputs[at]),
            )
        )
    return _joined(parts)


def merge(one: Corpus, other: Corpus, *, size: int) -> Corpus:
    """Put two together: each input once, and of too many those with the lowest digests.

    Which those are is as good as drawn, and does not depend on when they came.
    """
    both = _joined([one, other])
    digests = outcomes.input_digests(both.inputs.numpy())
    _, first = np.unique(digests, axis=0, return_index=True)  # in the order of the digests
    return both.take(torch.from_numpy(first[:size]))


def usable(corpus: Corpus, known: Outcomes, test: Samples, region: Region) -> Usable:
    """Set aside what is no question today.

    That is an input whose original is not in today's test split under the same label (in the
    training split it would flatter), or that today's threat does not admit.
    """
    places = {digest.tobytes(): at for at, digest in enumerate(known.clean.inputs)}
    found = [places.get(source.numpy().tobytes(), -1) for source in corpus.sources]
    positions = torch.tensor(found, dtype=torch.int64)
    good = (positions >= 0) & (test.labels[positions] == corpus.labels)
    good[good.clone()] = _admitted(corpus.take(good), test.take(positions[good]), region)
    return Usable(corpus.take(good), positions[good], int((~good).sum()))


def write(corpus: Corpus, path: Path, *, recipients: Sequence[str] = ()) -> None:
    """Write a corpus, whole or not at all; for its recipients alone, if there are any."""
    kept = {"inputs": corpus.inputs, "labels": corpus.labels, "sources": corpus.sources}
    tensors.write(kept, path, recipients=recipients)


def read(path: Path, *, sha256: Sha256) -> Corpus:
    """Read a corpus back.

    Raises
    ------
    IntegrityError
        If the file is missing, or not the one with this digest.
    """
    held = _tensors(path, sha256)
    return Corpus(held["inputs"], held["labels"], held["sources"])


def empty() -> Corpus:
    """Give the corpus of a model without earlier versions."""
    return _nothing()


def _nothing() -> Corpus:
    width = outcomes.DIGEST_SIZE
    return Corpus(
        torch.empty(0), torch.empty(0, dtype=torch.int64), torch.empty(0, width, dtype=torch.uint8)
    )


def _joined(parts: list[Corpus]) -> Corpus:
    some = [part for part in parts if len(part)] or parts[:1]
    return Corpus(
        torch.cat([part.inputs for part in some]),
        torch.cat([part.labels for part in some]),
        torch.cat([part.sources for part in some]),
    )


def _admitted(corpus: Corpus, originals: Samples, region: Region) -> Tensor:
    if len(corpus) == 0:
        return torch.empty(0, dtype=torch.bool)
    return region.admits(corpus.inputs, originals.floats())


def _tensors(path: Path, sha256: Sha256) -> dict[str, Tensor]:
    try:
        content = path.read_bytes()
        if (found := provenance.sha256_bytes(content)) != sha256:
            raise IntegrityError(
                f"{path} has changed: its digest is {found[:12]}, its record says {sha256[:12]}"
            )
        kept = tensors.parse(content, name=str(path))
    except (OSError, SafetensorError) as error:
        raise IntegrityError(f"{path} cannot be read: {error}") from error
    return kept
