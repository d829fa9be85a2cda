"""The steps that migrations are made of. Each looks first what is done already.

MariaDB commits each change of a table at once, so an upgrade that was killed leaves a migration half done.
The next run begins it again.
"""

from typing import Any

from alembic import op
from sqlalchemy import CheckConstraint, MetaData, Table, inspect, text

from guestbook.storage import column_types, encrypted_columns
from guestbook.storage.encrypted_columns import SecretColumn

SERVERS_OF_MARIADB = ("mysql", "mariadb")
# A copy that stays: the list in encrypted_columns follows later versions of the tables.
SECRETS_OF_0029 = (
    SecretColumn("webhooks", "headers", "webhook header", "values"),
    SecretColumn("webhooks", "secret", "webhook secret"),
    SecretColumn("webhooks", "previous_secret", "webhook secret"),
    SecretColumn("webhooks", "signing_key", "webhook key"),
    SecretColumn("webhooks", "previous_signing_key", "webhook key"),
    SecretColumn("sources", "secret", "source secret"),
    SecretColumn("sources", "previous_secret", "source secret"),
    SecretColumn("settings", "value", "second factor", "secret", key="name", only="second_factor"),
    SecretColumn("settings", "value", "cron token", key="name", only="cron_token"),
)


def run(*statements: str) -> None:
    """Run statements that may be run again, such as CREATE … IF NOT EXISTS, in the words of schema.sql."""
    for statement in statements:
        op.get_bind().exec_driver_sql(statement)


def rows(query: str) -> list[dict[str, Any]]:
    """Return what a query finds."""
    return [dict(row) for row in op.get_bind().exec_driver_sql(query).mappings()]


def change_rows(statement: str, **values: str) -> None:
    """Run a statement that may be run again, with values. In `run` its % would be a mark of the driver."""
    op.get_bind().execute(text(statement), values)


def add_column(table: str, column: str, definition: str) -> None:
    """Add a column, with its definition from schema.sql. It comes last in its table."""
    if column not in {one["name"] for one in inspect(op.get_bind()).get_columns(table)}:
        run(f"ALTER TABLE {table} ADD COLUMN {column} {definition}")


def encrypt() -> None:
    """Encrypt for their rows the secrets that lie open, or are encrypted for their column alone."""
    connection = op.get_bind()
    encrypted_columns.encrypt_all(connection, column_types.keyring_of(connection), SECRETS_OF_0029)


def replace_check(table: str, name: str, condition: str) -> None:
    """Give a CHECK another condition. SQLite copies the table for it."""
    if not is_on("sqlite"):
        run(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}")
        run(f"ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({condition})")
        return
    # From a table of ours: of those that Alembic reads itself, some of its releases lose the other CHECKs.
    copied = Table(table, MetaData(), autoload_with=op.get_bind(), resolve_fks=False)
    copied.constraints -= {one for one in copied.constraints if one.name == name}
    copied.append_constraint(CheckConstraint(condition, name=name))
    with op.batch_alter_table(table, recreate="always", copy_from=copied):
        pass


def is_on(*dialects: str) -> bool:
    """Whether the book is on one of these databases, in SQLAlchemy's words."""
    return op.get_bind().dialect.name in dialects


def indexes_in_order(table: str) -> list[str]:
    """Return the names of a table's indexes on MariaDB, which prefers the first that fits."""
    return list(dict.fromkeys(row["Key_name"] for row in rows(f"SHOW INDEX FROM {table}")))
