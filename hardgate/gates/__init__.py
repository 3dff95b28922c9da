"""Gates: one question of the evidence each.

To add one: write its file, name it in the union below, give it a paragraph in docs/gates.md. Read
:mod:`~hardgate.gates.questions` first, then any gate. A policy is the list of gates that a model
must pass; an empty one, or one that asks the same twice, is refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import AfterValidator, Field

from hardgate.errors import ParamsError
from hardgate.gates.advisories import AdvisoriesGate
from hardgate.gates.anonymity import AnonymityGate
from hardgate.gates.artifact_safety import ArtifactSafetyGate
from hardgate.gates.attribute_inference import AttributeInferenceGate
from hardgate.gates.calibration import CalibrationGate
from hardgate.gates.certified import CertifiedGate
from hardgate.gates.clean_quality import CleanQualityGate
from hardgate.gates.corruption import CorruptionGate
from hardgate.gates.corruption_error import CorruptionErrorGate
from hardgate.gates.data_contract import DataContractGate
from hardgate.gates.drift import DriftGate
from hardgate.gates.estimated_quality import EstimatedQualityGate
from hardgate.gates.explanation_additivity import ExplanationAdditivityGate
from hardgate.gates.explanation_agreement import ExplanationAgreementGate
from hardgate.gates.explanation_sanity import ExplanationSanityGate
from hardgate.gates.explanation_stability import ExplanationStabilityGate
from hardgate.gates.extraction import ExtractionGate
from hardgate.gates.fairness import FairnessGate
from hardgate.gates.installation import InstallationGate
from hardgate.gates.inversion import InversionGate
from hardgate.gates.known_answers import KnownAnswersGate
from hardgate.gates.masked_gradients import MaskedGradientsGate
from hardgate.gates.membership import MembershipGate
from hardgate.gates.negative_flips import NegativeFlipsGate
from hardgate.gates.newest_slice import NewestSliceGate
from hardgate.gates.off_manifold import OffManifoldGate
from hardgate.gates.out_of_distribution import OutOfDistributionGate
from hardgate.gates.personal_data import PersonalDataGate
from hardgate.gates.poisoning import PoisoningGate
from hardgate.gates.privacy_budget import PrivacyBudgetGate
from hardgate.gates.quarantine import QuarantineGate
from hardgate.gates.reliance import RelianceGate
from hardgate.gates.robust_accuracy import RobustAccuracyGate
from hardgate.gates.robust_auc import RobustAucGate
from hardgate.gates.robust_sequential import RobustSequentialGate
from hardgate.gates.selective import SelectiveGate
from hardgate.gates.shift import ShiftGate
from hardgate.records import Finding, Measurement

Gate = Annotated[
    DataContractGate
    | QuarantineGate
    | CleanQualityGate
    | CalibrationGate
    | RobustAccuracyGate
    | RobustAucGate
    | RobustSequentialGate
    | KnownAnswersGate
    | MaskedGradientsGate
    | CorruptionGate
    | NegativeFlipsGate
    | ShiftGate
    | CorruptionErrorGate
    | CertifiedGate
    | FairnessGate
    | ExtractionGate
    | SelectiveGate
    | OutOfDistributionGate
    | PersonalDataGate
    | AnonymityGate
    | MembershipGate
    | AttributeInferenceGate
    | InversionGate
    | DriftGate
    | EstimatedQualityGate
    | NewestSliceGate
    | PrivacyBudgetGate
    | PoisoningGate
    | ExplanationAdditivityGate
    | ExplanationStabilityGate
    | ArtifactSafetyGate
    | AdvisoriesGate
    | InstallationGate
    | ExplanationAgreementGate
    | ExplanationSanityGate
    | RelianceGate
    | OffManifoldGate,
    Field(discriminator="kind"),
]


def _asks_nothing_twice(gates: tuple[Gate, ...]) -> tuple[Gate, ...]:
    if twice := [
        label for label, times in Counter(gate.label for gate in gates).items() if times > 1
    ]:
        raise ValueError(f"asks the same twice: {', '.join(twice)}; keep the stricter one")
    return gates


Policy = Annotated[tuple[Gate, ...], Field(min_length=1), AfterValidator(_asks_nothing_twice)]


def decide(gates: Sequence[Gate], measurements: Mapping[str, Measurement]) -> tuple[Finding, ...]:
    """Let every gate speak, in the order of the policy.

    Raises
    ------
    ParamsError
        If the policy is empty or asks the same twice.
    """
    if not gates:
        raise ParamsError("promotion.gates: the policy is empty; name the gates a model must pass")
    try:
        _asks_nothing_twice(tuple(gates))
    except ValueError as error:
        raise ParamsError(f"promotion.gates: {error}") from error
    return tuple(gate.judge(measurements) for gate in gates)
