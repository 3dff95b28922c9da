"""What the gate costs: ``python benchmarks/registry.py``.

Starts MLflow as it comes and the gated server side by side, each with two workers, basic auth and
SQLite, and calls both in turns: aliases that are not protected (set, then read), one caller at a
time and eight at once. Then times the promotion of a model of 100 MB on the gated one.

Absolute times depend on the machine and what else it does; the ratios are what to quote. The last
line is one JSON object. Goals: a ratio of at most 1.3, and a promotion in less than 2 s.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import requests

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.hardgate.registry.conftest import GRACE, PIPELINE, Version, World, ended, serve

GOAL_RATIO, GOAL_SECONDS = 1.3, 2.0
CALLERS = 8
MEGABYTES = 100


def without_plugins(folder: Path) -> dict[str, str]:
    """Give an environment in which this project's plug-ins are not found.

    The plain schemes are gated as well wherever they are installed, so "stock" must be without.
    """
    shadow = folder / "hardgate-0.dist-info"
    shadow.mkdir(parents=True)
    (shadow / "METADATA").write_text("Metadata-Version: 2.1\nName: hardgate\nVersion: 0\n")
    return {"PYTHONPATH": str(folder)}


def start(home: Path, *, stock: bool) -> World:
    """Start one of the two servers."""
    return serve(
        home,
        database=f"sqlite:///{home}/mlflow.db",
        artifacts=(home / "artifacts").as_uri(),
        kind="stock" if stock else "gated",
        environment=without_plugins(home / "shadow") if stock else None,
        stock=stock,
    )


class Caller:
    """Calls one server over one connection."""

    def __init__(self, world: World, version: Version) -> None:
        self._url = f"{world.url}/api/2.0/mlflow/registered-models/alias"
        self._session = requests.Session()
        self._session.auth = PIPELINE.auth
        self._fields = {"name": version.name, "version": version.version, "alias": "challenger"}
        self._asked = {"name": version.name, "alias": "challenger"}

    def set(self) -> float:
        """Set an alias that is not protected; give the seconds it took."""
        started = time.perf_counter()
        answer = self._session.post(self._url, json=self._fields, timeout=60)
        answer.raise_for_status()
        return time.perf_counter() - started

    def read(self) -> float:
        """Read the version that an alias points at."""
        started = time.perf_counter()
        answer = self._session.get(self._url, params=self._asked, timeout=60)
        answer.raise_for_status()
        return time.perf_counter() - started


def latency(worlds: dict[str, World], versions: dict[str, Version], calls: int) -> dict[str, float]:
    """Measure one caller, in short turns on each server; give medians in milliseconds."""
    callers = {kind: Caller(world, versions[kind]) for kind, world in worlds.items()}
    taken: dict[str, list[float]] = {}
    for turn in range(calls):
        for kind in sorted(callers, reverse=bool(turn % 2)):
            taken.setdefault(f"{kind}_set_ms", []).append(1000 * callers[kind].set())
            taken.setdefault(f"{kind}_read_ms", []).append(1000 * callers[kind].read())
    return {name: statistics.median(values) for name, values in taken.items()}


def throughput(
    worlds: dict[str, World], versions: dict[str, Version], calls: int
) -> dict[str, float]:
    """Measure eight callers at once, in turns; give calls per second, the median of the turns."""

    def work(caller: Caller) -> None:
        for _ in range(calls):
            caller.set()
            caller.read()

    found: dict[str, list[float]] = {}
    for turn in range(6):
        for kind in sorted(worlds, reverse=bool(turn % 2)):
            callers = [Caller(worlds[kind], versions[kind]) for _ in range(CALLERS)]
            started = time.perf_counter()
            with ThreadPoolExecutor(CALLERS) as pool:
                list(pool.map(work, callers))
            taken = time.perf_counter() - started
            if turn:  # the first warms up
                found.setdefault(f"{kind}_per_s", []).append(2 * calls * CALLERS / taken)
    return {name: statistics.median(values) for name, values in found.items()}


def promotion(world: World, repeats: int) -> list[float]:
    """Promote new versions of a large model; give the seconds of each."""
    taken = []
    for _ in range(repeats):
        content = {"MLmodel": b"flavors: {}\n", "data/w": os.urandom(MEGABYTES * 10**6)}
        version = world.prove(world.register(content=content))
        started = time.perf_counter()
        answer = world.promote(GRACE, version)
        taken.append(time.perf_counter() - started)
        assert answer.ok, answer.text
    return taken


def main() -> None:
    """Start, call, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=150, help="of one caller on each server")
    parser.add_argument("--promotions", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        worlds = {}
        for kind in ("stock", "gated"):
            worlds[kind] = start(Path(folder, kind), stock=kind == "stock")
            stack.enter_context(ended(worlds[kind]))
        versions = {kind: world.register() for kind, world in worlds.items()}
        assert worlds["stock"].promote(PIPELINE, versions["stock"]).ok  # it asks for nothing
        assert not worlds["gated"].promote(PIPELINE, versions["gated"]).ok
        latency(worlds, versions, 20)
        figures = latency(worlds, versions, given.calls)
        figures |= throughput(worlds, versions, max(given.calls // 10, 1))
        seconds = promotion(worlds["gated"], given.promotions)
    result: dict[str, object] = {name: round(value, 2) for name, value in figures.items()}
    ratios = {
        "set_ratio": figures["gated_set_ms"] / figures["stock_set_ms"],
        "read_ratio": figures["gated_read_ms"] / figures["stock_read_ms"],
        "throughput_ratio": figures["stock_per_s"] / figures["gated_per_s"],
    }
    result |= {name: round(value, 3) for name, value in ratios.items()}
    result["promotion_s"] = round(statistics.median(seconds), 3)
    result["promotion_slowest_s"] = round(max(seconds), 3)
    result["megabytes"] = MEGABYTES
    result["load"] = [round(value, 1) for value in os.getloadavg()]
    result["cores"] = os.cpu_count()
    result["goals_met"] = max(ratios.values()) <= GOAL_RATIO and max(seconds) < GOAL_SECONDS
    for name, value in result.items():
        print(f"{name:22} {value}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
