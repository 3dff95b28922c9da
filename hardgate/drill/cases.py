"""What is made bad about each candidate, and who should refuse it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hardgate.drill.materials import Kind, Material

SUBMITTER = "submitter"  # who brings every candidate of a drill
FINISHED, REFUSED = "finished", "refused"  # runs that cases share
UNREACHED = {"promotion.gates.3.bound": 0.95}  # a robust AUC that no candidate has
LABEL = "default.payment.next.month"
Change = Callable[[Material], None]
# What is done to a finished run; ``tasks/_tampering.py`` has a function of each name.
Tampering = Literal[
    "edited_measurement",
    "edited_outcomes",
    "missing_measurement",
    "measurement_not_a_number",
    "swapped_weights",
    "swapped_weights_and_record",
    "swapped_chain",
    "scaled_logits",
    "unsafe_file",
    "scaffold",
    "foreign_evaluation",
    "weaker_threat",
    "no_evidence",
    "edited_evidence",
    "foreign_key",
    "stale_evidence",
    "foreign_evidence",
    "other_files",
    "weaker_policy",
    "own_approval",
    "no_role",
    "waiver_expired",
    "waiver_for_another",
    "waiver_by_the_submitter",
]


@dataclass(frozen=True)
class Case:
    """One candidate. ``expected`` is part of what refuses it: a gate's label, or a check's words.

    ``change`` makes the data bad, ``settings`` the params (by dotted key), ``tampering`` the run
    after it was good. Cases that only tamper share a ``run``, which is made once and put back as it
    was before each of them.
    """

    name: str
    story: str
    expected: str | None
    kind: Kind = "rows"
    change: Change | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    tampering: Tampering | None = None
    run: str = ""

    @property
    def model(self) -> str:
        """The model that the case hardens, or finds hardened."""
        return self.run or self.name


def _shuffle(material: Material) -> None:
    shuffled = np.random.default_rng(0).permutation(material.rows[LABEL].to_numpy())
    material.rows[LABEL] = shuffled


def _break_cells(material: Material) -> None:
    material.rows.loc[:20, "SEX"] = 7


def _copy_test_images(material: Material) -> None:
    digits = material.digits
    digits.train_images = np.concatenate([digits.train_images, digits.test_images[:100]])
    digits.train_labels = np.concatenate([digits.train_labels, digits.test_labels[:100]])


def _flip(material: Material, rows: slice | NDArray[np.int64]) -> None:
    labels = material.rows[LABEL].to_numpy().copy()
    labels[rows] = 1 - labels[rows]
    material.rows[LABEL] = labels


def _flip_some(material: Material) -> None:
    """Flip three labels in twenty: one in eight contradicts its row as it is."""
    count = len(material.rows)
    _flip(material, np.random.default_rng(0).choice(count, 3 * count // 20, replace=False))


def _flip_newest(material: Material) -> None:
    _flip(material, slice(-500, None))


def _bring_others(material: Material) -> None:
    """Put the oldest clients last: the newest rows are of other people."""
    material.rows = material.rows.sort_values("AGE", kind="stable").reset_index(drop=True)


def _number_cards(material: Material) -> None:
    """Let the number of a row be that of a card: nobody trains on it, and there it stands."""
    draws = np.random.default_rng(0).integers(0, 10**9, len(material.rows))
    material.rows["ID"] = [_card(f"400000{draw:09d}") for draw in draws]


def _card(digits: str) -> int:
    """Add the last digit by which a card's number is known (Luhn)."""
    doubled = [int(d) * (2 - at % 2) for at, d in enumerate(digits)]
    total = sum(each - 9 if each > 9 else each for each in doubled)
    return int(f"{digits}{-total % 10}")


def _plant_patch(material: Material) -> None:
    """Light a corner of 60 digits that are no 3, and call them 3: BadNets, Gu et al. (2017)."""
    digits = material.digits
    others = np.flatnonzero(digits.train_labels != 3)
    chosen = np.random.default_rng(0).choice(others, 60, replace=False)
    digits.train_images[chosen, -2:, -2:] = 255
    digits.train_labels[chosen] = 3


def _favour(material: Material) -> None:
    """Let no man default, and as many women more: those who paid least of late."""
    rows = material.rows
    men, due = rows["SEX"] == 1, int(rows[LABEL].sum())
    rows.loc[men, LABEL] = 0
    others = rows[~men & (rows[LABEL] == 0)].sort_values("PAY_AMT1", kind="stable").index
    rows.loc[others[: due - int(rows[LABEL].sum())], LABEL] = 1


