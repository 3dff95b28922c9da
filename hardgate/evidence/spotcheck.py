"""Run some of the signed outcomes again, chosen at random by whoever doubts them.

For each chosen sample: its leaf lies under the signed Merkle root; the stored inputs, clean and
attacked, have the digests in the leaf; the attacked ones are admissible under the threat model;
and the model still answers as the leaf says. Whoever forged a share ``f`` of the outcomes escapes
``n`` random samples with probability at most ``(1 - f) ** n``, provided he could not foresee the
choice: the seed must be drawn after the evidence was signed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import NonNegativeInt, PositiveInt
from safetensors import SafetensorError, safe_open
from torch import Tensor

from hardgate import protection, tensors
from hardgate.errors import ContractError, IntegrityError
from hardgate.evidence import merkle, outcomes
from hardgate.evidence.outcomes import Answers, Outcomes, Stored
from hardgate.records import Record
from hardgate.samples import as_floats

# Other kernels, thread counts and devices change the last bits of a float32 softmax.
TOLERANCE = 1e-3


class Admits(Protocol):
    """What a spot check asks of the threat model's region."""

    def admits(self, perturbed: Tensor, clean: Tensor) -> Tensor:
        """Tell which perturbed inputs are admissible, shape ``(n,)``."""


@dataclass(frozen=True)
class Material:
    """What outcomes are run again with.

    ``predict`` maps inputs to logits; ``test`` is the test split; ``attacked`` holds one file of
    :func:`write_attacked` per attack.
    """

    predict: Callable[[Tensor], Tensor]
    test: Path
    attacked: Mapping[str, Path]
    region: Admits


class SpotReport(Record):
    """What a spot check found; ``problems`` names every sample that did not hold."""

    samples: PositiveInt
    of: PositiveInt
    answers: PositiveInt
    seed: NonNegativeInt
    problems: tuple[str, ...]


def spot_check(
    stored: Stored, material: Material, *, root: bytes, samples: int, seed: int
) -> SpotReport:
    """Run ``samples`` random outcomes again, or all when there are fewer.

    Parameters
    ----------
    root
        The signed Merkle root.
    seed
        Of the choice; see the module.

    Raises
    ------
    IntegrityError
        If a file is missing or not what it should be.
    """
    if samples < 1:
        raise ContractError(f"{samples} samples are no spot check")
    known = stored.outcomes
    size = min(samples, len(known))
    chosen = np.sort(np.random.default_rng(seed).choice(len(known), size, replace=False))
    problems = [*_outside_of_tree(stored, chosen, root)]
    clean = _clean_inputs(material.test, known, chosen)
    problems += _compare(clean, known.clean, known, chosen, "clean", material)
    answers = size
    for name, attack in known.attacks.items():
        where = attack.known[chosen]
        if where.any():
            problems += _attack(
                name, clean[torch.from_numpy(where)], chosen[where], known, material
            )
            answers += int(where.sum())
    return SpotReport(
        samples=size, of=len(known), answers=answers, seed=seed, problems=tuple(problems)
    )


def escape_probability(fraction: float, samples: int) -> float:
    """Bound the probability that a share of forged outcomes stays unseen by so many samples."""
    if not 0 <= fraction <= 1 or samples < 0:
        raise ContractError(f"{fraction} forged, {samples} samples: out of range")
    return float((1 - fraction) ** samples)


def forged_at_most(confidence: float, samples: int) -> float:
    """Bound the share of forged outcomes when so many random samples all held."""
    if not 0 < confidence < 1 or samples < 1:
        raise ContractError(f"confidence {confidence}, {samples} samples: out of range")
    return float(1 - (1 - confidence) ** (1 / samples))


def meaning(report: SpotReport) -> str:
    """Say what a spot check without problems tells."""
    if report.samples == report.of:
        return f"all {report.of} outcomes ran again and came out the same"
    return (
        f"{report.samples} of {report.of} outcomes ran again and came out the same; had 1 % been "
        f"forged, that would have escaped with probability "
        f"{escape_probability(0.01, report.samples):.2g}, and with 95 % confidence at most "
        f"{100 * forged_at_most(0.95, report.samples):.1f} % of all are"
    )


def write_attacked(
    path: Path, *, index: Tensor, inputs: Tensor, recipients: Sequence[str] = ()
) -> None:
    """Store one attack's inputs for later spot checks: float32, by position in the test split."""
    if inputs.dtype != torch.float32 or index.shape != (len(inputs),):
        raise ContractError(
            f"attacked inputs are {inputs.dtype} {tuple(inputs.shape)} at {tuple(index.shape)} "
            "positions, expected float32 and one position each"
        )
    tensors.write({"index": index, "inputs": inputs}, path, recipients=recipients)


