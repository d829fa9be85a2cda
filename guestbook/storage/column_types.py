"""The types of the tables' columns: Python values for text that all three databases store alike."""

import json
from datetime import datetime
from typing import Any

from sqlalchemy import String, Text, TypeDecorator

from guestbook.lib import clock

UNREADABLE = "(not JSON)"  # the name under which a broken object shows its text
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
