"""What is asked of MLflow: one run per hardening, one registered version, one alias.

Promotion writes to the registry; training and augmentation read it when params ask for the
champion. Nothing here writes the alias that puts a version into production: a person sets that one.
"""

from __future__ import annotations

import importlib
import logging
import os
import shutil
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from hardgate import state, telemetry
from hardgate.errors import UnavailableError
from hardgate.records import Measurement

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.models import ModelSignature

CHALLENGER = "challenger"
IN_PRODUCTION = "champion"  # read, never written
STAGE = "Production"  # likewise
DATABASE = "mlflow.db"
LIMIT = 1000  # metrics in one request
QUIETLY = {
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # standard output is for the decision
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_UV_AUTO_DETECT": "false",  # uv.lock names this machine's package index
}


@dataclass(frozen=True)
class Version:
    """A registered version, with what makes it this one and no other of the same name."""

    name: str
    version: str
    created: int  # milliseconds since 1970, stamped by the registry
    run_id: str
    source: str


def tracking_uri() -> str:
    """Name the MLflow server, or the embedded database of the state folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or _embedded_uri()


def _embedded() -> Path:
    return state.room("mlflow")


def _embedded_uri() -> str:
    return f"sqlite:///{_embedded().resolve() / DATABASE}"


def _make_whole(mlflow: Any) -> None:
    """Make the embedded database under another name first: MLflow never mends half of one."""
    path = _embedded().resolve() / DATABASE
    if path.exists():
        return
    temporary = path.with_name(f".{DATABASE}.{os.getpid()}")
    try:
        mlflow.MlflowClient(tracking_uri=f"sqlite:///{temporary}").search_experiments(max_results=1)
        with suppress(FileExistsError):  # another process was faster
            path.hardlink_to(temporary)
    finally:
        temporary.unlink(missing_ok=True)


def _mlflow(*parts: str) -> Any:
    """Import MLflow, which takes seconds, and warns of its own type hints."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for part in ("", *parts):
            importlib.import_module(f"mlflow.{part}".rstrip("."))
    return sys.modules["mlflow"]


@contextmanager
def _spoken_to() -> Iterator[MlflowClient]:
    """Give a client; what goes wrong with the server is said in our words."""
    telemetry.silence()
    for name, value in QUIETLY.items():
        os.environ.setdefault(name, value)
    mlflow = _mlflow()
    from mlflow.exceptions import MlflowException
    from requests import RequestException
    from sqlalchemy.exc import SQLAlchemyError

    logging.getLogger("mlflow").setLevel(logging.ERROR)
    logging.getLogger("alembic").setLevel(logging.ERROR)
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # each of its retries
    uri = tracking_uri()
    mlflow.set_tracking_uri(uri)
    try:
        if uri == _embedded_uri():
            _make_whole(mlflow)
        yield mlflow.MlflowClient()
    except (MlflowException, SQLAlchemyError, RequestException) as error:
        # Of a database the driver's words; SQLAlchemy adds the whole statement to them.
        said = str(getattr(error, "orig", None) or error).replace(uri, place())
        raise UnavailableError(
            f"the MLflow registry at {place()} did not do as asked: {said}; nothing was "
            "promoted; see that it runs, lets you in and has room (MLFLOW_TRACKING_URI says where "
            "it is; unset, it is this project's own), then run again: finished stages are kept"
        ) from None if uri != place() else error  # the cause's words hold the password too


def place() -> str:
    """Say where the registry is, without the password that its address may hold."""
    uri = tracking_uri()
    secret, at, _ = urlsplit(uri).netloc.rpartition("@")
    return uri.replace(f"{secret}{at}", "", 1)


def check() -> None:
    """Ask for anything at all, so that a run fails before its work, not after."""
    with _spoken_to() as client:
        client.search_experiments(max_results=1)


def experiment(client: MlflowClient, model: str) -> str:
    """Find or make the experiment of a model."""
    found = client.get_experiment_by_name(model)
    if found is not None:
        served = tracking_uri().startswith("http")
        if served and not found.artifact_location.startswith("mlflow-artifacts:"):
            raise UnavailableError(
                f"the experiment {model!r} at {place()} keeps its files at "
                f"{found.artifact_location}, outside of the server: somebody made it so; delete it"
            )
        return str(found.experiment_id)
    local = tracking_uri().startswith("sqlite:")
    folder = (_embedded() / "artifacts" / model).resolve().as_uri() if local else None
    return str(client.create_experiment(model, artifact_location=folder))


