from __future__ import annotations

import base64
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from securesystemslib.signer import CryptoSigner, Signer, SSlibKey

from hardgate import provenance
from hardgate.errors import IntegrityError, UnavailableError
from hardgate.evidence import keys, signing

PAYLOAD = b'{"x":1}'


@pytest.fixture
def private(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "evidence.pem"


@pytest.fixture
def trusted(private: Path) -> Path:
    return private.parent / "trusted"


@pytest.fixture
def signer(private: Path, trusted: Path) -> Signer:
    return signing.open_signer(f"file2:{private}", trusted=trusted)


@pytest.fixture
def envelope(signer: Signer) -> bytes:
    return signing.sign(PAYLOAD, signer)


def respelled(envelope: bytes, **changes: Any) -> bytes:
    return provenance.canonical_json({**json.loads(envelope), **changes}) + b"\n"


def test_what_was_signed_is_verified_and_names_the_key(
    signer: Signer, envelope: bytes, trusted: Path
) -> None:
    found = signing.verify(envelope, trusted=trusted)
    assert found == signing.Signed(PAYLOAD, (signer.public_key.keyid,))


def test_the_envelope_is_the_one_of_the_dsse_protocol(signer: Signer, envelope: bytes) -> None:
    fields = json.loads(envelope)
    assert base64.b64decode(fields["payload"]) == PAYLOAD
    pae = b"DSSEv1 28 application/vnd.in-toto+json 7 " + PAYLOAD
    signature = base64.b64decode(fields["signatures"][0]["sig"])
    public = signer.public_key.keyval["public"]
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(signature, pae)


def test_the_same_key_is_found_again(signer: Signer, private: Path, trusted: Path) -> None:
    again = signing.open_signer(f"file2:{private}", trusted=trusted)
    assert again.public_key == signer.public_key


def test_a_private_key_open_to_others_is_refused(
    signer: Signer, private: Path, trusted: Path
) -> None:
    private.chmod(0o644)
    with pytest.raises(IntegrityError, match=r"chmod 600 .*evidence\.pem"):
        signing.open_signer(f"file2:{private}", trusted=trusted)


def test_a_path_with_signs_of_an_address_is_a_path(tmp_path: Path) -> None:
    private = tmp_path / "a?b#c" / "key.pem"
    signing.open_signer(f"file2:{private}", trusted=tmp_path / "trusted")
    assert private.is_file()


def test_a_key_whose_trust_was_withdrawn_does_not_sign(
    signer: Signer, private: Path, trusted: Path
) -> None:
    other = private.with_name("other.pem")
    signing.open_signer(f"file2:{other}", trusted=trusted)
    (trusted / f"{signer.public_key.keyid}.pub.pem").unlink()
    with pytest.raises(IntegrityError, match="put it back"):
        signing.open_signer(f"file2:{private}", trusted=trusted)


def test_the_private_key_is_in_no_log_and_no_envelope(
    private: Path, trusted: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    signer = signing.open_signer(f"file2:{private}", trusted=trusted)
    envelope = signing.sign(PAYLOAD, signer)
    signing.verify(envelope, trusted=trusted)
    secret = private.read_text().splitlines()[1]
    assert secret not in caplog.text
    assert secret.encode() not in envelope
    assert secret not in repr(signer)
    assert not any(secret.encode() in file.read_bytes() for file in trusted.iterdir())


def test_an_unknown_key_is_named(envelope: bytes, tmp_path: Path) -> None:
    other = tmp_path / "other" / "trusted"
    signing.open_signer(f"file2:{tmp_path / 'other' / 'key.pem'}", trusted=other)
    keyid = json.loads(envelope)["signatures"][0]["keyid"]
    with pytest.raises(IntegrityError, match=f"{keyid}.*none of them trusted"):
        signing.verify(envelope, trusted=other)


def test_another_payload_under_the_same_signature_is_refused(
    envelope: bytes, trusted: Path
) -> None:
    forged = respelled(envelope, payload=base64.b64encode(b'{"x":2}').decode())
    with pytest.raises(IntegrityError, match="changed after it was signed"):
        signing.verify(forged, trusted=trusted)


def test_another_payload_type_is_refused(envelope: bytes, trusted: Path) -> None:
    with pytest.raises(IntegrityError, match="'text/plain', expected 'application"):
        signing.verify(respelled(envelope, payloadType="text/plain"), trusted=trusted)


def test_no_signature_is_refused(envelope: bytes, trusted: Path) -> None:
    with pytest.raises(IntegrityError, match="signed by no key"):
        signing.verify(respelled(envelope, signatures=[]), trusted=trusted)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"null",
        b"{}",
        b'{"payload":1,"payloadType":"x","signatures":[]}',
        b'{"payload":"eA==","payloadType":1,"signatures":[]}',
        b'{"payload":"eA==","payloadType":"x","signatures":1}',
        b'{"payload":"eA==","payloadType":"x","signatures":[1]}',
        b'{"payload":"eA==","payloadType":"x","signatures":[{"keyid":[],"sig":"eA=="}]}',
        b'{"payload":"eA==","payloadType":"x","signatures":[{"keyid":"x","sig":"?"}]}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_envelope_is_refused_in_words(
    content: bytes, signer: Signer, trusted: Path
) -> None:
    with pytest.raises(IntegrityError, match="not a DSSE envelope"):
        signing.verify(content, trusted=trusted)


@pytest.mark.parametrize(
    "respell",
    [
        lambda content: content + b" ",
        lambda content: content[:-1],
        lambda content: content.replace(b'"payload":', b'"payload": ', 1),
        lambda content: content.replace(b"{", b'{"payloadType":"x",', 1),
        lambda content: content.replace(b"{", b'{"note":"x",', 1),
    ],
)
def test_an_envelope_has_one_spelling_only(respell: Any, envelope: bytes, trusted: Path) -> None:
    with pytest.raises(IntegrityError, match="not spelled"):
        signing.verify(respell(envelope), trusted=trusted)


def two_signatures(signer: Signer, tmp_path: Path) -> tuple[bytes, dict[str, Any]]:
    other = signing.open_signer(
        f"file2:{tmp_path / 'new' / 'key.pem'}", trusted=tmp_path / "new" / "trusted"
    )
    one, two = (json.loads(signing.sign(PAYLOAD, each)) for each in (signer, other))
    return respelled(
        provenance.canonical_json(one), signatures=one["signatures"] + two["signatures"]
    ), two


def test_a_second_signature_by_a_new_key_does_not_disturb(
    signer: Signer, trusted: Path, tmp_path: Path
) -> None:
    envelope, _ = two_signatures(signer, tmp_path)
    for folder in (trusted, tmp_path / "new" / "trusted"):
        assert signing.verify(envelope, trusted=folder).payload == PAYLOAD


def test_a_bad_signature_by_a_trusted_key_spoils_the_good_one(
    signer: Signer, trusted: Path, tmp_path: Path
) -> None:
    envelope, two = two_signatures(signer, tmp_path)
    for file in (tmp_path / "new" / "trusted").iterdir():
        (trusted / file.name).write_bytes(file.read_bytes())
    assert len(signing.verify(envelope, trusted=trusted).keyids) == 2
    one = json.loads(envelope)["signatures"][0]
    bad = {**two["signatures"][0], "sig": one["sig"]}
    with pytest.raises(IntegrityError, match="does not match"):
        signing.verify(respelled(envelope, signatures=[one, bad]), trusted=trusted)


def test_a_folder_without_public_keys_trusts_nobody(envelope: bytes, tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="holds no public key"):
        signing.verify(envelope, trusted=tmp_path)
    with pytest.raises(IntegrityError, match="cannot be read"):
        signing.verify(envelope, trusted=tmp_path / "missing")


def test_a_public_key_under_another_name_is_refused(
    signer: Signer, envelope: bytes, trusted: Path
) -> None:
    path = trusted / f"{signer.public_key.keyid}.pub.pem"
    path.rename(trusted / f"{'0' * 64}.pub.pem")
    with pytest.raises(IntegrityError, match="changed or misnamed"):
        signing.verify(envelope, trusted=trusted)


@pytest.mark.parametrize("name", ["x.pub.pem", "x.key.json"])
def test_a_broken_public_key_is_named(envelope: bytes, trusted: Path, name: str) -> None:
    (trusted / name).write_text("{}")
    with pytest.raises(IntegrityError, match=name.replace(".", r"\.")):
        signing.verify(envelope, trusted=trusted)


@pytest.mark.parametrize(
    "key",
    [
        lambda: ec.generate_private_key(ec.SECP256R1()),
        lambda: ec.generate_private_key(ec.SECP384R1()),
        lambda: rsa.generate_private_key(65537, 2048),
    ],
)
def test_keys_of_other_schemes_verify_without_a_line_of_ours(key: Any, tmp_path: Path) -> None:
    other = CryptoSigner(key())
    public = other.public_key
    (tmp_path / f"{public.keyid}.pub.pem").write_bytes(keys.public_pem(public._crypto_key()))
    envelope = signing.sign(PAYLOAD, other)
    assert signing.verify(envelope, trusted=tmp_path).payload == PAYLOAD


def test_a_scheme_that_pem_cannot_say_is_trusted_as_json(tmp_path: Path) -> None:
    private = rsa.generate_private_key(65537, 2048)
    public = SSlibKey.from_crypto(private.public_key(), keyid="kms-1", scheme="rsa-pkcs1v15-sha256")
    (tmp_path / "kms-1.key.json").write_text(json.dumps(public.to_dict()))
    envelope = signing.sign(PAYLOAD, CryptoSigner(private, public))
    assert signing.verify(envelope, trusted=tmp_path).keyids == ("kms-1",)


def test_a_signer_elsewhere_needs_its_public_key_here(signer: Signer, trusted: Path) -> None:
    with pytest.raises(IntegrityError, match=r"put its public key there as abc\.pub\.pem"):
        signing.open_signer("awskms:alias/hardgate", trusted=trusted, keyid="abc")


@pytest.mark.parametrize("uri", ["awskms:alias/hardgate", "evidence.pem"])
def test_a_signer_that_is_no_file_needs_the_name_of_its_key(
    signer: Signer, trusted: Path, uri: str
) -> None:
    with pytest.raises(IntegrityError, match="HARDGATE_SIGNER_KEYID must name the key") as raised:
        signing.open_signer(uri, trusted=trusted)
    assert signer.public_key.keyid in str(raised.value)
    assert "file2:<path>" in str(raised.value)


@pytest.mark.parametrize("uri", ["nothing:x", "evidence.pem", "awskms:alias/hardgate"])
def test_a_signer_that_cannot_be_used_is_said(signer: Signer, trusted: Path, uri: str) -> None:
    with pytest.raises(UnavailableError, match="signer cannot be used"):
        signing.open_signer(uri, trusted=trusted, keyid=signer.public_key.keyid)
