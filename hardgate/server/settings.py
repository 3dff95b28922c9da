"""What a server remembers: where it listens, where it keeps things, who it is, and its secrets.

All of it lies in the room ``server`` of the state folder, which only its owner can read.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from pydantic import Field, ValidationError, model_validator

from hardgate import files, records, state
from hardgate.errors import ParamsError
from hardgate.records import Record

ROOM: Final = "server"
FILE: Final = "settings.json"
SECRETS: Final = "secrets.json"
# Files with one line, to be read and to be kept.
PASSWORD: Final = "admin-password"  # noqa: S105
PREFECT_PASSWORD: Final = "prefect-password"  # noqa: S105
ADMIN: Final = "admin"
GATE_USER: Final = "gate-service"
WATCHER_USER: Final = "release-watcher"
USERS: Final = "hardgate_users"  # schemas beside MLflow's own tables
FLOWS: Final = "hardgate_flows"
EVERYWHERE: Final = ("0.0.0.0", "::")  # noqa: S104  addresses to listen on, none to call
PORTS: Final = {"mlflow": 5000, "prefect": 4200, "webhook": 4300}


class Settings(Record):
    """What ``hardgate up`` was told, now or at an earlier start."""

    host: str = "127.0.0.1"
    mlflow_port: int = Field(PORTS["mlflow"], ge=1, le=65535)
    prefect_port: int = Field(PORTS["prefect"], ge=1, le=65535)
    webhook_port: int = Field(PORTS["webhook"], ge=1, le=65535)
    database_url: str | None = None  # postgresql://...; SQLite in the state folder if not given
    artifacts_url: str | None = None  # s3://...; a folder of the state folder if not given
    sso: str | None = None  # file that describes the provider whose tokens are taken

    @model_validator(mode="after")
    def _is_known(self) -> Settings:
        if self.database_url and urlsplit(self.database_url).scheme not in (
            "postgresql",
            "postgresql+psycopg",
        ):
            raise ValueError(f"--database-url {shown(self.database_url)}: expected postgresql://")
        if self.database_url and urlsplit(self.database_url).query:
            raise ValueError(
                f"--database-url {shown(self.database_url)}: say what stands behind the question "
                "mark in variables, such as PGSSLMODE"
            )
        if self.artifacts_url and urlsplit(self.artifacts_url).scheme != "s3":
            raise ValueError(f"--artifacts-url {self.artifacts_url}: expected s3://bucket/folder")
        return self

    @property
    def near(self) -> str:
        """How processes of this machine call it."""
        return "127.0.0.1" if self.host in EVERYWHERE else self.host

    @property
    def mlflow(self) -> str:
        """Where this machine finds MLflow."""
        return f"http://{self.near}:{self.mlflow_port}"

    @property
    def prefect(self) -> str:
        """Where this machine finds Prefect's API."""
        return f"http://{self.near}:{self.prefect_port}/api"

    @property
    def database(self) -> str:
        """The database of MLflow, as SQLAlchemy names it."""
        return self.database_url or f"sqlite:///{room() / 'mlflow.db'}"

    @property
    def users(self) -> str:
        """The database of MLflow's users: a schema of its own, where there are schemas."""
        if not self.database_url:
            return f"sqlite:///{room() / 'users.db'}"
        return f"{self.database_url}?options=-csearch_path%3D{USERS}"

    @property
    def artifacts(self) -> str:
        """Where MLflow keeps artifacts."""
        return self.artifacts_url or (room() / "artifacts").as_uri()


class Secrets(Record):
    """Made once, on first start."""

    admin_password: str
    gate_password: str
    watcher_password: str
    accounts_key: str  # changes accounts with a role; MLflow's administrator does not have it
    prefect_password: str  # Prefect knows no users, but who may start flows may run commands
    session_key: str  # of MLflow's web sessions
    webhook_secret: str  # MLflow signs its webhooks with it
    webhook_encryption_key: str  # MLflow keeps that secret encrypted in its database


def room() -> Path:
    """Name the folder of the server's state, absolute."""
    return state.room(ROOM).resolve()


def load() -> Settings:
    """Read what an earlier start was told; the defaults, if there was none."""
    path = room() / FILE
    return records.read(Settings, path) if path.is_file() else Settings()


def changed(**changes: object) -> Settings:
    """Change what an earlier start was told; None leaves a setting as it is.

    Raises
    ------
    ParamsError
        If a setting is not what it should be.
    """
    given = {name: value for name, value in changes.items() if value is not None}
    try:
        return Settings.model_validate(load().model_dump() | given)
    except ValidationError as error:
        raise ParamsError(records.first_problem(error, "hardgate up")) from error


def provider() -> str | None:
    """Name the file of the identity provider that the environment asks for."""
    place = os.environ.get("HARDGATE_SSO")
    return str(Path(place).resolve()) if place else None


def remember(known: Settings) -> None:
    """Keep the settings for the next start."""
    records.write(known, room() / FILE)
    (room() / FILE).chmod(0o600)  # a database's address may hold a password


def secret() -> Secrets:
    """Read the secrets; make them on first use."""
    path = room() / SECRETS
    if not path.is_file():
        made = Secrets(
            admin_password=secrets.token_urlsafe(24),
            gate_password=secrets.token_urlsafe(24),
            watcher_password=secrets.token_urlsafe(24),
            accounts_key=secrets.token_urlsafe(32),
            prefect_password=f"{ADMIN}:{secrets.token_urlsafe(24)}",
            session_key=secrets.token_hex(32),
            webhook_secret=secrets.token_urlsafe(32),
            webhook_encryption_key=Fernet.generate_key().decode(),
        )
        records.write(made, path)
        path.chmod(0o600)
        for name, word in (
            (PASSWORD, made.admin_password),
            (PREFECT_PASSWORD, made.prefect_password),
        ):
            files.write_text(room() / name, f"{word}\n")
            (room() / name).chmod(0o600)
    return records.read(Secrets, path)


def shown(url: str) -> str:
    """Spell a URL without the password it may hold."""
    parts = urlsplit(url)
    return url.replace(f":{parts.password}@", ":***@", 1) if parts.password else url
