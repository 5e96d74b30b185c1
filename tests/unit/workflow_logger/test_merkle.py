from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_logger.merkle import (
    EMPTY_ROOT,
    Frontier,
    Tree,
    leaf_hash,
    node_hash,
    verify_consistency,
    verify_inclusion,
)

MOST = 130
LEAVES = [index.to_bytes(2, "big") for index in range(MOST)]
TREE = Tree(LEAVES)

# The eight leaves and the roots that RFC 6962 implementations share as test vectors.
RFC_LEAVES = [
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
RFC_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def naive_root(leaves: list[bytes]) -> bytes:
    """RFC 6962 section 2.1, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaf_hash(leaves[0])
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(naive_root(leaves[:split]), naive_root(leaves[split:]))


def test_the_public_test_vectors_hold() -> None:
    frontier = Frontier()
    for leaf, root in zip(RFC_LEAVES, RFC_ROOTS, strict=True):
        frontier.append(leaf)
        assert frontier.root().hex() == root


def test_the_empty_tree_has_the_hash_of_nothing_as_its_root() -> None:
    assert Frontier().root() == Tree().root() == EMPTY_ROOT == sha256(b"").digest()


@pytest.mark.parametrize("size", range(MOST + 1))
def test_frontier_tree_and_definition_agree_on_every_root(size: int) -> None:
    frontier = Frontier()
    for leaf in LEAVES[:size]:
        frontier.append(leaf)
    assert frontier.root() == TREE.root(size) == naive_root(LEAVES[:size])
    again = Frontier.from_bytes(frontier.to_bytes())
    again.append(b"next")
    frontier.append(b"next")
    assert (again.size, again.root()) == (frontier.size, frontier.root())


def test_a_copied_frontier_grows_alone() -> None:
    frontier = Frontier()
    frontier.append(b"one")
    twin = frontier.copy()
    twin.append(b"two")
    assert (frontier.size, twin.size) == (1, 2)
    assert frontier.root() == leaf_hash(b"one")


@pytest.mark.parametrize("data", [b"", b"\0" * 7, b"\0" * 7 + b"\1", b"\0" * 8 + b"x" * 32])
def test_a_frontier_of_the_wrong_length_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="frontier"):
        Frontier.from_bytes(data)


@pytest.mark.parametrize("size", range(1, MOST + 1))
def test_every_inclusion_proof_verifies_and_no_other_leaf_does(size: int) -> None:
    root = TREE.root(size)
    for index in range(size):
        proof = TREE.inclusion_proof(index, size)
        assert verify_inclusion(LEAVES[index], index, size, proof, root)
        assert not verify_inclusion(b"other", index, size, proof, root)
        assert not verify_inclusion(LEAVES[index], (index + 1) % (size + 1), size, proof, root)


@pytest.mark.parametrize("size", range(MOST + 1))
def test_every_consistency_proof_verifies_and_no_other_root_does(size: int) -> None:
    root = TREE.root(size)
    other = sha256(b"other").digest()
    for old in range(size + 1):
        proof = TREE.consistency_proof(old, size)
        assert verify_consistency(old, size, TREE.root(old), root, proof)
        assert not verify_consistency(old, size, other, root, proof)
        if old < size and old:
            assert not verify_consistency(old, size, TREE.root(old), other, proof)


@given(st.data())
@pytest.mark.slow
def test_any_changed_proof_is_refused(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, MOST))
    index = data.draw(st.integers(0, size - 1))
    proof = TREE.inclusion_proof(index, size)
    place = data.draw(st.integers(0, len(proof) - 1))
    changed = list(proof)
    changed[place] = sha256(changed[place]).digest()
    root = TREE.root(size)
    assert not verify_inclusion(LEAVES[index], index, size, changed, root)
    assert not verify_inclusion(LEAVES[index], index, size, proof[:-1], root)
    assert not verify_inclusion(LEAVES[index], index, size, [*proof, proof[0]], root)


@given(st.lists(st.binary(max_size=4), max_size=40), st.lists(st.binary(max_size=4), max_size=40))
@pytest.mark.slow
def test_two_different_lists_never_share_a_root(one: list[bytes], two: list[bytes]) -> None:
    assert (Tree(one).root() == Tree(two).root()) == (one == two)


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0), (0, MOST + 1)])
def test_a_proof_of_a_leaf_that_is_not_there_is_refused(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="no leaf"):
        TREE.inclusion_proof(index, size)
    assert not verify_inclusion(b"", index, min(size, 3), [], EMPTY_ROOT)
