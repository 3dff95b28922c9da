"""What every measurement is called. Stages name what they measure here, gates ask for it here.

A name is a path of words: ``robust/pgd/accuracy``. Words from outside (attacks, columns, groups)
are spelled so that MLflow takes the whole as a metric's name.

=====================================  =========================================================
name                                   meaning
=====================================  =========================================================
``data/expectations``                  expectations in the suite (exact)
``data/expectations_failed``           how many of them the data broke (exact)
``data/quarantined``                   share of all rows that were set aside (exact)
``data/quarantined_test``              share of the test split that is missing for it (exact)
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
``fairness/<column>/<situation>/...``  a :data:`Difference` between groups, or one group's rate;
                                       columns taken together are ``SEX x AGE``
``explanation/<property>``             see :data:`Property`
``price/standard/<what>``              the same architecture without defence, see :data:`Price`
``sequential/<attack>/reaches/<b>``    1 when a sequential test is sure of the bound ``b`` (exact)
``sequential/<attack>/error_rate``     the error rate at which it is sure (exact)
``sequential/<attack>/seen``           samples it attacked: neither wrong as they are nor proven
                                       (exact)
``extraction/<outputs>/<n>/fidelity``  share of inputs on which a copy made from ``n`` answers
                                       agrees with the model, see :data:`Returned`
``extraction/<outputs>/<n>/gain``      the same, less that of a copy made from the true labels of
                                       the same inputs without asking
``uncertainty/calibration/<c>/ece``    calibration error of one class's own probability
``uncertainty/calibration/...``        its mean over classes
``uncertainty/selective/<share>/...``  accuracy when only the surest share of inputs is answered
``uncertainty/selective/aurc``         area under the risk-coverage curve, the mean risk over shares
``uncertainty/ood/<score>/<kind>/...`` AUROC of telling test inputs from others of a kind, or the
                                       share of them that is let in
``uncertainty/ood/<score>/worst/...``  the kind whose interval reaches lowest, whole
``personal-data/columns_scanned``      columns of the raw table that were looked through (exact)
``personal-data/columns_found``        how many of them hold personal data (exact)
``personal-data/found/<column>/<k>``   share of a column's different values that are of kind ``k``
``personal-data/<property>/smallest``  rows, or different labels, of the smallest class (exact), see
                                       :data:`AnonymityProperty`
``personal-data/<property>/<n>/...``   ``share_below``: of rows in classes with fewer than ``n``
``personal-data/needed/<column>``      AUC (accuracy beyond two classes) lost when it is shuffled
``personal-data/needless/<column>``    the same of a column that could be left out with others
``personal-data/needless_together``    the same of all these at once; absent when there are none
``privacy/membership/<attack>/auc``     how well an attack tells rows trained on from others, as the
                                       area under its ROC curve, see :data:`Membership`
``privacy/membership/<attack>/...``    the share of rows trained on that it names where it is wrong
                                       about 1 % or 0.1 % of the others, see :data:`Leak`
``.../<attack>/shadow_auc``            the same area for a shadow: half the rows, no defence
``privacy/attribute/<column>/...``     ``imputed``: share of rows trained on whose cell is guessed
                                       right without the model; ``<attack>/gain``: what it adds
``privacy/inversion/<leak>``           how well nearness to images inverted from the model tells
                                       images trained on from others
``supply-chain/artifacts/unsafe``      files of the model that are refused (exact)
``supply-chain/advisories/<severity>``  advisories on installed packages, of that severity or graver
                                       (exact, on as many packages as the snapshot speaks of)
``supply-chain/advisories/age_days``   days since the snapshot's date (exact)
``supply-chain/advisories/as_of``      that date, as YYYYMMDD (exact)
``supply-chain/installation/<what>``   ``shadowed``, ``telemetry``, ``other_version`` or
                                       ``not_locked`` packages (exact)
``drift/columns/<column>/effect``      share of rows that moved, see hardgate/risks/drift/effects.py
``drift/largest``                      the same in the column that moved most; of images, features
                                       of the candidate are among the columns
``drift/drifted``                      columns that surely moved more than a practical size (exact)
``drift/detectable``                   the least that would have been found (exact)
``drift/classifier``                   area under the curve of a classifier of new against old rows
``drift/moved_classes``                share of rows that moved between classes
``drift/class/<class>/share``          share of a class in the new rows, from the model's answers
``drift/class/<class>/true``           the same by labels, where the new rows have them
``drift/accuracy/<which>``             ``old``: on old rows outside the training split; of the new
                                       rows ``estimated`` without labels, ``true`` where they have
                                       them, and ``new``, the one of the two that reaches lower
``newest_slice/<number>``              the newest training rows against other slices, see
                                       :data:`SliceNumber`
``explainability/<what>``              whether reasons stay, and are of what was learned, see
                                       :data:`Reasons`
``explainability/reliance/<column>``   share of the decision on a sensitive column and what tells it
``privacy/epsilon``                    upper bound of the privacy loss of any one training row, from
                                       what was run (exact); only where training is private
``privacy/delta``                      the chance in which epsilon may not hold (exact)
``privacy/noise_multiplier``           noise of a step, in units of the clipping bound (exact)
``privacy/sampling_rate``              chance of a row to be in a step (exact)
``privacy/steps``                      steps that were taken, over all sittings (exact)
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
    "decision_jumps",  # share of inputs whose margin jumps where the decision changes
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
Difference = Literal["demographic_parity", "equalized_odds", "accuracy", "calibration"]
GroupRate = Literal[
    "accuracy", "selection_rate", "true_positive_rate", "false_positive_rate", "calibration_gap"
]
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
Reasons = Literal[
    "seeds",  # cosine between attributions against two backgrounds
    "retrains",  # cosine between attributions of two models trained alike
    "untrained",  # cosine with attributions of random weights
    "off_manifold",  # largest difference of a column's share of weight between rows and mixtures
]
Returned = Literal["labels", "rounded", "scores", "nothing"]  # what the attacker is told
AnonymityProperty = Literal["k_anonymity", "l_diversity"]
Membership = Literal[
    "confidence",  # the model's confidence in the true label, alone
    "lira",  # the same, less what models say that never saw the row
    "rmia",  # the true label's likelihood over its mean among models that did and did not
]
Leak = Literal["auc", "tpr_at_1_percent", "tpr_at_0.1_percent"]
Inference = Literal[
    "membership",  # the value with which the row looks most like one trained on
    "confidence",  # the value with which the model is surest of the true label
]
SliceNumber = Literal[
    "contradiction",  # error of a model of older rows on the newest slice, less that on others
    "lean",  # the largest excess of a class over what the inputs say, less that of others
    "influence",  # how far the slice moves answers, less how far others do on average
    "error",  # the first number itself, and of the other slices
    "usual_error",
    "moved",  # the third number itself, and of the other slices (exact, of these shadows)
    "usual_move",
]
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

MEMBERSHIPS: tuple[Membership, ...] = get_args(Membership)
LEAKS: tuple[Leak, ...] = get_args(Leak)
INFERENCES: tuple[Inference, ...] = get_args(Inference)
SIGNS: tuple[Sign, ...] = get_args(Sign)
WORST_CASE = "worst_case"
EXPECTATIONS = "data/expectations"
EXPECTATIONS_FAILED = "data/expectations_failed"
QUARANTINED = "data/quarantined"
QUARANTINED_TEST = "data/quarantined_test"
CERTIFIED_ACCURACY = "certified/accuracy"
SMOOTHED_ACCURACY = "certified/smoothed/accuracy"
CORRUPTION_MEAN = "corruption/mean/accuracy"
CORRUPTION_MCE = "corruption/mce"
CORRUPTION_RELATIVE_MCE = "corruption/relative_mce"
TRANSFER_BEATS_WHITE_BOX = "transfer/beats_white_box"
CORRUPTION_ERROR_RATIO = "corruption/error_ratio"
UNSAFE_FILES = "supply-chain/artifacts/unsafe"
SNAPSHOT_AGE = "supply-chain/advisories/age_days"
SNAPSHOT_DATE = "supply-chain/advisories/as_of"
SHADOWED = "supply-chain/installation/shadowed"
TELEMETRY = "supply-chain/installation/telemetry"
OTHER_VERSION = "supply-chain/installation/other_version"
NOT_LOCKED = "supply-chain/installation/not_locked"
EPSILON = "privacy/epsilon"
DELTA = "privacy/delta"
NOISE_MULTIPLIER = "privacy/noise_multiplier"
SAMPLING_RATE = "privacy/sampling_rate"
PRIVATE_STEPS = "privacy/steps"
VERSIONS_BEFORE = "registry/versions_before"
CHAMPION_EXISTS = "champion/exists"
CLASSWISE_CALIBRATION = "uncertainty/calibration/classwise_ece"
RISK_COVERAGE_AREA = "uncertainty/selective/aurc"
REGRESSION_INPUTS = "regression/inputs"
REGRESSION_SET_ASIDE = "regression/set_aside"
COLUMNS_SCANNED = "personal-data/columns_scanned"
COLUMNS_FOUND = "personal-data/columns_found"
NEEDLESS_TOGETHER = "personal-data/needless_together"
DRIFT_LARGEST = "drift/largest"
DRIFTED = "drift/drifted"
DRIFT_DETECTABLE = "drift/detectable"
DRIFT_CLASSIFIER = "drift/classifier"
DRIFT_CLASSES = "drift/moved_classes"
ACCURACY_OLD = "drift/accuracy/old"
ACCURACY_ESTIMATED = "drift/accuracy/estimated"
ACCURACY_TRUE = "drift/accuracy/true"
ACCURACY_NEW = "drift/accuracy/new"


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
    """Name the number of samples that a sequential test attacked."""
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


def class_calibration(name: str) -> str:
    """Name the calibration error of one class."""
    return f"uncertainty/calibration/{word(name)}/ece"


def selective_accuracy(coverage: float) -> str:
    """Name the accuracy on the surest share of inputs."""
    return f"uncertainty/selective/{coverage:g}/accuracy"


def told_apart(score: str, kind: str) -> str:
    """Name how well a score tells other inputs of a kind apart; ``worst`` is the hardest kind."""
    return f"uncertainty/ood/{word(score)}/{word(kind)}/auroc"


def accepted(score: str, kind: str) -> str:
    """Name the share of inputs of a kind that a score's line lets in."""
    return f"uncertainty/ood/{word(score)}/{word(kind)}/accepted"


