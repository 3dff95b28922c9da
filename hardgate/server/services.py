"""What is started: each service's command, environment and the URL that says whether it is well."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hardgate import files, provenance, records, state, telemetry
from hardgate.errors import ParamsError, UnavailableError
from hardgate.server import settings
from hardgate.server.settings import ADMIN, GATE_USER, WATCHER_USER, Secrets, Settings

if TYPE_CHECKING:
    from hardgate.registry.people import Server
    from hardgate.registry.rules import Rules

RULES = "rules.json"
POOL = "hardgate"
# Sections of params.yaml that a data scientist may vary; the others say what is asked of a model.
OPEN = ("model", "seed", "augmentation", "training")
QUIET = {**telemetry.SILENCE, "PYTHONWARNINGS": "ignore"}


@dataclass(frozen=True)
class Service:
    """One process: what to run, with what, and how to see that it is well."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    health: str | None = None  # a URL that answers 200; without one, running is well


def all_of(known: Settings, hidden: Secrets) -> tuple[Service, ...]:
    """List the services in the order in which they are started."""
    return (
        _mlflow(known, hidden),
        _prefect(known, hidden),
        Service(
            "webhook",
            _python("hardgate.server.webhook", known.near, str(known.webhook_port)),
            client(known, hidden),
            f"http://{known.near}:{known.webhook_port}/health",
        ),
        Service(
            "worker",
            _python("prefect", "worker", "start", "--pool", POOL, "--type", "process"),
            client(known, hidden) | {"HARDGATE_USER": GATE_USER},
        ),
    )


def _mlflow(known: Settings, hidden: Secrets) -> Service:
    room = settings.room()
    ini = room / "auth.ini"
    files.write_text(
        ini,
        "[mlflow]\n"
        "default_permission = READ\n"
        f"database_uri = {known.users.replace('%', '%%')}\n"
        f"admin_username = {ADMIN}\n"
        "authorization_function = hardgate.registry.sso:authenticate\n"
        "auth_cache_ttl_seconds = 60\n"
        "grant_default_workspace_access = true\n",
    )
    return Service(
        "mlflow",
        _python(
            *("mlflow", "server", "--app-name", "basic-auth", "--workers", "2"),
            *("--host", known.host, "--port", str(known.mlflow_port)),
        ),
        QUIET
        | {
            # Not as words of the command: every user of a machine reads those.
            "MLFLOW_BACKEND_STORE_URI": known.database,
            "MLFLOW_REGISTRY_STORE_URI": f"gated+{known.database}",
            "MLFLOW_ARTIFACTS_DESTINATION": f"once+{known.artifacts}",
            "HARDGATE_REGISTRY": str(room / RULES),
            "HARDGATE_ACCOUNTS": hidden.accounts_key,
            "MLFLOW_AUTH_CONFIG_PATH": str(ini),
            "MLFLOW_AUTH_ADMIN_PASSWORD": hidden.admin_password,
            "MLFLOW_FLASK_SERVER_SECRET_KEY": hidden.session_key,
            "MLFLOW_BASIC_AUTH_FAIL_CLOSED": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": hidden.webhook_encryption_key,
            "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",  # the receiver is on this machine
            "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http,https",
        }
        | _single_sign_on(known),
        f"{known.mlflow}/health",
    )


def _single_sign_on(known: Settings) -> dict[str, str]:
    """Hand the provider's file on, after it was found to be one."""
    from hardgate.registry import sso

    if not known.sso:
        return {}
    records.read(sso.Provider, Path(known.sso))
    return {sso.VARIABLE: known.sso}


def _prefect(known: Settings, hidden: Secrets) -> Service:
    environment = QUIET | {
        "PREFECT_HOME": str(settings.room() / "prefect"),
        "PREFECT_SERVER_API_AUTH_STRING": hidden.prefect_password,
    }
    if known.database_url:
        _, _, place = known.database_url.partition("://")
        environment |= {
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"postgresql+asyncpg://{place}",
            "PREFECT_SERVER_DATABASE_SQLALCHEMY_CONNECT_ARGS_SEARCH_PATH": settings.FLOWS,
        }
    return Service(
        "prefect",
        _python(
            *("prefect", "server", "start"),
            *("--host", known.host, "--port", str(known.prefect_port)),
        ),
        environment,
        f"{known.prefect}/health",
    )


