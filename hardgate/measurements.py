"""What every measurement is called. Stages name what they measure here, gates ask for it here.

A name is a path of words: ``robust/pgd/accuracy``. Words from outside (attacks, columns, groups)
are spelled so that MLflow takes the whole as a metric's name.

=====================================  =========================================================
name                                   meaning
=====================================  =========================================================
``data/expectations``                  expectations in the suite (exact)
``data/expectations_failed``           how many of them the data broke (exact)
``clean/<metric>``                     on clean inputs, see :data:`Metric`
``robust/<attack>/<metric>``           under one attack
``robust/worst_case/<metric>``         per sample, the worst that any attack found
``attack_success/<attack>``            share of originally correct inputs that the attack flips
``added/<attack>``                     share of all samples that fell to this rung of a cascade
                                       after they had survived those before it
``known_answer/<attack>``              share of a known optimum that the attack reaches (exact)
``known_answer/weakest/<access>``      the least of them, with gradients or without (exact)
``queries/<attack>/<count>/accuracy``  what an attack that only asks leaves after so many queries
``robust/transfer/<metric>``           under an attack crafted on the undefended twin
``transfer/beats_white_box``           share of samples that fall to it, and to no white-box attack
``curve/<factor>/accuracy``            worst case at ``factor`` times the threat's eps
``certified/accuracy``                 share proven correct against every input in the region
``certified/smoothed/accuracy``        the same of the model's vote under noise, not of the model
``diagnostics/<sign>``                 a sign of masked gradients, see :data:`Sign`
``corruption/<name>/<severity>/...``   accuracy under one corruption, severity 1 to 5
``corruption/mean/accuracy``           mean over all corruptions and severities
``corruption/error_ratio``             mean corrupted error over clean error, both the candidate's
``corruption/<name>/ce``               error under one corruption over the undefended twin's, summed
                                       over severities
``corruption/mce``                     mean corruption error: the mean of these
``corruption/relative_mce``            the same of what each corruption adds to the clean error
``shift/<label>/<metric>``             under one natural shift of a table, see :data:`ShiftMetric`
``shift/worst/<metric>``               the shift whose interval reaches lowest, whole
``fairness/<column>/<situation>/...``  a :data:`Difference` between groups, or one group's rate
``explanation/<property>``             see :data:`Property`
``price/standard/<what>``              the same architecture without defence, see :data:`Price`
``sequential/<attack>/reaches/<b>``    1 when a sequential test is sure of the bound ``b`` (exact)
``sequential/<attack>/error_rate``     the error rate at which it is sure (exact)
``sequential/<attack>/seen``           samples it took (exact)
``extraction/<outputs>/<n>/fidelity``  share of inputs on which a copy made from ``n`` answers
                                       agrees with the model, see :data:`Returned`
``extraction/<outputs>/<n>/gain``      the same, less that of a copy made from the true labels of
                                       the same inputs without asking
``poisoning/<screen>``                 share of samples, decisions or inputs that a :data:`Screen`
                                       finds; where it looks at classes or sources, of the worst
``poisoning/<screen>/<where>``         the same of one class or source
``registry/versions_before``           versions of the model registered before this one (exact)
``champion/exists``                    1 when the registry names a champion, else 0 (exact)
``champion/<metric>``                  the champion's own, on the same test split
``negative_flips/<situation>``         share of samples that the champion gets right and the
                                       candidate wrong; 0 (exact) where there is no champion
``regression/inputs``                  kept adversarial inputs that fooled earlier versions and are
                                       still admissible (exact)
``regression/set_aside``               kept ones that are not: another threat, other data (exact)
``regression/<who>_error``             share of the inputs that candidate or champion gets wrong
=====================================  =========================================================
"""

from __future__ import annotations

import re
from typing import Literal, get_args

