"""Constrained attacks beside what people use: ``python benchmarks/tables.py`` (``--quick``).

On credit, one undefended network and one trained against attacks, both as params.yaml has them but
for the defence. Each attack is given more and more steps or queries, and every row it reports is
admissible: within the radius, the bounds, the whole numbers and the relations of the threat.

- ours: ``constrained-pgd``, ``constrained-search`` and ``constrained-relay``;
- ``projected``: PGD that knows no constraint, on every number of the row, repaired at the end;
- ``random``: random admissible rows, with ten times the queries of our search.

Success is what the attack takes off the AUC, since few rows lie near enough to the threshold to be
flipped; that share is printed too. Seconds are processor seconds of one thread. The last line is
one JSON object; ``--plot FILE`` draws success against seconds.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from hardgate import params, quality, region, robustness, samples, splits, training
from hardgate.attacks import ConstrainedPGD, ConstrainedRelay, ConstrainedSearch
from hardgate.attacks.ascent import frozen, gradient_of
from hardgate.attacks.rows import Worst
from hardgate.defenses import Standard
from hardgate.params import Params
from hardgate.region import TableRegion
from hardgate.samples import Samples
from hardgate.threat import Threat

ROOT = Path(__file__).resolve().parents[1]
STEPS = (5, 10, 20, 40, 80)
QUERIES = (25, 50, 100, 200)
TEN_TIMES = 10
SEED = 0


@dataclass(frozen=True)
class Row:
    """What one attack at one budget made of the rows."""

    model: str
    attack: str
    budget: int  # steps, or queries per row
    success: float
    auc: float
    seconds: float


@dataclass(frozen=True)
class Case:
    """A network and the rows it is attacked on."""

    name: str
    settings: Params
    around: TableRegion
    model: nn.Module
    inputs: Tensor
    labels: Tensor

    @property
    def threat(self) -> Threat:
        """The threat section."""
        return self.settings.threat


def load() -> tuple[Params, Any, Samples, Samples, Samples]:
    """Give the params, the input spec, and the three splits."""
    settings = params.load("credit")
    raw = settings.dataset.load(ROOT, cache=ROOT / "cache")
    assignment = splits.assign(raw, settings.validation, seed=settings.seed)
    encoded = settings.dataset.encode(raw, assignment.rows("train"))

    def split(name: str) -> Samples:
        rows = assignment.rows(name)
        inputs, labels = (torch.from_numpy(a[rows]) for a in (encoded.inputs, encoded.labels))
        return Samples(inputs, labels, torch.from_numpy(rows))

    return settings, encoded.spec, split("train"), split("held_out"), split("test")


def train(
    settings: Params, spec: Any, train: Samples, held_out: Samples, *, defended: bool, epochs: int
) -> nn.Module:
    """Train as params.yaml says, with or without its defence."""
    section = settings.training.model_copy(update={"epochs": epochs})
    if not defended:
        section = section.model_copy(update={"defense": Standard(recipe="standard")})
    with tempfile.TemporaryDirectory() as folder:
        return training.fit(
            section,
            spec,
            region.build(settings.threat, spec),
            train,
            held_out,
            seed=settings.seed,
            device=torch.device("cpu"),
            checkpoint=Path(folder) / "checkpoint.safetensors",
            identity="benchmark",
        ).model.eval()


def ours(case: Case, steps: int) -> dict[str, Any]:
    """Give our gradient attacks at a budget; ``relay`` halves its steps between two rounds."""
    eps = case.threat.eps
    half = max(1, steps // 2)
    return {
        "constrained-pgd": ConstrainedPGD(
            name="constrained-pgd",
            step_size=max(0.03, 2.5 * eps / steps),
            steps=steps,
            restarts=1,
            check_every=10,
        ),
        "constrained-relay": ConstrainedRelay(
            name="constrained-relay",
            step_size=max(0.03, 2.5 * eps / half),
            steps=half,
            check_every=10,
            queries=2 * steps,
            share=0.5,
            rounds=2,
        ),
    }


def under(case: Case, name: str, budget: int, find: Callable[[], Tensor]) -> Row:
    """Time an attack, hold its rows to the constraints, and count."""
    started = time.process_time()
    found = find()
    seconds = time.process_time() - started
    if not bool(case.around.admits(found, case.inputs).all()):
        raise SystemExit(f"{name} reports rows that break a constraint; nothing is measured")
    with torch.no_grad():
        clean, said = case.model(case.inputs), torch.softmax(case.model(found).double(), dim=1)
    right = clean.argmax(1) == case.labels
    flipped = right & (said.argmax(1) != case.labels)
    auc = quality.auc(case.labels.numpy(), said.numpy()).value
    row = Row(case.name, name, budget, (flipped.sum() / right.sum()).item(), auc, seconds)
    print(
        f"{row.model:11}{row.attack:20}{row.budget:6}{row.success:9.4f} flipped"
        f"{row.auc:9.4f} AUC{row.seconds:8.2f} s",
        flush=True,
    )
    return row


def by(case: Case, attack: Any, **threat: int) -> Tensor:
    """Run one of our attacks on all rows."""
    return robustness.measure(
        attack,
        case.threat.model_copy(update=threat),
        case.around,
        case.model,
        case.inputs,
        case.labels,
        seed=SEED,
        batch_size=case.settings.evaluation.batch_size,
        attack_all=True,
    ).adversarial


def projected(case: Case, steps: int) -> Tensor:
    """Climb without a constraint, every number of the row, and repair once at the end."""
    scale = case.around.constraints.scale.to(case.inputs)
    eps, size = case.threat.eps, max(0.03, 2.5 * case.threat.eps / steps)
    with frozen(case.model), torch.no_grad():
        rows = case.inputs
        for _ in range(steps):
            slope = gradient_of(
                lambda x: cross_entropy(case.model(x), case.labels, reduction="none"), rows
            )
            rows = rows + size * scale * slope.nan_to_num().sign()
            rows = torch.maximum(
                torch.minimum(rows, case.inputs + eps * scale), case.inputs - eps * scale
            )
        worst = Worst(case.inputs, case.labels, case.model(case.inputs))
        repaired = case.around.repair(rows, case.inputs)
        worst.see(repaired, case.model(repaired))
    return worst.inputs


def random(case: Case, queries: int) -> Tensor:
    """Ask for random admissible rows and keep the worst."""
    generator = torch.Generator().manual_seed(SEED)
    with frozen(case.model), torch.no_grad():
        worst = Worst(case.inputs, case.labels, case.model(case.inputs))
        for _ in range(queries - 1):
            drawn = case.around.start(case.inputs, generator)
            repaired = case.around.repair(drawn, case.inputs)
            worst.see(repaired, case.model(repaired))
    return worst.inputs


def measure(case: Case, *, quick: bool) -> list[Row]:
    """Give every attack every budget."""
    rows = []
    for steps in STEPS[1:4:2] if quick else STEPS:
        for name, attack in ours(case, steps).items():
            rows.append(under(case, name, steps, lambda attack=attack: by(case, attack)))
        rows.append(under(case, "projected", steps, lambda steps=steps: projected(case, steps)))
    search = ConstrainedSearch(name="constrained-search", share=0.5)
    for queries in QUERIES[-1:] if quick else QUERIES:
        find = lambda queries=queries: by(case, search, queries=queries)  # noqa: E731
        rows.append(under(case, search.name, queries, find))
        tenfold = TEN_TIMES * queries
        rows.append(under(case, "random", tenfold, lambda most=tenfold: random(case, most)))
    return rows


def summary(rows: list[Row], clean: dict[str, float]) -> dict[str, Any]:
    """Compare ours with either peer, at the largest budget of each."""
    figures: dict[str, Any] = {"threads": 1, "clean_auc": clean, "rows": [asdict(r) for r in rows]}
    for model, whole in clean.items():
        best = {
            name: max((r for r in rows if (r.model, r.attack) == (model, name)), key=_budget)
            for name in dict.fromkeys(r.attack for r in rows)
        }
        gradient, search, relay = (
            best[f"constrained-{kind}"] for kind in ("pgd", "search", "relay")
        )
        figures[model] = {
            "auc_lost_to_pgd_over_projected": _ratio(whole, gradient, best["projected"]),
            "auc_lost_to_relay_over_projected": _ratio(whole, relay, best["projected"]),
            "auc_lost_to_search_over_random_of_ten_times_the_queries": _ratio(
                whole, search, best["random"]
            ),
            "search_time_over_random": search.seconds / best["random"].seconds,
            "robust_auc": min(gradient.auc, search.auc, relay.auc),
        }
        told = ", ".join(f"{key} {value:.3g}" for key, value in figures[model].items())
        print(f"{model}: clean AUC {clean[model]:.4f}, {told}")
    return figures


def _budget(row: Row) -> int:
    return row.budget


def _ratio(clean: float, ours: Row, theirs: Row) -> float:
    return (clean - ours.auc) / max(clean - theirs.auc, 1e-9)


def plot(rows: list[Row], clean: dict[str, float], path: Path) -> None:
    """Draw the AUC that is left against seconds, one panel per network."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    models = list(dict.fromkeys(row.model for row in rows))
    figure, panels = pyplot.subplots(1, len(models), figsize=(5 * len(models), 4), squeeze=False)
    for panel, model in zip(panels[0], models, strict=True):
        for name in dict.fromkeys(row.attack for row in rows):
            line = [row for row in rows if (row.model, row.attack) == (model, name)]
            line.sort(key=lambda row: row.seconds)
            dashed = "-" if name.startswith("constrained") else "--"
            panel.plot([r.seconds for r in line], [r.auc for r in line], f"o{dashed}", label=name)
        panel.axhline(clean[model], color="grey", linewidth=1)
        panel.set(xscale="log", xlabel="processor seconds", ylabel="AUC left", title=model)
    panels[0][0].legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path)


def main() -> None:
    """Train both networks, attack them, compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="1,000 rows, fewer budgets and epochs")
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    settings, spec, fitted, held_out, test = load()
    around = region.build(settings.threat, spec)
    if not isinstance(around, TableRegion):
        raise SystemExit("credit is no table")
    count = 1000 if options.quick else options.rows
    inputs = samples.as_floats(test.inputs[:count])
    epochs = 8 if options.quick else settings.training.epochs
    rows: list[Row] = []
    clean: dict[str, float] = {}
    blank = Case("", settings, around, nn.Identity(), inputs, test.labels[:count])
    for name, defended in (("undefended", False), ("hardened", True)):
        model = train(settings, spec, fitted, held_out, defended=defended, epochs=epochs)
        case = replace(blank, name=name, model=model)
        with torch.no_grad():
            said = torch.softmax(model(inputs).double(), dim=1).numpy()
        clean[name] = quality.auc(np.asarray(case.labels), said).value
        rows += measure(case, quick=options.quick)
    if options.plot is not None:
        plot(rows, clean, options.plot)
    print(json.dumps(summary(rows, clean)))


if __name__ == "__main__":
    main()
