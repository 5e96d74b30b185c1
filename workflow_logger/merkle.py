"""The Merkle tree of RFC 6962 section 2.1 over byte strings (FORMAT.md 4). Pure.

Leaf hash: SHA-256(0x00 || leaf). Node hash: SHA-256(0x01 || left || right). The root of no leaves
is SHA-256 of nothing. `Frontier` keeps only what is needed to append and to give the root;
`Tree` keeps every complete subtree, so that it can prove inclusion and consistency.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final

EMPTY_ROOT: Final = sha256(b"").digest()
HASH_BYTES: Final = 32
_SIZE_BYTES: Final = 8


def leaf_hash(leaf: bytes) -> bytes:
    """Return the hash of one leaf."""
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return sha256(b"\x01" + left + right).digest()


class Frontier:
    """The right edge of a growing tree: one hash for each set bit of its size.

    `append` costs two hashes on average and keeps at most 64 of them.
    """

    __slots__ = ("_edge", "_size")

    def __init__(self) -> None:
        self._size = 0
        self._edge: list[bytes] = []

    @property
    def size(self) -> int:
        """How many leaves the tree has."""
        return self._size

    def append(self, leaf: bytes) -> None:
        """Add `leaf` (an entry's line without its newline)."""
        digest = sha256(b"\x00" + leaf).digest()
        size = self._size
        edge = self._edge
        while size & 1:
            digest = sha256(b"\x01" + edge.pop() + digest).digest()
            size >>= 1
        edge.append(digest)
        self._size += 1

    def root(self) -> bytes:
        """Return the root, 32 bytes."""
        if not self._edge:
            return EMPTY_ROOT
        digest = self._edge[-1]
        for left in self._edge[-2::-1]:
            digest = node_hash(left, digest)
        return digest

    def copy(self) -> Frontier:
        """Return an independent frontier of the same tree."""
        twin = Frontier()
        twin._size, twin._edge = self._size, list(self._edge)
        return twin

    def to_bytes(self) -> bytes:
        """Return the size as 8 bytes, big-endian, then the hashes from the widest subtree."""
        return self._size.to_bytes(_SIZE_BYTES, "big") + b"".join(self._edge)

    @classmethod
    def from_bytes(cls, data: bytes) -> Frontier:
        """Return the frontier that `to_bytes` wrote. Raises ValueError."""
        size = int.from_bytes(data[:_SIZE_BYTES], "big")
        expected = _SIZE_BYTES + HASH_BYTES * size.bit_count()
        if len(data) != expected:
            raise ValueError(f"a frontier of {size} leaves has {expected} bytes, got {len(data)}")
        frontier = cls()
        frontier._size = size
        frontier._edge = [
            data[start : start + HASH_BYTES] for start in range(_SIZE_BYTES, expected, HASH_BYTES)
        ]
        return frontier


class Tree:
    """A whole tree, for proofs: about 64 bytes of hashes a leaf."""

    __slots__ = ("_levels",)

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        self._levels: list[list[bytes]] = [[]]
        for leaf in leaves:
            self.append(leaf)

    @property
    def size(self) -> int:
        """How many leaves the tree has."""
        return len(self._levels[0])

    def append(self, leaf: bytes) -> None:
        """Add `leaf`."""
        self._levels[0].append(leaf_hash(leaf))
        level = 0
        while len(self._levels[level]) % 2 == 0:
            pair = self._levels[level][-2:]
            if len(self._levels) == level + 1:
                self._levels.append([])
            self._levels[level + 1].append(node_hash(*pair))
            level += 1

    def root(self, size: int | None = None) -> bytes:
        """Return the root of the first `size` leaves (all of them by default)."""
        end = self.size if size is None else size
        if not 0 <= end <= self.size:
            raise ValueError(f"the tree has {self.size} leaves, not {end}")
        return self._subtree(0, end) if end else EMPTY_ROOT

    def _subtree(self, start: int, end: int) -> bytes:
        """Return the hash over leaves [start, end); `start` is a multiple of its width."""
        width = end - start
        if width & (width - 1) == 0:
            level = width.bit_length() - 1
            return self._levels[level][start >> level]
        split = _split(width)
        return node_hash(self._subtree(start, start + split), self._subtree(start + split, end))

    def inclusion_proof(self, index: int, size: int | None = None) -> list[bytes]:
        """Prove that leaf `index` is in the tree of the first `size` leaves (RFC 6962 2.1.1)."""
        end = self.size if size is None else size
        if not 0 <= index < end <= self.size:
            raise ValueError(f"no leaf {index} in a tree of {end} of {self.size} leaves")
        proof: list[bytes] = []
        start = 0
        while end - start > 1:
            split = start + _split(end - start)
            if index < split:
                proof.append(self._subtree(split, end))
                end = split
            else:
                proof.append(self._subtree(start, split))
                start = split
        return proof[::-1]

    def consistency_proof(self, old: int, size: int | None = None) -> list[bytes]:
        """Prove that the tree of `old` leaves is a prefix of the tree of `size` (2.1.2)."""
        end = self.size if size is None else size
        if not 0 <= old <= end <= self.size:
            raise ValueError(f"no trees of {old} and {end} leaves in {self.size}")
        if old in (0, end):
            return []
        proof: list[bytes] = []
        start, known = 0, True
        while old != end - start or not known:
            width = end - start
            if old == width:
                proof.append(self._subtree(start, end))
                break
            split = _split(width)
            if old <= split:
                proof.append(self._subtree(start + split, end))
                end = start + split
            else:
                proof.append(self._subtree(start, start + split))
                start, old, known = start + split, old - split, False
        return proof[::-1]


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> bool:
    """Return whether `proof` shows that `leaf` is number `index` of `size` under `root`."""
    if not 0 <= index < size:
        return False
    node, last, digest = index, size - 1, leaf_hash(leaf)
    for sibling in proof:
        if last == 0:
            return False
        if node & 1 or node == last:
            digest = node_hash(sibling, digest)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            digest = node_hash(digest, sibling)
        node >>= 1
        last >>= 1
    return last == 0 and digest == root


def verify_consistency(
    old: int, size: int, old_root: bytes, root: bytes, proof: Sequence[bytes]
) -> bool:
    """Return whether `proof` shows that `old_root` (of `old` leaves) is a prefix of `root`."""
    if not 0 <= old <= size:
        return False
    if old == size:
        return not proof and old_root == root
    if old == 0:
        return not proof and old_root == EMPTY_ROOT
    if not proof:
        return False
    return _fold_consistency(old, size, old_root, root, proof)


def _fold_consistency(
    old: int, size: int, old_root: bytes, root: bytes, proof: Sequence[bytes]
) -> bool:
    # RFC 9162 section 2.1.4.2: both roots are folded from the same hashes.
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    node, last = old - 1, size - 1
    while node & 1:
        node >>= 1
        last >>= 1
    old_digest = digest = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            old_digest = node_hash(sibling, old_digest)
            digest = node_hash(sibling, digest)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            digest = node_hash(digest, sibling)
        node >>= 1
        last >>= 1
    return last == 0 and old_digest == old_root and digest == root


def _split(width: int) -> int:
    """Return the largest power of two below `width` (width >= 2)."""
    return 1 << ((width - 1).bit_length() - 1)
