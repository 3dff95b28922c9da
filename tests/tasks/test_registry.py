"""What the registry hands out can be used as it is."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tasks import _registry

if TYPE_CHECKING:
    from tests.conftest import Project

pytestmark = pytest.mark.slow


@pytest.fixture
def model(hardened: Project) -> Any:
    """The registered model, as a serving host loads it."""
    mlflow = _registry._mlflow("pyfunc")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own
        return mlflow.pyfunc.load_model(str(hardened.run("promotion") / "model"))


def test_a_registered_model_answers_rows_of_its_own_csv(hardened: Project, model: Any) -> None:
    rows = hardened.frame().drop(columns="late").head(3)
    assert rows["age"].dtype == np.int64
    found = model.predict(rows)
    assert found.to_numpy().sum(axis=1) == pytest.approx([1, 1, 1])
    assert model.predict(rows.astype({"age": float})).equals(found)


def test_a_registered_model_answers_a_row_with_a_missing_cell(
    hardened: Project, model: Any
) -> None:
    rows = hardened.frame().drop(columns="late").head(3).astype({"age": float})
    rows.loc[1, "age"] = np.nan
    assert np.isfinite(model.predict(rows).to_numpy()).all()


def test_a_registered_model_refuses_rows_that_lack_a_column(hardened: Project, model: Any) -> None:
    rows = hardened.frame().drop(columns=["late", "age"])
    with pytest.raises(Exception, match=r"missing inputs.*age"):
        model.predict(rows)


def test_mlflow_is_told_to_leave_the_lock_file_of_the_machine_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_UV_AUTO_DETECT", _registry.QUIETLY["MLFLOW_UV_AUTO_DETECT"])
    known = _registry._mlflow("environment_variables").environment_variables
    assert known.MLFLOW_UV_AUTO_DETECT.get() is False
