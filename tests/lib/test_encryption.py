"""Secrets are stored encrypted, and whatever was changed or moved cannot be read."""

import base64
import hashlib
import hmac
import sys

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, strategies as st

from guestbook.lib import encryption
from guestbook.lib.encryption import CannotDecrypt, Keyring, Unreadable

KEY, OLD_KEY = "a secret key for tests alone", "the key of the year before"
RING = Keyring((KEY,))


@given(st.text(max_size=200), st.text(min_size=1, max_size=50))
def test_any_text_comes_back_and_is_never_stored_twice_alike(text: str, key: str) -> None:
    ring = Keyring((key,))
    stored = ring.encrypt(text, "webhook secret")
    assert ring.decrypt(stored, "webhook secret") == text
    assert ring.encrypt(text, "webhook secret") != stored
    assert text not in stored or len(text) < 5
    assert stored.isascii()


def test_the_cipher_is_aes_gcm_under_a_key_of_hkdf() -> None:
    """Computed anew from RFC 5869 and SP 800-38D, so that another program can read a book."""
    _, key_id, written = RING.encrypt("whsec_1", "webhook secret").split(".")
    assert key_id == hmac.digest(KEY.encode(), b"guestbook key id", "sha256").hex()[:8]
    extracted = hmac.digest(bytes(32), KEY.encode(), hashlib.sha256)
    derived = hmac.digest(extracted, b"guestbook secrets 1\x01", hashlib.sha256)
    sealed = base64.urlsafe_b64decode(written + "=" * (-len(written) % 4))
    assert AESGCM(derived).decrypt(sealed[:12], sealed[12:], b"webhook secret") == b"whsec_1"


def test_no_other_key_purpose_or_value_gives_it_back() -> None:
    stored = RING.encrypt("whsec_1", "webhook secret")
    with pytest.raises(CannotDecrypt, match="secret key is not the one"):
        Keyring((OLD_KEY,)).decrypt(stored, "webhook secret")
    with pytest.raises(CannotDecrypt, match="secret key is not the one"):
        Keyring().decrypt(stored, "webhook secret")
    with pytest.raises(CannotDecrypt, match="damaged"):
        RING.decrypt(stored, "webhook header")
    for place in range(len("enc1.00000000."), len(stored) - 1):  # the last digit has bits that do not count
        other = "A" if stored[place] != "A" else "B"
        with pytest.raises(CannotDecrypt, match="damaged"):
            RING.decrypt(stored[:place] + other + stored[place + 1 :], "webhook secret")


def test_older_keys_still_decrypt_and_the_first_one_encrypts() -> None:
    both, stored = Keyring((KEY, OLD_KEY)), Keyring((OLD_KEY,)).encrypt("whsec_1", "p")
    assert both.decrypt(stored, "p") == "whsec_1"
    assert (both.is_current(stored), both.is_current(RING.encrypt("x", "p"))) == (False, True)
    assert RING.decrypt(both.encrypt("whsec_2", "p"), "p") == "whsec_2"
    assert (both.has(encryption.key_id_of(OLD_KEY)), RING.has(encryption.key_id_of(OLD_KEY))) == (True, False)


@pytest.mark.parametrize("text", ["whsec_1", "", "enc1.", "enc1.abc.x", "enc1.00000000.short", "é" * 100])
def test_what_was_never_encrypted_is_read_as_it_is(text: str) -> None:
    assert RING.decrypt(text, "p") == text
    assert not RING.is_current(text)


def test_what_cannot_be_decrypted_is_no_secret_and_is_stored_again_as_it_was() -> None:
    stored = Keyring((OLD_KEY,)).encrypt("whsec_1", "p")
    found = RING.read(stored, "p")
    assert isinstance(found, Unreadable)
    assert str(found) == "(unreadable)"
    assert RING.encrypt(found, "p") == stored
    assert encryption.readable(found) is None
    assert encryption.readable("whsec_1") == "whsec_1"


def test_without_the_package_secrets_are_stored_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = RING.encrypt("whsec_1", "p")
    encryption.has_package.cache_clear()
    try:
        with monkeypatch.context() as without:
            without.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers", None)
            assert RING.encrypt("whsec_1", "p") == "whsec_1"
            assert not RING.is_current(stored)
            with pytest.raises(CannotDecrypt, match="cryptography is not installed"):
                RING.decrypt(stored, "p")
            assert RING.decrypt("whsec_1", "p") == "whsec_1"
    finally:
        encryption.has_package.cache_clear()
    assert RING.decrypt(stored, "p") == "whsec_1"
