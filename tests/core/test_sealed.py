"""Sealed values: readable with the key, in their place, unchanged; and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gesso.core.sealed import SealBroken, Sealer, hash_token, token

OLD, NEW = Sealer("the first secret of the site, long enough"), "another secret of the site, long enough"


@given(st.binary(max_size=200))
def test_a_value_opens_again_and_does_not_show(value: bytes) -> None:
    sealed = OLD.seal(value, "connection:fal")
    assert OLD.open(sealed, "connection:fal") == value
    assert len(value) < 8 or value not in sealed


def test_moved_changed_or_foreign_values_do_not_open() -> None:
    sealed = OLD.seal(b"key-id:key-secret", "connection:fal")
    changed = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for opener, value, place in (
        (OLD, sealed, "connection:other"),
        (OLD, changed, "connection:fal"),
        (Sealer(NEW), sealed, "connection:fal"),
        (OLD, b"", "connection:fal"),
    ):
        with pytest.raises(SealBroken) as caught:
            opener.open(value, place)
        assert "secret" not in str(caught.value).replace("secret of", "")


def test_after_a_rotation_old_values_open_and_new_ones_use_the_new_key() -> None:
    sealed = OLD.seal(b"value", "x")
    rotated = Sealer(NEW, "the first secret of the site, long enough")
    assert rotated.open(sealed, "x") == b"value"
    assert rotated.key_id() == Sealer(NEW).key_id() != OLD.key_id()


def test_tokens_are_long_and_their_hashes_short() -> None:
    assert len({token() for _ in range(1000)}) == 1000
    assert len(token()) == 43
    assert len(hash_token("x")) == 32
