"""What evaluation measures, as probes that do not need each other, and what follows from them all.

To add a probe: its settings in :mod:`~hardgate.probes.section`, its function beside its like
(:mod:`~hardgate.probes.attacking`, :mod:`~hardgate.probes.proving`,
:mod:`~hardgate.probes.watching`, :mod:`~hardgate.probes.twin`), its kind in
:mod:`~hardgate.probes.subject`, and a line each in :func:`plan` and :func:`measure` here.
:mod:`~hardgate.probes.concluding` counts when all are there.
"""

from __future__ import annotations

from pathlib import Path

from hardgate import diagnostics, transfer
from hardgate.attacks import Cascade
from hardgate.probes.attacking import cascaded, curve, doubted, judged, queried
from hardgate.probes.concluding import CLEAN, conclude, gather
from hardgate.probes.proving import certify
from hardgate.probes.section import CorruptionSweep, Curve, Evaluation, Sequential
from hardgate.probes.subject import Found, Kind, Probe, Subject, attacked_by, choose
from hardgate.probes.twin import beside_twin
from hardgate.probes.watching import clean, shifted
from hardgate.records import InputSpec, TableInput
from hardgate.threat import Threat
from hardgate.training import Training

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
        *(Probe(kind=kind, name=kind) for kind in rest),
        Probe(kind="clean", name=CLEAN),
    )


def measure(
    probe: Probe,
    section: Evaluation,
    subject: Subject,
    *,
    twin: Training,
    checkpoint: Path,
    attempt: int,
) -> Found:
    """Make one measurement.

    Parameters
    ----------
    twin, checkpoint
        How the undefended twin is trained, and where it may leave its checkpoint.
    attempt
        Which version of the model this would become, counted from 1: gate mode spends by it.
    """
    match probe.kind:
        case "clean":
            return clean(section, subject)
        case "attack":
            attack = next(attack for attack in section.attacks if attack.name == probe.name)
            if isinstance(attack, Cascade):
                return cascaded(attack, section, subject)
            found = attacked_by(attack, section, subject, subject.attacked)
            return Found(inputs=found.adversarial, probabilities=found.probabilities)
        case "sequential":
            return Found(judged(section, subject, attempt))
        case "curve":
            return Found(curve(section, subject))
        case "shifts":
            return Found(shifted(section, subject))
        case "queries":
            return Found(queried(section, subject))
        case "diagnostics":
            return Found(doubted(section, subject))
        case "twin":
            return beside_twin(section, subject, twin, checkpoint)
        case "certification":
            return certify(section, subject)


__all__ = [
    "CorruptionSweep",
    "Curve",
    "Evaluation",
    "Found",
    "Probe",
    "Sequential",
    "Subject",
    "choose",
    "conclude",
    "gather",
    "measure",
    "plan",
]