def personal(column: str, entity: str) -> str:
    """Name the share of a column's different values that are of one kind of personal data."""
    return f"personal-data/found/{word(column)}/{entity.lower()}"


def smallest(what: AnonymityProperty) -> str:
    """Name the rows, or the different labels, of the class that has fewest."""
    return f"personal-data/{what}/smallest"


def below(what: AnonymityProperty, wanted: int) -> str:
    """Name the share of rows in classes that have fewer than ``wanted``."""
    return f"personal-data/{what}/{wanted}/share_below"


def shuffled(column: str, *, needless: bool) -> str:
    """Name what shuffling a column costs the model; ``needless`` marks one that it does without."""
    return f"personal-data/{'needless' if needless else 'needed'}/{word(column)}"


def membership(attack: Membership, leak: Leak) -> str:
    """Name how well an attack tells rows trained on from others."""
    return f"privacy/membership/{attack}/{leak}"


def shadow_membership(attack: Membership) -> str:
    """Name the area under the ROC curve that an attack reaches against a shadow."""
    return f"privacy/membership/{attack}/shadow_auc"


def imputed(column: str) -> str:
    """Name how often a column is guessed from the others, without the model."""
    return f"privacy/attribute/{word(column)}/imputed"


def attribute_gain(column: str, attack: Inference) -> str:
    """Name what the model adds to guessing a column from the others."""
    return f"privacy/attribute/{word(column)}/{attack}/gain"


def inversion(leak: Leak) -> str:
    """Name how well inverted images tell images trained on from others."""
    return f"privacy/inversion/{leak}"


def advisories(severity: str) -> str:
    """Name the count of advisories on installed packages, of a severity or graver."""
    return f"supply-chain/advisories/{severity}"


def drift_effect(column: str) -> str:
    """Name the share of rows that moved in a column."""
    return f"drift/columns/{word(column)}/effect"


def class_share(label: str) -> str:
    """Name the share of a class in new data, estimated from the model's answers."""
    return f"drift/class/{word(label)}/share"


def true_class_share(label: str) -> str:
    """Name the share of a class in new data by their labels."""
    return f"drift/class/{word(label)}/true"


def newest_slice(number: SliceNumber) -> str:
    """Name a number of the newest training rows."""
    return f"newest_slice/{number}"


def explainability(what: Reasons) -> str:
    """Name how far the reasons of a model can be relied on."""
    return f"explainability/{what}"


def reliance(column: str) -> str:
    """Name the share of the decision that rests on a sensitive column and on what tells it."""
    return f"explainability/reliance/{word(column)}"


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
