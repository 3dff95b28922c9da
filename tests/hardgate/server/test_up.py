"""``hardgate up`` on a team's database and bucket: an approval is released, or taken back.

One start serves all: it takes half a minute, and so does each run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import boto3
import psycopg
import pytest
import requests

from tests.conftest import Project, make_project
from tests.hardgate.conftest import S3_KEYS, free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

GRACE = ("grace", "a long enough password")
PATIENCE = 180.0  # seconds


@dataclass(frozen=True)
class Team:
    """A project whose servers run, and what they stand on."""

    project: Project
    environment: Mapping[str, str]
    mlflow: str
    prefect: str
    database: str
    s3: str

    def hardgate(self, *words: str, **options: Any) -> str:
        done = self.project.hardgate(*words, env=self.environment, **options)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def api(self, verb: str, path: str, **fields: Any) -> Any:
        where: Any = {"params" if verb == "GET" else "json": fields}
        url = f"{self.mlflow}/api/2.0/mlflow/{path}"
        answer = requests.request(verb, url, auth=GRACE, timeout=60, **where)
        assert answer.ok, answer.text
        return answer.json()

    def approve(self, version: str) -> None:
        fields = {"name": "tiny", "alias": "champion", "version": version}
        self.api("POST", "registered-models/alias", **fields)

    def champion(self) -> str | None:
        found = self.api("GET", "registered-models/get", name="tiny")["registered_model"]
        aliases = {each["alias"]: each["version"] for each in found.get("aliases", ())}
        return aliases.get("champion")

    def tags(self, version: str) -> dict[str, str]:
        found = self.api("GET", "model-versions/get", name="tiny", version=version)
        return {tag["key"]: tag["value"] for tag in found["model_version"]["tags"]}


def until(true: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(1)


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory, postgresql: str, s3: str) -> Iterator[Team]:
    project = make_project(tmp_path_factory.mktemp("team") / "project")
    with psycopg.connect(f"{postgresql}/postgres", autocommit=True) as connection:
        connection.execute("CREATE DATABASE team")
    environment = {
        "MLFLOW_S3_ENDPOINT_URL": s3,
        "AWS_DEFAULT_REGION": "us-east-1",
        **{name.upper(): value for name, value in S3_KEYS.items()},
    }
    ports = {name: str(free_port()) for name in ("mlflow", "prefect", "webhook")}
    team = Team(
        project,
        environment,
        f"http://127.0.0.1:{ports['mlflow']}",
        f"http://127.0.0.1:{ports['prefect']}",
        f"{postgresql}/team",
        s3,
    )
    options = [word for name in ports for word in (f"--{name}-port", ports[name])]
    stores = ("--database-url", team.database, "--artifacts-url", "s3://models/team")
    try:
        team.hardgate("up", "--detach", *stores, *options)
        said = team.hardgate(
            "user", "add", GRACE[0], "--role", "release-manager", "--password-stdin", given=GRACE[1]
        )
        assert said == "grace is a release-manager now\n"
        team.hardgate("harden", "tiny")
        yield team
    finally:
        team.hardgate("down")


def test_all_of_it_is_in_the_teams_database(team: Team) -> None:
    with psycopg.connect(team.database) as connection:
        found = connection.execute(
            "SELECT table_schema, table_name FROM information_schema.tables"
        ).fetchall()
    assert {
        ("public", "hardgate_audit"),
        ("public", "model_versions"),
        ("hardgate_users", "users"),
        ("hardgate_flows", "flow_run"),
    } <= set(found)


def test_nobody_starts_a_flow_without_the_password(team: Team) -> None:
    url = f"{team.prefect}/api/flows/count"
    assert requests.post(url, json={}, timeout=30).status_code == 401
    word = (team.project.home / "server" / "prefect-password").read_text().strip()
    user, _, password = word.partition(":")
    answer = requests.post(url, json={}, auth=(user, password), timeout=30)
    assert answer.json() > 0


def test_an_approval_is_released_and_one_with_changed_bytes_is_taken_back(team: Team) -> None:
    team.approve("1")
    until(lambda: team.tags("1").get("release.status") == "released", "no release")
    assert "recorded answers came again" in team.tags("1")["release.words"]

    team.hardgate("harden", "tiny", "-S", "tiny.training.epochs=4")
    team.approve("2")
    damage(team, "weights.safetensors")  # before the watcher's process has started
    until(lambda: team.champion() is None, "no withdrawal")
    until(lambda: team.tags("2").get("release.status") == "withdrawn", "no alarm")
    assert "weights.safetensors" in team.tags("2")["release.words"]
    said = team.hardgate("audit", "tiny")
    assert "release-watcher withdraw tiny/2 champion" in said
    assert "release-watcher alarm tiny/2 champion" in said

    team.approve("1")  # a rollback to evidence that still holds is one gesture
    assert team.champion() == "1"


def damage(team: Team, name: str) -> None:
    """Change a file of the newest logged model, as the bucket's owner can."""
    client = boto3.client("s3", endpoint_url=team.s3, region_name="us-east-1", **S3_KEYS)
    listed = client.list_objects_v2(Bucket="models", Prefix="team/")["Contents"]
    found = [each for each in listed if each["Key"].endswith(name) and "/models/m-" in each["Key"]]
    key = max(found, key=lambda each: each["LastModified"])["Key"]
    whole = client.get_object(Bucket="models", Key=key)["Body"].read()
    changed = whole[:-1] + bytes([whole[-1] ^ 1])
    client.put_object(Bucket="models", Key=key, Body=changed)