Metric = Literal["accuracy", "auc", "balanced_accuracy", "ece", "brier", "log_loss"]
Sign = Literal[
    "zero_gradient_share",  # share of inputs whose loss has no gradient at all
    "gradient_misleads",  # share of inputs where a small step does not do what its gradient says
    "loss_does_not_rise",  # share of inputs whose loss is no higher after the attack
    "black_box_beats_white_box",  # share of inputs that only the attack without gradients flips
    "one_step_beats_many",  # share of inputs that one large step flips and the iterated attack not
    "noise_beats_gradient",  # share of inputs that noise flips and the gradient attack does not
    "survives_unbounded",  # share of inputs still correct when eps covers the whole range
    "answers_differ",  # share of inputs whose answer changes with how it is asked
    "outputs_are_probabilities",  # share of inputs answered by shares of one instead of logits
    "curve_rises",  # 1 when a larger eps leaves clearly more inputs correct
]
ShiftMetric = Literal["accuracy", "auc"]
Situation = Literal["clean", "under_attack"]
Difference = Literal["demographic_parity", "equalized_odds"]
GroupRate = Literal["accuracy", "selection_rate", "true_positive_rate", "false_positive_rate"]
Property = Literal[
    "additivity_error",  # largest gap between summed attributions and score, in the score's spread
    "additivity_error_mean",  # the same gap, mean over samples
    "rank_stability_noise",  # Spearman correlation of importance before and after noise
    "rank_stability_attack",
    "cosine_stability_noise",  # cosine between attributions before and after
    "cosine_stability_attack",
    "deletion_faithfulness",  # how much less random deletions move the score than ranked ones
    "second_opinion",  # Spearman correlation of importance with a gradient method's
    "reference_agreement",  # cosine between our attributions and the shap library's
]
Returned = Literal["labels", "rounded", "scores", "nothing"]  # what the attacker is told
Screen = Literal[
    "label_errors",  # share of training labels that are probably wrong
    "outliers",  # share of training samples far from all others of their class
    "near_duplicates",  # share of training samples in a burst of almost the same one
    "source_influence",  # share of decisions that change without one source
    "source_disagreement",  # how much more often its labels contradict the others than theirs do
    "spectral_signatures",  # share of a class: suspects that a model without them contradicts
    "activation_clusters",
    "trigger",  # share of other inputs that one small patch turns into a class
]
Price = Literal["clean_accuracy", "clean_auc", "robust_accuracy", "robust_auc", "seconds"]

SIGNS: tuple[Sign, ...] = get_args(Sign)
WORST_CASE = "worst_case"
EXPECTATIONS = "data/expectations"
EXPECTATIONS_FAILED = "data/expectations_failed"
CERTIFIED_ACCURACY = "certified/accuracy"
SMOOTHED_ACCURACY = "certified/smoothed/accuracy"
CORRUPTION_MEAN = "corruption/mean/accuracy"
CORRUPTION_MCE = "corruption/mce"
CORRUPTION_RELATIVE_MCE = "corruption/relative_mce"
TRANSFER_BEATS_WHITE_BOX = "transfer/beats_white_box"
CORRUPTION_ERROR_RATIO = "corruption/error_ratio"
VERSIONS_BEFORE = "registry/versions_before"
CHAMPION_EXISTS = "champion/exists"
REGRESSION_INPUTS = "regression/inputs"
REGRESSION_SET_ASIDE = "regression/set_aside"


def clean(metric: Metric) -> str:
    """Name a metric on clean inputs."""
    return f"clean/{metric}"


def robust(attack: str, metric: Metric) -> str:
    """Name a metric under one attack, or under :data:`WORST_CASE`."""
    return f"robust/{word(attack)}/{metric}"


def attack_success(attack: str) -> str:
    """Name the share of originally correct inputs that the attack flips."""
    return f"attack_success/{word(attack)}"


def added(rung: str) -> str:
    """Name the share of samples that fell to a rung of a cascade, and to none before it."""
    return f"added/{word(rung)}"


def reaches(attack: str, bound: float) -> str:
    """Name the answer of a sequential test: whether report mode would find the bound."""
    return f"sequential/{word(attack)}/reaches/{bound:g}"


def error_rate(attack: str) -> str:
    """Name the error rate at which a sequential test is sure of its answer."""
    return f"sequential/{word(attack)}/error_rate"


