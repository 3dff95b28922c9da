"""Sign and verify statements in DSSE envelopes.

DSSE: https://github.com/secure-systems-lab/dsse/blob/v1.0.0/protocol.md. The signature covers the
payload's bytes and type, so nothing is parsed before it was found to be signed by a trusted key.
The signers are securesystemslib's: an Ed25519 key file by default, or what another URI names
(``awskms:``, ``gcpkms:``, ``azurekms:``, ``hv:`` for Vault, ``hsm:``, ...).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import Error as LibraryError
from securesystemslib.exceptions import UnverifiedSignatureError

# Its package marks none of its names as exported.
from securesystemslib.signer import (  # type: ignore[attr-defined]
    CryptoSigner,
    Key,
    Signer,
    SSlibKey,
)

from hardgate import provenance
from hardgate.errors import IntegrityError, UnavailableError
from hardgate.evidence import keys

PAYLOAD_TYPE = "application/vnd.in-toto+json"
FILE_SCHEME = CryptoSigner.SCHEME
PEM_SUFFIX = ".pub.pem"
JSON_SUFFIX = ".key.json"  # for keys whose scheme a PEM file cannot say


@dataclass(frozen=True)
class Signed:
    """A payload, and the trusted keys whose signatures were found good."""

    payload: bytes
    keyids: tuple[str, ...]


def open_signer(
    uri: str,
    *,
    trusted: Path,
    keyid: str | None = None,
    ask_secret: Callable[[str], str] | None = None,
) -> Signer:
    """Open the signer that a URI names.

    Parameters
    ----------
    uri
        ``file2:<path>`` for a key file, which is made on first use together with its public key
        in ``trusted``; any other scheme of securesystemslib for a key that lives elsewhere.
    trusted
        Folder of public keys. A signer whose own is not there would sign what nobody accepts.
    keyid
        Which of them belongs to a key that lives elsewhere.
    ask_secret
        Called with the name of a secret (a PIN) that the signer needs.

    Raises
    ------
    IntegrityError
        If the key is open to others, broken, or not trusted.
    UnavailableError
        If the service that holds the key cannot be reached.
    """
    scheme, _, rest = uri.partition(":")
    if scheme == FILE_SCHEME:
        return _open_file(Path(rest), trusted)
    public = public_keys(trusted)
    if keyid is None:
        raise IntegrityError(
            f"HARDGATE_SIGNER_KEYID must name the key of the {scheme} signer, one of those in "
            f"{trusted}: {_list(public)}; for a key file write {FILE_SCHEME}:<path>"
        )
    if keyid not in public:
        raise IntegrityError(
            f"the key {keyid} of the {scheme} signer is not in {trusted}, which holds "
            f"{_list(public)}; put its public key there as {keyid}{PEM_SUFFIX}"
        )
    try:
        return Signer.from_priv_key_uri(uri, public[keyid], ask_secret)
    except Exception as error:  # each service raises its own errors
        raise UnavailableError(
            f"the {scheme} signer cannot be used: {type(error).__name__}: {error}"
        ) from error


def sign(payload: bytes, signer: Signer) -> bytes:
    """Put a payload into a signed envelope; the result is the file to keep.

    Raises
    ------
    UnavailableError
        If the service that holds the key cannot be reached, or signs with another key.
    """
    envelope = Envelope(payload, PAYLOAD_TYPE, {})
    try:
        envelope.sign(signer)
        envelope.verify([signer.public_key], threshold=1)
    except Exception as error:  # each service raises its own errors
        raise UnavailableError(
            f"the signer could not sign: {type(error).__name__}: {error}"
        ) from error
    return _spell(envelope)


def verify(content: bytes, *, trusted: Path) -> Signed:
    """Open an envelope, after its signature by a trusted key was found good.

    Signatures of unknown keys are left aside, so that a key can be replaced while both sign; each
    signature of a trusted key must be good.

    Raises
    ------
    IntegrityError
        If it is not an envelope, of another payload type, or not signed by a trusted key.
    """
    envelope = _parse(content)
    if envelope.payload_type != PAYLOAD_TYPE:
        raise IntegrityError(
            f"the envelope holds {envelope.payload_type!r}, expected {PAYLOAD_TYPE!r}"
        )
    public = public_keys(trusted)
    signers = [public[keyid] for keyid in envelope.signatures if keyid in public]
    if not signers:
        raise IntegrityError(
            f"the envelope is signed by {_list(envelope.signatures)}, none of them trusted: "
            f"{trusted} holds {_list(public)}; if you trust that signer, put the public key there"
        )
    try:
        accepted = envelope.verify(signers, threshold=len(signers))
    except UnverifiedSignatureError as error:
        raise IntegrityError(
            f"the signature by {_list(key.keyid for key in signers)} does not match: "
            "the evidence was changed after it was signed"
        ) from error
    return Signed(envelope.payload, tuple(accepted))


def public_keys(trusted: Path) -> dict[str, Key]:
    """Read a folder of trusted public keys, each in a file named after it.

    Raises
    ------
    IntegrityError
        If the folder is missing, empty or open for others to write, or a file is not the key that
        its name says.
    """
    keys.check_folder(trusted)
    found: dict[str, Key] = {}
    for path in sorted(trusted.iterdir()):
        for suffix, read in ((PEM_SUFFIX, _read_pem), (JSON_SUFFIX, _read_json)):
            if path.name.endswith(suffix):
                keyid = path.name.removesuffix(suffix)
                found[keyid] = read(path, keyid)
    if not found:
        raise IntegrityError(f"{trusted} holds no public key (<keyid>{PEM_SUFFIX})")
    return found


def _open_file(private: Path, trusted: Path) -> Signer:
    keys.ensure(private, trusted=trusted, generate=Ed25519PrivateKey.generate, name=_file_name)
    signer = CryptoSigner(keys.read_private(private, Ed25519PrivateKey))  # type: ignore[type-abstract]
    keyid = signer.public_key.keyid
    if keyid not in public_keys(trusted):
        raise IntegrityError(
            f"the public key {keyid} of {private} is not in {trusted}, so nobody would accept "
            "what it signs; put it back, or delete the private key and a new pair is made"
        )
    return signer


def _file_name(public: PublicKeyTypes) -> str:
    return SSlibKey.from_crypto(public).keyid + PEM_SUFFIX


def _read_pem(path: Path, keyid: str) -> Key:
    try:
        key = SSlibKey.from_crypto(load_pem_public_key(path.read_bytes()))
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise IntegrityError(f"{path} is not a public key in PEM: {error}") from error
    if key.keyid != keyid:
        raise IntegrityError(f"{path} holds the key {key.keyid}: it was changed or misnamed")
    return key


def _read_json(path: Path, keyid: str) -> Key:
    try:
        fields = json.loads(path.read_bytes())
        return Key.from_dict(keyid, fields)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise IntegrityError(f"{path} is not a public key of securesystemslib: {error}") from error


def _parse(content: bytes) -> Envelope:
    try:
        fields: Any = json.loads(content)
        envelope = Envelope.from_dict(fields)
        envelope.payload_type.encode()
        spelled = _spell(envelope)
    except (
        LibraryError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
    ) as error:
        raise IntegrityError(
            f"this is not a DSSE envelope ({type(error).__name__}: {error}); "
            "the file was cut off or changed"
        ) from error
    if spelled != content:  # blanks, doubled keys and other base64: nothing goes unsigned
        raise IntegrityError("the envelope is not spelled as it was signed; the file was changed")
    return envelope


def _spell(envelope: Envelope) -> bytes:
    return provenance.canonical_json(envelope.to_dict()) + b"\n"


def _list(keyids: Any) -> str:
    return ", ".join(keyids) or "no key"
