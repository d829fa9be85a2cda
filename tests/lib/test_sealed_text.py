"""A sealed text comes back with its key alone, and whole or not at all."""

import base64

import pytest

from guestbook.lib import sealed_text

KEY = b"k" * 32


@pytest.mark.parametrize("text", ["", "a", "Zoë 🦋\0", "x" * 100_000])
def test_a_text_comes_back(text: str) -> None:
    sealed = sealed_text.seal(KEY, text)
    assert sealed.isascii()
    assert sealed_text.unseal(KEY, sealed) == text


def test_the_same_text_is_sealed_differently_each_time() -> None:
    assert sealed_text.seal(KEY, "hello") != sealed_text.seal(KEY, "hello")


def test_another_key_and_any_change_are_noticed() -> None:
    sealed = base64.b64decode(sealed_text.seal(KEY, "hello"))
    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises(sealed_text.SealBroken):
            sealed_text.unseal(KEY, base64.b64encode(changed).decode())
    with pytest.raises(sealed_text.SealBroken):
        sealed_text.unseal(b"l" * 32, base64.b64encode(sealed).decode())
