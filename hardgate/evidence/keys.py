"""Private key files: made on first use, for their owner alone; the public half lies in the open.

The rule is OpenSSH's: a private key that its group or others can read is no longer private, and a
folder that others can write to lets them swap the keys in it. No message holds any part of a key.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from hardgate import files
from hardgate.errors import IntegrityError, UnavailableError

OPEN = stat.S_IRWXG | stat.S_IRWXO
WRITABLE = stat.S_IWGRP | stat.S_IWOTH

PrivateKey = Ed25519PrivateKey | EllipticCurvePrivateKey
K = TypeVar("K", Ed25519PrivateKey, EllipticCurvePrivateKey)


def ensure(
    private: Path,
    *,
    trusted: Path,
    generate: Callable[[], PrivateKey],
    name: Callable[[PublicKeyTypes], str],
) -> None:
    """Make a key pair unless ``private`` is there: mode 0600, in a folder of mode 0700.

    The public key goes to ``trusted/<name>`` only now, when the pair is made: whoever takes it away
    from there later withdraws the trust, and no later run gives it back. Of two processes that
    arrive at once, one makes the pair and both use it.

    Raises
    ------
    UnavailableError
        If the files cannot be written.
    """
    if private.exists():
        return
    pair = generate()
    public = trusted / name(pair.public_key())
    try:
        private.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        trusted.mkdir(mode=0o755, parents=True, exist_ok=True)
        files.write_bytes(public, public_pem(pair.public_key()))
        public.chmod(0o644)
        if not _write_once(private, private_pem(pair)):
            public.unlink()
    except OSError as error:
        raise UnavailableError(
            f"the key {private} cannot be made ({error.strerror}); "
            "make its folder writable, or free some space"
        ) from error


def read_private(path: Path, kind: type[K]) -> K:
    """Read a private key, after the very file that is read was found to be its owner's alone.

    Raises
    ------
    IntegrityError
        If the file is missing, open to others, in a folder others can write to, or not such a key.
    """
    check_folder(path.parent)
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & OPEN:
                raise IntegrityError(
                    f"the private key {path} is open to others (mode {mode:04o}, expected 0600); "
                    f"run `chmod 600 {path}`, or delete it if somebody may have read it"
                )
            key = load_pem_private_key(file.read(), password=None)
    except OSError as error:
        raise IntegrityError(f"the private key {path} cannot be read: {error.strerror}") from error
    except TypeError as error:
        raise IntegrityError(
            f"the private key {path} is encrypted; expected a plain one with mode 0600"
        ) from error
    except (ValueError, UnsupportedAlgorithm):
        # Without the cause: a parser's message may quote what it could not parse.
        raise IntegrityError(
            f"{path} is not a private key in PEM; put the right file there, or delete it and a "
            "new key is made"
        ) from None
    if not isinstance(key, kind):
        raise IntegrityError(
            f"the private key {path} is of the kind {type(key).__name__}, "
            f"expected {kind.__name__}; put the right file there"
        )
    return key


def check_folder(folder: Path) -> None:
    """Refuse a folder of keys in which others could swap them.

    Raises
    ------
    IntegrityError
        If it is missing, or its group or others can write to it.
    """
    try:
        mode = stat.S_IMODE(folder.stat().st_mode)
    except OSError as error:
        raise IntegrityError(f"the folder of keys {folder} cannot be read: {error.strerror}") from (
            error
        )
    if mode & WRITABLE:
        raise IntegrityError(
            f"others can write to the folder of keys {folder} (mode {mode:04o}); "
            f"run `chmod go-w {folder}` and look whether its keys are yours"
        )


def public_pem(key: PublicKeyTypes) -> bytes:
    """Write a public key as everybody's libraries read it."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def private_pem(key: PrivateKey) -> bytes:
    """Write a private key as the signing libraries read it. For files of mode 0600 only."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write_once(path: Path, content: bytes) -> bool:
    """Write a file for its owner alone, whole or not at all; tell whether it was not there yet."""
    try:
        with files.creating(path, mode=0o600) as file:
            file.write(content)
    except FileExistsError:
        return False
    return True
