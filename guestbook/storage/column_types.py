"""The types of the tables' columns: Python values for text that all three databases store alike.

Secrets are encrypted on their way to the table, and decrypted on their way back, with the engine's keyring
and for their row alone: a query brings the row's id along, and a flush gives it to each secret.
"""

import json
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, Engine, ForeignKey, String, Text, TypeDecorator, event, type_coerce
from sqlalchemy.orm import MappedColumn, mapped_column

from guestbook.lib import clock, ids
from guestbook.lib.encryption import NO_KEYS_KNOWN, Keyring, Unreadable, of_row

UNREADABLE = "(not JSON)"  # the name under which a broken object shows its text
KEYRING = "guestbook_keyring"  # the attribute of an engine's dialect, the only part of it that types see
LONG_TEXT = Text().with_variant(Text(4_000_000), "mysql", "mariadb")  # on MariaDB TEXT alone ends at 64 KiB


def belongs_to(
    table: str, name: str, *, primary_key: bool = False, ondelete: str = "CASCADE"
) -> MappedColumn[Any]:
    """Return a column with the id of a row of another table; with that row it is deleted."""
    return mapped_column(ForeignKey(f"{table}.id", name=name, ondelete=ondelete), primary_key=primary_key)


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


class RowSecret(str):
    """A secret on its way to the row with that id."""

    __slots__ = ("row_id",)
    row_id: str


class RowSecrets(dict[str, str]):
    """Names and secret values on their way to the row with that id."""

    row_id: str


class Encrypted(TypeDecorator[Any]):
    """A secret in Python, its encrypted form in the table. One that cannot be decrypted is an Unreadable.

    With `values` it is a flat object of names and secrets, in the table JSON text with encrypted values.
    """

    impl = Text
    cache_ok = True

    def __init__(self, purpose: str, *, values: bool = False) -> None:
        super().__init__()
        self.purpose, self.values = purpose, values

    def column_expression(self, column: Any) -> Any:
        """Select the row's id before the secret."""
        return type_coerce(column.table.c.id.concat(":").concat(type_coerce(column, Text)), self)

    def process_bind_param(self, value: Any, dialect: Any) -> str | None:
        """Encrypt what a flush has given its row."""
        seal = _keyring(dialect).encrypt
        if not self.values:
            if not value or isinstance(value, Unreadable):
                return value.stored if value else value
            return seal(value, of_row(self.purpose, value.row_id))
        if value and UNREADABLE not in value:
            value = {name: seal(text, of_row(self.purpose, value.row_id)) for name, text in value.items()}
        return Json().process_bind_param(value, dialect)

    def process_result_value(self, value: str | None, dialect: Any) -> Any:
        """Decrypt the table's text; one that was never encrypted stays as it is."""
        if value is None:
            return None
        row_id, _, stored = value.partition(":")
        read, purpose = _keyring(dialect).read, of_row(self.purpose, row_id)
        if not self.values:
            return read(stored, purpose)
        found = Json().process_result_value(stored, dialect) or {}
        return {name: read(text, purpose) for name, text in found.items()}


def bind_secrets(model: Any) -> None:
    """Let each flush of the model's rows give its secrets the id of their row."""
    columns = model.__table__.columns
    secret = [one.key for one in columns if isinstance(one.type, Encrypted)]
    for moment in ("before_insert", "before_update"):
        event.listen(model, moment, partial(_bind, secret))


def _bind(names: list[str], _mapper: object, _connection: object, row: Any) -> None:
    if row.id is None:
        row.id = ids.new()
    for name in names:
        value = row.__dict__.get(name)  # an expired one would be read anew
        if value and not isinstance(value, Unreadable) and getattr(value, "row_id", None) != row.id:
            made: RowSecret | RowSecrets = RowSecrets(value) if isinstance(value, dict) else RowSecret(value)
            made.row_id = row.id
            setattr(row, name, made)


def use_keyring(engine: Engine, keyring: Keyring) -> None:
    """Let the engine's connections encrypt and decrypt with these keys."""
    setattr(engine.dialect, KEYRING, keyring)


def keyring_of(bind: Engine | Connection) -> Keyring:
    """Return the keys of a connection or an engine."""
    return _keyring(bind.dialect)


def _keyring(dialect: Any) -> Keyring:
    found: Keyring = getattr(dialect, KEYRING, NO_KEYS_KNOWN)
    return found
