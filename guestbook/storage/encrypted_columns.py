"""The secrets in the tables, past the models: encrypt all with the secret key, and find what nobody can read.

An older book stored them as they are. After a rotation of the secret key they are encrypted with the old one.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import Connection, Engine, inspect, text

from guestbook.lib.encryption import CannotDecrypt, Keyring, of_row


class SecretColumn(NamedTuple):
    """A column with secrets, and the purpose under which they are encrypted."""

    table: str
    column: str
    purpose: str
    form: str = "text"  # `text`, `values` (a JSON object of secrets), or a name in a JSON object
    key: str = "id"
    # The one row, where the others have no secrets. Then the purpose is of this row alone.
    only: str | None = None


SECRET_COLUMNS_OF_BOOK = (
    SecretColumn("webhooks", "headers", "webhook header", "values"),
    SecretColumn("webhooks", "secret", "webhook secret"),
    SecretColumn("webhooks", "previous_secret", "webhook secret"),
    SecretColumn("webhooks", "signing_key", "webhook key"),
    SecretColumn("webhooks", "previous_signing_key", "webhook key"),
    SecretColumn("sources", "secret", "source secret"),
    SecretColumn("sources", "previous_secret", "source secret"),
    SecretColumn("reply_addresses", "address", "reply address"),
    SecretColumn("book_state", "value", "second factor", "secret", key="name", only="second_factor"),
    SecretColumn("book_state", "value", "cron token", key="name", only="cron_token"),
)
# Migration 0031 left these for an older web server. Nobody counts them, but no old key may open them.
COPIES_IN_SETTINGS = tuple(
    one._replace(table="settings") for one in SECRET_COLUMNS_OF_BOOK if one.table == "book_state"
)


@dataclass(slots=True)
class StoredSecrets:
    """How many secrets there are, and which rows have some that cannot be decrypted."""

    total: int = 0
    encrypted: int = 0  # encrypted again, or those that need it where nothing was changed
    unbound: int = 0  # encrypted for their column alone by an earlier version: the program cannot use them
    unreadable: set[tuple[str, str]] = field(default_factory=set)  # tables and keys of rows
    why: str = ""  # a sentence about the first of them


def encrypt_all(
    connection: Connection, keyring: Keyring, columns: Sequence[SecretColumn] = SECRET_COLUMNS_OF_BOOK
) -> StoredSecrets:
    """Encrypt every secret with the secret key, in the caller's write transaction.

    Those that cannot be decrypted stay. It may run again at any time: what is encrypted so already stays too.
    """
    found = StoredSecrets()
    for one in (*columns, *COPIES_IN_SETTINGS):
        same = f"{one.key} = :key AND {one.column} = :stored"
        change = text(f"UPDATE {one.table} SET {one.column} = :fresh WHERE {same}")
        for key, stored in _rows(connection, one):
            fresh = _mapped(one, key, stored, keyring, found if one in columns else StoredSecrets())
            if fresh != stored:
                connection.execute(change, {"key": key, "stored": stored, "fresh": fresh})
    return found


def look(
    connection: Connection, keyring: Keyring, columns: Sequence[SecretColumn] = SECRET_COLUMNS_OF_BOOK
) -> StoredSecrets:
    """Read every secret and change nothing."""
    found = StoredSecrets()
    for one in columns:
        for key, stored in _rows(connection, one):
            _mapped(one, key, stored, keyring, found)
    return found


def are_locked(engine: Engine, keyring: Keyring) -> bool:
    """Whether a secret cannot be decrypted. A table or a column that an older book lacks has none."""
    with engine.connect() as connection:
        seen = inspect(connection)
        tables = {one.table for one in SECRET_COLUMNS_OF_BOOK if seen.has_table(one.table)}
        there = {(table, column["name"]) for table in tables for column in seen.get_columns(table)}
        known = [one for one in SECRET_COLUMNS_OF_BOOK if (one.table, one.column) in there]
        return bool(look(connection, keyring, known).unreadable)


def _rows(connection: Connection, one: SecretColumn) -> list[tuple[str, str]]:
    wanted = f" AND {one.key} = '{one.only}'" if one.only else ""
    query = f"SELECT {one.key}, {one.column} FROM {one.table} WHERE {one.column} IS NOT NULL{wanted}"
    return [(row[0], row[1]) for row in connection.exec_driver_sql(f"{query} ORDER BY {one.key}")]


def _mapped(one: SecretColumn, key: str, stored: str, keyring: Keyring, found: StoredSecrets) -> str:
    """Return the column with its secrets encrypted for their row, and count them."""
    purpose = one.purpose if one.only else of_row(one.purpose, key)

    def renew(value: str) -> str:
        found.total += 1
        try:
            secret, is_bound = _opened(keyring, value, purpose, one.purpose)
        except CannotDecrypt as error:
            found.unreadable.add((one.table, key))
            found.why = found.why or str(error)
            return value
        if is_bound and keyring.is_current(value):
            return value
        fresh = keyring.encrypt(secret, purpose)
        found.unbound += not is_bound
        found.encrypted += fresh != value
        return fresh

    return renew(stored) if one.form == "text" else _in_json(one.form, stored, renew)


def _opened(keyring: Keyring, value: str, purpose: str, earlier: str) -> tuple[str, bool]:
    """Return the secret, and whether it is of its row: an earlier version encrypted for the column alone."""
    try:
        return keyring.decrypt(value, purpose), True
    except CannotDecrypt as error:
        try:
            return keyring.decrypt(value, earlier), False
        except CannotDecrypt:
            raise error from None


def _in_json(form: str, stored: str, renew: Callable[[str], str]) -> str:
    """Renew the secrets inside a JSON object; one that was broken by hand stays as it is."""
    try:
        values = json.loads(stored)
    except (ValueError, RecursionError):
        return stored
    names = [name for name in values if form == "values" or name == form] if isinstance(values, dict) else []
    if not all(isinstance(values[name], str) for name in names):
        return stored
    fresh = {name: renew(values[name]) for name in names}
    return stored if all(fresh[name] == values[name] for name in names) else json.dumps(values | fresh)