@contextmanager
def run(model: str, tags: Mapping[str, str]) -> Iterator[str]:
    """Open an MLflow run for the length of the block; it fails when the block does."""
    with _spoken_to() as client:
        run_id = client.create_run(
            experiment(client, model), run_name="harden", tags=dict(tags)
        ).info.run_id
        try:
            yield run_id
        except BaseException:
            client.set_terminated(run_id, "FAILED")
            raise
        client.set_terminated(run_id)


def log_stage(
    parent: str,
    stage: str,
    measurements: Mapping[str, Measurement],
    files: Sequence[Path],
    *,
    history: Sequence[Mapping[str, float]] = (),
) -> None:
    """Log one stage as a child run: its numbers, both ends of their intervals, and its files.

    ``history`` holds one row per epoch and becomes charts.
    """
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    metrics = [
        Metric(f"{name}{end}", value, now, 0)
        for name, measured in measurements.items()
        for end, value in _ends(measured)
    ]
    metrics += [
        Metric(name, value, now, step)
        for step, row in enumerate(history)
        for name, value in row.items()
        if name != "epoch" and value == value  # NaN: not measured in this epoch
    ]
    with _spoken_to() as client:
        info = client.get_run(parent).info
        child = client.create_run(
            info.experiment_id, run_name=stage, tags={"mlflow.parentRunId": parent}
        ).info.run_id
        for first in range(0, len(metrics), LIMIT):
            client.log_batch(child, metrics=metrics[first : first + LIMIT])
        for file in files:
            if file.is_dir():
                client.log_artifacts(child, str(file), file.name)
            else:
                client.log_artifact(child, str(file))
        client.set_terminated(child)


def _ends(measured: Measurement) -> Iterator[tuple[str, float]]:
    yield "", measured.value
    if measured.interval != "exact":
        yield "/lower", measured.lower
        yield "/upper", measured.upper


def log_files(run_id: str, files: Mapping[Path, str]) -> None:
    """Copy files or folders to a run, each into the artifact folder named."""
    with _spoken_to() as client:
        for path, folder in files.items():
            if path.is_dir():
                client.log_artifacts(run_id, str(path), folder)
            else:
                client.log_artifact(run_id, str(path), folder)


def log_params(run_id: str, params: Mapping[str, Any]) -> None:
    """Log the flat params of a run; MLflow keeps the first 6,000 signs of each."""
    from mlflow.entities import Param

    entries = [Param(name, str(value)[:6000]) for name, value in params.items()]
    with _spoken_to() as client:
        for first in range(0, len(entries), 100):
            client.log_batch(run_id, params=entries[first : first + 100])


def register(
    run_id: str,
    name: str,
    directory: Path,
    *,
    example: Any,
    output: Any,
    requirements: Sequence[str],
) -> Version:
    """Log a model directory with signature and input example, and register it as a version.

    The model is MLflow's ``pyfunc`` kind with ``hardgate.serving`` as its loader: nothing is
    pickled, and loading it runs no code that came with it.
    """
    with _spoken_to() as client:
        mlflow = _mlflow("pyfunc")
        with mlflow.start_run(run_id=run_id):
            logged = mlflow.pyfunc.log_model(
                name="model",
                loader_module="hardgate.serving",
                data_path=str(directory),
                signature=_signature(example, output),
                input_example=example,
                pip_requirements=list(requirements),
            )
        if not _exists(client, name):
            client.create_registered_model(name)
        made = client.create_model_version(name, logged.model_uri, run_id, model_id=logged.model_id)
        return Version(
            name=name,
            version=str(made.version),
            created=int(made.creation_timestamp),
            run_id=run_id,
            source=str(made.source),
        )


def _signature(example: Any, output: Any) -> ModelSignature:
    """Describe what goes in and out; MLflow checks columns, and the model itself their values.

    A number column is of any type: whole in a file without gaps, broken beside a missing cell, and
    MLflow would turn one of the two away.
    """
    from mlflow.models import ModelSignature, infer_signature
    from mlflow.types import ColSpec, DataType, Schema
    from mlflow.types.schema import AnyType

    found = infer_signature(example, output)
    if found.inputs.is_tensor_spec():
        return found
    columns = [
        ColSpec(AnyType(), column.name) if column.type == DataType.double else column
        for column in found.inputs
    ]
    return ModelSignature(inputs=Schema(columns), outputs=found.outputs)


