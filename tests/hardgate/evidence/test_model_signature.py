from __future__ import annotations

import json
from pathlib import Path

import pytest

from hardgate import provenance
from hardgate.errors import ContractError, IntegrityError
from hardgate.evidence import model_signature


@pytest.fixture
def model(tmp_path: Path) -> Path:
    directory = tmp_path / "model"
    (directory / "data").mkdir(parents=True)
    (directory / "MLmodel").write_text("flavors: {}\n")
    (directory / "data" / "weights.safetensors").write_bytes(b"\x00" * 64)
    return directory


@pytest.fixture
def private(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "model.pem"


@pytest.fixture
def trusted(private: Path) -> Path:
    return private.parent / "trusted"


@pytest.fixture
def signature(model: Path, private: Path, trusted: Path, tmp_path: Path) -> Path:
    path = tmp_path / "out" / "model.sig"
    model_signature.sign(model, path, private=private, trusted=trusted)
    return path


def test_a_signed_directory_is_verified(
    model: Path, signature: Path, trusted: Path, tmp_path: Path
) -> None:
    name = model_signature.verify(model, signature, trusted=trusted)
    assert (trusted / f"{name}.model.pem").is_file()
    elsewhere = model.rename(tmp_path / "downloaded")
    model_signature.verify(elsewhere, signature, trusted=trusted)


def test_signing_tells_the_digest_of_the_signature(
    model: Path, private: Path, trusted: Path, tmp_path: Path
) -> None:
    path = tmp_path / "model.sig"
    digest = model_signature.sign(model, path, private=private, trusted=trusted)
    assert digest == provenance.sha256_file(path)


def test_others_verifiers_read_it(model: Path, signature: Path, trusted: Path) -> None:
    from model_signing import verifying

    (public,) = trusted.glob("*.model.pem")
    verifying.Config().use_elliptic_key_verifier(public_key=public).verify(model, signature)
    assert json.loads(signature.read_text())["mediaType"].startswith("application/vnd.dev.sigstore")


def test_mlflows_download_note_does_not_count(model: Path, signature: Path, trusted: Path) -> None:
    (model / "registered_model_meta").write_text("x")
    model_signature.verify(model, signature, trusted=trusted)


@pytest.mark.parametrize("name", ["extra.py", ".gitignore", "data/extra"])
def test_an_extra_file_is_named(model: Path, signature: Path, trusted: Path, name: str) -> None:
    (model / name).write_text("x")
    with pytest.raises(IntegrityError, match=name.replace(".", r"\.")):
        model_signature.verify(model, signature, trusted=trusted)


def test_a_changed_and_a_missing_file_are_named(
    model: Path, signature: Path, trusted: Path
) -> None:
    (model / "MLmodel").write_text("flavors: {x}\n")
    (model / "data" / "weights.safetensors").unlink()
    with pytest.raises(IntegrityError, match=r"weights\.safetensors.*MLmodel"):
        model_signature.verify(model, signature, trusted=trusted)


def test_every_byte_of_the_signature_that_is_not_blank_counts(
    model: Path, signature: Path, trusted: Path
) -> None:
    whole = signature.read_bytes()
    signed = json.loads(whole)["dsseEnvelope"]
    start = whole.index(signed["payload"].encode())
    sig = whole.index(signed["signatures"][0]["sig"].encode())
    for position in (*range(start, start + len(signed["payload"]) - 4, 61), sig + 20):
        content = bytearray(whole)
        content[position] = ord("A") if content[position] != ord("A") else ord("B")
        signature.write_bytes(content)
        with pytest.raises(IntegrityError):
            model_signature.verify(model, signature, trusted=trusted)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff", b'{"verificationMaterial":1}'])
def test_what_is_no_signature_is_refused_in_words(
    model: Path, signature: Path, trusted: Path, content: bytes
) -> None:
    signature.write_bytes(content)
    with pytest.raises(IntegrityError, match="not a signature of a model"):
        model_signature.verify(model, signature, trusted=trusted)


def test_an_unknown_key_is_refused(model: Path, signature: Path, tmp_path: Path) -> None:
    (tmp_path / "others").mkdir()
    with pytest.raises(IntegrityError, match="public key is not in"):
        model_signature.verify(model, signature, trusted=tmp_path / "others")


def test_a_key_put_under_a_trusted_name_is_refused(
    model: Path, signature: Path, trusted: Path, tmp_path: Path
) -> None:
    """Otherwise whoever may add files could sign under a name that is trusted already."""
    forged = tmp_path / "forged.sig"
    other = tmp_path / "other"
    model_signature.sign(model, forged, private=other / "k.pem", trusted=other / "trusted")
    (known,) = trusted.glob("*.model.pem")
    (theirs,) = (other / "trusted").glob("*.model.pem")
    known.write_bytes(theirs.read_bytes())
    with pytest.raises(IntegrityError, match="changed or misnamed"):
        model_signature.verify(model, signature, trusted=trusted)


def test_a_key_open_to_others_does_not_sign(
    model: Path, signature: Path, private: Path, trusted: Path
) -> None:
    private.chmod(0o644)
    with pytest.raises(IntegrityError, match="chmod 600"):
        model_signature.sign(model, signature, private=private, trusted=trusted)


def test_a_key_whose_trust_was_withdrawn_does_not_sign(
    model: Path, signature: Path, private: Path, trusted: Path
) -> None:
    for file in trusted.iterdir():
        file.unlink()
    with pytest.raises(IntegrityError, match="put it back"):
        model_signature.sign(model, signature, private=private, trusted=trusted)


def test_a_signature_does_not_go_into_the_model(model: Path, private: Path, trusted: Path) -> None:
    with pytest.raises(ContractError, match="inside the model"):
        model_signature.sign(model, model / "model.sig", private=private, trusted=trusted)


def test_a_link_in_the_model_is_not_signed(
    model: Path, private: Path, trusted: Path, tmp_path: Path
) -> None:
    (model / "link").symlink_to(tmp_path / "keys")
    with pytest.raises(IntegrityError, match="cannot be signed"):
        model_signature.sign(model, tmp_path / "model.sig", private=private, trusted=trusted)
    assert not list(tmp_path.glob("*model.sig*"))
