"""A sealed text comes back with its key alone, and whole or not at all."""

import base64

import pytest

from guestbook.lib import encryption

KEY = b"k" * 32


@pytest.mark.parametrize("text", ["", "a", "Zoë 🦋\0", "x" * 100_000])
def test_a_text_comes_back(text: str) -> None:
    sealed = encryption.seal(KEY, text)
    assert sealed.isascii()
    assert encryption.unseal(KEY, sealed) == text


def test_the_same_text_is_sealed_differently_each_time() -> None:
    assert encryption.seal(KEY, "hello") != encryption.seal(KEY, "hello")


def test_another_key_and_any_change_are_noticed() -> None:
    sealed = base64.b64decode(encryption.seal(KEY, "hello"))
    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises(encryption.SealBroken):
            encryption.unseal(KEY, base64.b64encode(changed).decode())
    with pytest.raises(encryption.SealBroken):
        encryption.unseal(b"l" * 32, base64.b64encode(sealed).decode())
