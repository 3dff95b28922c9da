"""params.yaml is the whole truth: read strictly, changed whole or not at all."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from hardgate import params, policy
from hardgate.errors import ParamsError
from hardgate.records import Column, ColumnType, ImageInput, InputSpec, TableInput

ROOT = Path(__file__).parents[2]
TINY = ROOT / "tests" / "tiny" / "params.yaml"
TEXT = TINY.read_text(encoding="utf-8")


def table(*columns: tuple[str, bool]) -> TableInput:
    """Describe a table by its columns' names, and whether they are sensitive.

    Names in capitals have two categories, the others are numbers.
    """
    described = [
        Column(
            name=name,
            type=ColumnType.CATEGORICAL if name.isupper() else ColumnType.REAL,
            categories=("no", "yes") if name.isupper() else (),
            sensitive=sensitive,
            mean=0,
            scale=1,
            low=-1,
            high=1,
        )
        for name, sensitive in columns
    ]
    return TableInput(kind="table", columns=tuple(described), classes=("0", "1"))


BORROWERS = table(("income", False), ("debt", True))
WHO = table(("income", False), ("debt", True), ("SEX", True))


@pytest.fixture
def path(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Path:
    monkeypatch.setenv("HARDGATE_HOME", str(tmp_path_factory.mktemp("state")))
    copy = tmp_path / "params.yaml"
    copy.write_text(TEXT, encoding="utf-8")
    return copy


def refusal(path: Path, *assignments: str) -> str:
    """The words for an override that cannot be; the file must stay as it is."""
    before = path.read_bytes()
    with pytest.raises(ParamsError) as raised:
        params.override("tiny", assignments, path)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["params.yaml"]
    return str(raised.value)


def test_a_section_is_read_as_it_is_written(path: Path) -> None:
    read = params.load("tiny", path)
    assert (read.model, read.seed) == ("tiny", 7)
    assert read.threat.eps == pytest.approx(0.1)
    assert read.training.defense.recipe == "pgd"
    assert params.models(path) == ("tiny",)


def test_a_radius_may_be_a_fraction(path: Path) -> None:
    assert params.override("tiny", ["tiny.threat.eps=8/255"], path).threat.eps == 8 / 255


def test_an_override_is_written_into_the_file_with_its_comments(path: Path) -> None:
    changed = params.override("tiny", ["tiny.threat.eps=0.2", "tiny.training.epochs=5"], path)
    assert (changed.threat.eps, changed.training.epochs) == (0.2, 5)
    assert params.load("tiny", path) == changed
    lines = path.read_text(encoding="utf-8").splitlines()
    others = TEXT.splitlines()
    differing = [line for line, old in zip(lines, others, strict=True) if line != old]
    assert differing == [
        "    eps: 0.2 # standard deviations of the training split",
        "    epochs: 5",
    ]


def test_no_override_writes_nothing(path: Path) -> None:
    path.chmod(0o400)
    before = path.stat()
    params.override("tiny", [], path)
    with params.overridden("tiny", [], path):
        pass
    after = path.stat()
    assert (before.st_mtime_ns, before.st_ino) == (after.st_mtime_ns, after.st_ino)


def test_one_wrong_override_among_good_ones_writes_nothing(path: Path) -> None:
    said = refusal(path, "tiny.training.epochs=5", "tiny.threat.eps=-1")
    assert said == f"{path}: tiny.threat.eps = -1: Input should be greater than 0"


def test_an_override_for_some_time_puts_the_file_back_as_it_was(path: Path) -> None:
    with params.overridden("tiny", ["tiny.seed=11"], path) as changed:
        assert changed.seed == 11
        assert params.load("tiny", path).seed == 11
    assert path.read_text(encoding="utf-8") == TEXT


def test_the_file_is_put_back_after_an_error_too(path: Path) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        params.overridden("tiny", ["tiny.seed=11"], path) as changed,
    ):
        raise ZeroDivisionError(changed.seed)
    assert path.read_text(encoding="utf-8") == TEXT


def test_a_wrong_override_for_some_time_leaves_the_file_alone(path: Path) -> None:
    before = path.stat().st_ino
    with pytest.raises(ParamsError), params.overridden("tiny", ["tiny.sed=11"], path):
        pytest.fail("the block must not be entered")
    assert path.read_text(encoding="utf-8") == TEXT
    assert path.stat().st_ino == before


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("tiny.sed=1", "tiny.sed is not a known key; did you mean tiny.seed?"),
        ("tiny.threat.epz=1", "tiny.threat.epz is not a known key; did you mean tiny.threat.eps?"),
        ("tiny.dataset.pth=x", "did you mean tiny.dataset.path?"),
        ("tiny.training.architecture.hiden=[3]", "did you mean tiny.training.architecture.hidden?"),
        ("tiny.evaluation.attacks.0.step=2", "did you mean tiny.evaluation.attacks.0.steps?"),
        ("tiny.evaluation.curve.attack.restart=2", "mean tiny.evaluation.curve.attack.restarts?"),
        ("tiny.augmentation.members.0.scal=1", "did you mean tiny.augmentation.members.0.scale?"),
        ("tiny.promotion.gates.1.bund=1", "did you mean tiny.promotion.gates.1.bound?"),
        ("tiny.threat.columns.debt.mim=1", "did you mean tiny.threat.columns.debt.min?"),
        ("tiny.explanation.deletion.stps=1", "did you mean tiny.explanation.deletion.steps?"),
    ],
)
def test_a_misspelt_key_is_answered_with_the_right_one(
    path: Path, assignment: str, said: str
) -> None:
    assert said in refusal(path, assignment)


@pytest.mark.parametrize("assignment", ["tiny.training.steps=3", "tiny.threat.patience=3"])
def test_a_key_of_another_section_is_not_offered(path: Path, assignment: str) -> None:
    assert refusal(path, assignment).endswith("is not a known key")


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        (
            "tiny.training.defense.recipe=pdg",
            "expected one of standard, fgsm-rs, n-fgsm, pgd",
        ),
        (
            "tiny.training.architecture.name=mpl",
            "expected one of .*; did you mean mlp",
        ),
        ("tiny.promotion.gates.2.kind=robust_accurate", "did you mean robust_accuracy?"),
        ("tiny.dataset.kind=tabel", "tiny.dataset.kind = 'tabel': expected one of table, idx"),
        ("tiny.training.defense={steps: 2}", "tiny.training.defense.recipe is missing"),
    ],
)
def test_a_misspelt_member_is_answered_with_those_there_are(
    path: Path, assignment: str, said: str
) -> None:
    assert re.search(said, refusal(path, assignment))


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("tiny.threat.eps=abc", "eps = 'abc': expected a number, or a fraction such as 8/255"),
        ("tiny.threat.eps=1/0", "eps = '1/0': expected a number, or a fraction such as 8/255"),
        ("tiny.threat.eps=0", "eps = 0: Input should be greater than 0"),
        ("tiny.threat.eps=.nan", "eps = nan: Input should be a finite number"),
        ("tiny.threat.eps=.inf", "eps = inf: Input should be a finite number"),
        ("tiny.threat.norm=L3", "norm = 'L3': Input should be 'Linf', 'L2', 'L1' or 'L0'"),
        ("tiny.threat.relations.0=a < b", "relations.0 = 'a < b': 'a < b' must hold exactly one"),
        ("tiny.training.epochs=2.5", "epochs = 2.5: Input should be a valid integer"),
        ("tiny.training.epochs=[1]", "epochs = [1]: Input should be a valid integer"),
        ("tiny.training.epochs=true", "epochs = True: expected a number, not true"),
        ("tiny.dataset.path=else/x.csv", "names else/x.csv, which is not below data/tiny/; move"),
        ("tiny.dataset.path=data/tiny/../x.csv", "which is not below data/tiny/"),
        (
            "tiny.training.importance={new: else/x.csv, rounds: 9, most: 3}",
            "training.importance.new names else/x.csv, which is not below data/tiny/",
        ),
        (
            "tiny.evaluation.risks="
            "[{name: drift, new: x.csv, samples: 9, practical: 0.1, rounds: 9}]",
            "evaluation.risks.0.new names x.csv, which is not below data/tiny/",
        ),
        (
            "tiny.evaluation.risks=[{name: drift, samples: 9, practical: 0.1, rounds: 9}]",
            "say what is new: either new, a file below data/, or newest",
        ),
        ("tiny.training.epochs=0", "epochs = 0: Input should be greater than 0"),
        ("tiny.seed=-1", "seed = -1: Input should be greater than or equal to 0"),
        (f"tiny.seed={2**32}", "seed = 4294967296: Input should be less than or equal to 42949672"),
        ("tiny.promotion.valid_days=0", "valid_days = 0: Input should be greater than or equal to"),
        ("tiny.promotion.valid_days=3651", "valid_days = 3651: Input should be less than or equal"),
        ("tiny.validation.test=1", "validation.test = 1: Input should be less than 1"),
        ("tiny.dataset.sha256=zz", "sha256 = 'zz': String should match pattern"),
        ("tiny.promotion.gates=[]", "gates = []: expected 1 or more, not 0"),
        (
            "tiny.evaluation.curve.factors=[1, 2, 1.0000001]",
            "the factors 1.0 and 1.0000001 are both 1; keep one",
        ),
        ("tiny.evaluation.curve.factors=[2, 2]", "the factors 2.0 and 2.0 are both 2; keep one"),
        ("tiny.threat=3", "tiny.threat = 3: Input should be a valid"),
        ("tiny.model=other", "tiny.model is not a known key; the section's name is it"),
    ],
)
def test_a_wrong_type_or_range_names_key_and_value(path: Path, assignment: str, said: str) -> None:
    assert said in refusal(path, assignment)


def test_several_mistakes_are_named_at_once(path: Path) -> None:
    said = refusal(path, "tiny.threat.eps=0", "tiny.training.epochs=no", "tiny.seeds=1")
    assert said.count(";") >= 2
    assert all(key in said for key in ("tiny.threat.eps", "tiny.training.epochs", "tiny.seeds"))


def test_a_missing_key_is_named(path: Path) -> None:
    path.write_text(TEXT.replace("  seed: 7\n", ""), encoding="utf-8")
    with pytest.raises(ParamsError, match=r"tiny\.seed is missing"):
        params.load("tiny", path)


def test_a_long_value_is_cut(path: Path) -> None:
    said = refusal(path, f"tiny.threat.norm={'word ' * 100}")
    assert len(said) < 250


@pytest.mark.parametrize("stage", params.STAGES)
def test_a_stages_digest_depends_on_its_own_and_the_shared_sections_alone(
    path: Path, stage: str
) -> None:
    changes = {
        "seed": "tiny.seed=8",
        "dataset": "tiny.dataset.sensitive=[age]",
        "threat": "tiny.threat.queries=21",
        "validation": "tiny.validation.test=0.31",
        "augmentation": "tiny.augmentation.members.0.share=0.11",
        "training": "tiny.training.epochs=4",
        "explanation": "tiny.explanation.noise=0.03",
        "evaluation": "tiny.evaluation.price=61",
        "promotion": "tiny.promotion.valid_days=31",
    }
    assert set(changes) == set(yaml.safe_load(TEXT)["tiny"])
    before = params.load("tiny", path).digest(stage)
    moved = set()
    for section, change in changes.items():
        with params.overridden("tiny", [change], path) as changed:
            if changed.digest(stage) != before:
                moved.add(section)
    assert moved == {stage, *params.SHARED[stage]}


def test_a_digest_does_not_depend_on_comments_order_or_spelling(path: Path) -> None:
    before = params.load("tiny", path).digest("training")
    plain = yaml.safe_load(TEXT)
    path.write_text(yaml.safe_dump(plain, sort_keys=True), encoding="utf-8")
    assert params.load("tiny", path).digest("training") == before


@pytest.mark.parametrize(
    "threat",
    [
        "threat.columns={age: {}}",
        "threat={norm: Linf, eps: 0.1, access: white-box, queries: 9, columns: {income: {}},"
        " one_hot: [{columns: [age, debt], to: [debt]}], switches: 1}",
    ],
)
def test_a_column_that_cannot_change_is_not_the_attackers_whatever_the_data(
    path: Path, threat: str
) -> None:
    before = path.read_text(encoding="utf-8")
    with pytest.raises(ParamsError, match="lets an attacker change age, which is immutable"):
        params.override("tiny", [f"tiny.{threat}"], path)
    assert path.read_text(encoding="utf-8") == before


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        (
            "tiny.threat.switches=1",
            "tiny.threat: switches counts categories, and there is no column with to",
        ),
        (
            "tiny.threat.one_hot={columns: [a]}",
            "tiny.threat.one_hot = {'columns': ['a']}: expected a list",
        ),
        ("mnist.threat.eps=9", "mnist.threat.eps is no key of tiny"),
    ],
)
def test_a_section_is_not_repeated_in_what_is_said_about_it(
    path: Path, assignment: str, said: str
) -> None:
    with pytest.raises(ParamsError) as raised:
        params.override("tiny", [assignment], path)
    assert said in str(raised.value)
    assert "Tuple" not in str(raised.value) and "..." not in str(raised.value)


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("explanation.attack.step_size=0.0001", "explanation.attack: constrained-pgd: 5 shrinking"),
        ("evaluation.attacks.0.step_size=0.0001", "evaluation: constrained-pgd: 5 shrinking steps"),
        ("evaluation.attacks=[{name: fgsm}]", "evaluation: the attack 'fgsm' takes images"),
        ("evaluation.fairness={positive: maybe, min_group: 1}", "fairness.positive: 'maybe' is no"),
        (
            "evaluation.shifts={samples: 9, members: [{name: noise, scale: 1, columns: [dept]}]}",
            "evaluation.shifts.members.0.columns: the table has no column 'dept'",
        ),
        ("explanation.background=81", "explanation.background: 81 asked for, there are 80 samples"),
        ("explanation.explained=41", "explanation.explained: 41 asked for, there are 40 samples"),
        ("training.architecture={name: small-cnn}", "small-cnn"),
        ("augmentation.members=[{name: corruption, share: 1, severities: [1]}]", "is for images"),
        ("threat.columns={dept: {}}", "threat.columns.dept: the table has no such column"),
        ("promotion.gates.2.attack=wurst_case", "promotion.gates.2.attack = 'wurst_case': eval"),
        ("threat.eps=500", "threat.eps: 500 standard deviations cover the whole range"),
    ],
)
def test_what_does_not_fit_the_data_is_refused_before_anything_is_trained(
    path: Path, assignment: str, said: str
) -> None:
    params.load("tiny", path).check(BORROWERS, train=80, test=40)
    changed = params.override("tiny", [f"tiny.{assignment}"], path)
    with pytest.raises(ParamsError) as raised:
        changed.check(BORROWERS, train=80, test=40)
    assert said in str(raised.value)


THREE = BORROWERS.model_copy(update={"classes": ("0", "1", "2")})
PICTURES = ImageInput(kind="images", shape=(1, 8, 8), classes=("0", "1"), mean=(0,), scale=(1,))
FAIR = "{positive: '1', min_group: 9, bins: {debt: [0]}}"
ASKED = {
    "robust_auc": "{kind: robust_auc, attack: %s, bound: 0.6, min_samples: 9}",
    "robust_accuracy": "{kind: robust_accuracy, attack: %s, bound: 0.6, min_samples: 9}",
    "fairness": "{kind: fairness, column: %s, difference: demographic_parity, "
    "under_attack: false, bound: 0.1, min_samples: 9}",
    "corruption": "{kind: corruption, bound: 0.6, min_samples: 9}",
    "shift": "{kind: shift, metric: %s, bound: 0.6, min_samples: 9}",
    "corruption_error": "{kind: corruption_error, bound: 1.2, min_samples: 9}",
    "robust_sequential": "{kind: robust_sequential, attack: cascade, bound: 0.6, alpha: 0.05, "
    "min_samples: 9}",
    "certified": "{kind: certified, bound: 0.6, min_samples: 9}",
    "selective": "{kind: selective, coverage: %s, bound: 0.6, min_samples: 9}",
    "out_of_distribution": "{kind: out_of_distribution, score: %s, bound: 0.6, min_samples: 9}",
    "membership": "{kind: membership, metric: auc, bound: 0.6, min_samples: 9}",
    "attribute_inference": "{kind: attribute_inference, column: %s, bound: 0.1, min_samples: 9}",
    "inversion": "{kind: inversion, metric: auc, bound: 0.6, min_samples: 9}",
    "trigger": "{kind: poisoning, screen: trigger, bound: 0.6, min_samples: 9}",
}
DOUBT = (
    "[{name: uncertainty, coverages: [0.8], scores: [{name: mahalanobis, space: inputs}], "
    "kinds: [beyond], fitted: 9, accept: 0.9, samples: 9}]"
)
BOTH = "{positive: '1', min_group: 9, bins: {debt: [0], rent: [0]}, intersections: [[debt, rent]]}"
DEBT = next(column for column in BORROWERS.columns if column.name == "debt")
RENTERS = BORROWERS.model_copy(
    update={"columns": (*BORROWERS.columns, DEBT.model_copy(update={"name": "rent"}))}
)
PRIVACY = "[{name: privacy, samples: 9, shadows: {pairs: 2, epochs: 1, batch_size: 9}%s}]"
GUESSED, INVERTED = ", attributes: 9", ", inversion: {starts: 1, steps: 1, rate: 0.1}"
SCREENS = (
    "[{name: poisoning, samples: 9, features: 9, ridge: 0.1, folds: 2, burst: 2, near: 0.1, "
    "far: 9, blocks: 2, smallest_source: 9, suspects: 0.1, directions: 1, confidence: 0.9%s}]"
)
SEARCH = (
    ", trigger: {side: 0.2, scan_steps: 1, scan_samples: 9, kept: 1, steps: 1, batch_size: 9, "
    "samples: 9}"
)
TRANSFER = (
    "{attack: {name: constrained-pgd, step_size: 0.05, steps: 5, restarts: 1, check_every: 5}}"
)
SWEEP = "{severities: [1], samples: 9}"
EMPTIED = "{samples: 9, members: [{name: missing, rate: 0.1}]}"
PROOF = "{method: ibp, samples: 9}"
VOTES = "{method: smoothing, samples: 9, sigma: 1, selection: 9, draws: 9, alpha: 0.1}"


@pytest.mark.parametrize(
    ("gate", "evaluation", "spec", "said"),
    [
        (
            ASKED["robust_auc"] % "wurst_case",
            {},
            BORROWERS,
            "promotion.gates.2.attack = 'wurst_case': evaluation measures constrained-pgd, "
            "constrained-search, worst_case; did you mean worst_case?",
        ),
        (ASKED["robust_accuracy"] % "constrained-pdg", {}, BORROWERS, "mean constrained-pgd?"),
        (ASKED["robust_accuracy"] % "pgd", {}, BORROWERS, "gates.2.attack = 'pgd'"),
        (
            ASKED["fairness"] % "debts",
            {"fairness": FAIR},
            BORROWERS,
            "promotion.gates.2.column = 'debts': evaluation compares groups of debt; did you mean",
        ),
        (ASKED["fairness"] % "income", {"fairness": FAIR}, BORROWERS, "compares groups of debt"),
        (ASKED["fairness"] % "debt", {}, BORROWERS, "evaluation compares groups of nothing"),
        (ASKED["fairness"] % "debt x rent", {"fairness": BOTH}, RENTERS, None),
        (ASKED["fairness"] % "rent x debt", {"fairness": BOTH}, RENTERS, "debt, rent, debt x rent"),
        (ASKED["selective"] % 0.8, {}, BORROWERS, "'uncertainty': evaluation.risks has nothing"),
        (ASKED["selective"] % 0.8, {"risks": DOUBT}, BORROWERS, None),
        (
            ASKED["selective"] % 0.9,
            {"risks": DOUBT},
            BORROWERS,
            "gates.2.coverage = '0.9': uncertainty has coverages 0.8",
        ),
        (ASKED["out_of_distribution"] % "mahalanobis-inputs", {"risks": DOUBT}, BORROWERS, None),
        (
            ASKED["out_of_distribution"] % "mahalanobis",
            {"risks": DOUBT},
            BORROWERS,
            "gates.2.score = 'mahalanobis': uncertainty has scores mahalanobis-inputs; did you",
        ),
        (ASKED["fairness"] % "debt", {"fairness": FAIR}, PICTURES, "compares groups of nothing"),
        (ASKED["corruption"], {}, PICTURES, "promotion.gates.2.kind = 'corruption': evaluation"),
        (ASKED["corruption"], {"corruptions": SWEEP}, BORROWERS, "for a table remove the gate"),
        (
            ASKED["certified"],
            {"certification": "null"},
            PICTURES,
            "evaluation proves nothing about",
        ),
        (ASKED["robust_sequential"], {}, PICTURES, "give evaluation.sequential the same attack"),
        (ASKED["certified"], {"certification": VOTES}, PICTURES, "method ibp or crown-ibp"),
        (ASKED["certified"], {"certification": PROOF}, BORROWERS, None),
        (ASKED["robust_auc"] % "worst_case", {}, BORROWERS, None),
        (ASKED["robust_auc"] % "constrained-search", {}, BORROWERS, None),
        (ASKED["fairness"] % "debt", {"fairness": FAIR}, BORROWERS, None),
        (ASKED["corruption"], {"corruptions": SWEEP}, PICTURES, None),
        (ASKED["shift"] % "auc", {}, BORROWERS, "promotion.gates.2.kind = 'shift': evaluation"),
        (ASKED["shift"] % "auc", {"shifts": EMPTIED}, PICTURES, "for images remove the gate"),
        (
            ASKED["shift"] % "auc",
            {"shifts": EMPTIED},
            THREE,
            "gates.2.metric = 'auc': under shifts",
        ),
        (ASKED["shift"] % "accuracy", {"shifts": EMPTIED}, THREE, None),
        (ASKED["shift"] % "auc", {"shifts": EMPTIED}, BORROWERS, None),
        (ASKED["corruption_error"], {}, PICTURES, "'corruption_error': evaluation measures no"),
        (ASKED["corruption_error"], {"corruptions": SWEEP}, BORROWERS, "for a table remove"),
        (ASKED["corruption_error"], {"corruptions": SWEEP}, PICTURES, None),
        (ASKED["robust_accuracy"] % "transfer", {}, BORROWERS, "gates.2.attack = 'transfer'"),
        (ASKED["robust_accuracy"] % "transfer", {"transfer": TRANSFER}, BORROWERS, None),
        (ASKED["membership"], {}, PICTURES, "kind = 'privacy': evaluation.risks has nothing"),
        (ASKED["membership"], {"risks": PRIVACY % ""}, PICTURES, None),
        (
            ASKED["attribute_inference"] % "SEX",
            {"risks": PRIVACY % ""},
            WHO,
            "gates.2.column = 'SEX': evaluation guesses cells of nothing",
        ),
        (
            ASKED["attribute_inference"] % "SXE",
            {"risks": PRIVACY % GUESSED},
            WHO,
            "evaluation guesses cells of SEX; did you mean SEX?",
        ),
        (ASKED["attribute_inference"] % "SEX", {"risks": PRIVACY % GUESSED}, WHO, None),
        (ASKED["inversion"], {"risks": PRIVACY % ""}, PICTURES, "evaluation inverts no images"),
        (ASKED["inversion"], {"risks": PRIVACY % INVERTED}, PICTURES, None),
        (ASKED["trigger"], {"risks": "[]"}, PICTURES, "evaluation.risks has nothing"),
        (ASKED["trigger"], {"risks": SCREENS % ""}, PICTURES, "evaluation looks for no triggers"),
        (ASKED["trigger"], {"risks": SCREENS % SEARCH}, PICTURES, None),
    ],
)
def test_a_gate_that_asks_for_what_nobody_measures_is_refused_before_the_run(
    path: Path, gate: str, evaluation: dict[str, str], spec: InputSpec, said: str | None
) -> None:
    assignments = [f"tiny.evaluation.{key}={value}" for key, value in evaluation.items()]
    read = params.override("tiny", [*assignments, f"tiny.promotion.gates.2={gate}"], path)
    if said is None:
        policy.check(read.promotion.gates, read.evaluation, spec, private=False)
        return
    with pytest.raises(ParamsError) as raised:
        policy.check(read.promotion.gates, read.evaluation, spec, private=False)
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("section", "spec"),
    [
        ("credit", [("SEX", True), ("EDUCATION", True), ("MARRIAGE", True), ("AGE", True)]),
        ("mnist", None),
        ("diagnosis", [("mean radius", False)]),
        ("churn", [("months", False), ("age", True)]),
    ],
)
def test_the_policies_of_the_project_and_of_the_tutorial_ask_for_what_is_measured(
    tmp_path: Path, section: str, spec: list[tuple[str, bool]] | None
) -> None:
    written = (ROOT / "params.yaml").read_text(encoding="utf-8")
    tutorial = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    churn = re.search(r"^(churn: .*?)^```", tutorial, re.DOTALL | re.MULTILINE)
    assert churn is not None
    path = tmp_path / "params.yaml"
    path.write_text(written.replace("diagnosis]", "diagnosis, churn]") + "\n" + churn[1])
    read = params.load(section, path)
    inputs = table(*spec) if spec else PICTURES
    policy.check(read.promotion.gates, read.evaluation, inputs, private=False)


def test_a_privacy_budget_is_asked_of_private_training_alone(path: Path) -> None:
    gate = "{kind: privacy_budget, bound: 3.0, delta: 1.0e-5, min_samples: 10}"
    read = params.override("tiny", [f"tiny.promotion.gates.2={gate}"], path)
    policy.check(read.promotion.gates, read.evaluation, PICTURES, private=True)
    with pytest.raises(ParamsError, match=r"gates\.2\.kind = 'privacy_budget': training keeps no"):
        policy.check(read.promotion.gates, read.evaluation, PICTURES, private=False)
