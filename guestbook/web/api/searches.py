"""Words that a query looks for, cleaned like stored text: PostgreSQL refuses a NUL."""

from collections.abc import Mapping
from typing import Any

from guestbook.lib.text import clean_line
from guestbook.web.api import authentication


def words(query: Mapping[str, Any], name: str) -> str | None:
    """Return the words of a parameter; None if it has no visible ones."""
    return clean_line(query.get(name, "")) or None


def text(query: Mapping[str, Any]) -> str | None:
    """Return what payloads must have; 403 for a token that may not see all that is in them.

    Such a token could find out a hidden address, letter by letter.
    """
    if "text" in query:
        authentication.require("manage", "The parameter text")
    return words(query, "text")
