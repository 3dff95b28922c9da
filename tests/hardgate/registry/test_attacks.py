"""Every way to promote, forge, replay, copy, rename, recreate, tamper, demote, escalate or delete.

Each attack must be answered with the status and the words expected, and leave the alias where it
was; on SQLite with files and on PostgreSQL with S3, with two workers.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
import sqlalchemy

from hardgate import measurements, provenance, statistics
from hardgate.evidence import signing, statement
from hardgate.registry import audit
from tests.hardgate.registry.conftest import (
    ADMIN,
    GRACE,
    HEIDI,
    PIPELINE,
    SAM,
    WATCHER,
    User,
    Version,
    World,
    predicate_of,
)

pytestmark = pytest.mark.slow

NOW = datetime.now(UTC).replace(microsecond=0)


def refused(answer: requests.Response, status: int, *words: str) -> None:
    assert answer.status_code == status, answer.text
    for each in words:
        assert each in answer.text


# -- promote --------------------------------------------------------------------------------------

WAYS: dict[str, tuple[str, str]] = {
    "REST": ("POST", "api/2.0/mlflow/registered-models/alias"),
    "the UI's path": ("POST", "ajax-api/2.0/mlflow/registered-models/alias"),
}


@pytest.mark.parametrize(("verb", "path"), WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("alias", ["champion", "Champion", "CHAMPION"])
def test_nobody_promotes_what_is_not_proven(
    world: World, unproven: Version, verb: str, path: str, alias: str
) -> None:
    answer = world.ask(GRACE, verb, path, name=unproven.name, alias=alias, version=unproven.version)
    refused(answer, 400, "no gate evidence is recorded", "hardgate harden")
    assert world.champion(unproven.name, alias) is None


@pytest.mark.parametrize(
    ("user", "status", "words"),
    [
        (SAM, 403, "Permission denied"),  # MLflow's own: he may only read
        (PIPELINE, 403, "does not hold the role release-manager"),
        (ADMIN, 403, "does not hold the role release-manager"),
        (None, 401, "not authenticated"),
        (User("grace", "not her password"), 401, "not authenticated"),
    ],
    ids=["data scientist", "gate service", "administrator", "nobody", "wrong password"],
)
def test_only_a_release_manager_approves(
    world: World, proven: Version, user: User | None, status: int, words: str
) -> None:
    refused(world.promote(user, proven), status, words)
    assert world.champion(proven.name) is None


@pytest.mark.parametrize("stage", ["Production", "production"])
def test_a_stage_is_no_way_around(world: World, unproven: Version, stage: str) -> None:
    answer = world.stage(GRACE, unproven, stage)
    refused(answer, 400, "no gate evidence is recorded")
    assert world.version(unproven)["current_stage"] == "None"


def test_lookalike_letters_are_refused(world: World, unproven: Version) -> None:
    refused(world.promote(GRACE, unproven, "сhampion"), 400, "")  # its first letter is Cyrillic
    assert world.champion(unproven.name) is None


def test_an_alias_that_is_not_protected_is_free(world: World, unproven: Version) -> None:
    assert world.promote(PIPELINE, unproven, "challenger").ok
    assert world.champion(unproven.name, "challenger") == unproven.version


PYTHON = """
import sys
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
name, version, registry = sys.argv[1:]
client = MlflowClient(registry_uri=registry or None)
try:
    client.set_registered_model_alias(name, "champion", version)
except MlflowException as error:
    print(error)
    sys.exit(7)