def _exists(client: MlflowClient, name: str) -> bool:
    return bool(client.search_registered_models(f"name = '{name}'", max_results=1))


def page(version: Version, artifact: str) -> str:
    """Link to the page that shows an artifact of the version's run, from anywhere in the UI."""
    with _spoken_to() as client:
        number = client.get_run(version.run_id).info.experiment_id
    return f"#/experiments/{number}/runs/{version.run_id}/artifacts/{artifact}"


def describe(version: Version, text: str, tags: Mapping[str, str]) -> None:
    """Say on the version's page, in words, what was decided."""
    with _spoken_to() as client:
        client.update_model_version(version.name, version.version, description=text)
        for key, value in tags.items():
            client.set_model_version_tag(version.name, version.version, key, value)


def tags(version: Version) -> Mapping[str, str]:
    """Read the tags of a version."""
    with _spoken_to() as client:
        return dict(client.get_model_version(version.name, version.version).tags)


def mark(version: Version, tags: Mapping[str, str]) -> None:
    """Write what the watcher found; words first, for the registry enters them with the status."""
    with _spoken_to() as client:
        for key, value in sorted(tags.items(), reverse=True):
            client.set_model_version_tag(version.name, version.version, key, value)


def announce(version: Version, evidence: str) -> None:
    """Tell the registry where in the run's artifacts the evidence lies; a gated one records it."""
    with _spoken_to() as client:
        client.set_model_version_tag(version.name, version.version, "gate.evidence", evidence)


def nominate(version: Version) -> None:
    """Point ``challenger`` at a version: the last call of a promotion that passed."""
    with _spoken_to() as client:
        client.set_registered_model_alias(version.name, CHALLENGER, version.version)


def find(name: str, *, version: str | None = None, alias: str | None = None) -> Version | None:
    """Look up a version by number or alias; None if there is none."""
    with _spoken_to() as client:
        if not _exists(client, name):
            return None
        aliases = client.get_registered_model(name).aliases
        number = version if version is not None else aliases.get(alias or "")
        if number is None:
            return None
        found = client.search_model_versions(f"name = '{name}'")
        return next((_made(entry) for entry in found if str(entry.version) == str(number)), None)


def versions(name: str) -> int:
    """Count the versions that were ever registered: the highest number there is."""
    with _spoken_to() as client:
        if not _exists(client, name):
            return 0
        found = client.search_model_versions(f"name = '{name}'")
        return max((int(entry.version) for entry in found), default=0)


def _made(entry: Any) -> Version:
    return Version(
        name=str(entry.name),
        version=str(entry.version),
        created=int(entry.creation_timestamp),
        run_id=str(entry.run_id),
        source=str(entry.source),
    )


def in_production(name: str) -> tuple[Version, ...]:
    """List the versions that the alias or the stage of production holds."""
    with _spoken_to() as client:
        if not _exists(client, name):
            return ()
        pointed = client.get_registered_model(name).aliases.get(IN_PRODUCTION)
        return tuple(
            _made(entry)
            for entry in client.search_model_versions(f"name = '{name}'")
            if entry.current_stage == STAGE or str(entry.version) == str(pointed)
        )


def fetch_model(version: Version, into: Path) -> Path:
    """Download the registered bytes of a version, replacing what stands there."""
    with _spoken_to():
        mlflow = _mlflow("artifacts")

        shutil.rmtree(into, ignore_errors=True)
        into.mkdir(parents=True)
        mlflow.artifacts.download_artifacts(
            artifact_uri=f"models:/{version.name}/{version.version}", dst_path=str(into)
        )
    return into


def fetch_files(run_id: str, folder: str, into: Path) -> Path:
    """Download an artifact folder of a run; what the run does not have is not there after it."""
    with _spoken_to() as client:
        mlflow = _mlflow("artifacts")

        into.mkdir(parents=True, exist_ok=True)
        if not client.list_artifacts(run_id, folder):
            return into / folder
        return Path(
            mlflow.artifacts.download_artifacts(
                artifact_uri=f"runs:/{run_id}/{folder}", dst_path=str(into)
            )
        )
