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

import errno
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from hardgate.records import Measurement, Objection


# A full disk, quota or file-size limit, a place that is read-only, and a file in a folder's place.
UNWRITABLE = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM}
    | {errno.EEXIST, errno.ENOTDIR, errno.EISDIR}
)


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
    """The data broke its contract. Carries what a decision about it lists and judges."""

    exit_code = 1

    def __init__(
        self,
        message: str,
        objections: Sequence[Objection],
        measurements: Mapping[str, Measurement],
    ) -> None:
        super().__init__(message)
        self.objections = tuple(objections)
        self.measurements = dict(measurements)


def in_words(error: BaseException) -> str | None:
    """Say what a disk refused and what to do; None for an error of another kind."""
    if not isinstance(error, OSError) or error.errno not in UNWRITABLE:
        return None
    where = f" {error.filename}" if error.filename else ""
    return (
        f"cannot write{where}: {error.strerror}; make room or make it writable, then run the same "
        "command again"
    )
