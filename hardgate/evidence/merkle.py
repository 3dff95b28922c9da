"""Merkle tree hashes and inclusion proofs, as Certificate Transparency has them.

RFC 6962, section 2.1, and RFC 9162, section 2.1.3.2 (how to verify a proof). Leaves and inner
nodes are hashed with different first bytes, so that no inner node can be passed off as a leaf.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hardgate.errors import ContractError


def leaf_hash(leaf: bytes) -> bytes:
    """Hash the bytes of one leaf."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def _node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True)
class Tree:
    """A tree over leaf hashes: ``levels[0]`` are the leaves, the last level is the root alone."""

    levels: tuple[tuple[bytes, ...], ...]

    @property
    def size(self) -> int:
        """How many leaves."""
        return len(self.levels[0])

    @property
    def root(self) -> bytes:
        """The Merkle tree hash; of no leaves at all, the hash of nothing."""
        return self.levels[-1][0] if self.size else hashlib.sha256().digest()

    def proof(self, index: int) -> tuple[bytes, ...]:
        """List the siblings on the way from a leaf to the root.

        Raises
        ------
        ContractError
            If there is no such leaf.
        """
        if not 0 <= index < self.size:
            raise ContractError(f"there is no leaf {index} in a tree of {self.size}")
        siblings = []
        for level in self.levels[:-1]:
            if index ^ 1 < len(level):
                siblings.append(level[index ^ 1])
            index //= 2
        return tuple(siblings)


def tree(leaf_hashes: Iterable[bytes]) -> Tree:
    """Build the tree level by level; a node without a neighbour moves up as it is.

    This gives the RFC's tree, which splits at the largest power of two below the size.
    """
    levels = [tuple(leaf_hashes)]
    while len(levels[-1]) > 1:
        below = levels[-1]
        above = [
            _node_hash(left, right) for left, right in zip(below[::2], below[1::2], strict=False)
        ]
        levels.append((*above, *below[len(above) * 2 :]))
    return Tree(tuple(levels))


def includes(root: bytes, leaf: bytes, proof: Sequence[bytes], *, index: int, size: int) -> bool:
    """Tell whether ``leaf`` is number ``index`` of the ``size`` leaves under ``root``."""
    if not 0 <= index < size:
        return False
    node, last = leaf_hash(leaf), size - 1
    for sibling in proof:
        if last == 0:
            return False
        if index % 2 or index == last:
            node = _node_hash(sibling, node)
            while index % 2 == 0 and index:
                index, last = index // 2, last // 2
        else:
            node = _node_hash(node, sibling)
        index, last = index // 2, last // 2
    return last == 0 and node == root
