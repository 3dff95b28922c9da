"""A table in one CSV or Parquet file, by path or URL."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import Field

from hardgate import pseudonyms
from hardgate.datasets import encoding, fetching, reading
from hardgate.datasets.raw import Encoded, Raw, Rows
from hardgate.errors import DataError, ParamsError
from hardgate.protection import Recipients


class Table(encoding.Roles, fetching.Source):
    """A table and the roles of its columns."""

    kind: Literal["table"]
    encrypt_to: Recipients = ()  # who may read what is written of it
    separator: Annotated[str, Field(min_length=1, max_length=1)] = ","

    @property
    def sources(self) -> tuple[fetching.Source, ...]:
        """The one file."""
        return (self,)

    def load(self, root: Path, *, cache: Path | None = None) -> Raw:
        """Read the table as it is; URLs are kept in ``cache``, by default below ``root``."""
        path = fetching.fetch(self, root=root, cache=cache or root / fetching.CACHE)
        frame = reading.read_table(path, name=self.path, separator=self.separator)
        inputs = self.inputs(frame.columns)
        unnamed = [name for name in inputs if name == "" or name.startswith("Unnamed: ")]
        if unnamed:
            raise ParamsError(
                f"{self.path}: column {unnamed[0]!r} has no name in the header and is probably "
                "an index; list it under ignore"
            )
        for column in self.pseudonymise:
            frame[column] = self._pseudonymised(frame, column)
        reserved = [name for name in frame if str(name).startswith("hardgate_")]
        if reserved:
            raise DataError(f"{self.path}: rename column {reserved[0]!r}; hardgate_ is reserved")
        file = fetching.record(path, root=root, sha256=self.sha256)
        return Raw(frame=frame, files=(file,), inputs=inputs, target=self.target)

    def _pseudonymised(self, frame: pd.DataFrame, column: str) -> pd.Series[Any]:
        key = pseudonyms.key(needed=f"dataset.pseudonymise names {column!r} of {self.path}")
        return pseudonyms.replace(frame[column], key, spell=encoding.as_label)

    def encode(self, raw: Raw, train_rows: Rows) -> Encoded:
        """Turn the rows into numbers, with statistics of the training rows alone."""
        return encoding.encode(raw, train_rows, self)