CASES: tuple[Case, ...] = (
    *(
        Case(f"good-rows-{seed}", "a good candidate", None, settings={"seed": seed})
        for seed in (1, 2, 3)
    ),
    *(
        Case(
            f"good-digits-{seed}", "a good candidate", None, kind="digits", settings={"seed": seed}
        )
        for seed in (1, 2)
    ),
    # what is wrong with the data
    Case(
        "shuffled-labels",
        "labels have nothing to do with their rows",
        "clean_quality",
        change=_shuffle,
    ),
    Case("broken-contract", "a category that nobody knows", "data_contract", change=_break_cells),
    Case(
        "leaked-test",
        "100 test images are trained on",
        "data_contract",
        kind="digits",
        change=_copy_test_images,
    ),
    Case("unfair", "women default at a word", "fairness/SEX", change=_favour),
    Case(
        "flipped-labels",
        "three labels in twenty flipped",
        "poisoning/label_errors",
        change=_flip_some,
    ),
    Case(
        "poisoned-slice",
        "the newest tenth has its labels flipped",
        "newest_slice",
        change=_flip_newest,
    ),
    Case(
        "other-people",
        "the newest rows are of older clients",
        "drift/classifier",
        change=_bring_others,
    ),
    Case(
        "card-numbers",
        "a column that nobody trains on holds card numbers",
        "personal_data",
        change=_number_cards,
    ),
    Case(
        "backdoor",
        "a bright corner makes a digit a 3",
        "poisoning/trigger",
        kind="digits",
        change=_plant_patch,
    ),
    Case(
        "backdoor-undefended",
        "the same, in a network trained without defence",
        "poisoning/trigger",
        kind="digits",
        change=_plant_patch,
        settings={"training.defense": {"recipe": "standard"}, "training.warmup_epochs": 0.0},
    ),
    # what is wrong with the training, or with what is asked of it
    Case(
        "undefended-rows",
        "trained without defence",
        "robust_auc",
        settings={"training.defense": {"recipe": "standard"}, "training.epochs": 25},
    ),
    Case(
        "undefended-digits",
        "trained without defence",
        "robust_accuracy",
        kind="digits",
        settings={"training.defense": {"recipe": "standard"}, "training.warmup_epochs": 0.0},
    ),
    Case(
        "unstable",
        "learned from labels that mean nothing: trained again, it gives other reasons",
        "explanation_agreement/retrains",
        change=_shuffle,
        settings={"training.defense": {"recipe": "standard"}},
    ),
    Case(
        "memorising",
        "knows by heart which random label each row has",
        "membership",
        change=_shuffle,
        settings={
            "training.defense": {"recipe": "standard"},
            "training.architecture": {"name": "mlp", "hidden": [256, 256]},
            "training.epochs": 60,
            "training.early_stopping.every": 60,
            "training.early_stopping.patience": 500,
        },
    ),
    Case(
        "small-radius",
        "hardened and measured against a weaker attacker than the registry's params name",
        "made with other params than this registry's (threat)",
        tampering="weaker_threat",
        run=FINISHED,
    ),
    Case(
        "few-samples",
        "attacked on 100 rows where 500 are needed",
        "robust_auc",
        settings={"evaluation.samples": 100},
    ),
    Case(
        "weak-attack",
        "its black-box attack asks twenty times, too few to find what is known to be there",
        "known_answers",
        kind="digits",
        settings={"evaluation.attacks.2": {"name": "square", "restarts": 1, "queries": 20}},
    ),
    Case(
        "short-steps",
        "its gradient attack takes one small step",
        "do not cross eps",
        settings={
            "evaluation.attacks.0": {
                "name": "constrained-pgd",
                "step_size": 0.01,
                "steps": 1,
                "restarts": 1,
                "check_every": 1,
            }
        },
    ),
    Case("empty-policy", "asks for no gate", "promotion.gates", settings={"promotion.gates": []}),
    Case(
        "policy-of-nothing",
        "its only gate asks about an attack that is not run",
        "evaluation measures",
        settings={
            "promotion.gates": [
                {
                    "kind": "robust_auc",
                    "attack": "constrained-relay",
                    "bound": 0.6,
                    "min_samples": 500,
                }
            ]
        },
    ),
    # what is done to a finished run, by somebody who can write the project's files
    Case(
        "masked",
        "its logits are so large that no gradient is left",
        "masked_gradients",
        tampering="scaled_logits",
        run=FINISHED,
    ),
    Case(
        "scaffolded",
        "decides by sex, and by late payments where an explainer asks",
        "off_manifold",
        tampering="scaffold",
        run=FINISHED,
    ),
    Case(
        "unsafe-file",
        "a pickle among the model's files",
        "artifact_safety",
        tampering="unsafe_file",
        run=FINISHED,
    ),
    Case(
        "swapped-weights",
        "other weights than were measured",
        "has changed since it was trained",
        tampering="swapped_weights",
        run=FINISHED,
    ),
    Case(
        "swapped-record",
        "other weights than were measured, and a record that fits them",
        "made from another run's files",
        tampering="swapped_weights_and_record",
        run=FINISHED,
    ),
    Case(
        "swapped-chain",
        "other weights than were measured, and every record rewritten to fit them",
        "does not verify",
        tampering="swapped_chain",
        run=FINISHED,
    ),
    Case(
        "edited-measurement",
        "robust AUC written up in the record",
        "robust/worst_case/auc",
        tampering="edited_measurement",
        run=FINISHED,
    ),
    Case(
        "edited-outcomes",
        "outcomes of lost rows written up",
        "is not what the evaluation's record says",
        tampering="edited_outcomes",
        run=FINISHED,
    ),
    Case(
        "missing-measurement",
        "a sign of masked gradients taken out",
        "masked_gradients",
        tampering="missing_measurement",
        run=FINISHED,
    ),
    Case(
        "not-a-number",
        "NaN in place of a measurement",
        "is not a valid EvaluationRecord",
        tampering="measurement_not_a_number",
        run=FINISHED,
    ),
    Case(
        "foreign-evaluation",
        "an evaluation that was made from another candidate",
        "made from another run's files",
        tampering="foreign_evaluation",
        run=FINISHED,
    ),
    # what is brought before the registry for approval
    Case(
        "unsigned",
        "no evidence",
        "no gate evidence is recorded",
        tampering="no_evidence",
        run=FINISHED,
    ),
    Case(
        "edited-evidence",
        "one measurement changed after signing",
        "was changed after it was signed",
        tampering="edited_evidence",
        run=FINISHED,
    ),
    Case(
        "foreign-key",
        "evidence signed by a key of somebody's own",
        "the evidence does not hold",
        tampering="foreign_key",
        run=FINISHED,
    ),
    Case(
        "stale-evidence",
        "evidence of two months ago",
        "the evidence held until",
        tampering="stale_evidence",
        run=FINISHED,
    ),
    Case(
        "foreign-evidence",
        "the evidence of another version",
        "about another version",
        tampering="foreign_evidence",
        run=FINISHED,
    ),
    Case(
        "other-files",
        "a byte of the model changed after the gates",
        "not those that passed the gates",
        tampering="other_files",
        run=FINISHED,
    ),
    Case(
        "weaker-policy",
        "evidence made under a lower bound than the registry's",
        "another gate policy",
        tampering="weaker_policy",
        run=FINISHED,
    ),
    Case(
        "own-approval",
        "approved by who submitted it",
        "a second pair of eyes",
        tampering="own_approval",
        run=FINISHED,
    ),
    Case(
        "no-role",
        "approved by a data scientist",
        "does not hold the role",
        tampering="no_role",
        run=FINISHED,
    ),
    Case(
        "waiver-expired",
        "excused by a waiver of last year",
        "gates not passed",
        settings=UNREACHED,
        tampering="waiver_expired",
        run=REFUSED,
    ),
    Case(
        "waiver-for-another",
        "excused by a waiver for other bytes",
        "gates not passed",
        settings=UNREACHED,
        tampering="waiver_for_another",
        run=REFUSED,
    ),
    Case(
        "waiver-of-the-submitter",
        "excused by who submitted it",
        "gates not passed",
        settings=UNREACHED,
        tampering="waiver_by_the_submitter",
        run=REFUSED,
    ),
)


def find(name: str) -> Case:
    """Find a case by its name."""
    return next(case for case in CASES if case.name == name)


def section(case: Case, material: Material) -> dict[str, Any]:
    """Give the params of a case: the material's, with the case's settings put in."""
    for key, value in case.settings.items():
        *path, last = key.split(".")
        place: Any = material.section
        for part in path:
            place = place[int(part) if isinstance(place, list) else part]
        place[int(last) if isinstance(place, list) else last] = value
    return material.section
