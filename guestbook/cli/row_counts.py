"""How many deliveries or inbound events a webhook or source has, in words."""

from typing import TypeVar

import click
from sqlalchemy import ColumnElement, func, select

from guestbook.lib.text import printable
from guestbook.queries import bounded_counts
from guestbook.storage.database import db
from guestbook.storage.models import Delivery, InboundEvent

M = TypeVar("M", Delivery, InboundEvent)


def up_to_limit(count: int, more: str = ">") -> str:
    """Return a number that was counted only up to a limit; `more` stands before the limit."""
    return str(count) if count <= bounded_counts.COUNT_LIMIT else f"{more} {bounded_counts.COUNT_LIMIT:,}"


def print_limit(failed: bounded_counts.Lately) -> None:
    """Print a sentence if there were too many failed rows to count them all."""
    if failed.cut_at:
        click.echo(f"More than {failed.cut_at:,} failed in 7 days; only the newest are counted.")


def going(model: type[M], which: ColumnElement[bool], owner: str, one: str, many: str) -> str:
    """Say what is deleted with a webhook or source: what waits, and what is over."""
    waits = model.due_at.is_not(None)
    waiting, old = (bounded_counts.count_some(db.session(), which & some, model) for some in (waits, ~waits))
    parts = (
        [f"{up_to_limit(waiting, 'more than')} waiting {one if waiting == 1 else many}"] if waiting else []
    )
    if old:
        noun = ("one" if old == 1 else "ones") if waiting else (one if old == 1 else many)
        parts.append(f"{up_to_limit(old, 'more than')} old {noun}")
    verb = "goes" if waiting + old == 1 else "go"
    name = printable(owner)
    return f"{' and '.join(parts)} {verb} with the {name}." if parts else f"The {name} has no {many}."


def by_status(model: type[Delivery] | type[InboundEvent], which: ColumnElement[bool]) -> str:
    """Return how many rows have which status."""
    rows = db.session.execute(select(model.status, func.count()).where(which).group_by(model.status))
    return ", ".join(f"{count} {status}" for status, count in rows) or "none"
