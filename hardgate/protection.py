"""Files that hold rows of people, at rest: encrypted, and opened with a key from elsewhere.

The format is age (Filippo Valsorda and Ben Cartwright-Cox, 2019, age-encryption.org/v1), so that
the `age` command opens them as well. Who may read is named in ``dataset.encrypt_to`` by public
keys, which are no secret. The identity that opens is a file that ``HARDGATE_IDENTITY`` names. It
lies outside the repository, or a push would publish it with what it protects; and it is open to
its owner alone, as OpenSSH demands of its keys. A file is known by its first bytes, not its name.

Decrypted bytes stay in memory: no plain copy is written, not even a temporary one.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO

from pydantic import AfterValidator

from hardgate import files
from hardgate.errors import DataError, IntegrityError, ParamsError

HEADER = b"age-encryption.org/v1"
ENDING = ".age"
IDENTITY = "HARDGATE_IDENTITY"
OPEN = stat.S_IRWXG | stat.S_IRWXO


def _is_recipient(text: str) -> str:
    import pyrage

    try:
        pyrage.x25519.Recipient.from_str(text)
    except pyrage.RecipientError:
        if text.upper().startswith("AGE-SECRET-KEY-"):
            raise ValueError("this is the secret half; give the public one, age1...") from None
        raise ValueError("expected the public half of an age identity, age1...") from None
    return text


Recipient = Annotated[str, AfterValidator(_is_recipient)]
Recipients = tuple[Recipient, ...]


def encrypt(content: bytes, recipients: Sequence[str]) -> bytes:
    """Encrypt for everybody in ``recipients``; bytes stay as they are when there is nobody."""
    if not recipients:
        return content
    import pyrage

    parsed = [pyrage.x25519.Recipient.from_str(text) for text in recipients]
    encrypted: bytes = pyrage.encrypt(content, parsed)
    return encrypted


def decrypt(content: bytes, *, name: str) -> bytes:
    """Open what is encrypted with the identity of ``HARDGATE_IDENTITY``; leave what is not.

    Raises
    ------
    ParamsError
        If no identity is named, or it lies within the repository.
    DataError
        If it does not open ``name``, or that is cut off or changed.
    IntegrityError
        If the identity is open to others or no identity.
    """
    if not content.startswith(HEADER):
        return content
    import pyrage

    try:
        opened: bytes = pyrage.decrypt(content, _identities(name))
    except pyrage.DecryptError as error:
        raise DataError(
            f"{name} is encrypted and the identity of {IDENTITY} does not open it ({error}): it is "
            "for somebody else, or the file is cut off or changed"
        ) from None
    return opened


def is_encrypted(path: Path) -> bool:
    """Tell by its first bytes whether a file is encrypted."""
    with path.open("rb") as file:
        return file.read(len(HEADER)) == HEADER


@contextmanager
def opened(path: Path, *, name: str) -> Iterator[BinaryIO]:
    """Open a file to read, decrypted in memory where it is encrypted."""
    with path.open("rb") as file:
        encrypted = file.read(len(HEADER)) == HEADER
        file.seek(0)
        yield io.BytesIO(decrypt(file.read(), name=name)) if encrypted else file


def protect(path: Path, recipients: Sequence[str]) -> Path:
    """Encrypt a file into ``<path>.age`` beside it; an existing one stays as it is.

    Raises
    ------
    ParamsError
        If there is nobody to encrypt for, no such file, or it is encrypted already.
    """
    if not recipients:
        raise ParamsError("name somebody to encrypt for: --to age1...")
    for recipient in recipients:
        try:
            _is_recipient(recipient)
        except ValueError as error:
            raise ParamsError(f"--to {recipient[:12]}...: {error}") from None
    if not path.is_file():
        raise ParamsError(f"{path} is no file")
    if is_encrypted(path):
        raise ParamsError(f"{path} is encrypted already")
    target = path.with_name(path.name + ENDING)
    try:
        with files.creating(target) as file:
            file.write(encrypt(path.read_bytes(), recipients))
    except FileExistsError:
        raise ParamsError(f"{target} is there already; move it away first") from None
    return target


def make_identity(path: Path) -> str:
    """Make an identity in a new file for its owner alone; give its public half.

    Raises
    ------
    ParamsError
        If the file exists or would lie within the repository.
    """
    import pyrage

    identity = pyrage.x25519.Identity.generate()
    public = str(identity.to_public())
    make_secret(path, f"# public key: {public}\n{identity}\n".encode())
    return public


def make_secret(path: Path, content: bytes) -> None:
    """Write a secret into a new file outside the repository, for its owner alone."""
    _outside(path, name=str(path))
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with files.creating(path, mode=0o600) as file:
            file.write(content)
    except FileExistsError:
        raise ParamsError(f"{path} is there already; name another file") from None


def secret(named: str | None, *, variable: str, needed: str) -> bytes:
    """Read the secret in the file that a variable names; ``needed`` says what it is for.

    Raises
    ------
    ParamsError
        If the variable is not set, names no file, or one within the repository.
    IntegrityError
        If the file is open to others.
    """
    if not named:
        raise ParamsError(f"{needed}: set {variable} to the file that holds the key")
    path = Path(named).expanduser()
    _outside(path, name=variable)
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & OPEN:
                raise IntegrityError(
                    f"the key {path} is open to others (mode {mode:04o}, expected 0600); run "
                    f"`chmod 600 {path}`, or replace it if somebody may have read it"
                )
            return file.read()
    except OSError as error:
        raise ParamsError(
            f"{needed}, and the key {path} of {variable} cannot be read: {error.strerror}"
        ) from error


def _identity_file(name: str) -> bytes:
    named = os.environ.get("HARDGATE_IDENTITY")
    return secret(named, variable=IDENTITY, needed=f"{name} is encrypted")


def _identities(name: str) -> list[object]:
    import pyrage

    lines = _identity_file(name).decode(errors="replace").splitlines()
    written = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    try:
        found: list[object] = [pyrage.x25519.Identity.from_str(line) for line in written]
    except pyrage.IdentityError:
        found = []
    if not found:  # without the cause, which may quote the key
        raise IntegrityError(
            f"the file of {IDENTITY} holds no age identity; expected AGE-SECRET-KEY-1... in a line"
        )
    return found


def _outside(path: Path, *, name: str) -> None:
    """Refuse a key below a folder under version control, or below a project of ours."""
    place = path.expanduser().resolve()
    for folder in place.parents:
        if (folder / ".git").exists() or (folder / "params.yaml").exists():
            raise ParamsError(
                f"{name}: the key {path} lies within the repository {folder}, where it would be "
                "published with what it protects; keep it outside, such as below ~/.config/hardgate"
            )
