"""What the champion is worth on today's test split, and what the candidate loses against it."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from hardgate import (
    candidates,
    devices,
    flips,
    measurements,
    quality,
    region,
    regression,
    state,
    statistics,
)
from hardgate.datasets.encoding import encode_inputs
from hardgate.errors import DataError, HardgateError, IntegrityError
from hardgate.evidence import outcomes
from hardgate.evidence.outcomes import Outcomes
from hardgate.flips import Versus
from hardgate.gates.negative_flips import NegativeFlipsGate
from hardgate.params import Params
from hardgate.records import InputSpec, Measurement, TableInput
from hardgate.samples import Samples
from tasks import _registry, _store, _versions
from tasks._chain import Chain
from tasks._versions import Earlier

log = logging.getLogger(__name__)


def believed(model: str, champion: str | None) -> Earlier | None:
    """Fetch the champion of this number; None when there is none whose evidence holds."""
    version = _registry.find(model, version=champion) if champion else None
    if version is None:
        return None
    try:
        return _versions.fetch(version)
    except IntegrityError as error:
        log.warning("%s", error)
        return None


def measure(params: Params, chain: Chain, champion: str | None) -> dict[str, Measurement]:
    """Measure the champion, if there is one, on the candidate's own test split.

    What cannot be measured is not there: the gates that ask for it refuse.
    """
    found = {measurements.CHAMPION_EXISTS: statistics.exact(float(champion is not None), 1)}
    known = outcomes.read(chain.evaluation.outcomes.path).outcomes
    if champion is None:
        return found | flips.nobody(len(known), int(flips.attacked(known).sum()))
    earlier = believed(params.model, champion)
    if earlier is None:
        return found
    for part in (_clean, _attacked):
        try:
            found |= part(params, chain, known, earlier)
        except (HardgateError, RuntimeError) as error:
            # Unmeasured is a refusal of the gate that compares; the reason belongs in the log.
            log.warning("the champion could not be measured: %s", error)
    return found


def _clean(
    params: Params, chain: Chain, known: Outcomes, earlier: Earlier
) -> dict[str, Measurement]:
    test = _as_it_reads(params, chain, candidates.read_spec(earlier.directory))
    network = candidates.load(earlier.directory, torch.device("cpu"))
    with torch.no_grad():
        logits = torch.cat([network(inputs) for inputs, _ in test.batches(512)])
    probabilities: NDArray[np.float64] = torch.softmax(logits.double(), 1).numpy()
    worth = quality.measure(test.labels.numpy(), probabilities, seed=params.seed)
    return {measurements.champion(metric): value for metric, value in worth.items()} | flips.clean(
        known, probabilities.argmax(1)
    )


def _as_it_reads(params: Params, chain: Chain, spec: InputSpec) -> Samples:
    """Give the test split as the champion reads it: its own columns, categories and classes.

    Raises
    ------
    DataError
        If the test split holds what the champion does not know.
    """
    test, own = _store.split(chain.dataset.test), chain.dataset.input
    if spec.classes != own.classes:
        raise DataError(f"it tells {', '.join(spec.classes)} apart, not {', '.join(own.classes)}")
    if candidates.reads(spec) == candidates.reads(own):
        return test
    if not isinstance(spec, TableInput):
        raise DataError("it takes images of another shape")
    raw = params.dataset.load(_store.ROOT, cache=state.room("data"))
    rows = raw.frame.iloc[test.rows.numpy()]
    inputs = encode_inputs(rows, spec, source="the test split")
    return replace(test, inputs=torch.from_numpy(inputs))


def _attacked(
    params: Params, chain: Chain, known: Outcomes, earlier: Earlier
) -> dict[str, Measurement]:
    """Count negative flips under attack, if a gate asks: this takes attacks on the champion."""
    asking = (gate for gate in params.promotion.gates if isinstance(gate, NegativeFlipsGate))
    if not any(gate.under_attack for gate in asking):
        return {}
    spec, test = chain.dataset.input, _store.split(chain.dataset.test)
    if candidates.reads(candidates.read_spec(earlier.directory)) != candidates.reads(spec):
        raise DataError("it takes other inputs than today's, so today's attacks do not fit it")
    allowed, device = region.build(params.threat, spec), devices.pick()
    versus = Versus(
        candidate=candidates.load(chain.candidate.directory, device),
        champion=candidates.load(earlier.directory, device),
        test=test,
        known=known,
        kept=regression.usable(earlier.regression(), known, test, allowed),
        device=device,
    )
    with devices.threads_for(spec):
        return flips.under_attack(
            versus, params.evaluation, params.threat, allowed, seed=params.seed
        )
