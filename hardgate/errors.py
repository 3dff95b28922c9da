"""The one error tree; each class knows the exit code of the command that meets it.

::

    HardgateError            3  could not be completed
    ├── ParamsError          2  params.yaml or the command line is wrong
    ├── DataError            3  a data file is missing, broken or not the one expected
    ├── ContractError        3  a caller broke a function's contract
    ├── IntegrityError       3  a record, checkpoint, key or evidence is not what it should be
    ├── UnavailableError     3  a server, a lock or the disk cannot be used now
    └── RefusedError         1  the data broke its contract: a run that worked and said no
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from hardgate.records import Objection


class HardgateError(Exception):
    """The work could not be completed; the message says what was found and what to do."""

    exit_code: ClassVar[int] = 3


class ParamsError(HardgateError):
    """params.yaml, an override or the command line is wrong; names the key or the word."""

    exit_code = 2


class DataError(HardgateError):
    """A data file is missing, broken or not the one expected; names the file."""


class ContractError(HardgateError):
    """A caller broke a function's contract: shapes, ranges, kinds."""


class IntegrityError(HardgateError):
    """A record, checkpoint, key or evidence is not what it should be; names the file."""


class UnavailableError(HardgateError):
    """A server, a lock or the disk cannot be used now; trying again later may help."""


class RefusedError(HardgateError):
    """The data broke its contract. Carries every objection, so that a decision can list them."""

    exit_code = 1

    def __init__(self, message: str, objections: Sequence[Objection]) -> None:
        super().__init__(message)
        self.objections = tuple(objections)
