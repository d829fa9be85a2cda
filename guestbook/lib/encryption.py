"""Encrypt secrets to store them: AES-256-GCM, its key derived from the secret key by HKDF (RFC 5869). Pure.

A stored value is `enc1.`, the id of its key, a dot, and the base64 of the nonce and the ciphertext. Its
purpose, with the row's key, is authenticated with it: a copy in another row or column cannot be read. The
package cryptography computes. It is imported with the first secret, because that takes as long as a page. A
host without a wheel of it stores secrets as they are, and doctor says so.
"""

import base64
import binascii
import hmac
import re
import secrets
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

PREFIX_OF_ENCRYPTED = "enc1."
ENCRYPTED = re.compile(r"enc1\.([0-9a-f]{8})\.([A-Za-z0-9_-]{38,})")
NONCE_LENGTH = 12  # bytes, as NIST SP 800-38D advises
CIPHER_KEY_LENGTH = 32  # bytes
KEY_ID_DIGITS = 8
UNREADABLE_SECRET = "(unreadable)"  # too short for a secret, so nothing is ever signed with it
EXTRA_OF_ENCRYPTION = "encryption"  # the extra of setup.cfg that has the package
NO_PACKAGE = "The package cryptography is not installed, so secrets cannot be decrypted."
NO_MEMORY_WORDS = ("allocate memory", "failed to map segment")  # words of the dynamic linker
OTHER_KEY = "The secret key is not the one with which this was encrypted."
DAMAGED_VALUE = "The encrypted value is damaged, or it belongs to another row or column."


def of_row(purpose: str, key: str) -> str:
    """Return the purpose of a secret that is good in one row alone."""
    return f"{purpose} of {key}"


class CannotDecrypt(ValueError):
    """A stored value cannot be read; the sentence says why."""


class Unreadable(str):
    """A secret that cannot be decrypted now. It is shown as these words, and stored again as it was."""

    __slots__ = ("stored",)
    stored: str

    def __new__(cls, stored: str) -> "Unreadable":
        """Keep the stored value beside the words."""
        made = super().__new__(cls, UNREADABLE_SECRET)
        made.stored = stored
        return made


@dataclass(frozen=True, slots=True, repr=False)
class Keyring:
    """The secret key, and those before it, with which values may still be encrypted. Nothing shows them."""

    _keys: tuple[str, ...] = ()

    @property
    def can_encrypt(self) -> bool:
        """Whether there are a key and the package."""
        return bool(self._keys) and has_package()

    def encrypt(self, text: str, purpose: str) -> str:
        """Return what to store of a secret: encrypted where this host can do it, else as it is."""
        if isinstance(text, Unreadable):
            return text.stored
        if not self.can_encrypt:
            return text
        key_id, nonce = key_id_of(self._keys[0]), secrets.token_bytes(NONCE_LENGTH)
        sealed = nonce + _cipher(self._keys[0]).encrypt(nonce, text.encode(), purpose.encode())
        written = base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()
        return f"{PREFIX_OF_ENCRYPTED}{key_id}.{written}"

    def decrypt(self, stored: str, purpose: str) -> str:
        """Return the secret; one that was never encrypted is returned as it is. Raises CannotDecrypt."""
        found = ENCRYPTED.fullmatch(stored)
        if found is None:
            return stored
        if not has_package():
            raise CannotDecrypt(NO_PACKAGE)
        key = next((one for one in self._keys if key_id_of(one) == found[1]), None)
        if key is None:
            raise CannotDecrypt(OTHER_KEY)
        from cryptography.exceptions import InvalidTag

        try:
            sealed = base64.urlsafe_b64decode(found[2] + "=" * (-len(found[2]) % 4))
            nonce, text = sealed[:NONCE_LENGTH], sealed[NONCE_LENGTH:]
            opened: bytes = _cipher(key).decrypt(nonce, text, purpose.encode())
            return opened.decode()
        except (InvalidTag, binascii.Error, UnicodeDecodeError):
            raise CannotDecrypt(DAMAGED_VALUE) from None

    def read(self, stored: str, purpose: str) -> str:
        """Return the secret, or an Unreadable in its place."""
        try:
            return self.decrypt(stored, purpose)
        except CannotDecrypt:
            return Unreadable(stored)

    def is_current(self, stored: str) -> bool:
        """Whether a value is encrypted with the secret key, and not with an older one or not at all."""
        found = ENCRYPTED.fullmatch(stored)
        return found is not None and self.can_encrypt and found[1] == key_id_of(self._keys[0])

    def has(self, key_id: str) -> bool:
        """Whether a key of that id is here."""
        return any(key_id_of(key) == key_id for key in self._keys)


def readable(secret: str | None) -> str | None:
    """Return the secret, or None in the place of one that cannot be decrypted."""
    return None if isinstance(secret, Unreadable) else secret


NO_KEYS_KNOWN = Keyring()


@lru_cache(maxsize=1)
def has_package() -> bool:
    """Whether the package is here; raises MemoryError where a limit of the host keeps it from loading."""
    try:
        from cryptography.hazmat.primitives.ciphers import aead  # noqa: F401  only whether it loads
    except ImportError as error:
        if any(words in str(error) for words in NO_MEMORY_WORDS):
            raise MemoryError from error
        return False
    return True


@lru_cache(maxsize=32)
def key_id_of(secret_key: str) -> str:
    """Return the id of a secret key, eight hexadecimal digits, which do not reveal it."""
    return hmac.digest(secret_key.encode(), b"guestbook key id", "sha256").hex()[:KEY_ID_DIGITS]


@lru_cache(maxsize=32)
def _cipher(secret_key: str) -> Any:
    """Derive the cipher of a secret key."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    derived = HKDF(SHA256(), CIPHER_KEY_LENGTH, salt=None, info=b"guestbook secrets 1")
    return AESGCM(derived.derive(secret_key.encode()))
