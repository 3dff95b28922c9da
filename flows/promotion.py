"""Promotion: gates judge, evidence is signed, the registry gets a version and maybe an alias."""

from __future__ import annotations

from prefect import flow

from hardgate import progress
from hardgate.errors import RefusedError
from hardgate.params import Params
from hardgate.records import (
    AttributionRecord,
    CandidateRecord,
    CorpusRecord,
    DatasetRecord,
    Decision,
    EvaluationRecord,
)
from tasks import _dashboard, _registry, promotion
from tasks._chain import Chain


def ready() -> None:
    """Find the registry and the keys fit for use: before the work, not after it."""
    _registry.check()
    promotion.check_keys()


@flow(name="promotion", flow_run_name="promotion", validate_parameters=False)
def promote(
    params: Params,
    dataset: DatasetRecord,
    corpus: CorpusRecord,
    candidate: CandidateRecord,
    attributions: AttributionRecord,
    evaluation: EvaluationRecord,
) -> Decision:
    """Decide on the candidate.

    1. The records are one run's, and the model's bytes are those that were evaluated.
    2. What is installed is looked at, and what is known against it.
    3. A standing decision about the very same things is given again.
    4. The champion, if there is one, is measured on the same test split, and what it gets right and
       the candidate wrong is counted.
    5. The version is registered, whatever the gates will say.
    6. Each file that the registry gives back is looked at.
    7. Every gate speaks.
    8. Evidence is signed over the bytes that the registry gave back, with bill of materials and
       provenance.
    9. Decision, report and evidence are attached to the version.
    10. The alias ``challenger`` moves, last and only if every gate passed.
    """
    chain = Chain(
        dataset=dataset,
        corpus=corpus,
        candidate=candidate,
        attributions=attributions,
        evaluation=evaluation,
    )
    promotion.check_chain(params, chain)
    installed = promotion.inspect_installation()
    champion = promotion.find_champion(params.model)
    if standing := promotion.recall(params, chain, champion, installed):
        progress.enter("promotion", reused=True)
        promotion.nominate(standing)  # a run that was killed may have ended just before
        return standing
    progress.enter("promotion")
    against = promotion.measure_champion(params, chain, champion)
    version = promotion.register(params, chain)
    carried = promotion.inspect_model(params, version, installed)
    measured = {
        **dataset.measurements,
        **candidate.measurements,
        **attributions.measurements,
        **evaluation.measurements,
        **against,
        **carried.measurements,
    }
    findings = promotion.judge(params, measured)
    evidence = promotion.attest(params, chain, champion, version, measured, findings)
    decision = promotion.conclude(params, chain, champion, version, installed, findings, evidence)
    promotion.nominate(decision)
    _dashboard.show(decision)
    return decision


@flow(name="promotion", flow_run_name="promotion", validate_parameters=False)
def refuse(params: Params, refusal: RefusedError) -> Decision:
    """Decide against data that broke their contract."""
    progress.enter("promotion")
    decision = promotion.refuse_data(params, refusal)
    _dashboard.show(decision)
    return decision
