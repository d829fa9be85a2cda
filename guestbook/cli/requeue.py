"""What `deliveries` and `inbox` share, the two ways of one queue: their lists, and doing again."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import click
from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session

from guestbook.cli import output
from guestbook.lib import clock, text
from guestbook.lib.errors import Refused
from guestbook.queries.listing import Page
from guestbook.queue import requeue
from guestbook.storage.database import db
from guestbook.storage.models import Delivery, InboundEvent, Source, Webhook
from guestbook.storage.models.delivery import STATUSES

M = TypeVar("M", Delivery, InboundEvent)
W = TypeVar("W")

status_option = click.option("--status", type=click.Choice(STATUSES), help="Only those.")
event_help = "Only those of this event."
since_option = click.option(
    "--since", callback=output.moment, metavar="WHEN", help="Only those since then (2026-01-31, 6h, 2d)."
)
until_option = click.option(
    "--until", callback=output.moment, metavar="WHEN", help="Only those before then (2026-01-31, 6h, 2d)."
)
text_option = click.option("--text", help="Only those that have this in the payload or in the last answer.")
limit_option = click.option(
    "--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many."
)
ids_argument = click.argument("ids", nargs=-1, metavar="[ID]...")
dry_run_option = click.option("--dry-run", is_flag=True, help="Only say how many it would be.")


class Words(NamedTuple):
    """How to tell of one way's doing again."""

    verb: str
    one: str
    many: str
    failed: str  # what those did that --failed means
    in_hand: str  # what a pass does with one
    owner: str
    held: str  # what of an owner waits while it is disabled
    gone: str  # why it cannot be done for what was erased

    def number(self, count: int) -> str:
        """Return the number with its noun."""
        return text.counted(count, self.one, self.many)


def newest(look: Callable[[Session, W, str | None, int], Page[M]], wanted: W, limit: int) -> list[M]:
    """Return so many; a page may have looked far back and found few."""
    page = look(db.session(), wanted, None, limit)
    rows = page.rows
    while page.older and len(rows) < limit:
        page = look(db.session(), wanted, page.older, limit - len(rows))
        rows += page.rows
    return rows


def cleaned(filters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the filters with their texts as they are stored: PostgreSQL refuses a NUL."""
    return {
        name: text.clean_line(value) if isinstance(value, str) else value for name, value in filters.items()
    }


def status(row: Delivery | InboundEvent) -> str:
    """Return the status for a table, and whether the row was erased."""
    return f"{row.status}, erased" if row.erased_at else row.status


def owner_id(owner: type[Webhook] | type[Source], short_id: str | None) -> str | None:
    """Return the whole id of the webhook or the source that an option names, if it does."""
    return None if short_id is None else output.find(owner, short_id).id


def check(ids: tuple[str, ...], failed: bool, narrowed: bool, words: Words) -> None:
    """See that either ids are given or --failed, which alone can be narrowed; else it is a usage error."""
    if bool(ids) == failed:
        raise click.UsageError(f"Give ids, or --failed for all that {words.failed}.")
    if not failed and narrowed:
        raise click.UsageError(f"--{words.owner} and --since go with --failed.")


def among(model: type[M], ids: tuple[str, ...]) -> ColumnElement[bool]:
    """Return the condition for the rows whose ids begin so."""
    return model.id.in_([output.find(model, short_id).id for short_id in ids])


def do_again(model: type[M], which: ColumnElement[bool], dry_run: bool, words: Words) -> None:
    """Make those rows due again, or only count them, and say what stays as it is."""
    parts = requeue.forecast(db.session(), model, which, clock.now())
    erased = sum(part.erased for part in parts)
    if erased and erased == sum(part.count + part.leased + part.erased for part in parts):
        raise Refused(f"This cannot be done: {words.gone}.")
    if dry_run:
        click.echo(f"Would {words.verb} {words.number(requeue.total(parts))}.")
    else:
        click.echo(f"Will {words.verb} {words.number(requeue.run(model, which))} with the next pass.")
    if in_hand := sum(part.leased for part in parts):
        click.echo(f"Left alone, because a pass {words.in_hand} it now: {words.number(in_hand)}.")
    if erased:
        click.echo(f"Left alone, because {words.gone}: {words.number(erased)}.")
    for part in parts:
        if part.disabled and part.count:
            name = output.safe(part.name)
            click.echo(f"The {words.owner} {name} is disabled: what {words.held} waits until it is enabled.")
