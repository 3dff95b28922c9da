"""Against the vectors that Certificate Transparency's implementations share, and as properties."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardgate.errors import ContractError
from hardgate.evidence import merkle

LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
PROOF_OF_THE_FIRST_OF_EIGHT = (
    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
)
LEAF_LISTS = st.lists(st.binary(max_size=5), min_size=1, max_size=40)


def grow(leaves: list[bytes]) -> merkle.Tree:
    return merkle.tree(map(merkle.leaf_hash, leaves))


def by_the_definition(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    left, right = by_the_definition(leaves[:split]), by_the_definition(leaves[split:])
    return hashlib.sha256(b"\x01" + left + right).digest()


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_those_of_certificate_transparency(size: int) -> None:
    assert grow(LEAVES[:size]).root.hex() == ROOTS[size - 1]


def test_the_tree_of_nothing_is_the_hash_of_nothing() -> None:
    assert grow([]).root == hashlib.sha256().digest()


def test_a_proof_is_the_one_of_certificate_transparency() -> None:
    proof = grow(LEAVES).proof(0)
    assert tuple(node.hex() for node in proof) == PROOF_OF_THE_FIRST_OF_EIGHT


@given(LEAF_LISTS)
def test_the_root_is_the_one_of_the_definition(leaves: list[bytes]) -> None:
    assert grow(leaves).root == by_the_definition(leaves)


@given(st.lists(st.binary(max_size=5), min_size=1, max_size=40, unique=True), st.data())
def test_every_leaf_is_proven_at_its_place_and_nowhere_else(
    leaves: list[bytes], data: st.DataObject
) -> None:
    tree = grow(leaves)
    index = data.draw(st.integers(0, len(leaves) - 1))
    proof = tree.proof(index)
    assert merkle.includes(tree.root, leaves[index], proof, index=index, size=len(leaves))
    for other in range(-1, len(leaves) + 1):
        found = merkle.includes(tree.root, leaves[index], proof, index=other, size=len(leaves))
        assert found == (other == index)


@given(LEAF_LISTS, st.data())
def test_another_leaf_or_proof_is_not_accepted(leaves: list[bytes], data: st.DataObject) -> None:
    tree, size = grow(leaves), len(leaves)
    index = data.draw(st.integers(0, size - 1))
    proof = list(tree.proof(index))
    assert not merkle.includes(tree.root, leaves[index] + b"x", proof, index=index, size=size)
    assert not merkle.includes(
        tree.root, leaves[index], [*proof, b"x" * 32], index=index, size=size
    )
    if proof:
        assert not merkle.includes(tree.root, leaves[index], proof[:-1], index=index, size=size)
        place = data.draw(st.integers(0, len(proof) - 1))
        proof[place] = bytes([proof[place][0] ^ 1]) + proof[place][1:]
        assert not merkle.includes(tree.root, leaves[index], proof, index=index, size=size)


def test_a_proof_for_another_size_is_not_accepted() -> None:
    tree = grow(LEAVES[:4])
    proof = tree.proof(3)
    assert merkle.includes(tree.root, LEAVES[3], proof, index=3, size=4)
    assert not merkle.includes(tree.root, LEAVES[3], proof, index=1, size=2)
    assert not merkle.includes(tree.root, LEAVES[3], proof, index=0, size=1)


def test_an_inner_node_cannot_pass_as_a_leaf() -> None:
    tree = grow(LEAVES[:4])
    inner = b"".join(tree.levels[0][:2])
    assert not merkle.includes(tree.root, inner, tree.proof(2)[-1:], index=0, size=2)


@pytest.mark.parametrize("index", [-1, 3])
def test_there_is_no_proof_of_a_leaf_that_is_not_there(index: int) -> None:
    with pytest.raises(ContractError, match="no leaf"):
        grow(LEAVES[:3]).proof(index)
