"""What ``hardgate up`` is told: checked before it is remembered, and shown without its secrets."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hardgate.errors import ParamsError
from hardgate.server import services, settings

if TYPE_CHECKING:
    from tests.conftest import Ended, Project

DATABASE = "postgresql://owner:secret@127.0.0.1:1/hardgate"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARDGATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "server"


def test_settings_are_remembered(home: Path) -> None:
    settings.remember(settings.changed(mlflow_port=7000, database_url=DATABASE))
    known = settings.changed(mlflow_port=None, prefect_port=7001)
    assert (known.mlflow_port, known.prefect_port, known.database) == (7000, 7001, DATABASE)
    assert stat.S_IMODE((home / settings.FILE).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"mlflow_port": 0}, "mlflow_port: Input should be greater than or equal to 1"),
        (
            {"database_url": "mysql://owner:secret@db/x"},
            "--database-url mysql://owner:\\*\\*\\*@db/x",
        ),
        ({"database_url": f"{DATABASE}?sslmode=require"}, "in variables, such as PGSSLMODE"),
        ({"artifacts_url": "https://bucket/x"}, "--artifacts-url https://bucket/x: expected s3://"),
    ],
)
def test_what_cannot_be_is_refused_without_its_secret(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ParamsError, match=words) as raised:
        settings.changed(**given)
    assert "secret" not in str(raised.value)


def test_secrets_are_made_once_and_for_the_owner_alone(home: Path) -> None:
    assert settings.secret() == settings.secret()
    for name in (settings.SECRETS, settings.PASSWORD, settings.PREFECT_PASSWORD):
        assert stat.S_IMODE((home / name).stat().st_mode) == 0o600


def test_no_secret_is_a_word_of_a_command() -> None:
    """Every user of a machine reads the commands that run on it."""
    hidden = settings.secret()
    words = " ".join(
        word
        for service in services.all_of(settings.changed(database_url=DATABASE), hidden)
        for word in service.command
    )
    secrets = hidden.model_dump().values()
    assert not [secret for secret in (*secrets, "secret") if secret in words]


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (
            ("--database-url", DATABASE),
            "owner:***@127.0.0.1:1/hardgate cannot be used",
        ),
        (("--artifacts-url", "s3://nowhere/x"), "s3://nowhere/x cannot be used"),
    ],
)
@pytest.mark.parametrize("detach", [(), ("--detach",)], ids=["here", "in the background"])
def test_a_store_that_does_not_answer_is_not_remembered(
    project: Project,
    command: Callable[..., Ended],
    monkeypatch: pytest.MonkeyPatch,
    option: tuple[str, str],
    words: str,
    detach: tuple[str, ...],
) -> None:
    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    done = command("up", *option, *detach)
    assert done.status == 3
    assert words in done.err
    assert not (project.home / "server" / settings.FILE).exists()
