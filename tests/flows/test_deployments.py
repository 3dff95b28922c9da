"""``prefect.yaml`` as its first lines say: deploy, start a worker, and let it harden."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import yaml
from prefect.client.schemas.filters import FlowRunFilter
from prefect.exceptions import PrefectHTTPStatusError
from prefect.states import Scheduled

from hardgate import records
from hardgate.records import Decision

pytestmark = pytest.mark.slow

TINY = """
  - <<: *common
    name: tiny
    parameters: {model: tiny, overrides: []}
    schedules: [{slug: never, cron: "0 0 29 2 *", timezone: UTC, active: false}]
"""


@pytest.fixture
def prefect(visited, tmp_path):
    """Run a command of Prefect, as somebody does who follows the comment in ``prefect.yaml``."""
    environment = visited.project.environment() | visited.servers.environment
    del environment["PYTHONPATH"]  # a worker has to find the flows by itself
    environment |= {"PREFECT_HOME": str(tmp_path / "prefect"), "DO_NOT_TRACK": "1"}

    def run(*words, cwd=visited.project.root, **more):
        done = subprocess.run(
            [sys.executable, "-m", "prefect", *words],
            cwd=cwd,
            env=environment | more,
            capture_output=True,
            text=True,
            timeout=400,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_a_worker_hardens_with_overrides_one_run_at_a_time(
    visited, prefect, dashboard, registry, tmp_path
):
    project = visited.project
    file = project.root / "prefect.yaml"
    file.write_text(file.read_text() + TINY)
    asked = {entry["name"]: entry for entry in yaml.safe_load(file.read_text())["deployments"]}

    prefect("work-pool", "create", "hardgate", "--type", "process")
    prefect("--no-prompt", "deploy", "--all", HARDGATE_PROJECT=str(project.root))

    made = {entry.name: entry for entry in dashboard.read_deployments()}
    assert set(made) == {"credit", "mnist", "diagnosis", "tiny", "watch"}
    assert made.pop("watch").entrypoint == "flows.release.watch"
    for name, deployment in made.items():
        assert deployment.parameters == {"model": name, "overrides": []}
        assert deployment.concurrency_options.collision_strategy == "CANCEL_NEW"
        assert deployment.global_concurrency_limit.limit == 1
        assert [s.schedule.cron for s in deployment.schedules] == [
            s["cron"] for s in asked[name]["schedules"]
        ]
        assert deployment.paused is False

    tiny = made["tiny"].id
    with pytest.raises(PrefectHTTPStatusError, match=r"409|422"):
        dashboard.create_flow_run_from_deployment(
            tiny, parameters={"model": "tiny", "overrides": 5}
        )

    overrides = {"model": "tiny", "overrides": ["tiny.promotion.valid_days=9"]}
    both = [
        dashboard.create_flow_run_from_deployment(tiny, parameters=overrides, state=Scheduled()).id
        for _ in range(2)
    ]
    text = project.params.read_text()
    versions = len(registry.search_model_versions("name = 'tiny'"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    prefect("worker", "start", "--pool", "hardgate", "--run-once", cwd=elsewhere)

    ended = dashboard.read_flow_runs(flow_run_filter=FlowRunFilter(id={"any_": both}))
    assert sorted(run.state_name for run in ended) == ["Cancelled", "Completed"]
    assert project.params.read_text() == text
    assert len(registry.search_model_versions("name = 'tiny'")) == versions + 1
    decision = records.read(Decision, project.run("promotion") / "decision.json")
    assert decision.promoted
    logged = registry.get_model_version("tiny", decision.version).run_id
    assert registry.get_run(logged).data.params["promotion.valid_days"] == "9"
    assert json.loads((project.root / decision.evidence.path).read_text())["signatures"]
