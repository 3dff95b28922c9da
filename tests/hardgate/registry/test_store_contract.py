"""Every method of MLflow's store that changes something is gated, or free for a stated reason.

An upgrade of MLflow that brings a new one fails here, before anybody can promote by it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersionTag, RegisteredModelTag
from mlflow.exceptions import MlflowException
from mlflow.store.model_registry.abstract_store import AbstractStore
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore
from mlflow.store.model_registry.sqlalchemy_workspace_store import WorkspaceAwareSqlAlchemyStore

from hardgate import records
from hardgate.evidence import signing
from hardgate.registry import rules, store
from hardgate.registry.rules import Rules
from hardgate.registry.store import FREE, Gate, GatedStore, GatedWorkspaceStore

# What changes nothing. Whatever has another first word must be gated or free.
READERS = ("get_", "search_", "list_", "await_", "supports_", "test_webhook")
STORES = (AbstractStore, SqlAlchemyStore, WorkspaceAwareSqlAlchemyStore)


def changing(kind: type) -> set[str]:
    names = {name for name in dir(kind) if callable(getattr(kind, name))}
    return {name for name in names if not name.startswith(("_", *READERS))}


def uncovered(kind: type) -> set[str]:
    return changing(kind) - vars(Gate).keys() - FREE.keys()


@pytest.mark.parametrize("kind", STORES)
def test_every_method_that_changes_something_is_gated_or_free(kind: type) -> None:
    assert uncovered(kind) == set()


@pytest.mark.parametrize("name", ["publish_model_version", "set_champion", "move_alias"])
def test_a_new_method_is_found(name: str) -> None:
    newer = type("Newer", (SqlAlchemyStore,), {name: lambda self: None})
    assert uncovered(newer) == {name}


def test_what_is_free_exists_and_is_not_gated() -> None:
    assert FREE.keys() <= changing(AbstractStore)
    assert not FREE.keys() & vars(Gate).keys()
    assert all(FREE.values())


@pytest.mark.parametrize("kind", [GatedStore, GatedWorkspaceStore])
@pytest.mark.parametrize("name", sorted(changing(AbstractStore) - FREE.keys()))
def test_the_gate_is_asked_first(kind: type, name: str) -> None:
    assert getattr(kind, name) is vars(Gate)[name]


# -- a client with the database's address ---------------------------------------------------------


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with one version; made once, for MLflow takes seconds to make one."""
    folder = tmp_path_factory.mktemp("database")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(rules.VARIABLE, raising=False)
        client = client_of(folder / "mlflow.db")
        client.create_registered_model("credit")
        client.create_model_version("credit", (folder / "model").as_uri())
    client._get_registry_client().store.engine.dispose()
    return folder / "mlflow.db"


def client_of(database: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{database}", registry_uri=f"sqlite:///{database}")


@pytest.fixture
def client(tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    monkeypatch.delenv(rules.VARIABLE, raising=False)
    return client_of(Path(shutil.copy(database, tmp_path / "mlflow.db")))


def test_a_plain_address_is_gated(client: MlflowClient) -> None:
    assert isinstance(client._get_registry_client().store, GatedStore)


@pytest.mark.parametrize("alias", ["champion", "Champion"])
def test_a_client_of_the_database_promotes_nothing(client: MlflowClient, alias: str) -> None:
    with pytest.raises(MlflowException, match="'nobody' does not hold the role release-manager"):
        client.set_registered_model_alias("credit", alias, "1")
    assert client.get_registered_model("credit").aliases == {}


def free_ways(held: Any) -> dict[str, Any]:
    """The ways by prompts, which are free because they end in gated ones."""
    return {
        "set_prompt_alias": lambda: held.set_prompt_alias("credit", "champion", 1),
        "set_prompt_tag": lambda: held.set_prompt_tag("credit", store.PROMPT, "true"),
        "set_prompt_version_tag": lambda: held.set_prompt_version_tag(
            "credit", 1, "approval.by", "me"
        ),
        "delete_prompt_version_tag": lambda: held.delete_prompt_version_tag(
            "credit", 1, "approval.by"
        ),
        "delete_prompt_alias": lambda: held.delete_prompt_alias("credit", "champion"),
    }


@pytest.mark.parametrize("way", sorted(free_ways(None)))
def test_what_is_free_ends_in_what_is_gated(client: MlflowClient, way: str) -> None:
    with pytest.raises(MlflowException, match="refused"):
        free_ways(client._get_registry_client().store)[way]()


def test_a_copy_leaves_the_tags_of_the_gate_behind(client: MlflowClient) -> None:
    held = client._get_registry_client().store
    SqlAlchemyStore.set_model_version_tag(
        held, "credit", "1", ModelVersionTag("approval.by", "mallory")
    )
    client.set_model_version_tag("credit", "1", "note", "kept")
    copy = client.copy_model_version("models:/credit/1", "elsewhere")
    assert copy.tags == {"note": "kept"}


def test_a_model_is_born_without_a_version(client: MlflowClient) -> None:
    """Which is why a model may be made with any tag at all."""
    made = client._get_registry_client().store.create_registered_model(
        "fresh", tags=[RegisteredModelTag("gate.evidence", "forged")]
    )
    assert made.latest_versions == [] and made.aliases == {}


# -- no server without rules and keys -------------------------------------------------------------


def test_no_server_starts_without_rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(rules.VARIABLE, raising=False)
    with pytest.raises(MlflowException, match=r"does not start: HARDGATE_REGISTRY is not set"):
        store.build(f"gated+sqlite:///{tmp_path}/mlflow.db")


@pytest.mark.parametrize("keys", ["missing", "none", "broken"])
def test_no_server_starts_without_trusted_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: str
) -> None:
    trusted = tmp_path / "trusted"
    if keys != "missing":
        trusted.mkdir()
    if keys == "broken":
        (trusted / "key.pub").write_text("no key")
        (trusted / "key.pem").write_text("no key")
    records.write(Rules(trusted=trusted), tmp_path / "rules.json")
    monkeypatch.setenv(rules.VARIABLE, str(tmp_path / "rules.json"))
    with pytest.raises(MlflowException, match=r"The gated registry does not start: .*key"):
        store.build(f"gated+sqlite:///{tmp_path}/mlflow.db")


def test_a_server_starts_with_rules_and_keys(
    tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(database, tmp_path / "mlflow.db")
    signing.open_signer(f"file2:{tmp_path}/evidence.pem", trusted=tmp_path / "trusted")
    records.write(Rules(trusted=tmp_path / "trusted"), tmp_path / "rules.json")
    monkeypatch.setenv(rules.VARIABLE, str(tmp_path / "rules.json"))
    assert isinstance(store.build(f"gated+sqlite:///{tmp_path}/mlflow.db"), GatedStore)


@pytest.mark.slow
def test_the_command_says_why_it_does_not_start(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path}/mlflow.db"
    done = subprocess.run(
        [
            *(sys.executable, "-W", "ignore", "-m", "mlflow", "server", "--port", "0"),
            *("--backend-store-uri", address, "--registry-store-uri", f"gated+{address}"),
        ],
        env={name: value for name, value in os.environ.items() if name != rules.VARIABLE},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode != 0
    assert "The gated registry does not start: HARDGATE_REGISTRY is not set" in done.stderr
