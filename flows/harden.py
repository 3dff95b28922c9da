"""Harden: raw data in, a signed decision and a registered version out."""

from __future__ import annotations

from prefect import flow
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

from flows import augmentation, evaluation, explanation, promotion, training, validation
from hardgate import params as settings
from hardgate import state
from hardgate.errors import RefusedError
from hardgate.params import Params
from hardgate.records import Decision


@flow(name="harden", flow_run_name="harden {model}")
def harden(model: str, overrides: list[str] | None = None) -> Decision:
    """Harden one model.

    Parameters
    ----------
    model
        A model of params.yaml.
    overrides
        Such as ``credit.threat.eps=0.1``: they hold for this run, then params.yaml is put back.
    """
    with (
        state.exclusive(model),
        settings.overridden(model, overrides or []) as params,
        # The heartbeat of this flow speaks for its stages; each of theirs would cost a second.
        temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}),
    ):
        promotion.ready()
        return _stages(params)


def _stages(params: Params) -> Decision:
    """Take raw data to a promotion decision; every line is a stage."""
    try:
        dataset = validation.validate(params)
    except RefusedError as refusal:
        return promotion.refuse(params, refusal)
    params.check(dataset.input, train=dataset.train.samples, test=dataset.test.samples)
    corpus = augmentation.augment(params, dataset)
    candidate = training.train(params, dataset, corpus)
    attributions = explanation.explain(params, dataset, candidate)
    measured = evaluation.evaluate(params, dataset, candidate)
    return promotion.promote(params, dataset, corpus, candidate, attributions, measured)
