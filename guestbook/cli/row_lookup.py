"""Find the row that somebody means by an id, the beginning of one, or a name."""

import re
from collections.abc import Sequence
from typing import Any, TypeVar

import click
from sqlalchemy import ColumnElement, select

from guestbook.lib.text import clean_line, printable
from guestbook.storage.database import Base, db
from guestbook.storage.models import Bin, ReceiverLink, Source, Token, Webhook

NAMED = (
    Webhook,
    Source,
    Bin,
    Token,
    ReceiverLink,
)  # the owner chose their names; a visitor chose that of a comment
PLAIN_ID = re.compile("[0-9A-Za-z]{1,32}")  # anything else is quoted in a message
MOST_CANDIDATES = 5  # that a message names
ID_LENGTH = 32
M = TypeVar("M", bound=Base)

id_argument = click.argument("id_", metavar="ID")


def find(model: type[M], given: str) -> M:
    """Return the row with that name, or whose id begins like that; refuse none and more than one."""
    rows: list[M] = _by_id(model, given.strip().lower())
    if len(rows) != 1:
        rows = _by_name(model, given) or rows
    if len(rows) == 1:
        return rows[0]
    noun = re.sub("(?<=[a-z])(?=[A-Z])", " ", model.__name__).lower()
    shown = given if PLAIN_ID.fullmatch(given) else repr(given)
    if not rows:
        known_by = "id or the name" if model in NAMED else "id"
        raise click.ClickException(f"No {noun} has the {known_by} {shown}.")
    several = f"{shown} fits more than one {noun}: {_candidates(rows)}."
    raise click.ClickException(f"{several} Give more of the id.")


def id_of(model: type[Webhook] | type[Source], given: str | None) -> str | None:
    """Return the id of the row that an option names, or None without the option."""
    return None if given is None else find(model, given).id


def _by_id(model: Any, start: str) -> list[Any]:
    if not start.isascii() or not start.isalnum() or len(start) > ID_LENGTH:
        return []
    return _first(model, (model.id >= start) & (model.id < start + "g"))  # g follows all digits of an id


def _by_name(model: Any, name: str) -> list[Any]:
    wanted = clean_line(name)
    return _first(model, model.name == wanted) if model in NAMED and wanted else []


def _first(model: Any, condition: ColumnElement[bool]) -> list[Any]:
    query = select(model).where(condition).order_by(model.id).limit(MOST_CANDIDATES + 1)
    return list(db.session.scalars(query))


def _candidates(rows: Sequence[Any]) -> str:
    some = rows[:MOST_CANDIDATES]
    names = [f"{row.id} ({printable(row.name)})" if type(row) in NAMED else row.id for row in some]
    return ", ".join(names) + (" and others" if len(rows) > MOST_CANDIDATES else "")
