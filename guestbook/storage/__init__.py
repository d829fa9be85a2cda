"""The database: connections, transactions, tables, and copying a book to another database."""

from pathlib import Path

SCHEMA = Path(__file__).parents[1] / "schema.sql"
