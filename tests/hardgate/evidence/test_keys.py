from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)

from hardgate.errors import IntegrityError, UnavailableError
from hardgate.evidence import keys


def make(folder: Path) -> Path:
    private = folder / "keys" / "evidence.pem"
    keys.ensure(
        private,
        trusted=folder / "keys" / "trusted",
        generate=Ed25519PrivateKey.generate,
        name=lambda public: f"{keys.public_pem(public).hex()[64:96]}.pub.pem",
    )
    return private


def read(private: Path) -> Ed25519PrivateKey:
    return keys.read_private(private, Ed25519PrivateKey)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_key_is_made_on_first_use_for_its_owner_alone(tmp_path: Path) -> None:
    private = make(tmp_path)
    assert mode(private) == 0o600
    assert mode(private.parent) == 0o700
    (public,) = (private.parent / "trusted").iterdir()
    assert mode(public) == 0o644
    assert public.read_bytes() == keys.public_pem(read(private).public_key())


def test_the_second_use_finds_the_same_key(tmp_path: Path) -> None:
    first = make(tmp_path).read_bytes()
    assert make(tmp_path).read_bytes() == first


def test_processes_that_arrive_at_once_end_with_one_pair(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: make(tmp_path).read_bytes(), range(24)))
    assert len(made) == 1
    (public,) = (tmp_path / "keys" / "trusted").iterdir()
    assert public.read_bytes() == keys.public_pem(read(make(tmp_path)).public_key())
    assert {path.name for path in (tmp_path / "keys").iterdir()} == {"evidence.pem", "trusted"}


def test_trust_that_was_withdrawn_is_not_given_back(tmp_path: Path) -> None:
    private = make(tmp_path)
    (public,) = (private.parent / "trusted").iterdir()
    public.unlink()
    make(tmp_path)
    assert not public.exists()


@pytest.mark.parametrize("open_mode", [0o640, 0o604, 0o660, 0o601, 0o644])
def test_a_private_key_open_to_others_is_refused(tmp_path: Path, open_mode: int) -> None:
    private = make(tmp_path)
    private.chmod(open_mode)
    with pytest.raises(IntegrityError, match=rf"open to others.*{open_mode:04o}.*chmod 600"):
        read(private)


def test_a_key_reached_by_a_link_is_judged_by_the_file_itself(tmp_path: Path) -> None:
    private = make(tmp_path)
    private.chmod(0o644)
    link = private.parent / "link.pem"
    link.symlink_to(private)
    with pytest.raises(IntegrityError, match="open to others"):
        read(link)


def test_a_folder_in_which_others_could_swap_keys_is_refused(tmp_path: Path) -> None:
    private = make(tmp_path)
    private.parent.chmod(0o770)
    with pytest.raises(IntegrityError, match="chmod go-w"):
        read(private)


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match=r"evidence\.pem cannot be read"):
        read(tmp_path / "evidence.pem")


def test_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    private = make(tmp_path)
    private.write_bytes(keys.private_pem(ec.generate_private_key(ec.SECP256R1())))
    with pytest.raises(IntegrityError, match="expected Ed25519PrivateKey"):
        read(private)


def test_an_encrypted_key_is_refused_in_words(tmp_path: Path) -> None:
    private = make(tmp_path)
    content = read(private).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")
    )
    private.write_bytes(content)
    with pytest.raises(IntegrityError, match="encrypted"):
        read(private)


def test_a_broken_key_is_refused_without_quoting_it(tmp_path: Path) -> None:
    private = make(tmp_path)
    lines = private.read_text().splitlines()
    private.write_text("\n".join([lines[0], lines[1][:-8], lines[2]]))
    with pytest.raises(IntegrityError) as refusal:
        read(private)
    assert lines[1][:16] not in str(refusal.value)
    assert refusal.value.__cause__ is None


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("a file where the folder should be")
    with pytest.raises(UnavailableError, match="cannot be made"):
        make(tmp_path)
