"""Write the first version of a suite: what ``hardgate suite MODEL`` does."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from hardgate import files, quarantine, splits, state
from hardgate import params as settings
from hardgate.datasets import Raw
from hardgate.errors import ParamsError
from hardgate.params import Params
from tasks import _drafts, _store, _suites


def write(model: str, *, force: bool) -> Path:
    """Draft the suite of a model from its data; an existing one is replaced only by force.

    Raises
    ------
    ParamsError
        If there is one already.
    """
    path = _suites.FOLDER / f"{model}.json"
    if path.exists() and not force:
        raise ParamsError(f"{path} is there already; add --force to replace it by a draft")
    params = settings.load(model)
    raw = params.dataset.load(_store.ROOT, cache=state.room("data"))
    document = _drafts.draft(
        audited(params, raw),
        name=model,
        target=raw.target,
        categorical=getattr(params.dataset, "categorical", ()),
        ignore=getattr(params.dataset, "ignore", ()),
    )
    files.write_text(path, _suites.spell(document))
    return path


def audited(params: Params, raw: Raw) -> pd.DataFrame:
    """Put the audit columns of the split beside the raw ones."""
    raw = quarantine.apply(raw, params.validation.quarantine, root=_store.ROOT).raw
    assignment = splits.assign(raw, params.validation, seed=params.seed)
    return pd.concat([raw.frame, splits.audit(raw, assignment)], axis=1)
