"""A row as JSON: keys named like the columns, times as text."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from guestbook.lib import clock


def of(row: object, properties: Iterable[str], more: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the attributes with these names; `more` has those that are no plain columns."""
    given = more or {}
    return {name: given[name] if name in given else _plain(getattr(row, name)) for name in properties}


def _plain(value: object) -> object:
    return clock.to_text(value) if isinstance(value, datetime) else value
