"""The tracking store that spares what versions stand on: runs, logged models, experiments.

Deleting a run in MLflow only hides it, and ``mlflow gc`` later takes its files and its rows for
good, without asking whether a registered version came from it. Here the deletion is refused while
such a version exists, so the collector never meets it; what was deleted before is refused there.
"""

from __future__ import annotations

import os
from typing import Any, Final

from mlflow.entities.model_registry.model_version_stages import STAGE_DELETED_INTERNAL
from mlflow.environment_variables import MLFLOW_ENABLE_WORKSPACES
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import BAD_REQUEST
from mlflow.store.model_registry.dbmodels.models import SqlModelVersion
from mlflow.store.tracking import DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH
from mlflow.store.tracking.dbmodels.models import SqlLoggedModel, SqlRun
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.store.tracking.sqlalchemy_workspace_store import WorkspaceAwareSqlAlchemyStore
from sqlalchemy import or_, select

# Where a server says where its artifacts are; importing the constant would import the server.
ROOT: Final = "_MLFLOW_SERVER_ARTIFACT_ROOT"
BATCH: Final = 100  # names in one question


class Sparing:
    """What is asked before MLflow's own store deletes; comes before it in the bases."""

    ManagedSessionMaker: Any  # of MLflow's store

    def delete_run(self, run_id: str) -> None:
        """Hide a run that no version came from."""
        self._refuse_needed(f"run {run_id}", runs=(run_id,))
        super().delete_run(run_id)  # type: ignore[misc]

    def _hard_delete_run(self, run_id: str) -> None:
        self._refuse_needed(f"run {run_id}", runs=(run_id,))
        super()._hard_delete_run(run_id)  # type: ignore[misc]

    def delete_logged_model(self, model_id: str) -> None:
        """Hide a logged model that is no version."""
        self._refuse_needed(f"logged model {model_id}", models=(model_id,))
        super().delete_logged_model(model_id)  # type: ignore[misc]

    def _hard_delete_logged_model(self, model_id: str) -> None:
        self._refuse_needed(f"logged model {model_id}", models=(model_id,))
        super()._hard_delete_logged_model(model_id)  # type: ignore[misc]

    def delete_experiment(self, experiment_id: str) -> None:
        """Hide an experiment that no version came from."""
        self._refuse_needed_of(experiment_id)
        super().delete_experiment(experiment_id)  # type: ignore[misc]

    def _hard_delete_experiment(self, experiment_id: str) -> None:
        self._refuse_needed_of(experiment_id)
        super()._hard_delete_experiment(experiment_id)  # type: ignore[misc]

    def _refuse_needed_of(self, experiment_id: str) -> None:
        with self.ManagedSessionMaker() as session:
            number = int(experiment_id)
            runs = session.scalars(select(SqlRun.run_uuid).where(SqlRun.experiment_id == number))
            models = session.scalars(
                select(SqlLoggedModel.model_id).where(SqlLoggedModel.experiment_id == number)
            )
            found = tuple(runs), tuple(models)
        self._refuse_needed(f"experiment {experiment_id}", runs=found[0], models=found[1])

    def _refuse_needed(
        self, what: str, *, runs: tuple[str, ...] = (), models: tuple[str, ...] = ()
    ) -> None:
        with self.ManagedSessionMaker() as session:
            needed = (*runs, *models)
            for start in range(0, len(needed), BATCH):
                names = needed[start : start + BATCH]
                version = session.execute(
                    select(SqlModelVersion.name, SqlModelVersion.version).where(
                        SqlModelVersion.current_stage != STAGE_DELETED_INTERNAL,
                        or_(
                            SqlModelVersion.run_id.in_(names),
                            *(SqlModelVersion.source.contains(name) for name in names),
                            *(SqlModelVersion.storage_location.contains(name) for name in names),
                        ),
                    )
                ).first()
                if version is not None:
                    raise MlflowException(
                        f"Refused: version {version.version} of {version.name!r} stands on "
                        f"{what}; delete the version first.",
                        error_code=BAD_REQUEST,
                    )


class SparingStore(Sparing, SqlAlchemyStore):  # type: ignore[misc]
    """MLflow's SQL tracking store, sparing."""


class SparingWorkspaceStore(Sparing, WorkspaceAwareSqlAlchemyStore):  # type: ignore[misc]
    """MLflow's SQL tracking store with workspaces, sparing."""


def build(store_uri: str, artifact_uri: str | None = None) -> SqlAlchemyStore:
    """Build the store for a tracking URI; MLflow calls it in servers and in clients."""
    kind = SparingWorkspaceStore if MLFLOW_ENABLE_WORKSPACES.get() else SparingStore
    root = artifact_uri or os.environ.get(ROOT, DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH)
    return kind(store_uri, root)
