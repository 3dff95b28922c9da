"""A real gated MLflow server with users, and versions with real evidence to try things on.

``world`` is one server per kind of database, started once per session: SQLite with files, or
PostgreSQL with an S3 server. ``proven`` is a version that may be approved; ``unproven`` has no
evidence.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests
import sqlalchemy

from hardgate import measurements, records, statistics
from hardgate.evidence import signing, statement
from hardgate.evidence.statement import OutcomesRecord, Predicate, RegistryEntry
from hardgate.records import FileRecord
from hardgate.registry.people import Server
from hardgate.registry.rules import APPROVER, GATE, SUBMITTER, VARIABLE, ModelRules, Rules
from hardgate.registry.rules import WATCHER as RELEASE_WATCHER
from tests.hardgate.conftest import S3_KEYS, free_port, wait_for

MODELS = tuple(f"model-{number}" for number in range(200))
GATES = [{"kind": "data_contract", "min_samples": 1}]
PASSWORD = "a long enough password"
ACCOUNTS = "the key to accounts with a role"
SHA = "0" * 64
LOGIN = "hardgate.registry.sso:authenticate"
STOCK_LOGIN = "mlflow.server.auth:authenticate_request_basic_auth"


@dataclass(frozen=True)
class User:
    """Somebody, with what he needs to log in."""

    name: str
    password: str = PASSWORD

    @property
    def auth(self) -> tuple[str, str]:
        return self.name, self.password


ADMIN = User("admin", "the administrator's own")
GRACE = User("grace")  # release manager
HEIDI = User("heidi")  # another one, who submits too
SAM = User("sam")  # data scientist
PIPELINE = User("pipeline")  # gate service
WATCHER = User("watcher")  # release watcher


@dataclass
class World:
    """A server and everything around it."""

    kind: str
    url: str
    home: Path
    rules: Path
    database: str
    settings: Mapping[str, str]  # environment of the server
    start: Callable[[], subprocess.Popen[bytes]]
    server: subprocess.Popen[bytes]
    names: Iterator[str] = field(default_factory=lambda: iter(MODELS))

    @property
    def trusted(self) -> Path:
        return self.home / "keys" / "trusted"

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End the server and its workers."""
        if self.server.poll() is None:
            os.killpg(self.server.pid, how)
            try:
                self.server.wait(timeout=30)
            except subprocess.TimeoutExpired:
                os.killpg(self.server.pid, signal.SIGKILL)
                self.server.wait()

    @contextmanager
    def opened(self) -> Iterator[sqlalchemy.Engine]:
        """Open the server's database as its owner does."""
        url = self.database.replace("postgresql://", "postgresql+psycopg://")
        engine = sqlalchemy.create_engine(url)
        try:
            yield engine
        finally:
            engine.dispose()

    def restart(self) -> None:
        """Start it again."""
        self.server = self.start()
        wait_for(f"{self.url}/health", self.server, self.home / "log")

    def ask(self, user: User | None, verb: str, path: str, **fields: Any) -> requests.Response:
        """Speak to the server as a user does, or as nobody."""
        where = {"params" if verb == "GET" else "json": fields}
        return requests.request(
            verb,
            f"{self.url}/{path}",
            auth=user.auth if user else None,
            timeout=60,
            **where,  # type: ignore[arg-type]
        )

    def api(self, user: User | None, verb: str, path: str, **fields: Any) -> requests.Response:
        return self.ask(user, verb, f"api/2.0/mlflow/{path}", **fields)

    def must(self, user: User, verb: str, path: str, **fields: Any) -> Any:
        answer = self.api(user, verb, path, **fields)
        assert answer.ok, answer.text
        return answer.json()

    def put(self, user: User, path: str, content: bytes) -> requests.Response:
        """Upload a file the way MLflow's client does."""
        url = f"{self.url}/api/2.0/mlflow-artifacts/artifacts/{path}"
        return requests.put(url, data=content, auth=user.auth, timeout=60)

    def drop(self, user: User, path: str) -> requests.Response:
        url = f"{self.url}/api/2.0/mlflow-artifacts/artifacts/{path}"
        return requests.delete(url, auth=user.auth, timeout=60)

    def promote(self, user: User | None, version: Version, alias: str = "champion") -> Any:
        return self.api(
            user,
            "POST",
            "registered-models/alias",
            name=version.name,
            alias=alias,
            version=version.version,
        )

    def stage(self, user: User, version: Version, stage: str) -> requests.Response:
        return self.api(
            user,
            "POST",
            "model-versions/transition-stage",
            name=version.name,
            version=version.version,
            stage=stage,
            archive_existing_versions=False,
        )

    def champion(self, name: str, alias: str = "champion") -> str | None:
        found = self.must(ADMIN, "GET", "registered-models/get", name=name)["registered_model"]
        aliases = {each["alias"]: each["version"] for each in found.get("aliases", ())}
        return aliases.get(alias)

    def version(self, version: Version) -> Any:
        return self.must(
            ADMIN, "GET", "model-versions/get", name=version.name, version=version.version
        )["model_version"]

    def log(
        self, user: User = PIPELINE, content: Mapping[str, bytes] | None = None
    ) -> tuple[str, str, str]:
        """Log a model's files; give its run, its source and where its files are."""
        name = f"experiment-{secrets.token_hex(4)}"
        experiment = self.must(user, "POST", "experiments/create", name=name)["experiment_id"]
        run = self.must(user, "POST", "runs/create", experiment_id=experiment, start_time=1)["run"]
        run_id = run["info"]["run_id"]
        logged = self.must(
            user,
            "POST",
            "logged-models",
            experiment_id=experiment,
            name="model",
            source_run_id=run_id,
        )["model"]["info"]
        place = logged["artifact_uri"].removeprefix("mlflow-artifacts:/")
        for path, data in (content or {"MLmodel": b"flavors: {}\n", "data/w": b"weights"}).items():
            assert self.put(user, f"{place}/{path}", data).ok
        self.must(
            user,
            "PATCH",
            f"logged-models/{logged['model_id']}",
            model_id=logged["model_id"],
            status="LOGGED_MODEL_READY",
        )
        return run_id, f"models:/{logged['model_id']}", place

    def register(
        self,
        name: str | None = None,
        *,
        user: User = PIPELINE,
        content: Mapping[str, bytes] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Version:
        """Register a version of a new or a given model."""
        content = content or {"MLmodel": b"flavors: {}\n", "data/w": secrets.token_bytes(64)}
        if name is None:
            name = next(self.names)
            self.must(user, "POST", "registered-models/create", name=name)
        run_id, source, place = self.log(user, content)
        made = self.must(
            user,
            "POST",
            "model-versions/create",
            name=name,
            source=source,
            model_id=source.removeprefix("models:/"),
            run_id=run_id,
            tags=[{"key": key, "value": value} for key, value in (tags or {}).items()],
        )["model_version"]
        files = {path: hashlib.sha256(data).hexdigest() for path, data in content.items()}
        return Version(
            name, made["version"], int(made["creation_timestamp"]), run_id, source, place, files
        )

    def evidence(self, version: Version, *, key: Path | None = None, **changes: Any) -> bytes:
        """Sign evidence for a version, as the pipeline does; ``changes`` make it wrong."""
        private = key or self.home / "keys" / "evidence.pem"
        trusted = self.trusted if key is None else key.parent / "trusted"
        signer = signing.open_signer(f"file2:{private}", trusted=trusted)
        predicate = predicate_of(version, **changes)
        return signing.sign(statement.payload(statement.state(predicate)), signer)

    def announce(
        self, version: Version, content: bytes, *, user: User = PIPELINE, name: str = "e"
    ) -> requests.Response:
        """Put evidence into the run's artifacts, and tell the server where."""
        run = self.must(ADMIN, "GET", "runs/get", run_id=version.run_id)["run"]
        place = run["info"]["artifact_uri"].removeprefix("mlflow-artifacts:/")
        folder = f"{name}-{secrets.token_hex(4)}"
        assert self.put(user, f"{place}/{folder}/evidence.dsse.json", content).ok
        return self.tag(user, version, "gate.evidence", f"{folder}/evidence.dsse.json")

    def tag(self, user: User, version: Version, key: str, value: str) -> requests.Response:
        return self.api(
            user,
            "POST",
            "model-versions/set-tag",
            name=version.name,
            version=version.version,
            key=key,
            value=value,
        )

    def prove(self, version: Version, **changes: Any) -> Version:
        """Give a version evidence."""
        answer = self.announce(version, self.evidence(version, **changes))
        assert answer.ok, answer.text
        return version

    def change_rules(self, **changes: Any) -> None:
        """Rewrite the rules file; the server reads it anew."""
        rules = records.read(Rules, self.rules)
        records.write(rules.model_copy(update=changes), self.rules)


@dataclass(frozen=True)
class Version:
    """A registered version."""

    name: str
    version: str
    created: int
    run_id: str
    source: str
    place: str  # of its files, below the artifact root
    files: Mapping[str, str]


def predicate_of(version: Version, **changes: Any) -> Predicate:
    now = datetime.now(UTC).replace(microsecond=0)
    measured = {
        measurements.EXPECTATIONS: statistics.exact(3, 10),
        measurements.EXPECTATIONS_FAILED: statistics.exact(0, 10),
    }
    from hardgate import gates

    rules = ModelRules.model_validate({"gates": changes.pop("gates", GATES)})
    plain = records.to_plain(rules)["gates"]
    measured = changes.pop("measurements", measured)
    findings = gates.decide(rules.gates, measured)
    entry = {
        "name": version.name,
        "version": version.version,
        "created_at": version.created,
        "run_id": version.run_id,
        "source": version.source,
    } | changes.pop("registry", {})
    files = changes.pop("files", version.files)
    return Predicate.model_validate(
        {
            "model": version.name,
            "classes": 2,
            "registry": RegistryEntry.model_validate(entry),
            "files": [{"path": path, "sha256": digest} for path, digest in files.items()],
            "model_signature_sha256": SHA,
            "data": [FileRecord(path=Path("data/x.csv"), sha256=SHA)],
            "suite": FileRecord(path=Path("expectations/x.json"), sha256=SHA),
            "splits": [FileRecord(path=Path("runs/x/test"), sha256=SHA)],
            "params": statement.section({}),
            "threat": statement.section({}),
            "policy": statement.section(plain),
            "dvc_lock": statement.section({}),
            "environment": {"path": "requirements.lock", "sha256": SHA},
            "commit": "0" * 40,
            "seeds": {"training": 1},
            "measurements": measured,
            "outcomes": OutcomesRecord(
                sha256=SHA, merkle_root=SHA, leaves=10, attacks=("constrained-pgd",)
            ),
            "findings": findings,
            "decision": statement.decide(findings),
            "submitted_by": "sam",
            "issued_at": now - timedelta(minutes=1),
            "valid_until": now + timedelta(days=30),
            **changes,
        }
    )


@contextmanager
def ended(world: World) -> Iterator[None]:
    """End the server and its children with the block."""
    try:
        yield
    finally:
        world.stop()


def serve(
    home: Path,
    *,
    database: str,
    artifacts: str,
    kind: str,
    environment: Mapping[str, str] | None = None,
    stock: bool = False,
) -> World:
    """Start a gated server with two workers and users; the caller ends it.

    A ``stock`` one is for comparison: MLflow as it comes, in an environment without our plug-ins.
    """
    home.mkdir(parents=True, exist_ok=True)
    rules_path = home / "rules.json"
    trusted = home / "keys" / "trusted"
    signing.open_signer(f"file2:{home}/keys/evidence.pem", trusted=trusted)
    rules = Rules.model_validate(
        {
            "trusted": trusted,
            "waivers": home / "waivers",
            "models": {name: {"gates": GATES} for name in MODELS},
            "people": {
                GRACE.name: [APPROVER],
                HEIDI.name: [APPROVER],
                SAM.name: [SUBMITTER],
                PIPELINE.name: [GATE],
                WATCHER.name: [RELEASE_WATCHER],
            },
        }
    )
    records.write(rules, rules_path)
    ini = home / "auth.ini"
    ini.write_text(
        "[mlflow]\n"
        "default_permission = READ\n"
        f"database_uri = sqlite:///{home}/auth.db\n"
        "admin_username = admin\n"
        f"authorization_function = {STOCK_LOGIN if stock else LOGIN}\n"
        "auth_cache_ttl_seconds = 60\n"
        "grant_default_workspace_access = true\n"
    )
    port = free_port()
    inherited = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("MLFLOW_", "HARDGATE_", "PREFECT_", "AWS_"))
    }
    settings = {
        VARIABLE: str(rules_path),
        "HARDGATE_ACCOUNTS": ACCOUNTS,
        "MLFLOW_AUTH_CONFIG_PATH": str(ini),
        "MLFLOW_AUTH_ADMIN_PASSWORD": ADMIN.password,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(16),
        "MLFLOW_BASIC_AUTH_FAIL_CLOSED": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "1",
        "PYTHONWARNINGS": "ignore",
        **(environment or {}),
    }

    def start() -> subprocess.Popen[bytes]:
        with (home / "log").open("ab") as log:
            return subprocess.Popen(
                [
                    *(sys.executable, "-m", "mlflow", "server", "--app-name", "basic-auth"),
                    *("--host", "127.0.0.1", "--port", str(port), "--workers", "2"),
                    *("--backend-store-uri", database),
                    *("--registry-store-uri", database if stock else f"gated+{database}"),
                    *("--artifacts-destination", artifacts if stock else f"once+{artifacts}"),
                ],
                cwd=home,
                env=inherited | settings,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    process = start()
    url = f"http://127.0.0.1:{port}"
    world = World(kind, url, home, rules_path, database, settings, start, process)
    wait_for(f"{url}/health", process, home / "log")
    admin = Server(url, user=ADMIN.name, password=ADMIN.password, key=ACCOUNTS)
    admin.make_roles()
    for user in (GRACE, HEIDI, SAM, PIPELINE, WATCHER):
        admin.add(user.name, user.password, rules.people[user.name][0])
    return world


@pytest.fixture(scope="session")
def sqlite_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home = tmp_path_factory.mktemp("registry")
    world = serve(
        home,
        database=f"sqlite:///{home}/mlflow.db",
        artifacts=(home / "artifacts").as_uri(),
        kind="sqlite",
    )
    with ended(world):
        yield world


@pytest.fixture(scope="session")
def postgresql_world(
    tmp_path_factory: pytest.TempPathFactory, postgresql: str, s3: str
) -> Iterator[World]:
    with psycopg.connect(f"{postgresql}/postgres", autocommit=True) as connection:
        connection.execute("CREATE DATABASE mlflow")
    world = serve(
        tmp_path_factory.mktemp("registry"),
        database=f"{postgresql}/mlflow",
        artifacts="s3://models/artifacts",
        kind="postgresql",
        environment={
            "MLFLOW_S3_ENDPOINT_URL": s3,
            "AWS_ACCESS_KEY_ID": S3_KEYS["aws_access_key_id"],
            "AWS_SECRET_ACCESS_KEY": S3_KEYS["aws_secret_access_key"],
            "AWS_DEFAULT_REGION": "us-east-1",
        },
    )
    with ended(world):
        yield world


@pytest.fixture(params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest) -> World:
    """A server on SQLite with files, and one on PostgreSQL with S3."""
    found: World = request.getfixturevalue(f"{request.param}_world")
    return found


@pytest.fixture
def unproven(world: World) -> Version:
    return world.register()


@pytest.fixture
def proven(world: World, unproven: Version) -> Version:
    return world.prove(unproven)


@pytest.fixture
def champion(world: World, proven: Version) -> Version:
    """A version in production."""
    answer = world.promote(GRACE, proven)
    assert answer.ok, answer.text
    return proven
