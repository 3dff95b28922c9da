"""Raw files, by path or by URL, and the digest that each must have.

A URL is read once: streamed to a temporary file in a cache folder, and renamed only after its
SHA-256 matched. Later runs check the cached file's digest and need no network.
"""

from __future__ import annotations

import errno
import hashlib
import http.client
import importlib.util
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

from pydantic import Field, model_validator

from hardgate import progress, protection, provenance
from hardgate.errors import DataError, ParamsError, UnavailableError
from hardgate.records import FileRecord, Record, Sha256

SCHEMES = ("http", "https", "file")
CACHE = Path(".hardgate/data")  # below the project root; the state folder, if nobody moved it
TIMEOUT = 60.0  # seconds without a byte
# A file-size limit (EFBIG) and a quota end a download as a full disk does.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Source(Record):
    """A file: its path relative to the project root, or a URL with the SHA-256 it must have."""

    path: str = Field(min_length=1)
    sha256: Sha256 | None = None

    @model_validator(mode="after")
    def _is_safe_to_read(self) -> Self:
        url = urlsplit(self.path)
        if "://" not in self.path:
            return self
        if url.scheme not in SCHEMES:
            raise ValueError(f"cannot read {url.scheme}:// URLs; use one of {', '.join(SCHEMES)}")
        if url.username or url.password:
            raise ValueError("the URL holds a user name or password; params are no place for them")
        if self.sha256 is None:
            raise ValueError(f"{self.path} is a URL, so its sha256 must be given too")
        return self

    @property
    def is_url(self) -> bool:
        """Whether the file has to be fetched."""
        return "://" in self.path


def fetch(source: Source, *, root: Path, cache: Path) -> Path:
    """Find a source's file on this machine, with the digest it must have.

    Raises
    ------
    ParamsError
        If a local file is missing.
    DataError
        If the digest is another one.
    UnavailableError
        If the URL cannot be reached or the cache folder cannot take the file.
    """
    if source.is_url:
        return _fetch_url(source, cache)
    path = root / source.path
    if not path.is_file():
        found = "a folder" if path.is_dir() else "not there"
        raise ParamsError(f"{source.path} is {found}; a file below the project root was expected")
    if source.sha256 is not None:
        check(digest(path, source.path), source)
    return path


def record(path: Path, *, root: Path, sha256: str | None = None) -> FileRecord:
    """Describe a raw file relative to the project root."""
    relative = Path(os.path.relpath(path, root))
    return FileRecord(path=relative, sha256=sha256 or digest(path, str(relative)))


def refuse_plain(files: Sequence[FileRecord], *, root: Path) -> None:
    """Refuse raw files that lie in the clear where ``encrypt_to`` says that they must not.

    Raises
    ------
    ParamsError
        If one is not encrypted; what an installed package carries is in everybody's hands anyway.
    """
    for file in files:
        path = root / file.path
        if path.is_dir():
            raise ParamsError(
                f"dataset.encrypt_to is set, but {file.path} is a folder; pack it into a zip file, "
                f"run `hardgate protect` on it, and name the result in dataset.path"
            )
        if path.is_file() and not protection.is_encrypted(path):
            raise ParamsError(
                f"dataset.encrypt_to is set, but {file.path} is not encrypted; run "
                f"`hardgate protect {file.path} --to age1...`, name the result in params.yaml, and "
                "delete the plain file"
            )


def packaged(path: Path) -> Path:
    """Find a file that an installed package carries, by its path below the installed packages."""
    name = path.parts[0]
    package = importlib.util.find_spec(name) if name.isidentifier() else None
    if package is None or package.origin is None:
        raise DataError(f"{path} is neither in the project nor in an installed package")
    return Path(package.origin).parent.parent / path


def locate(file: FileRecord, *, root: Path) -> Path:
    """Find a recorded raw file again, below the project root or in the package that carries it."""
    path = root / file.path
    return path if path.exists() else packaged(file.path)


def digest(path: Path, name: str) -> str:
    """Digest a raw file; ``name`` is how messages call it."""
    try:
        return provenance.sha256_file(path)
    except OSError as error:
        raise DataError(f"{name} cannot be read: {error.strerror}") from error


def check(found: str, source: Source) -> None:
    """Refuse a digest that is not the one the source must have."""
    if found != source.sha256:
        raise DataError(
            f"{source.path} has SHA-256 {found}, expected {source.sha256}: the file was changed "
            "or is another one; restore it, or correct sha256 in params.yaml if the change is meant"
        )


def _fetch_url(source: Source, cache: Path) -> Path:
    if source.sha256 is None:
        raise ParamsError(f"{source.path} is a URL, so its sha256 must be given too")
    name = Path(urlsplit(source.path).path).name or "file"
    path = cache / f"{source.sha256[:16]}-{name}"
    if path.is_file() and digest(path, str(path)) == source.sha256:
        return path
    with storing(cache):
        cache.mkdir(parents=True, exist_ok=True)
        handle, temporary_name = tempfile.mkstemp(prefix=".", suffix=".part", dir=cache)
    temporary = Path(temporary_name)
    try:
        found = _stream(source, handle, cache)
        check(found, source)
        with storing(cache):
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def _stream(source: Source, handle: int, cache: Path) -> str:
    """Write the URL's bytes to an open file and digest them on the way."""
    found = hashlib.sha256()
    with os.fdopen(handle, "wb", buffering=0) as file:
        for block in _blocks(source.path):
            found.update(block)
            with storing(cache):
                _write_all(file, block)
        with storing(cache):
            os.fsync(file.fileno())
    return found.hexdigest()


def _write_all(file: Any, block: bytes) -> None:
    """Write a whole block: an unbuffered file may take only a part before the disk is full."""
    view = memoryview(block)
    while view:
        view = view[file.write(view) :]


def _blocks(url: str) -> Iterator[bytes]:
    """Read a URL block by block, with progress."""
    received, expected = 0, None
    try:
        with urlopen(url, timeout=TIMEOUT) as answer:  # noqa: S310  Source allows three schemes
            length = answer.headers.get("Content-Length", "")
            expected = int(length) if length.isdigit() else None
            total = None if expected is None else -(-expected // provenance.BLOCK)
            blocks = iter(lambda: answer.read(provenance.BLOCK), b"")
            for block in progress.track(blocks, f"fetching {url}", total=total):
                received += len(block)
                yield block
    except (URLError, http.client.HTTPException, OSError) as error:
        reason = getattr(error, "reason", None) or error
        raise UnavailableError(f"{url} cannot be fetched: {reason}; try again later") from error
    if expected is not None and received != expected:
        raise UnavailableError(
            f"{url} broke off after {received} of {expected} bytes; try again later"
        )


@contextmanager
def storing(folder: Path) -> Iterator[None]:
    """Turn a failure to write into an error that names the folder."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            advice = "the disk or quota is full: free some space and run again"
        else:
            advice = f"{error.strerror}: make the folder writable"
        raise UnavailableError(f"cannot write to {folder}: {advice}") from error
