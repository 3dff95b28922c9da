"""Runs that never happened, with plausible numbers: a table and images, passed and refused."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hardgate import corruptions, gates, measurements, records, statistics
from hardgate import params as settings
from hardgate.params import Params
from hardgate.records import (
    AttributionRecord,
    CandidateRecord,
    Column,
    ColumnType,
    CorpusRecord,
    DatasetRecord,
    Decision,
    EvaluationRecord,
    FileRecord,
    ImageInput,
    InputSpec,
    Measurement,
    Objection,
    SplitRecord,
    TableInput,
    Tally,
)
from hardgate.reporting import Picture, Refusal, Run

ROOT = Path(__file__).parents[3]
MIXED = {"training", "explanation", "evaluation", "promotion"}
COMMIT = "3f9d2c1b7a6e5d4c3b2a190817263544332211ff"
DECIDED = "2026-06-01T12:30:00+00:00"
UNTIL = "2026-07-01T12:30:00+00:00"
PIXEL = base64.b64decode(  # a PNG of one grey pixel
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
)
AMOUNTS = [f"{kind}_AMT{month}" for kind in ("BILL", "PAY") for month in range(1, 7)]
DIGITS = tuple("0123456789")


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def near(value: float, half: float, samples: int, kind: str = "bootstrap") -> Measurement:
    low, high = max(value - half, 0.0), min(value + half, 1.0) if value <= 1 else value + half
    return Measurement.model_validate(
        {"value": value, "lower": low, "upper": high, "samples": samples, "interval": kind}
    )


def share(value: float, samples: int) -> Measurement:
    return statistics.wilson(round(value * samples), samples)


def table_params(**sections: Any) -> Params:
    plain: dict[str, Any] = {
        "model": "credit",
        "seed": 7,
        "dataset": {
            "kind": "table",
            "path": "data/credit/clients.csv.gz",
            "target": "default",
            "classes": ["0", "1"],
            "categorical": ["SEX", "EDUCATION"],
            "immutable": ["LIMIT_BAL", "SEX", "EDUCATION", "AGE"],
            "sensitive": ["SEX", "EDUCATION", "AGE"],
        },
        "threat": {
            "norm": "Linf",
            "eps": 0.3,
            "access": "white-box",
            "queries": 500,
            "columns": {
                name: {"integer": True, **({"min": 0} if name.startswith("PAY") else {})}
                for name in AMOUNTS
            },
            "relations": ["BILL_AMT2 - PAY_AMT1 <= BILL_AMT1", "BILL_AMT1 <= 2 * LIMIT_BAL"],
        },
        "validation": {"test": 0.2, "held_out": 0.1},
        "augmentation": {
            "members": [
                {"name": "noise", "share": 0.1, "scale": 0.05},
                {"name": "swap", "share": 0.05, "rate": 0.5},
            ],
        },
        "training": {
            "architecture": {"name": "residual-mlp", "width": 64, "blocks": 2, "squash": True},
            "defense": {"recipe": "pgd", "step_size": 0.1, "steps": 5},
            "optimiser": {"name": "adamw", "rate": 0.002, "weight_decay": 1e-4, "clip": 1.0},
            "schedule": {"name": "one-cycle"},
            "epochs": 10,
            "batch_size": 256,
            "early_stopping": {
                "every": 1,
                "steps": 10,
                "step_size": 0.06,
                "samples": 2000,
                "patience": 10,
                "score": "auc",
            },
            "overfitting": {"catastrophic": 0.2, "robust": 0.05, "evaluations": 5},
        },
        "explanation": explanation(),
        "evaluation": {
            "samples": 6000,
            "batch_size": 2000,
            "attacks": [
                {
                    "name": "constrained-pgd",
                    "step_size": 0.03,
                    "steps": 40,
                    "restarts": 2,
                    "check_every": 10,
                },
                {"name": "constrained-search", "share": 0.5},
            ],
            "curve": {
                "factors": [0.25, 0.5, 1, 2, 4],
                "attack": {
                    "name": "constrained-pgd",
                    "step_size": 0.03,
                    "steps": 40,
                    "restarts": 1,
                    "check_every": 10,
                },
                "samples": 2000,
            },
            "diagnostics": 500,
            "fairness": {
                "positive": "1",
                "min_group": 100,
                "bins": {"AGE": [30, 45]},
                "intersections": [["SEX", "AGE"]],
            },
        },
        "promotion": {
            "valid_days": 30,
            "regression": 2000,
            "gates": [
                {"kind": "data_contract", "min_samples": 1000},
                {
                    "kind": "clean_quality",
                    "metric": "auc",
                    "bound": 0.72,
                    "margin": 0.03,
                    "min_samples": 1000,
                },
                {"kind": "calibration", "bound": 0.15, "min_samples": 1000},
                {
                    "kind": "robust_auc",
                    "attack": "worst_case",
                    "bound": 0.68,
                    "min_samples": 1000,
                },
                {
                    "kind": "masked_gradients",
                    "bound": 0.05,
                    "min_samples": 300,
                    "not_asked": {"survives_unbounded": "what nobody can move decides some rows"},
                },
                {
                    "kind": "fairness",
                    "column": "SEX",
                    "difference": "demographic_parity",
                    "under_attack": False,
                    "bound": 0.1,
                    "min_samples": 1000,
                },
                {
                    "kind": "fairness",
                    "column": "SEX",
                    "difference": "equalized_odds",
                    "under_attack": True,
                    "bound": 0.2,
                    "min_samples": 1000,
                },
                {"kind": "explanation_additivity", "bound": 0.01, "min_samples": 50},
                {
                    "kind": "explanation_stability",
                    "under": "noise",
                    "bound": 0.6,
                    "min_samples": 50,
                },
            ],
        },
    }
    return completed("credit", {**plain, **sections})


def completed(model: str, sections: dict[str, Any]) -> Params:
    """Take from params.yaml what these sections leave out, so that a new key needs no change."""
    base = records.to_plain(settings.load(model, ROOT / "params.yaml"))
    return Params.model_validate(
        {
            key: {**base[key], **value} if key in MIXED else value
            for key, value in {**base, **sections}.items()
        }
    )


def explanation() -> dict[str, Any]:
    return {
        "background": 100,
        "explained": 200,
        "path_steps": 20,
        "noise": 0.05,
        "stability": 100,
        "deletion": {"steps": 10, "orders": 5, "background": 20},
        "reference": 0,
    }


def image_params(**sections: Any) -> Params:
    table = table_params()
    pgd = {"name": "pgd", "step_size": 0.02, "steps": 40, "restarts": 10}
    plain: dict[str, Any] = {
        "model": "mnist",
        "seed": 7,
        "dataset": {
            "kind": "npz",
            "path": "data/mnist.npz",
        },
        "threat": {"norm": "Linf", "eps": 0.3, "access": "white-box", "queries": 5000},
        "validation": {"held_out": 0.1},
        "augmentation": {
            "members": [{"name": "corruption", "share": 0.2, "severities": [1, 3]}],
        },
        "training": {
            **table.training.model_dump(mode="json"),
            "architecture": {"name": "madry-cnn"},
            "defense": {"recipe": "fgsm-rs", "step_size": 0.375},
            "early_stopping": {
                "every": 1,
                "steps": 20,
                "step_size": 0.03,
                "samples": 1000,
                "patience": 10,
                "score": "accuracy",
            },
        },
        "explanation": {**explanation(), "region": 4},
        "evaluation": {
            "samples": 1000,
            "batch_size": 250,
            "attacks": [
                {"name": "fgsm"},
                pgd,
                {"name": "apgd-ce", "steps": 50, "restarts": 2},
                {"name": "apgd-t", "steps": 50, "targets": 9},
                {"name": "square", "restarts": 1},
            ],
            "curve": {"factors": [0.25, 0.5, 0.75, 1, 1.25, 1.5], "attack": pgd, "samples": 500},
            "diagnostics": 500,
            "corruptions": {"severities": [1, 2, 3, 4, 5], "samples": 1000},
        },
        "promotion": {
            "valid_days": 30,
            "regression": 2000,
            "gates": [
                {"kind": "data_contract", "min_samples": 1000},
                {
                    "kind": "clean_quality",
                    "metric": "accuracy",
                    "bound": 0.95,
                    "margin": 0.02,
                    "min_samples": 1000,
                },
                {
                    "kind": "robust_accuracy",
                    "attack": "worst_case",
                    "bound": 0.80,
                    "min_samples": 1000,
                },
                {"kind": "masked_gradients", "bound": 0.05, "min_samples": 300},
                {"kind": "corruption", "bound": 0.65, "min_samples": 1000},
                {"kind": "explanation_additivity", "bound": 0.01, "min_samples": 50},
                {
                    "kind": "explanation_stability",
                    "under": "noise",
                    "bound": 0.6,
                    "min_samples": 50,
                },
            ],
        },
    }
    return completed("mnist", {**plain, **sections})


def table_input() -> TableInput:
    def column(name: str, kind: str, low: float, high: float, **roles: Any) -> Column:
        span = 1.0 if kind == "categorical" else (high - low) / 8
        mean = 0.0 if kind == "categorical" else (low + high) / 5
        return Column(
            name=name, type=ColumnType(kind), mean=mean, scale=span, low=low, high=high, **roles
        )

    return TableInput(
        kind="table",
        classes=("0", "1"),
        columns=(
            column("LIMIT_BAL", "integer", 10_000, 1_000_000, immutable=True),
            column(
                "SEX", "categorical", 0, 1, categories=("1", "2"), immutable=True, sensitive=True
            ),
            column(
                "EDUCATION",
                "categorical",
                0,
                4,
                categories=("0", "1", "2", "3", "4"),
                immutable=True,
                sensitive=True,
            ),
            column("AGE", "integer", 21, 79, immutable=True, sensitive=True),
            *(
                column(name, "integer", -80_000 if name.startswith("BILL") else 0, 600_000)
                for name in AMOUNTS
            ),
        ),
    )


def image_input() -> ImageInput:
    return ImageInput(
        kind="images", shape=(1, 28, 28), classes=DIGITS, mean=(0.1307,), scale=(0.3081,)
    )


def exact(value: float, samples: int) -> Measurement:
    return statistics.exact(value, samples)


def validation(rows: int) -> dict[str, Measurement]:
    return {
        measurements.EXPECTATIONS: exact(58, rows),
        measurements.EXPECTATIONS_FAILED: exact(0, rows),
        measurements.CHAMPION_EXISTS: exact(0, 1),
    }


def signs(samples: int, *, suspicious: float = 0.0) -> dict[str, Measurement]:
    found = {measurements.diagnostics(sign): share(0.0, samples) for sign in measurements.SIGNS}
    found[measurements.diagnostics("loss_does_not_rise")] = share(0.006, samples)
    found[measurements.diagnostics("black_box_beats_white_box")] = share(suspicious, samples)
    found[measurements.diagnostics("curve_rises")] = exact(0, samples)
    return found


def reasons() -> dict[str, Measurement]:
    return {
        measurements.explanation("additivity_error"): exact(2.3e-6, 200),
        measurements.explanation("rank_stability_noise"): near(0.94, 0.01, 100),
        measurements.explanation("rank_stability_attack"): near(0.71, 0.04, 100),
        measurements.explanation("deletion_faithfulness"): near(0.31, 0.03, 200),
    }


def table_measurements(*, robust: bool = True) -> dict[str, Measurement]:
    attacked = {"constrained-pgd": 0.769, "constrained-search": 0.772, "worst_case": 0.768}
    if not robust:
        attacked = {"constrained-pgd": 0.484, "constrained-search": 0.551, "worst_case": 0.481}
    found = {
        **validation(30_000),
        **signs(500),
        **reasons(),
        "clean/accuracy": share(0.8172, 6000),
        "clean/auc": near(0.776, 0.014, 6000, "delong"),
        "clean/balanced_accuracy": near(0.652, 0.013, 6000),
        "clean/ece": near(0.021, 0.008, 6000),
        "clean/brier": near(0.271, 0.009, 6000),
        "clean/log_loss": near(0.436, 0.012, 6000),
    }
    for name, auc in attacked.items():
        found[measurements.robust(name, "auc")] = near(auc, 0.015, 6000, "delong")
        found[measurements.robust(name, "accuracy")] = share(0.04 + auc, 6000)
        if name != "worst_case":
            found[measurements.attack_success(name)] = share(0.8 - auc, 4900)
    for factor, lost in ((0.25, 0.001), (0.5, 0.004), (1, 0.009), (2, 0.024), (4, 0.071)):
        found[measurements.curve(factor)] = share(0.8172 - lost * (1 if robust else 6), 2000)
    found |= fairness()
    return found


def fairness() -> dict[str, Measurement]:
    found: dict[str, Measurement] = {}
    groups = {
        "SEX": {"1": 2370, "2": 3630},
        "EDUCATION": {"0": 4, "1": 2110, "2": 2800, "3": 990, "4": 96},
        "AGE": {"below 30": 1920, "30 to 45": 3010, "45 and above": 1070},
        "SEX x AGE": {"2, below 30": 1260, "1, 45 and above": 530, "2, 45 and above": 540},
    }
    for column, sizes in groups.items():
        for place, (group, size) in enumerate(sizes.items()):
            for situation, cost in (("clean", 0.0), ("under_attack", 0.012)):
                rates = {
                    "accuracy": (0.81 + 0.01 * place - cost, size),
                    "selection_rate": (0.11 + 0.006 * place + cost, size),
                    "true_positive_rate": (
                        0.36 - 0.01 * place - 2 * cost,
                        max(1, size * 22 // 100),
                    ),
                    "false_positive_rate": (0.04 + 0.004 * place + cost, max(1, size * 78 // 100)),
                }
                for rate, (value, samples) in rates.items():
                    name = measurements.group_rate(
                        column, situation, group, rate, small=samples < 100
                    )
                    found[name] = share(value, samples)
            name = measurements.group_rate(
                column, "clean", group, "calibration_gap", small=size < 100
            )
            gap = round(0.02 - 0.03 * place, 3)
            found[name] = Measurement(
                value=gap, lower=gap - 0.02, upper=gap + 0.02, samples=size, interval="bootstrap"
            )
        found[measurements.difference(column, "clean", "calibration")] = near(
            0.06, 0.03, sum(sizes.values())
        )
        for situation, value in (("clean", 0.022), ("under_attack", 0.031)):
            for kind in ("demographic_parity", "equalized_odds", "accuracy"):
                name = measurements.difference(column, situation, kind)
                found[name] = near(value, 0.018, sum(sizes.values()))
    return found


def price() -> dict[str, Measurement]:
    return {
        "price/standard/clean_accuracy": share(0.8195, 6000),
        "price/standard/clean_auc": near(0.787, 0.014, 6000, "delong"),
        "price/standard/robust_accuracy": share(0.611, 6000),
        "price/standard/robust_auc": near(0.480, 0.016, 6000, "delong"),
        "price/standard/seconds": exact(6.2, 1),
    }


def image_measurements(*, robust: bool = True) -> dict[str, Measurement]:
    attacked = {
        "fgsm": 0.952,
        "pgd": 0.903,
        "apgd-ce": 0.897,
        "apgd-t": 0.884,
        "square": 0.893,
        "worst_case": 0.879,
    }
    if not robust:
        attacked = dict.fromkeys(attacked, 0.0) | {"fgsm": 0.112, "square": 0.004}
    found = {
        **validation(70_000),
        **signs(500),
        **reasons(),
        "clean/accuracy": share(0.9838, 10_000),
        "clean/auc": near(0.9996, 0.0002, 10_000, "delong"),
        "clean/ece": near(0.012, 0.002, 10_000),
    }
    for name, accuracy in attacked.items():
        found[measurements.robust(name, "accuracy")] = share(accuracy, 1000)
        if name != "worst_case":
            found[measurements.attack_success(name)] = share(max(0.0, 0.98 - accuracy), 984)
    for factor in (0.25, 0.5, 0.75, 1, 1.25, 1.5):
        left = 0.98 - 0.09 * factor**2 - (0.35 if factor > 1 else 0) * (factor - 1) * 2
        found[measurements.curve(factor)] = share(left if robust else max(0, 0.9 - factor), 500)
    for place, name in enumerate(corruptions.NAMES):
        for severity in range(1, 6):
            left = max(0.1, 0.98 - 0.011 * place * severity)
            found[measurements.corruption(name, severity)] = share(left, 1000)
    found[measurements.CORRUPTION_MEAN] = near(0.746, 0.011, 1000)
    found[measurements.CORRUPTION_ERROR_RATIO] = near(15.6, 2.4, 1000)
    return found


def split(name: str, samples: int, shares: Sequence[float]) -> SplitRecord:
    counts = [round(samples * each) for each in shares]
    counts[0] += samples - sum(counts)
    return SplitRecord(
        path=f"runs/{name}.safetensors", sha256=sha(name), samples=samples, class_counts=counts
    )


def run(
    params: Params,
    spec: InputSpec,
    measured: dict[str, Measurement],
    *,
    importance: dict[str, float],
    commit: str = COMMIT,
    plots: Sequence[Picture] = (Picture("beeswarm", "data:image/png;base64,AA=="),),
) -> Run:
    common = {"model": params.model, "seed": params.seed, "commit": commit}
    shares = (0.779, 0.221) if len(spec.classes) == 2 else (0.1,) * 10
    train, held_out, test = (21_600, 2_400, 6_000) if len(shares) == 2 else (54_000, 6_000, 10_000)
    findings = gates.decide(params.promotion.gates, measured)
    return Run(
        params=params,
        dataset=DatasetRecord(
            source=(FileRecord(path="data/source.csv.gz", sha256=sha("source")),),
            input=spec,
            train=split(f"{params.model}/validation/train", train, shares),
            held_out=split(f"{params.model}/validation/held_out", held_out, shares),
            test=split(f"{params.model}/validation/test", test, shares),
            suite=FileRecord(path=f"expectations/{params.model}.json", sha256=sha("suite")),
            expectations=58,
            data_docs=f"runs/{params.model}/validation/data_docs",
            measurements={},
            params_sha256=sha("validation"),
            **common,
        ),
        corpus=CorpusRecord(
            made_from=sha("dataset"),
            train=split(f"{params.model}/augmentation/train", train + 3_228, shares),
            original_samples=train,
            tallies=(
                Tally(name="noise", added=2_160, dropped={}, seconds=0.21),
                Tally(
                    name="swap",
                    added=1_068,
                    dropped={"same as an original": 12, "label not kept": 0},
                    seconds=4.4,
                    detail={"agreement": 0.96},
                ),
            ),
            params_sha256=sha("augmentation"),
            **common,
        ),
        candidate=CandidateRecord(
            made_from=sha("corpus"),
            directory=f"runs/{params.model}/training/model",
            model_sha256=sha("model"),
            architecture=params.training.architecture.name,
            recipe=params.training.defense.recipe,
            weights=18_562,
            passes=10,
            epochs=10,
            best_epoch=8,
            stopped="finished",
            seconds=41.3,
            measurements={},
            history=FileRecord(path="runs/history.csv", sha256=sha("history")),
            params_sha256=sha("training"),
            **common,
        ),
        attributions=AttributionRecord(
            made_from=sha("candidate"),
            explainer="sampled permutations",
            background_sha256=sha("background"),
            measurements={},
            importance=importance,
            values=FileRecord(path="runs/values.safetensors", sha256=sha("values")),
            plots=(),
            params_sha256=sha("explanation"),
            **common,
        ),
        evaluation=EvaluationRecord(
            made_from=sha("candidate"),
            test_sha256=sha("test"),
            threat_sha256=sha("threat"),
            measurements=measured,
            outcomes=FileRecord(path="runs/outcomes.jsonl", sha256=sha("outcomes")),
            merkle_root=sha("root"),
            adversarial={},
            seconds={"constrained-pgd": 21.4, "curve": 14.9, "diagnostics": 9.0, "clean": 0.4},
            params_sha256=sha("evaluation"),
            **common,
        ),
        decision=Decision(
            model=params.model,
            version="3",
            made_from=sha("everything"),
            findings=findings,
            evidence=FileRecord(
                path=f"runs/{params.model}/promotion/evidence.dsse.json", sha256=sha("evidence")
            ),
            report=f"runs/{params.model}/promotion/report.html",
            decided_at=DECIDED,
            valid_until=UNTIL,
        ),
        measured=measured,
        history=history(),
        plots=plots,
        data_docs="../validation/data_docs/index.html",
        submitted_by="ada",
    )


def history() -> list[dict[str, float]]:
    return [
        {
            "epoch": epoch,
            "loss": 0.44 + 0.2 / epoch,
            "rate": 0.002,
            "eps": 1.0,
            "seconds": 4.1,
            "held_out_clean": 0.779 - 0.06 / epoch,
            "held_out_robust": 0.771 - 0.09 / epoch - 0.001 * abs(epoch - 8),
            "train_one_step": 0.781 - 0.08 / epoch,
        }
        for epoch in range(1, 11)
    ]


def table_run(**changes: Any) -> Run:
    params = changes.pop("params", None) or table_params()
    measured = changes.pop("measured", {**table_measurements(), **price()})
    weights = {name: 0.31 / (place + 1) for place, name in enumerate(["LIMIT_BAL", *AMOUNTS])}
    return run(params, changes.pop("spec", table_input()), measured, importance=weights, **changes)


def image_run(**changes: Any) -> Run:
    params = changes.pop("params", None) or image_params()
    measured = changes.pop("measured", image_measurements())
    weights = {
        f"y {top}-{top + 3}, x {left}-{left + 3}": max(
            0.0, 0.4 - ((top - 12) ** 2 + (left - 12) ** 2) / 500
        )
        for top in range(0, 28, 4)
        for left in range(0, 28, 4)
    }
    return run(params, image_input(), measured, importance=weights, **changes)


def objections() -> tuple[Objection, ...]:
    return (
        Objection(
            expectation="expect_column_values_to_be_between",
            column="AGE",
            count=3,
            rows=(17, 402, 29_998),
            values=("-4", "212", "999"),
            reason="Nobody is younger than 18 or older than 120; a bank's form would not take it.",
        ),
        Objection(
            expectation="expect_table_columns_to_match_set",
            column="PAY_AMT6",
            count=1,
            rows=(),
            values=("PAY_AMT6 is missing",),
            reason="The model was made for these columns.",
        ),
    )


def refusal(**changes: Any) -> Refusal:
    params = changes.pop("params", None) or table_params()
    broken = changes.pop("objections", None) or objections()
    measured = {
        measurements.EXPECTATIONS: exact(len(broken), 1),
        measurements.EXPECTATIONS_FAILED: exact(len(broken), 1),
    }
    return Refusal(
        params=params,
        decision=Decision(
            model=params.model,
            version=None,
            made_from=sha("everything"),
            findings=gates.decide(params.promotion.gates, measured),
            objections=broken,
            evidence=None,
            report=f"runs/{params.model}/promotion/report.html",
            decided_at=DECIDED,
            valid_until=DECIDED,
        ),
        data_docs="../validation/data_docs/index.html",
        commit=COMMIT,
    )
