"""Measure one risk alone, of the last candidate: nothing is decided, registered or written.

Risks are the members of ``evaluation.risks``, and :data:`ELSEWHERE`: what a run measures in another
place. To add one there, write a function that gives its measurements, and have its gates name it
in ``risk``.
"""

from __future__ import annotations

from collections.abc import Callable

from hardgate import devices, diagnostics, probes, supply_chain
from hardgate import params as settings
from hardgate.errors import ParamsError
from hardgate.params import Params
from hardgate.params_file import meant
from hardgate.records import (
    CandidateRecord,
    DatasetRecord,
    Finding,
    Measurement,
    Record,
    TableInput,
    Verdict,
)
from hardgate.supply_chain import inspecting
from tasks import _store, evaluation

Found = tuple[dict[str, Measurement], tuple[str, ...]]  # measurements, and what to know of them
Ask = Callable[[Params, DatasetRecord, CandidateRecord], Found]


class Measured(Record):
    """What one risk came to, and what the gates that ask about it would say."""

    model: str
    risk: str
    measurements: dict[str, Measurement]
    findings: tuple[Finding, ...]
    remarks: tuple[str, ...] = ()  # where it differs from what a whole run measures

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
    dataset, candidate = _store.dataset(model), _store.candidate(model)
    ask = _asked(params, dataset, risk)
    with devices.threads_for(dataset.input):
        found, remarks = ask(params, dataset, candidate)
    gates = [gate for gate in params.promotion.gates if getattr(gate, "risk", None) == risk]
    return Measured(
        model=model,
        risk=risk,
        measurements=found,
        findings=tuple(gate.judge(found) for gate in gates),
        remarks=remarks,
    )


def _asked(params: Params, dataset: DatasetRecord, named: str) -> Ask:
    """Give what measures a risk."""
    elsewhere = {
        name: ask for name, (applies, ask) in ELSEWHERE.items() if applies(params, dataset)
    }
    known = [*(risk.name for risk in params.evaluation.risks), *elsewhere]
    if named not in known:
        raise ParamsError(
            f"{named!r} is no risk that {params.model} measures; one of "
            f"{', '.join(known) or 'none'}, by {params.model}.evaluation{meant(named, known)}"
        )
    return elsewhere.get(named) or _member(named)


def _member(named: str) -> Ask:
    """Measure a member of ``evaluation.risks``."""

    def ask(params: Params, dataset: DatasetRecord, candidate: CandidateRecord) -> Found:
        risk = next(risk for risk in params.evaluation.risks if risk.name == named)
        risk.check(dataset.input, params.threat)
        subject = evaluation.subject(params, dataset, candidate)
        return risk.measure(subject, evaluation.origin(params, candidate, attempt=1)), ()

    return ask


def _compares_groups(params: Params, dataset: DatasetRecord) -> bool:
    return params.evaluation.fairness is not None and isinstance(dataset.input, TableInput)


def _fairness(params: Params, dataset: DatasetRecord, candidate: CandidateRecord) -> Found:
    """Compare groups of people; one attack stands for all."""
    attack = diagnostics.gradient_attack(params.evaluation.attacks)
    remark = f"under attack means {attack.name} alone; a run takes the worst of all its attacks"
    subject = evaluation.subject(params, dataset, candidate)
    return probes.alone(params.evaluation, subject), (remark,)


def _supply_chain(_params: Params, _dataset: DatasetRecord, candidate: CandidateRecord) -> Found:
    """Look at the installation and at the candidate's files."""
    remark = "looked at the candidate's own files; promotion looks at those that the registry gives"
    return inspecting.measure(candidate.directory, root=_store.ROOT), (remark,)


ELSEWHERE: dict[str, tuple[Callable[[Params, DatasetRecord], bool], Ask]] = {
    "fairness": (_compares_groups, _fairness),  # its section is evaluation.fairness
    supply_chain.NAME: (lambda _params, _dataset: True, _supply_chain),  # measured in promotion
}