"""


def python(
    world: World, user: User, version: Version, registry: str = "", *, code: str = PYTHON
) -> Any:
    inherited = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("MLFLOW_", "HARDGATE_"))
    }
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, version.name, version.version, registry],
        env=inherited
        | {
            "MLFLOW_TRACKING_URI": world.url,
            "MLFLOW_TRACKING_USERNAME": user.name,
            "MLFLOW_TRACKING_PASSWORD": user.password,
        },
        cwd=world.home,
        capture_output=True,
        text=True,
    )


def test_the_python_client_is_refused_in_the_same_words(world: World, unproven: Version) -> None:
    done = python(world, GRACE, unproven)
    assert done.returncode == 7, done.stderr
    assert "no gate evidence is recorded" in done.stdout


@pytest.mark.parametrize("prefix", ["", "gated+"])
def test_a_client_with_the_databases_address_is_nobody(
    world: World, proven: Version, prefix: str
) -> None:
    done = python(world, GRACE, proven, f"{prefix}{world.database}")
    assert done.returncode == 7, done.stderr
    words = "does not start" if prefix else "does not hold the role release-manager"
    assert words in done.stdout
    assert world.champion(proven.name) is None


def test_a_client_with_the_databases_address_writes_no_tag_of_the_gate(
    world: World, proven: Version
) -> None:
    code = PYTHON.replace(
        'client.set_registered_model_alias(name, "champion", version)',
        'client.set_model_version_tag(name, version, "gate.status", "passed")',
    )
    assert code != PYTHON
    done = python(world, PIPELINE, proven, world.database, code=code)
    assert done.returncode == 7, done.stderr
    assert "is written by the role gate-service alone" in done.stdout


def test_an_older_version_in_production_is_not_deleted(world: World, proven: Version) -> None:
    second = world.prove(world.register(proven.name))
    for version in (proven, second):
        assert world.stage(GRACE, version, "Production").ok
    fields = {"name": proven.name, "version": proven.version}
    refused(world.api(ADMIN, "DELETE", "model-versions/delete", **fields), 400, "'Production'")


# -- forge and replay -----------------------------------------------------------------------------


def test_evidence_of_a_foreign_key_is_not_recorded(
    world: World, unproven: Version, tmp_path: Path
) -> None:
    forged = world.evidence(unproven, key=tmp_path / "evidence.pem")
    refused(world.announce(unproven, forged), 400, "none of them trusted")
    refused(world.promote(GRACE, unproven), 400, "no gate evidence is recorded")


def test_one_changed_byte_of_evidence_is_not_recorded(world: World, unproven: Version) -> None:
    content = bytearray(world.evidence(unproven))
    content[len(content) // 2] ^= 1
    refused(world.announce(unproven, bytes(content)), 400, "the evidence does not hold")


def test_what_is_no_evidence_is_not_recorded(world: World, unproven: Version) -> None:
    refused(world.announce(unproven, b"{}"), 400, "not a DSSE envelope")


def test_evidence_that_is_not_there_is_not_recorded(world: World, unproven: Version) -> None:
    answer = world.tag(PIPELINE, unproven, "gate.evidence", "nowhere/evidence.dsse.json")
    refused(answer, 400, "no artifact")


@pytest.mark.parametrize("path", ["../../evidence", "/etc/passwd", "a/../../../b"])
def test_evidence_is_read_below_the_run_alone(world: World, unproven: Version, path: str) -> None:
    answer = world.tag(PIPELINE, unproven, "gate.evidence", path)
    assert answer.status_code == 400, answer.text


@pytest.mark.parametrize("user", [SAM, GRACE], ids=["data scientist", "release manager"])
def test_the_gate_service_alone_brings_evidence(
    world: World, unproven: Version, user: User
) -> None:
    answer = world.tag(user, unproven, "gate.evidence", "evidence/evidence.dsse.json")
    assert answer.status_code == 403, answer.text


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("version", "7", "its version differs"),
        ("created_at", 1, "its creation time differs"),
        ("run_id", "another", "its run differs"),
        ("source", "models:/m-another", "its source differs"),
        ("name", "another", "its name differs"),
    ],
)
def test_evidence_of_another_version_is_not_recorded(
    world: World, unproven: Version, field: str, value: Any, words: str
) -> None:
    content = world.evidence(unproven, registry={field: value})
    refused(world.announce(unproven, content), 400, words)


def test_evidence_of_one_version_is_no_evidence_of_the_next(
    world: World, champion: Version
) -> None:
    second = world.register(champion.name)
    refused(world.announce(second, world.evidence(champion)), 400, "another version")
    refused(world.promote(GRACE, second), 400, "no gate evidence is recorded")
    assert world.champion(champion.name) == champion.version


def test_a_model_made_again_does_not_inherit_evidence(world: World, proven: Version) -> None:
    assert world.api(ADMIN, "DELETE", "registered-models/delete", name=proven.name).ok
    world.must(PIPELINE, "POST", "registered-models/create", name=proven.name)
    again = world.register(proven.name)
    assert again.version == proven.version
    refused(world.promote(GRACE, again), 400, "no gate evidence is recorded")
    refused(world.announce(again, world.evidence(proven)), 400, "another version")


@pytest.mark.parametrize("key", ["gate.status", "gate.evidence", "Gate.Evidence", "approval.by"])
def test_reserved_tags_do_not_come_with_a_version(world: World, key: str) -> None:
    made = world.register(tags={key: "passed", "note": "kept"})
    tags = {tag["key"] for tag in world.version(made).get("tags", ())}
    assert tags == {"note"}


@pytest.mark.parametrize(
    ("user", "key", "status"),
    [
        (SAM, "gate.status", 403),
        (GRACE, "gate.status", 403),
        (ADMIN, "gate.status", 403),
        (ADMIN, "approval.by", 403),
        (PIPELINE, "approval.by", 403),
        (PIPELINE, "release.status", 403),
        (GRACE, " Approval.By", 403),
    ],
)
def test_reserved_tags_are_not_written(
    world: World, unproven: Version, user: User, key: str, status: int
) -> None:
    answer = world.tag(user, unproven, key, "passed")
    assert answer.status_code in (status, 400), answer.text
    assert not world.version(unproven).get("tags")


def test_reserved_tags_are_not_deleted(world: World, champion: Version) -> None:
    for user in (ADMIN, GRACE, PIPELINE):
        answer = world.api(
            user,
            "DELETE",
            "model-versions/delete-tag",
            name=champion.name,
            version=champion.version,
            key="approval.by",
        )
        assert answer.status_code == 403, answer.text
    assert "approval.by" in {tag["key"] for tag in world.version(champion)["tags"]}


def test_the_words_on_a_proven_version_are_the_gates(world: World, proven: Version) -> None:
    for user, status in ((ADMIN, 403), (GRACE, 403), (PIPELINE, 200)):
        answer = world.api(
            user,
            "PATCH",
            "model-versions/update",
            name=proven.name,
            version=proven.version,
            description="Passed every gate, honestly.",
        )
        assert answer.status_code == status, answer.text


# -- evidence that says no ------------------------------------------------------------------------


def failing() -> dict[str, Any]:
    return {
        measurements.EXPECTATIONS: statistics.exact(3, 10),
        measurements.EXPECTATIONS_FAILED: statistics.exact(2, 10),
    }


def test_a_version_that_a_gate_refused_is_not_approved(world: World, unproven: Version) -> None:
    world.prove(unproven, measurements=failing())
    refused(world.promote(GRACE, unproven), 400, "gates not passed: data_contract")


def test_a_gate_without_a_measurement_has_not_passed(world: World, unproven: Version) -> None:
    world.prove(unproven, measurements={measurements.EXPECTATIONS: statistics.exact(3, 10)})
    refused(world.promote(GRACE, unproven), 400, "gates not passed: data_contract")


def test_expired_evidence_is_refused(world: World, unproven: Version) -> None:
    world.prove(unproven, issued_at=NOW - timedelta(days=9), valid_until=NOW - timedelta(days=1))
    refused(world.promote(GRACE, unproven), 400, "the evidence held until", "harden")


def test_evidence_from_the_future_is_refused(world: World, unproven: Version) -> None:
    world.prove(unproven, issued_at=NOW + timedelta(days=1), valid_until=NOW + timedelta(days=2))
    refused(world.promote(GRACE, unproven), 400, "harden")


def test_evidence_under_a_softer_policy_is_refused(world: World, unproven: Version) -> None:
    world.prove(unproven, gates=[{"kind": "data_contract", "min_samples": 2}])
    refused(world.promote(GRACE, unproven), 400, "another gate policy")


def test_who_submitted_does_not_approve(world: World, unproven: Version) -> None:
    world.prove(unproven, submitted_by=HEIDI.name)
    refused(world.promote(HEIDI, unproven), 403, "a second pair of eyes")
    assert world.promote(GRACE, unproven).ok


def test_a_model_without_a_policy_is_not_approved(world: World) -> None:
    name = f"unknown-{os.urandom(4).hex()}"
    world.must(PIPELINE, "POST", "registered-models/create", name=name)
    version = world.prove(world.register(name))
    refused(world.promote(GRACE, version), 400, "no gate policy is known")


# -- copy and rename ------------------------------------------------------------------------------


def test_a_copy_of_a_champion_is_not_proven(world: World, champion: Version) -> None:
    name = next(world.names)
    world.must(PIPELINE, "POST", "registered-models/create", name=name)
    tags = world.version(champion)["tags"]
    made = world.must(
        PIPELINE,
        "POST",
        "model-versions/create",
        name=name,
        source=f"models:/{champion.name}/{champion.version}",
        run_id=champion.run_id,
        tags=tags,
    )["model_version"]
    copy = Version(name, made["version"], 0, "", "", "", {})
    assert not world.version(copy).get("tags")
    refused(world.promote(GRACE, copy), 400, "no gate evidence is recorded")


def test_a_model_in_production_keeps_its_name(world: World, champion: Version) -> None:
    answer = world.api(
        ADMIN, "POST", "registered-models/rename", name=champion.name, new_name="elsewhere"
    )
    refused(answer, 400, "is in production", "bound to the name")


def test_a_renamed_model_has_lost_its_evidence(world: World, proven: Version) -> None:
    name = next(world.names)
    assert world.api(ADMIN, "POST", "registered-models/rename", name=proven.name, new_name=name).ok
    renamed = Version(name, proven.version, proven.created, "", "", "", {})
    refused(world.promote(GRACE, renamed), 400, "no gate evidence is recorded")


def test_a_model_does_not_turn_into_a_prompt(world: World, unproven: Version) -> None:
    answer = world.api(
        ADMIN,
        "POST",
        "registered-models/set-tag",
        name=unproven.name,
        key="mlflow.prompt.is_prompt",
        value="true",
    )
    refused(answer, 400, "turn the model into a prompt")


# -- tamper ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("user", [PIPELINE, ADMIN, GRACE, SAM])
def test_a_registered_file_is_not_overwritten(world: World, proven: Version, user: User) -> None:
    answer = world.put(user, f"{proven.place}/data/w", b"other weights")
    assert answer.status_code == 403, answer.text
    assert world.promote(GRACE, proven).ok


@pytest.mark.parametrize("name", ["data/more", "MLmodel.bak", "../artifacts/data/more"])
def test_nothing_is_added_to_a_registered_model(world: World, proven: Version, name: str) -> None:
    answer = world.put(PIPELINE, f"{proven.place}/{name}", b"import os")
    assert answer.status_code in (400, 403), answer.text
    assert world.promote(GRACE, proven).ok


@pytest.mark.parametrize("user", [PIPELINE, ADMIN])
@pytest.mark.parametrize("depth", [0, 1, 2, 3])
def test_a_registered_file_is_not_deleted(
    world: World, proven: Version, user: User, depth: int
) -> None:
    path = "/".join(f"{proven.place}/data/w".split("/")[: -depth or None])
    answer = world.drop(user, path)
    assert answer.status_code == 403, answer.text
    assert world.promote(GRACE, proven).ok


def test_a_model_is_not_unsealed(world: World, proven: Version) -> None:
    for answer in (
        world.drop(ADMIN, f"{proven.place}.sealed"),
        world.put(ADMIN, f"{proven.place}.sealed", b""),
    ):
        assert answer.status_code == 403, answer.text


def test_a_file_of_a_logged_model_is_written_once(world: World) -> None:
    _, _, place = world.log()
    refused(world.put(PIPELINE, f"{place}/data/w", b"other"), 403, "write-once")
    assert world.put(PIPELINE, f"{place}/data/more", b"more").ok


def test_recorded_evidence_is_not_replaced(world: World, unproven: Version) -> None:
    content = world.evidence(unproven)
    run = world.must(ADMIN, "GET", "runs/get", run_id=unproven.run_id)["run"]
    place = run["info"]["artifact_uri"].removeprefix("mlflow-artifacts:/")
    assert world.put(PIPELINE, f"{place}/evidence/evidence.dsse.json", content).ok
    assert world.tag(PIPELINE, unproven, "gate.evidence", "evidence/evidence.dsse.json").ok
    answer = world.put(PIPELINE, f"{place}/evidence/evidence.dsse.json", b"{}")
    assert answer.status_code == 403, answer.text


@pytest.mark.parametrize("verb", ["create", "complete", "abort"])
def test_no_upload_goes_past_the_server(world: World, proven: Version, verb: str) -> None:
    url = f"{world.url}/api/2.0/mlflow-artifacts/mpu/{verb}/{proven.place}/data"
    fields = {"path": f"{proven.place}/data/w", "num_parts": 1, "upload_id": "x", "parts": []}
    answer = requests.post(url, json=fields, auth=PIPELINE.auth, timeout=60)
    assert answer.status_code >= 400, answer.text
    assert world.promote(GRACE, proven).ok


def test_bytes_that_were_changed_behind_the_server_are_found(
    sqlite_world: World,
) -> None:
    world = sqlite_world
    version = world.prove(world.register())
    (world.home / "artifacts" / version.place / "data" / "w").write_bytes(b"other weights")
    refused(world.promote(GRACE, version), 400, "not those that passed the gates: data/w")


def test_evidence_of_other_files_is_refused(world: World, unproven: Version) -> None:
    files = {**unproven.files, "data/w": provenance.sha256_bytes(b"other")}
    world.prove(unproven, files=files)
    refused(world.promote(GRACE, unproven), 400, "not those that passed the gates: data/w")


def test_files_outside_of_the_store_are_refused(world: World) -> None:
    name = next(world.names)
    world.must(PIPELINE, "POST", "registered-models/create", name=name)
    run_id, _, _ = world.log()
    answer = world.api(
        PIPELINE,
        "POST",
        "model-versions/create",
        name=name,
        source="s3://elsewhere/model",
        run_id=run_id,
    )
    if answer.ok:
        made = answer.json()["model_version"]
        version = Version(
            name,
            made["version"],
            int(made["creation_timestamp"]),
            run_id,
            "s3://elsewhere/model",
            "",
            {"w": "0" * 64},
        )
        world.prove(version)
        refused(world.promote(GRACE, version), 400, "write-once store")
    else:
        assert answer.status_code in (400, 403)


# -- demote and delete ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user", "status"), [(SAM, 403), (PIPELINE, 403), (ADMIN, 403)], ids=lambda v: str(v)
)
def test_a_champion_is_not_withdrawn_by_others(
    world: World, champion: Version, user: User, status: int
) -> None:
    answer = world.api(
        user, "DELETE", "registered-models/alias", name=champion.name, alias="champion"
    )
    assert answer.status_code == status, answer.text
    assert world.champion(champion.name) == champion.version


def test_a_release_manager_withdraws_a_champion(world: World, champion: Version) -> None:
    answer = world.api(
        GRACE, "DELETE", "registered-models/alias", name=champion.name, alias="champion"
    )
    assert answer.ok, answer.text
    assert world.champion(champion.name) is None


@pytest.mark.parametrize("user", [PIPELINE, ADMIN])
def test_a_champion_is_not_pushed_aside_by_the_unproven(
    world: World, champion: Version, user: User
) -> None:
    second = world.register(champion.name)
    assert world.promote(user, second).status_code == 403
    refused(world.promote(GRACE, second), 400, "no gate evidence is recorded")
    assert world.champion(champion.name) == champion.version


def test_rolling_back_is_the_same_gesture(world: World, champion: Version) -> None:
    second = world.prove(world.register(champion.name))
    assert world.promote(GRACE, second).ok
    assert world.champion(champion.name) == second.version
    assert world.promote(GRACE, champion).ok
    assert world.champion(champion.name) == champion.version


def test_rolling_back_to_a_version_whose_evidence_ended_is_refused(
    world: World, champion: Version
) -> None:
    second = world.register(champion.name)
    world.prove(second, issued_at=NOW - timedelta(days=9), valid_until=NOW - timedelta(days=1))
    refused(world.promote(GRACE, second), 400, "the evidence held until")
    assert world.champion(champion.name) == champion.version


DELETIONS: dict[str, tuple[str, Callable[[Version], dict[str, Any]]]] = {
    "the version": (
        "model-versions/delete",
        lambda version: {"name": version.name, "version": version.version},
    ),
    "the model": ("registered-models/delete", lambda version: {"name": version.name}),
}


@pytest.mark.parametrize(("path", "fields"), DELETIONS.values(), ids=DELETIONS)
@pytest.mark.parametrize("user", [ADMIN, GRACE])
def test_what_is_in_production_is_not_deleted(
    world: World,
    champion: Version,
    path: str,
    fields: Callable[[Version], dict[str, Any]],
    user: User,
) -> None:
    refused(world.api(user, "DELETE", path, **fields(champion)), 400, "is in production")
    assert world.champion(champion.name) == champion.version


def test_a_stage_of_production_is_gated_both_ways(world: World, proven: Version) -> None:
    def to(user: User, stage: str) -> requests.Response:
        return world.stage(user, proven, stage)

    refused(to(PIPELINE, "Production"), 403, "does not hold the role")
    assert to(GRACE, "Production").ok
    refused(to(PIPELINE, "Archived"), 403, "does not hold the role")
    refused(
        world.api(ADMIN, "DELETE", "registered-models/delete", name=proven.name),
        400,
        "the stage 'Production'",
    )
    assert to(GRACE, "Archived").ok


def test_who_left_production_is_in_the_audit(world: World, proven: Version) -> None:
    newer = world.prove(world.register(proven.name))
    assert world.stage(GRACE, proven, "Production").ok
    answer = world.api(
        GRACE,
        "POST",
        "model-versions/transition-stage",
        name=newer.name,
        version=newer.version,
        stage="Production",
        archive_existing_versions=True,
    )
    assert answer.ok, answer.text
    third = world.register(proven.name)
    fields = {"name": third.name, "version": third.version}
    assert world.api(GRACE, "DELETE", "model-versions/delete", **fields).ok
    with world.opened() as engine:
        found = [entry for entry in audit.entries(engine) if entry.model == proven.name]
    said = [(e.action, e.version, e.before, e.words.partition(",")[0]) for e in found[-4:]]
    assert said == [
        ("promote", "1", "", "submitted by sam"),
        ("promote", "2", "1", "submitted by sam"),
        ("withdraw", "1", "", "archived when version 2 came"),
        ("delete", "3", "", ""),
    ]


def bytes_of(world: World, version: Version) -> bool:
    url = f"{world.url}/api/2.0/mlflow-artifacts/artifacts/{version.place}/data/w"
    return requests.get(url, auth=GRACE.auth, timeout=60).ok


def test_what_a_version_stands_on_is_not_deleted(world: World, champion: Version) -> None:
    run = world.must(ADMIN, "GET", "runs/get", run_id=champion.run_id)["run"]["info"]
    model_id = champion.source.removeprefix("models:/")
    stands = f"version 1 of '{champion.name}' stands on"
    answer = world.api(ADMIN, "POST", "runs/delete", run_id=champion.run_id)
    refused(answer, 400, f"{stands} run {champion.run_id}; delete the version first")
    answer = world.api(ADMIN, "DELETE", f"logged-models/{model_id}")
    refused(answer, 400, f"{stands} logged model {model_id}")
    answer = world.api(ADMIN, "POST", "experiments/delete", experiment_id=run["experiment_id"])
    refused(answer, 400, f"{stands} experiment {run['experiment_id']}")
    assert world.drop(ADMIN, champion.place).status_code == 403
    assert bytes_of(world, champion)


def test_what_no_version_stands_on_is_deleted(world: World) -> None:
    run_id, source, _ = world.log()
    version = world.register()
    assert world.api(PIPELINE, "DELETE", f"logged-models/{source.removeprefix('models:/')}").ok
    assert world.api(PIPELINE, "POST", "runs/delete", run_id=run_id).ok
    fields = {"name": version.name, "version": version.version}
    assert world.api(ADMIN, "DELETE", "model-versions/delete", **fields).ok
    assert world.api(ADMIN, "POST", "runs/delete", run_id=version.run_id).ok


def collect(world: World, run_id: str) -> Any:
    """Run MLflow's garbage collector as who has the database's address."""
    inherited = {
        key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "HARD"))
    }
    return subprocess.run(
        [
            *(sys.executable, "-W", "ignore", "-m", "mlflow", "gc", "--run-ids", run_id),
            *("--backend-store-uri", world.database),
        ],
        env=inherited
        | {
            "MLFLOW_TRACKING_URI": world.url,
            "MLFLOW_TRACKING_USERNAME": ADMIN.name,
            "MLFLOW_TRACKING_PASSWORD": ADMIN.password,
        },
        cwd=world.home,
        capture_output=True,
        text=True,
    )


def test_the_garbage_collector_takes_what_is_garbage(world: World) -> None:
    run_id, *_ = world.log()
    assert world.api(PIPELINE, "POST", "runs/delete", run_id=run_id).ok
    done = collect(world, run_id)
    assert done.returncode == 0, done.stderr
    assert f"{run_id} has been permanently deleted" in done.stdout


def test_the_garbage_collector_spares_what_a_version_stands_on(
    world: World, champion: Version
) -> None:
    with world.opened() as engine, engine.begin() as connection:
        connection.execute(
            sqlalchemy.text("UPDATE runs SET lifecycle_stage = 'deleted' WHERE run_uuid = :run"),
            {"run": champion.run_id},
        )
    done = collect(world, champion.run_id)
    assert done.returncode != 0
    assert "belongs to a registered version" in done.stderr
    assert world.must(ADMIN, "GET", "runs/get", run_id=champion.run_id)
    assert bytes_of(world, champion)


# -- escalate -------------------------------------------------------------------------------------


def test_an_administrator_cannot_make_himself_an_approver(world: World, proven: Version) -> None:
    roles = world.ask(ADMIN, "GET", "api/3.0/mlflow/roles/list", workspace="default").json()
    number = next(role["id"] for role in roles["roles"] if role["name"] == "release-manager")
    fields = {"username": ADMIN.name, "role_id": number}
    assert world.ask(ADMIN, "POST", "api/3.0/mlflow/roles/assign", **fields).ok
    refused(world.promote(ADMIN, proven), 403, "does not hold the role release-manager")
    assert world.champion(proven.name) is None
    assert world.ask(ADMIN, "DELETE", "api/3.0/mlflow/roles/unassign", **fields).ok


@pytest.mark.parametrize("prefix", ["api/2.0", "ajax-api/2.0"])
@pytest.mark.parametrize(
    ("verb", "path", "fields"),
    [
        ("PATCH", "update-password", {"username": "grace", "password": "the thief's own"}),
        ("PATCH", "update-password", {"username": " GRACE", "password": "the thief's own"}),
        ("PATCH", "update-admin", {"username": "pipeline", "is_admin": True}),
        ("DELETE", "delete", {"username": "grace"}),
        ("POST", "create", {"username": "grace", "password": "the thief's own"}),
    ],
)
def test_an_administrator_cannot_take_the_account_of_an_approver(
    world: World, verb: str, path: str, fields: dict[str, Any], prefix: str
) -> None:
    refused(world.ask(ADMIN, verb, f"{prefix}/mlflow/users/{path}", **fields), 403, "has a role")
    assert world.api(GRACE, "GET", "registered-models/search").ok


def test_an_administrator_keeps_other_accounts(world: World) -> None:
    fields = {"username": f"guest-{world.kind}", "password": "long enough for a guest"}
    assert world.api(ADMIN, "POST", "users/create", **fields).ok
    assert world.api(ADMIN, "DELETE", "users/delete", username=fields["username"]).ok


def test_evidence_against_a_weaker_attacker_is_refused(world: World, proven: Version) -> None:
    from hardgate import records
    from hardgate.registry.rules import Rules

    models = records.read(Rules, world.rules).models
    asked = models[proven.name].model_copy(
        update={"sections": {"threat": provenance.sha256_json({"eps": 0.3})}}
    )
    world.change_rules(models={**models, proven.name: asked})
    try:
        refused(
            world.promote(GRACE, proven), 400, "with other params than this registry's (threat)"
        )
        weak = world.prove(
            world.register(proven.name), params=statement.section({"threat": {"eps": 0.1}})
        )
        refused(world.promote(GRACE, weak), 400, "with other params than this registry's (threat)")
        strong = world.prove(
            world.register(proven.name), params=statement.section({"threat": {"eps": 0.3}})
        )
        assert world.promote(GRACE, strong).ok
    finally:
        world.change_rules(models=models)


@pytest.mark.parametrize("name", ["models.sealed/x", "0.sealed/x", "a/b.sealed", ".sealed"])
def test_nobody_makes_a_seal(world: World, name: str) -> None:
    run_id, _, place = world.log()
    experiment = place.partition("/")[0]
    answer = world.put(ADMIN, f"{experiment}/{run_id}/artifacts/{name}", b"")
    refused(answer, 403, "only the server seals a folder")


def test_the_report_of_a_proven_version_is_sealed(world: World, proven: Version) -> None:
    run = world.must(ADMIN, "GET", "runs/get", run_id=proven.run_id)["run"]["info"]
    place = run["artifact_uri"].removeprefix("mlflow-artifacts:/")
    answer = world.put(PIPELINE, f"{place}/report/report.html", b"<h1>all is well</h1>")
    refused(answer, 403, "belongs to a registered version")


def test_the_watcher_withdraws_what_it_looked_at_and_nothing_newer(
    world: World, champion: Version
) -> None:
    newer = world.prove(world.register(champion.name))
    assert world.promote(GRACE, newer).ok
    assert world.tag(WATCHER, champion, "release.status", "withdrawn").ok
    assert world.champion(champion.name) == newer.version
    assert world.tag(WATCHER, newer, "release.status", "withdrawn").ok
    assert world.champion(champion.name) is None


def test_the_watcher_withdraws_by_stage_too(world: World, proven: Version) -> None:
    assert world.stage(GRACE, proven, "Production").ok
    assert world.tag(WATCHER, proven, "release.status", "withdrawn").ok
    assert world.version(proven)["current_stage"] == "Archived"


def test_a_new_approval_forgets_what_was_found_after_the_last(
    world: World, champion: Version
) -> None:
    assert world.tag(WATCHER, champion, "release.status", "released").ok
    assert world.promote(GRACE, champion).ok
    tags = {tag["key"] for tag in world.version(champion)["tags"]}
    assert not [tag for tag in tags if tag.startswith("release.")]


@pytest.mark.parametrize("user", [SAM, GRACE, ADMIN])
@pytest.mark.parametrize(
    ("verb", "path"), [("PUT", "config"), ("POST", "message"), ("GET", "config")]
)
def test_the_assistant_runs_no_command_on_the_server(
    world: World, user: User, verb: str, path: str
) -> None:
    answer = world.ask(user, verb, f"ajax-api/3.0/mlflow/assistant/{path}")
    refused(answer, 403, "assistant is off here")


@pytest.mark.parametrize("user", [SAM, PIPELINE, GRACE])
def test_nobody_else_hands_out_roles(world: World, user: User) -> None:
    answer = world.ask(user, "POST", "api/3.0/mlflow/roles/assign", username=user.name, role_id=1)
    assert answer.status_code == 403, answer.text
    answer = world.ask(
        user, "POST", "api/2.0/mlflow/users/create", username="mallory", password="x" * 12
    )
    assert answer.status_code == 403, answer.text


def test_the_gate_and_an_approver_are_not_one_person(world: World, proven: Version) -> None:
    roles = {GRACE.name: ("release-manager", "gate-service")}
    people = {**roles, PIPELINE.name: ("gate-service",), HEIDI.name: ("release-manager",)}
    world.change_rules(people=people)
    try:
        listed = world.ask(ADMIN, "GET", "api/3.0/mlflow/roles/list", workspace="default").json()
        number = next(r["id"] for r in listed["roles"] if r["name"] == "gate-service")
        fields = {"username": GRACE.name, "role_id": number}
        assert world.ask(ADMIN, "POST", "api/3.0/mlflow/roles/assign", **fields).ok
        refused(world.promote(GRACE, proven), 403, "the gate approves nothing")
        assert world.ask(ADMIN, "DELETE", "api/3.0/mlflow/roles/unassign", **fields).ok
    finally:
        world.change_rules(
            people={**people, GRACE.name: ("release-manager",), SAM.name: ("data-scientist",)}
        )


def test_a_waiver_excuses_one_gate_of_one_model(world: World, unproven: Version) -> None:
    from hardgate.evidence import waivers
    from hardgate.evidence.waivers import Waiver

    world.prove(unproven, measurements=failing())
    folder = world.home / "waivers"
    signer = signing.open_signer(
        f"file2:{world.home}/keys/waiver.pem", trusted=folder / waivers.TRUSTED
    )
    other = world.register()
    excuse = Waiver(
        gate="data_contract",
        reason="the two rows are known and harmless",
        by="ivan",
        issued_at=NOW - timedelta(hours=1),
        valid_until=NOW + timedelta(days=3),
    )

    def subject(version: Version) -> Any:
        return statement.state(predicate_of(version)).subject[0]

    waivers.write(excuse, subject(other), folder, signer)
    refused(world.promote(GRACE, unproven), 400, "gates not passed: data_contract")
    own = excuse.model_copy(update={"by": "SAM"})  # who submitted it
    waivers.write(own, subject(unproven), folder, signer)
    refused(world.promote(GRACE, unproven), 400, "gates not passed: data_contract")
    own = excuse.model_copy(update={"by": "Grace"})  # who approves it
    waivers.write(own, subject(unproven), folder, signer)
    refused(world.promote(GRACE, unproven), 400, "gates not passed: data_contract")
    waivers.write(excuse, subject(unproven), folder, signer)
    assert world.promote(GRACE, unproven).ok
    tags = {tag["key"]: tag["value"] for tag in world.version(unproven)["tags"]}
    assert "harmless" in tags["approval.waived"]


def test_a_second_factor_is_asked_for_where_the_policy_says_so(
    world: World, proven: Version
) -> None:
    from hardgate import records
    from hardgate.registry.rules import ModelRules, Rules

    models = records.read(Rules, world.rules).models
    strict = models[proven.name].model_copy(update={"second_factor": True})
    world.change_rules(models={**models, proven.name: strict})
    try:
        refused(world.promote(GRACE, proven), 403, "second factor")
    finally:
        world.change_rules(models=models)
    assert isinstance(strict, ModelRules)
