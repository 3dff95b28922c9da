"""What evaluation measures, as probes that do not need each other, and what follows from them all.

To add a probe: its settings in :mod:`~hardgate.probes.section`, its function beside its like
(:mod:`~hardgate.probes.attacking`, :mod:`~hardgate.probes.proving`,
:mod:`~hardgate.probes.watching`, :mod:`~hardgate.probes.twin`), its kind in
:mod:`~hardgate.probes.probe`, and a line each in :func:`plan` and :func:`measure` here.
:mod:`~hardgate.probes.concluding` counts when all are there, and
:mod:`~hardgate.probes.grouping` compares groups of people.
"""

from __future__ import annotations

from hardgate import diagnostics, transfer
from hardgate.attacks import Cascade
from hardgate.probes.attacking import cascaded, curve, doubted, judged, queried
from hardgate.probes.concluding import CLEAN, conclude, gather
from hardgate.probes.grouping import alone
from hardgate.probes.probe import Found, Kind, Probe, attacked_by
from hardgate.probes.proving import certify
from hardgate.probes.section import CorruptionSweep, Curve, Evaluation, Sequential
from hardgate.probes.twin import beside_twin
from hardgate.probes.watching import clean, shifted
from hardgate.records import InputSpec, TableInput
from hardgate.subject import Origin, Subject, choose
from hardgate.threat import Threat

TWIN = "twin"


def plan(section: Evaluation, spec: InputSpec, threat: Threat) -> tuple[Probe, ...]:
    """List the probes, long ones first, after checking that each fits the data.

    Raises
    ------
    ParamsError
        If an attack, the shifts or the fairness section does not; names the key.
    """
    for attack in (*section.attacks, section.curve.attack):
        attack.check(spec, threat)
    diagnostics.check(section.attacks)
    if section.fairness is not None and isinstance(spec, TableInput):
        section.fairness.check(spec)
    if section.shifts is not None:
        section.shifts.check(spec)
    if section.transfer is not None:
        section.transfer.attack.check(spec, threat)
    for risk in section.risks:
        risk.check(spec, threat)
    rest: list[Kind] = ["diagnostics", "curve"]
    if section.queries is not None:
        section.queries.check(spec, threat)
        rest.append("queries")
    if section.shifts is not None:
        rest.append("shifts")
    if section.certification is not None:
        rest.append("certification")
    asked = section.sequential.attack if section.sequential is not None else None
    kinds: list[tuple[Kind, str]] = [
        ("sequential" if attack.name == asked else "attack", attack.name)
        for attack in reversed(section.attacks)
    ]
    return (
        *(Probe(kind=kind, name=name) for kind, name in kinds),
        Probe(kind="twin", name=TWIN if section.transfer is None else transfer.NAME),
        *(Probe(kind="risk", name=risk.name) for risk in section.risks),
        *(Probe(kind=kind, name=kind) for kind in rest),
        Probe(kind="clean", name=CLEAN),
    )


def measure(probe: Probe, section: Evaluation, subject: Subject, origin: Origin) -> Found:
    """Make one measurement."""
    match probe.kind:
        case "clean":
            return clean(subject)
        case "attack":
            attack = next(attack for attack in section.attacks if attack.name == probe.name)
            if isinstance(attack, Cascade):
                return cascaded(attack, section, subject)
            found = attacked_by(attack, subject, subject.attacked)
            return Found(inputs=found.adversarial, probabilities=found.probabilities)
        case "sequential":
            return Found(judged(section, subject, origin.attempt))
        case "curve":
            return Found(curve(section, subject))
        case "shifts":
            return Found(shifted(section, subject))
        case "queries":
            return Found(queried(section, subject))
        case "diagnostics":
            return Found(doubted(section, subject))
        case "twin":
            return beside_twin(section, subject, origin)
        case "certification":
            return certify(section, subject)
        case "risk":
            risk = next(risk for risk in section.risks if risk.name == probe.name)
            return Found(risk.measure(subject, origin))


__all__ = [
    "CorruptionSweep",
    "Curve",
    "Evaluation",
    "Found",
    "Origin",
    "Probe",
    "Sequential",
    "Subject",
    "alone",
    "choose",
    "conclude",
    "gather",
    "measure",
    "plan",
]
