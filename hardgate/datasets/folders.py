"""The files below a directory or in a zip file, alike. A zip is read in place, never unpacked."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from hardgate import protection, provenance
from hardgate.errors import DataError

LARGEST = 1 << 28  # bytes of one unpacked file; a zip file can claim any size


class Folder(Protocol):
    """Names, spelled with slashes, and the bytes behind them."""

    def names(self) -> set[str]:
        """List all files."""

    def read(self, name: str) -> bytes:
        """Read one file."""


class Directory:
    """A directory on disk."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def names(self) -> set[str]:
        """List all files."""
        return {path.as_posix() for path in provenance.files_below(self._path)}

    def read(self, name: str) -> bytes:
        """Read one file."""
        return (self._path / name).read_bytes()


class Zip:
    """A zip file."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive

    def names(self) -> set[str]:
        """List all files."""
        return {name for name in self._archive.namelist() if not name.endswith("/")}

    def read(self, name: str) -> bytes:
        """Read one file.

        Raises
        ------
        OSError
            If the file cannot be unpacked or is larger than ``LARGEST``.
        """
        size = self._archive.getinfo(name).file_size
        if size > LARGEST:
            raise OSError(f"it unpacks to {size} bytes, more than {LARGEST}")
        try:
            return self._archive.read(name)
        except RuntimeError as error:  # a password or an unknown compression
            raise OSError(str(error)) from error


@contextmanager
def opened(path: Path, *, name: str) -> Iterator[Folder]:
    """Open a directory or zip file; ``name`` is how messages call it."""
    if path.is_dir():
        yield Directory(path)
        return
    with protection.opened(path, name=name) as file:
        try:
            archive = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, OSError) as error:
            raise DataError(
                f"{name} is neither a folder nor a readable zip file: {error}"
            ) from error
        with archive:
            yield Zip(archive)