def seen(attack: str) -> str:
    """Name the number of samples that a sequential test took."""
    return f"sequential/{word(attack)}/seen"


def known_answer(attack: str) -> str:
    """Name the share of the optimum that an attack reaches where the optimum is known."""
    return f"known_answer/{word(attack)}"


def weakest_known_answer(access: str) -> str:
    """Name the least share that an attack of an access reaches: ``white-box``, ``black-box``."""
    return f"known_answer/weakest/{access}"


def curve(factor: float) -> str:
    """Name a point of the security curve: accuracy at ``factor`` times the threat's eps."""
    return f"curve/{factor:g}/accuracy"


def diagnostics(sign: Sign) -> str:
    """Name a sign of masked gradients."""
    return f"diagnostics/{sign}"


def corruption(name: str, severity: int) -> str:
    """Name the accuracy under one corruption at one severity."""
    return f"corruption/{word(name)}/{severity}/accuracy"


def shift(label: str, metric: ShiftMetric) -> str:
    """Name a metric under one natural shift of a table."""
    return f"shift/{word(label)}/{metric}"


def worst_shift(metric: ShiftMetric) -> str:
    """Name a metric under the shift that leaves least of it; no shift's own label is ``worst``."""
    return f"shift/worst/{metric}"


def corruption_error(name: str) -> str:
    """Name the error under one corruption, relative to the undefended twin's."""
    return f"corruption/{word(name)}/ce"


def queries(attack: str, count: int) -> str:
    """Name the accuracy that an attack leaves after ``count`` queries per input."""
    return f"queries/{word(attack)}/{count}/accuracy"


def difference(column: str, situation: Situation, measure: Difference) -> str:
    """Name a difference between the groups of a sensitive column."""
    return f"fairness/{word(column)}/{situation}/{measure}_difference"


def group_rate(
    column: str, situation: Situation, group: str, rate: GroupRate, *, small: bool
) -> str:
    """Name the rate of one group; ``small`` marks one with too few samples to be judged."""
    kind = "small_group" if small else "group"
    return f"fairness/{word(column)}/{situation}/{kind}/{word(group)}/{rate}"


def explanation(measured: Property) -> str:
    """Name a property of the explanations."""
    return f"explanation/{measured}"


def fidelity(outputs: Returned, queries: int) -> str:
    """Name how often a copy made from so many answers agrees with the model."""
    return f"extraction/{outputs}/{queries}/fidelity"


def extraction_gain(outputs: Returned, queries: int) -> str:
    """Name what so many answers add to a copy that could be made without any."""
    return f"extraction/{outputs}/{queries}/gain"


def poisoning(screen: Screen, where: str | None = None) -> str:
    """Name what a screen for poison found, in all or in one class or source."""
    return f"poisoning/{screen}" if where is None else f"poisoning/{screen}/{word(where)}"


def price(what: Price) -> str:
    """Name what the undefended twin of the candidate reaches, or the seconds it took to train."""
    return f"price/standard/{what}"


def champion(metric: Metric) -> str:
    """Name a metric of the champion, measured on the candidate's own test split."""
    return f"champion/{metric}"


def negative_flips(situation: Situation) -> str:
    """Name the share of samples that the champion gets right and the candidate wrong."""
    return f"negative_flips/{situation}"


def regression_error(who: Literal["candidate", "champion"]) -> str:
    """Name the share of the kept adversarial inputs that one of the two gets wrong."""
    return f"regression/{who}_error"


def word(text: str) -> str:
    """Spell a word from outside for use in a name: other signs become their hexadecimal code.

    MLflow allows letters, digits, ``_``, ``-``, ``.``, blanks, ``:`` and ``/`` in the name of a
    metric; the slash is ours.
    """
    return re.sub(r"[^\w. -]", lambda sign: f":{ord(sign.group()):x}:", text) or ":"


def read_word(spelled: str) -> str:
    """Read a word back that :func:`word` spelled."""
    return re.sub(r":([0-9a-f]+):", lambda code: chr(int(code.group(1), 16)), spelled)
