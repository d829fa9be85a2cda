"""Find the row that somebody means by a part of an id, or a name; and print the shortest part of an id.

Ids begin with the time, so rows of one day share their beginnings. Lists on a terminal print the ends.
"""

import re
from collections.abc import Sequence
from typing import Any, TypeVar

import click
from sqlalchemy import ColumnElement, Select, select

from guestbook.cli import output
from guestbook.lib.text import clean_line, printable
from guestbook.storage.database import Base, db
from guestbook.storage.models import Bin, ReceiverLink, Source, Token, Webhook

# The owner chose their names; a visitor chose that of a comment.
NAMED = (Webhook, Source, Bin, Token, ReceiverLink)
PLAIN_ID = re.compile("[0-9A-Za-z]{1,32}")  # Messages quote anything else.
MOST_CANDIDATES = 5
ID_LENGTH = 32
SHORTEST_END = 6  # characters
MOST_ENDS = 20_000  # No index knows ends, so only the newest rows are looked at.
M = TypeVar("M", bound=Base)

id_argument = click.argument("id_", metavar="ID")


def find(model: type[M], given: str) -> M:
    """Return the row whose id begins or ends like that, or that has the name; refuse none and several.

    A whole id never means a name.
    """
    part = given.strip().lower()
    rows: list[M] = _by_id(model, part)
    if not rows or len(part) < ID_LENGTH:
        rows = list(dict.fromkeys([*_by_name(model, given), *rows]))
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


def shown_ids(model: Any, ids: Sequence[str]) -> dict[str, str]:
    """Return each id as a list prints it: whole, or on a terminal the shortest end that only it has.

    An id that is not among the newest stays whole.
    """
    if not output.is_terminal() or not ids:
        return {one: one for one in ids}
    ends = {one[-SHORTEST_END:] for one in ids}
    known = {one for one in db.session.scalars(_newest(model)) if one[-SHORTEST_END:] in ends}
    length = SHORTEST_END
    while len({one[-length:] for one in known}) < len(known):
        length += 1
    return {one: one[-length:] if one in known else one for one in ids}


def _by_name(model: Any, name: str) -> list[Any]:
    wanted = clean_line(name)
    return _first(model, model.name == wanted) if model in NAMED and wanted else []


def _by_id(model: Any, part: str) -> list[Any]:
    if not (part.isascii() and part.isalnum() and len(part) <= ID_LENGTH):
        return []
    # The letter g follows all digits of an id.
    found = _first(model, (model.id >= part) & (model.id < part + "g"))
    if SHORTEST_END <= len(part) < ID_LENGTH:
        newest = _newest(model).subquery().c.id
        found += _first(model, model.id.in_(select(newest).where(newest.endswith(part))))
    return found


def _newest(model: Any) -> Select[str]:
    """Select the newest ids, which takes milliseconds in a table of any size."""
    return select(model.id).order_by(model.id.desc()).limit(MOST_ENDS)


def _first(model: Any, condition: ColumnElement[bool]) -> list[Any]:
    query = select(model).where(condition).order_by(model.id).limit(MOST_CANDIDATES + 1)
    return list(db.session.scalars(query))


def _candidates(rows: Sequence[Any]) -> str:
    some = rows[:MOST_CANDIDATES]
    names = [f"{row.id} ({printable(row.name)})" if type(row) in NAMED else row.id for row in some]
    return ", ".join(names) + (" and others" if len(rows) > MOST_CANDIDATES else "")
