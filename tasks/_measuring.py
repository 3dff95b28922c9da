"""Measure one risk alone, of the last candidate: nothing is decided, registered or written."""

from __future__ import annotations

from hardgate import devices
from hardgate import params as settings
from hardgate.errors import ParamsError
from hardgate.params import Params
from hardgate.params_file import meant
from hardgate.records import Finding, Measurement, Record, Verdict
from hardgate.risks import Risk
from tasks import _store, evaluation


class Measured(Record):
    """What one risk came to, and what the gates that ask about it would say."""

    model: str
    risk: str
    measurements: dict[str, Measurement]
    findings: tuple[Finding, ...]

    @property
    def exit_code(self) -> int:
        """0 when every gate that asks about the risk would pass, else 1."""
        return 0 if all(each.verdict is Verdict.PASSED for each in self.findings) else 1


def measure(model: str, risk: str) -> Measured:
    """Measure one risk of the last candidate.

    Raises
    ------
    ParamsError
        If the model's params do not measure that risk; names those that they do.
    IntegrityError
        If there is no candidate, or its files are broken.
    """
    params = settings.load(model)
    asked = _asked(params, risk)
    dataset, candidate = _store.dataset(model), _store.candidate(model)
    asked.check(dataset.input, params.threat)
    subject = evaluation.subject(params, dataset, candidate)
    origin = evaluation.origin(params, candidate, attempt=1)
    with devices.threads_for(dataset.input):
        found = asked.measure(subject, origin)
    gates = [gate for gate in params.promotion.gates if getattr(gate, "risk", None) == risk]
    return Measured(
        model=model,
        risk=risk,
        measurements=found,
        findings=tuple(gate.judge(found) for gate in gates),
    )


def _asked(params: Params, named: str) -> Risk:
    known = {risk.name: risk for risk in params.evaluation.risks}
    if named not in known:
        raise ParamsError(
            f"{named!r} is no risk that {params.model} measures; one of "
            f"{', '.join(known) or 'none'}, by {params.model}.evaluation.risks"
            f"{meant(named, list(known))}"
        )
    return known[named]
