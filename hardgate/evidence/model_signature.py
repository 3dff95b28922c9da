"""Sign a model directory in the OpenSSF model-signing format, for everybody else's verifiers.

https://github.com/sigstore/model-transparency. With an EC P-256 key file of its own, since the
format knows no Ed25519, and since a key that signs bytes should not also sign judgements. The
public key lies in the folder of trusted keys as ``<sha256 of its PEM>.model.pem``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from hardgate import files, provenance
from hardgate.errors import ContractError, IntegrityError
from hardgate.evidence import keys

if TYPE_CHECKING:
    from model_signing import hashing

SUFFIX = ".model.pem"


def sign(model: Path, signature: Path, *, private: Path, trusted: Path) -> str:
    """Sign a model directory; give the digest of the signature file.

    Parameters
    ----------
    signature
        File to write; outside of ``model``, or it would be an unsigned file of it.
    private
        The key file, made on first use together with its public key in ``trusted``.

    Raises
    ------
    IntegrityError
        If the key is open to others, broken or not trusted, or the directory holds a link.
    """
    if signature.resolve().is_relative_to(model.resolve()):
        raise ContractError(f"the signature {signature} would lie inside the model {model}")
    check(private, trusted=trusted)
    from model_signing import signing  # takes a second to import

    config = signing.Config().use_elliptic_key_signer(private_key=private)
    try:
        with files.replacing(signature) as temporary:
            config.set_hashing_config(_hashing()).sign(model, temporary)
    except ValueError as error:
        raise IntegrityError(f"the model {model} cannot be signed: {error}") from error
    return provenance.sha256_file(signature)


def check(private: Path, *, trusted: Path) -> None:
    """Make the key on first use, and refuse one that is not fit to sign.

    Raises
    ------
    IntegrityError
        If it is open to others, broken or not trusted.
    """
    keys.ensure(private, trusted=trusted, generate=_generate, name=_file_name)
    key = keys.read_private(private, ec.EllipticCurvePrivateKey)  # type: ignore[type-abstract]
    public = trusted / _file_name(key.public_key())
    if not public.is_file():
        raise IntegrityError(
            f"the public key {public} of {private} is missing, so nobody would accept what it "
            "signs; put it back, or delete the private key and a new pair is made"
        )


def verify(model: Path, signature: Path, *, trusted: Path) -> str:
    """Verify a model directory against its signature; give the name of the key that signed it.

    Raises
    ------
    IntegrityError
        If the signature is broken, of an unknown key, or not of these files; names them.
    """
    name = _signer(signature)
    keys.check_folder(trusted)
    public = trusted / f"{name}{SUFFIX}"
    if not public.is_file():
        raise IntegrityError(
            f"{signature} is signed by the key {name}, whose public key is not in {trusted}"
        )
    if provenance.sha256_file(public) != name:
        raise IntegrityError(f"{public} is not the key its name says: it was changed or misnamed")
    from model_signing import verifying  # takes a second to import

    config = verifying.Config().use_elliptic_key_verifier(public_key=public)
    try:
        config.set_hashing_config(_hashing()).verify(model, signature)
    except InvalidSignature as error:
        raise IntegrityError(
            f"the signature in {signature} does not match: it was changed after it was made"
        ) from error
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, OSError) as error:
        raise IntegrityError(f"{model} is not what {signature} signed: {error}") from error
    return name


def _signer(signature: Path) -> str:
    """Read which key a signature names; a signature that names none is not accepted."""
    try:
        bundle = json.loads(signature.read_bytes())
        return str(bundle["verificationMaterial"]["publicKey"]["hint"])
    except OSError as error:
        raise IntegrityError(f"{signature} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise IntegrityError(
            f"{signature} is not a signature of a model by a key; it was cut off or changed"
        ) from error


def _hashing() -> hashing.Config:
    """Cover every file of the directory, hidden ones too, but MLflow's download note."""
    from model_signing import hashing

    config = hashing.Config().use_file_serialization(hashing_algorithm="sha256")
    return config.set_ignored_paths(paths=[provenance.NOT_OF_THE_MODEL], ignore_git_paths=False)


def _generate() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _file_name(public: PublicKeyTypes) -> str:
    return provenance.sha256_bytes(keys.public_pem(public)) + SUFFIX
