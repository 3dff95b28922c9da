"""Explanation: SHAP values of the candidate, put to trial, drawn, and written down."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE
from torch import Tensor

from hardgate import attribution, candidates, devices, records, region, robustness
from hardgate.attribution import Perturb
from hardgate.params import Params
from hardgate.records import AttributionRecord, CandidateRecord, DatasetRecord
from tasks import _store

BATCH = 256  # inputs attacked at once


@task(cache_policy=NO_CACHE, persist_result=False)
def explain(
    params: Params, dataset: DatasetRecord, candidate: CandidateRecord
) -> AttributionRecord:
    """Explain decisions of the candidate on the test split, and test the explanations."""
    directory = _store.fresh(params.model, "explanation")
    device = devices.pick()
    model = candidates.load(candidate.directory, device)
    with devices.threads_for(dataset.input):
        found = attribution.explain(
            params.explanation,
            dataset.input,
            model,
            train=_store.split(dataset.train),
            test=_store.split(dataset.test),
            seed=params.seed,
            device=device,
            perturb=_perturb(params, dataset, candidate),
        )
    found.write(directory / "attributions.safetensors", recipients=params.dataset.encrypt_to)
    plots = found.plot(directory / "plots", dataset.input)
    return _store.keep(
        AttributionRecord(
            model=params.model,
            made_from=_store.digest(candidate),
            explainer=found.explainer,
            background_sha256=found.background_sha256,
            measurements=found.measurements,
            importance=records.values(found.importance),
            values=_store.file(directory / "attributions.safetensors"),
            plots=tuple(_store.file(plot) for plot in plots),
            seed=params.seed,
            params_sha256=params.digest("explanation"),
            commit=_store.commit(),
        ),
        model=params.model,
        stage="explanation",
    )


def _perturb(params: Params, dataset: DatasetRecord, candidate: CandidateRecord) -> Perturb | None:
    """Make the attack of the section into a function of inputs and labels."""
    attack = params.explanation.attack
    if attack is None:
        return None
    attack.check(dataset.input, params.threat)
    device = devices.pick()
    model = candidates.load(candidate.directory, device)

    def perturb(inputs: Tensor, labels: Tensor) -> Tensor:
        return robustness.measure(
            attack,
            params.threat,
            region.build(params.threat, dataset.input),
            model,
            inputs.to(device),
            labels.to(device),
            seed=params.seed,
            batch_size=BATCH,
            attack_all=True,
        ).adversarial

    return perturb


if __name__ == "__main__":
    _store.door(lambda p: explain.fn(p, _store.dataset(p.model), _store.candidate(p.model)))
