"""How many deliveries or inbound events a webhook or source has, in words."""

import click
from sqlalchemy import ColumnElement, func, select

from guestbook.queries import bounded_counts
from guestbook.storage.database import db
from guestbook.storage.models import Delivery, InboundEvent


def up_to_limit(count: int, more: str = ">") -> str:
    """Return a number that was counted only up to a limit; `more` stands before the limit."""
    return str(count) if count <= bounded_counts.COUNT_LIMIT else f"{more} {bounded_counts.COUNT_LIMIT:,}"


def print_limit(failed: bounded_counts.Lately) -> None:
    """Print a sentence if there were too many failed rows to count them all."""
    if failed.cut_at:
        click.echo(f"More than {failed.cut_at:,} failed in 7 days; only the newest are counted.")


def by_status(model: type[Delivery] | type[InboundEvent], which: ColumnElement[bool]) -> str:
    """Return how many rows have which status."""
    rows = db.session.execute(select(model.status, func.count()).where(which).group_by(model.status))
    return ", ".join(f"{count} {status}" for status, count in rows) or "none"
