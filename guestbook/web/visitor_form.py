"""The form that a visitor has sent: its fields, without those that the book does not ask for."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from flask import request

from guestbook.comments import comment_form
from guestbook.comments.comment_form import Draft
from guestbook.lib.text import clean_line
from guestbook.web import current

NEW_COMMENT: Mapping[str, str | None] = MappingProxyType({})


def read(stored: Mapping[str, str | None] = NEW_COMMENT) -> Draft:
    """Return the draft. A field that the book does not ask for counts where the stored comment has it."""
    entry, book = comment_form.read(request.form), current.preferences()
    asked = {"place": book.asks_place, "note": book.asks_note}
    left_out = {name for name, is_asked in asked.items() if not is_asked and not stored.get(name)}
    return replace(
        entry,
        place=None if "place" in left_out else entry.place,
        note=None if "note" in left_out else entry.note,
        errors={name: reason for name, reason in entry.errors.items() if name not in left_out},
    )


def line(name: str) -> str:
    """Return another field than those of the comment, without characters that a page must not hold."""
    return clean_line(request.form.get(name, ""))