def client(known: Settings, hidden: Secrets) -> dict[str, str]:
    """Give the environment in which a process speaks to the servers as the gate service."""
    return QUIET | {
        "PREFECT_API_URL": known.prefect,
        "PREFECT_API_AUTH_STRING": hidden.prefect_password,
        "MLFLOW_TRACKING_URI": known.mlflow,
        "MLFLOW_TRACKING_USERNAME": GATE_USER,
        "MLFLOW_TRACKING_PASSWORD": hidden.gate_password,
        "HARDGATE_PROJECT": str(Path.cwd()),
    }


def _python(*words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", *words)


def write_rules(trusted: Path) -> Rules:
    """Write what the registry enforces: the gates of params.yaml, the keys, and the people."""
    from hardgate import params
    from hardgate.evidence import signing, waivers
    from hardgate.registry.rules import GATE, WATCHER, ModelRules, Rules

    room = settings.room()
    path = room / RULES
    known = records.read(Rules, path) if path.is_file() else None
    models = {}
    for name in params.models():
        settled = params.load(name)
        plain = records.to_plain(settled)
        models[name] = ModelRules(
            gates=settled.promotion.gates,
            second_factor=settled.promotion.second_factor,
            sections={
                section: provenance.sha256_json(value)
                for section, value in plain.items()
                if section not in OPEN
            },
        )
    folder = state.room(waivers.ROOM).resolve()
    (folder / waivers.TRUSTED).mkdir(exist_ok=True)
    kept = known or Rules(trusted=trusted)  # what is protected may be edited, and stays
    made = Rules(
        trusted=trusted.resolve(),
        waivers=folder,
        protected_aliases=kept.protected_aliases,
        protected_stages=kept.protected_stages,
        models=models,
        people=kept.people | {GATE_USER: (GATE,), WATCHER_USER: (WATCHER,)},
    )
    signing.public_keys(made.trusted)
    records.write(made, path)
    return made


def administrator(known: Settings, hidden: Secrets) -> Server:
    """Speak to MLflow as its administrator."""
    from hardgate.registry.people import Server

    return Server(known.mlflow, user=ADMIN, password=hidden.admin_password, key=hidden.accounts_key)


def add_user(name: str, password: str, role: str) -> None:
    """Add a user of the registry, in MLflow and in the rules.

    Raises
    ------
    UnavailableError
        If no server was set up or it does not answer.
    """
    from hardgate.registry.rules import Rules

    path = settings.room() / RULES
    if not path.is_file():
        raise UnavailableError("no registry was set up here yet; start it with hardgate up")
    if name in (ADMIN, GATE_USER, WATCHER_USER):
        raise ParamsError(f"{name} is an account of the server itself; choose another name")
    administrator(settings.load(), settings.secret()).add(name, password, role)
    known = records.read(Rules, path)
    people = dict(known.people) | {name: (role,)}
    records.write(known.model_copy(update={"people": people}), path)


def remove_user(name: str) -> None:
    """Take a user's access and role away.

    Raises
    ------
    UnavailableError
        If no server was set up, it does not answer, or knows no such user.
    """
    from hardgate.registry.rules import Rules

    path = settings.room() / RULES
    if not path.is_file():
        raise UnavailableError("no registry was set up here yet; start it with hardgate up")
    if name in (ADMIN, GATE_USER, WATCHER_USER):
        raise ParamsError(f"{name} is an account of the server itself")
    administrator(settings.load(), settings.secret()).remove(name)
    known = records.read(Rules, path)
    people = {each: roles for each, roles in known.people.items() if each != name}
    records.write(known.model_copy(update={"people": people}), path)


def inherited() -> dict[str, str]:
    """Give this process's environment without what would lead a service elsewhere."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MLFLOW_TRACKING", "MLFLOW_REGISTRY", "PREFECT_"))
    }
