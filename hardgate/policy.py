"""Whether the gates of a policy ask for what evaluation is going to measure.

What nobody measures has not passed, so such a gate refuses every model, after a whole run.
"""

from __future__ import annotations

from collections.abc import Sequence

from hardgate import transfer
from hardgate.certification.proofs import Bounding
from hardgate.errors import ParamsError
from hardgate.gates import Policy
from hardgate.gates.attribute_inference import AttributeInferenceGate
from hardgate.gates.certified import CertifiedGate
from hardgate.gates.corruption import CorruptionGate
from hardgate.gates.corruption_error import CorruptionErrorGate
from hardgate.gates.fairness import FairnessGate
from hardgate.gates.inversion import InversionGate
from hardgate.gates.out_of_distribution import OutOfDistributionGate
from hardgate.gates.poisoning import PoisoningGate
from hardgate.gates.privacy_budget import PrivacyBudgetGate
from hardgate.gates.robust_accuracy import RobustAccuracyGate
from hardgate.gates.robust_auc import RobustAucGate
from hardgate.gates.robust_sequential import RobustSequentialGate
from hardgate.gates.selective import SelectiveGate
from hardgate.gates.shift import ShiftGate
from hardgate.measurements import WORST_CASE
from hardgate.params_file import meant
from hardgate.probes import Evaluation
from hardgate.records import InputSpec, TableInput
from hardgate.risks import Poisoning, Privacy, Uncertainty
from hardgate.supply_chain import NAME as SUPPLY_CHAIN

# Measured elsewhere than by evaluation.risks: by a section that is looked at below, in promotion.
ELSEWHERE = frozenset({"fairness", SUPPLY_CHAIN})


def check(policy: Policy, section: Evaluation, spec: InputSpec, *, private: bool) -> None:
    """Refuse a gate whose measurement nobody is going to make.

    Parameters
    ----------
    private
        Whether training keeps a privacy budget.

    Raises
    ------
    ParamsError
        Names the gate's place in the policy, what will be measured and what is nearest.
    """
    judged = section.sequential.attack if section.sequential is not None else None
    attacks: list[str] = [attack.name for attack in section.attacks if attack.name != judged]
    attacks += [WORST_CASE] if attacks else []
    attacks += [transfer.NAME] if section.transfer is not None else []
    for at, gate in enumerate(policy):
        place = f"promotion.gates.{at}"
        risk = getattr(gate, "risk", None)
        if risk is not None and risk not in ELSEWHERE:
            _among(
                [each.name for each in section.risks], risk, f"{place}.kind", "evaluation.risks has"
            )
        match gate:
            case RobustAccuracyGate() | RobustAucGate():
                _among(attacks, gate.attack, f"{place}.attack", "evaluation measures")
            case RobustSequentialGate():
                _judges(section, gate, place)
            case FairnessGate():
                groups = _compared(section, spec)
                _among(groups, gate.column, f"{place}.column", "evaluation compares groups of")
            case CertifiedGate() if not isinstance(section.certification, Bounding):
                raise ParamsError(
                    f"{place}.kind = {gate.kind!r}: evaluation proves nothing about the model; add "
                    "evaluation.certification with method ibp or crown-ibp, or remove the gate"
                )
            case CorruptionGate() | CorruptionErrorGate() if (
                section.corruptions is None or isinstance(spec, TableInput)
            ):
                raise ParamsError(
                    f"{place}.kind = {gate.kind!r}: evaluation measures no corruptions; for images "
                    "add evaluation.corruptions, for a table remove the gate"
                )
            case SelectiveGate() | OutOfDistributionGate():
                _uncertain(section, gate, place)
            case ShiftGate():
                _shifted(section, spec, gate, place)
            case PrivacyBudgetGate() if not private:
                raise ParamsError(
                    f"{place}.kind = {gate.kind!r}: training keeps no budget; add training.privacy "
                    "with epsilon, delta and max_grad_norm, or remove the gate"
                )
            case AttributeInferenceGate():
                guessed = [name for each in _private(section) for name in each.guessed(spec)]
                _among(guessed, gate.column, f"{place}.column", "evaluation guesses cells of")
            case InversionGate() if not any(each.inversion for each in _private(section)):
                raise ParamsError(
                    f"{place}.kind = {gate.kind!r}: evaluation inverts no images; for images give "
                    "the risk privacy its inversion, for a table remove the gate"
                )
            case PoisoningGate(screen="trigger") if not any(
                isinstance(each, Poisoning) and each.trigger for each in section.risks
            ):
                raise ParamsError(
                    f"{place}.screen = 'trigger': evaluation looks for no triggers; for images add "
                    "trigger to poisoning in evaluation.risks, for a table remove the gate"
                )


def _judges(section: Evaluation, gate: RobustSequentialGate, place: str) -> None:
    asked = section.sequential
    found = None if asked is None else (asked.attack, asked.bound, asked.alpha)
    if found != (gate.attack, gate.bound, gate.alpha):
        raise ParamsError(
            f"{place} asks for {gate.attack} at bound {gate.bound:g} and alpha {gate.alpha:g}; "
            "give evaluation.sequential the same attack, bound and alpha"
        )


def _uncertain(
    section: Evaluation, gate: SelectiveGate | OutOfDistributionGate, place: str
) -> None:
    for risk in section.risks:
        if isinstance(risk, Uncertainty) and isinstance(gate, SelectiveGate):
            known = [f"{coverage:g}" for coverage in risk.coverages]
            _among(known, f"{gate.coverage:g}", f"{place}.coverage", "uncertainty has coverages")
        elif isinstance(risk, Uncertainty) and isinstance(gate, OutOfDistributionGate):
            known = [score.label for score in risk.scores]
            _among(known, gate.score, f"{place}.score", "uncertainty has scores")


def _private(section: Evaluation) -> list[Privacy]:
    return [risk for risk in section.risks if isinstance(risk, Privacy)]


def _shifted(section: Evaluation, spec: InputSpec, gate: ShiftGate, place: str) -> None:
    if section.shifts is None or not isinstance(spec, TableInput):
        raise ParamsError(
            f"{place}.kind = {gate.kind!r}: evaluation measures no shifts; for a table add "
            "evaluation.shifts, for images remove the gate"
        )
    if gate.metric == "auc" and len(spec.classes) > 2:
        raise ParamsError(
            f"{place}.metric = 'auc': under shifts it is measured for two classes only, and there "
            f"are {len(spec.classes)}; ask for accuracy"
        )


def _compared(section: Evaluation, spec: InputSpec) -> list[str]:
    """List the columns and intersections whose groups evaluation compares."""
    if section.fairness is None or not isinstance(spec, TableInput):
        return []
    return list(section.fairness.compared(spec))


def _among(known: Sequence[str], asked: str, key: str, there: str) -> None:
    if asked not in known:
        raise ParamsError(
            f"{key} = {asked!r}: {there} {', '.join(known) or 'nothing'}{meant(asked, known)}"
        )
