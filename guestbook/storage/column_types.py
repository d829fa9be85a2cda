"""The types of the tables' columns: Python values for text that all three databases store alike.

Secrets are encrypted on their way to the table, and decrypted on their way back, with the engine's keyring.
"""

import json
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, String, Text, TypeDecorator

from guestbook.lib import clock
from guestbook.lib.encryption import NO_KEYS_KNOWN, Keyring

UNREADABLE = "(not JSON)"  # the name under which a broken object shows its text
KEYRING = "guestbook_keyring"  # the attribute of an engine's dialect, the only part of it that types see
LONG_TEXT = Text().with_variant(Text(4_000_000), "mysql", "mariadb")  # where TEXT alone ends at 64 KiB


class UtcTime(TypeDecorator[datetime]):
    """An aware datetime in Python, `2026-01-31T23:59:59.123Z` in the table."""

    impl = String(24)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> str | None:  # noqa: ARG002  SQLAlchemy's signature
        """Turn a datetime into the table's text."""
        return None if value is None else clock.to_text(value)

    def process_result_value(self, value: str | None, dialect: Any) -> datetime | None:  # noqa: ARG002
        """Turn the table's text into a datetime; text garbled by hand becomes one long ago."""
        return None if value is None else clock.stored(value)


class Json(TypeDecorator[dict[str, str]]):
    """A flat object of names and values in Python, JSON text in the table."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: dict[str, str] | None, dialect: Any) -> str | None:  # noqa: ARG002
        """Turn a dict into the table's text."""
        return None if value is None else json.dumps(value)

    def process_result_value(self, value: str | None, dialect: Any) -> dict[str, str] | None:  # noqa: ARG002
        """Turn the table's text into a dict; text broken by hand can still be seen in it."""
        if value is None:
            return None
        try:
            return {str(name): str(text) for name, text in json.loads(value).items()}
        except (ValueError, AttributeError, RecursionError):
            return {UNREADABLE: value}


class Encrypted(TypeDecorator[str]):
    """A secret in Python, its encrypted form in the table. One that cannot be decrypted is an Unreadable."""

    impl = Text
    cache_ok = True

    def __init__(self, purpose: str) -> None:
        super().__init__()
        self.purpose = purpose

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:
        """Encrypt a secret."""
        return None if value is None else _keyring(dialect).encrypt(value, self.purpose)

    def process_result_value(self, value: str | None, dialect: Any) -> str | None:
        """Decrypt the table's text; one that was never encrypted stays as it is."""
        return None if value is None else _keyring(dialect).read(value, self.purpose)


class EncryptedValues(Json):
    """A flat object of names and secret values in Python, JSON text with encrypted values in the table."""

    cache_ok = True

    def __init__(self, purpose: str) -> None:
        super().__init__()
        self.purpose = purpose

    def process_bind_param(self, value: dict[str, str] | None, dialect: Any) -> str | None:
        """Encrypt the values."""
        if not value or UNREADABLE in value:
            return super().process_bind_param(value, dialect)
        sealed = {name: _keyring(dialect).encrypt(text, self.purpose) for name, text in value.items()}
        return super().process_bind_param(sealed, dialect)

    def process_result_value(self, value: str | None, dialect: Any) -> dict[str, str] | None:
        """Decrypt the values."""
        found = super().process_result_value(value, dialect)
        return found and {name: _keyring(dialect).read(text, self.purpose) for name, text in found.items()}


def use_keyring(engine: Engine, keyring: Keyring) -> None:
    """Let the engine's connections encrypt and decrypt with these keys."""
    setattr(engine.dialect, KEYRING, keyring)


def keyring_of(bind: Engine | Connection) -> Keyring:
    """Return the keys of a connection or an engine."""
    return _keyring(bind.dialect)


def _keyring(dialect: Any) -> Keyring:
    found: Keyring = getattr(dialect, KEYRING, NO_KEYS_KNOWN)
    return found