def _outside_of_tree(stored: Stored, chosen: NDArray[np.int64], root: bytes) -> Iterator[str]:
    size = stored.tree.size
    for number in chosen.tolist():
        leaf = outcomes.leaf_bytes(stored.outcomes, number)
        if not merkle.includes(root, leaf, stored.tree.proof(number), index=number, size=size):
            yield f"{_name(stored.outcomes, number)} is not under the signed Merkle root"


def _attack(
    name: str, clean: Tensor, chosen: NDArray[np.int64], known: Outcomes, material: Material
) -> Iterator[str]:
    if name not in material.attacked:
        raise IntegrityError(f"the inputs made by {name} are not there; they cannot be run again")
    path = material.attacked[name]
    positions = _read(path, "index").numpy()
    wanted = known.index[chosen]
    rows = np.searchsorted(positions, wanted).clip(max=max(len(positions) - 1, 0))
    if len(positions) == 0 or np.any(positions[rows] != wanted):
        raise IntegrityError(f"{path} does not hold every input that {name} was run on")
    perturbed = _read(path, "inputs", rows)
    if perturbed.shape != clean.shape or perturbed.dtype != torch.float32:
        raise IntegrityError(f"{path} holds inputs of another shape or type than the test split")
    yield from _compare(perturbed, known.attacks[name], known, chosen, name, material)
    admitted = material.region.admits(perturbed, clean)
    for number in chosen[~admitted.numpy()].tolist():
        yield f"{_name(known, number)}, {name}: the threat model does not admit this input"


def _compare(
    inputs: Tensor,
    said: Answers,
    known: Outcomes,
    chosen: NDArray[np.int64],
    situation: str,
    material: Material,
) -> Iterator[str]:
    """Compare stored inputs and the model's answers with the leaves."""
    digests = outcomes.input_digests(inputs.numpy())
    with torch.no_grad():
        probabilities = material.predict(inputs).softmax(1).double().cpu().numpy()
    for row, number in enumerate(chosen.tolist()):
        name = f"{_name(known, number)}, {situation}"
        if digests[row].tobytes() != said.inputs[number].tobytes():
            yield f"{name}: the stored input is not the one in the outcomes"
            continue
        now, label, predicted = probabilities[row], known.labels[number], said.predictions[number]
        if max(label, predicted) >= len(now):
            yield f"{name}: the model knows {len(now)} classes, the outcome names a later one"
        elif now[predicted] < now.max() - TOLERANCE:
            yield f"{name}: the model answers {now.argmax()}, the outcome says {predicted}"
        elif abs(now[label] - said.probabilities[number]) > TOLERANCE:
            yield (
                f"{name}: the model gives the true class {now[label]:.4f}, "
                f"the outcome says {said.probabilities[number]:.4f}"
            )


def _clean_inputs(test: Path, known: Outcomes, chosen: NDArray[np.int64]) -> Tensor:
    positions = known.index[chosen]
    labels, rows = _read(test, "labels").numpy(), _read(test, "rows").numpy()
    if positions.max() >= len(labels):
        raise IntegrityError(f"{test} has {len(labels)} samples, the outcomes speak of more")
    other = (labels[positions] != known.labels[chosen]) | (rows[positions] != known.rows[chosen])
    if other.any():
        number = int(chosen[other][0])
        raise IntegrityError(f"{_name(known, number)} has another label or row in {test}")
    return as_floats(_read(test, "inputs", positions))


def _read(path: Path, name: str, rows: NDArray[np.int64] | None = None) -> Tensor:
    """Read a tensor, or some of its rows, without reading the rest of a file that is plain."""
    try:
        if protection.is_encrypted(path):
            held = tensors.read(path)[name]
            return held if rows is None else held[torch.from_numpy(rows)]
        with safe_open(path, framework="pt") as file:
            if rows is None:
                whole: Tensor = file.get_tensor(name)
                return whole
            part = file.get_slice(name)
            return torch.cat([part[row : row + 1] for row in rows.tolist()])
    except (OSError, SafetensorError) as error:
        raise IntegrityError(f"{path} cannot be read: {error}") from error


def _name(known: Outcomes, number: int) -> str:
    return f"sample {known.index[number]} (row {known.rows[number]})"
