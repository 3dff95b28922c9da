"""What attacks report of the built-in tables keeps every expectation that the raw data keep."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch

from hardgate import candidates, region, robustness, splits, state
from hardgate import params as settings
from hardgate.records import TableInput
from tasks import _expectations


@pytest.mark.slow
@pytest.mark.parametrize("model", ["credit", "diagnosis"])
def test_an_attacked_row_keeps_the_contract_of_the_data(model: str, tmp_path: Path) -> None:
    """An untrained network sends the attacks everywhere that the threat lets them go."""
    params = settings.load(model)
    raw = params.dataset.load(Path(), cache=state.room("data"))
    assignment = splits.assign(raw, params.validation, seed=params.seed)
    encoded = params.dataset.encode(raw, assignment.rows("train"))
    spec = encoded.spec
    assert isinstance(spec, TableInput)
    rows = assignment.rows("test")[:2000]
    inputs, labels = torch.from_numpy(encoded.inputs[rows]), torch.from_numpy(encoded.labels[rows])
    torch.manual_seed(0)
    network = candidates.build(params.training.architecture, spec).eval()
    frame = raw.frame
    for attack in params.evaluation.attacks:
        found = robustness.measure(
            attack,
            params.threat,
            region.build(params.threat, spec),
            network,
            inputs,
            labels,
            seed=0,
            batch_size=2000,
            attack_all=True,
        ).adversarial
        changed = frame.copy()
        for position, column in enumerate(spec.columns):
            if column.name in params.threat.columns:
                values = pd.Series(found[:, position].double().numpy(), index=frame.index[rows])
                changed.loc[values.index, column.name] = values.astype(frame[column.name].dtype)
        assert not changed.equals(frame)
        judged = _expectations.judge(
            pd.concat([changed, splits.audit(raw, assignment)], axis=1),
            Path("expectations") / f"{model}.json",
            model=model,
            data_docs=tmp_path / attack.name,
        )
        assert not judged.objections, list(judged.objections)
