"""Peak memory of a large table: ``python benchmarks/large_table.py`` (5 million rows by default).

Generates a Parquet table of 25 columns, drafts its suite, then validates and trains on it in a copy
of the project, each stage in a process of its own. Prints wall seconds and peak memory per stage;
the last line is one JSON object. The goal is a peak below 6 GiB.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

ROOT = Path(__file__).resolve().parents[1]
SKIPPED = shutil.ignore_patterns(
    "runs", ".hardgate", ".venv", "cache", "tmp", "__pycache__", ".*_cache", "dvc.lock", "data"
)
NUMBERS, INTEGERS, CATEGORIES = 14, 8, 2  # and a target
CHUNK = 250_000
STAGES = ("validation", "augmentation", "training")
# Runs a stage's module and says, last, how much memory its process held at most.
WATCHED = (
    "import resource, runpy, sys; stage = sys.argv.pop(1);"
    "runpy.run_module(f'tasks.{stage}', run_name='__main__', alter_sys=True);"
    "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
)


def generate(path: Path, rows: int) -> None:
    """Write the table in row groups, so that generating it needs no memory to speak of."""
    generator = np.random.default_rng(7)
    writer = None
    for first in range(0, rows, CHUNK):
        count = min(CHUNK, rows - first)
        columns: dict[str, pa.Array] = {}
        score = np.zeros(count)
        for at in range(NUMBERS):
            values = generator.normal(at, 1 + at, count).astype(np.float32)
            score += (values - at) / (1 + at) * (at % 3 - 1)
            columns[f"number_{at}"] = pa.array(values)
        for at in range(INTEGERS):
            columns[f"count_{at}"] = pa.array(generator.poisson(5 + at, count).astype(np.int32))
        for at in range(CATEGORIES):
            names = np.array(["north", "east", "south", "west"])
            columns[f"place_{at}"] = pa.array(names[generator.integers(0, 4, count)])
        target = (score + generator.normal(0, 2, count) > 0).astype(np.int32)
        columns["target"] = pa.array(target)
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()


def describe(rows: int) -> dict[str, object]:
    """Write the params section of the table."""
    numbers = [f"number_{at}" for at in range(NUMBERS)]
    small = {"recipe": "pgd", "step_size": 0.1, "steps": 2}
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["credit"]
    params["dataset"] = {
        "kind": "table",
        "path": "data/large/large.parquet",
        "target": "target",
        "classes": ["0", "1"],
        "categorical": [f"place_{at}" for at in range(CATEGORIES)],
        "integer": [f"count_{at}" for at in range(INTEGERS)],
        "immutable": [f"place_{at}" for at in range(CATEGORIES)],
    }
    params["threat"] |= {"columns": {name: {} for name in numbers}, "relations": []}
    params["augmentation"] = {"members": []}
    params["training"] |= {
        "architecture": {"name": "mlp", "hidden": [64, 64]},
        "defense": small,
        "epochs": 1,
        "batch_size": 8192 if rows > 100_000 else 256,
    }
    params["evaluation"].pop("fairness", None)
    return {"models": ["large"], "large": params}


def run(words: list[str], folder: Path) -> tuple[float, str]:
    """Run one process in the project; give its seconds and the last line it printed."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "HARDGATE_HOME": str(folder / "state")}
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return time.perf_counter() - started, (done.stdout.splitlines() or [""])[-1]


def main() -> None:
    """Generate, run, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=5_000_000)
    rows = parser.parse_args().rows
    figures: dict[str, object] = {"rows": rows, "columns": NUMBERS + INTEGERS + CATEGORIES + 1}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "project"
        shutil.copytree(ROOT, folder, ignore=SKIPPED)
        (folder / "data/large").mkdir(parents=True)
        generate(folder / "data/large/large.parquet", rows)
        text = yaml.safe_dump(describe(rows), sort_keys=False)
        (folder / "params.yaml").write_text(text, encoding="utf-8")
        seconds, _ = run(["-m", "hardgate.cli", "suite", "large"], folder)
        print(f"{'stage':14}{'seconds':>9}{'peak GiB':>10}")
        print(f"{'draft suite':14}{seconds:9.1f}")
        for stage in STAGES:
            seconds, peak = run(["-c", WATCHED, stage, "large"], folder)
            gibibytes = int(peak) / 2**20
            figures[stage] = {"seconds": seconds, "peak_gib": gibibytes}
            print(f"{stage:14}{seconds:9.1f}{gibibytes:10.2f}", flush=True)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
