"""From an event to the body that a receiver wants. Pure."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from guestbook.formats import standard

FORMATS: dict[str, Callable[[str, datetime, dict[str, Any]], str]] = {"json": standard.render}


def render(name: str, event: str, moment: datetime, data: dict[str, Any]) -> str:
    """Return the exact body of the event in the format of that name."""
    return FORMATS[name](event, moment, data)
