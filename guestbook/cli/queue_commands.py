"""What the commands for deliveries and for inbound events share: their lists, redeliver and reprocess."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from operator import attrgetter
from typing import Any

import click
from sqlalchemy import select

from guestbook.cli import output, row_commands
from guestbook.cli.options import WHEN, Choice, Decorator, moment, period_options, together
from guestbook.inbound import source_shapes
from guestbook.lib import clock, text
from guestbook.lib.errors import Refused
from guestbook.outbound import webhook_shapes
from guestbook.queries import filtered_lists
from guestbook.queue import redelivery
from guestbook.queue.redelivery import RequeueGroup
from guestbook.storage.database import db
from guestbook.storage.models import Delivery, InboundEvent, Source, Webhook
from guestbook.storage.models.delivery import QUEUE_STATUSES


@dataclass(frozen=True, kw_only=True)
class QueueKind:
    """Deliveries or inbound events, and the words for them."""

    model: type[Any]
    owner: type[Any]
    owner_name: str  # The option; with _id it is the column and the filter.
    filters: type[Any]
    read: Callable[..., Any]
    facts: Callable[[Any], dict[str, Any]]
    verb: str
    nouns: tuple[str, str]
    all_failed: str  # It completes "all that …".
    since: str
    busy: str  # It completes "because a pass …".
    held: str  # It completes "is disabled: … waits".
    erased: str
    none_found: str

    def counted(self, number: int) -> str:
        """Return the number with its noun."""
        return text.counted(number, *self.nouns)


DELIVERY_KIND = QueueKind(
    model=Delivery,
    owner=Webhook,
    owner_name="webhook",
    filters=filtered_lists.Deliveries,
    read=filtered_lists.deliveries,
    facts=webhook_shapes.delivery,
    verb="redeliver",
    nouns=("delivery", "deliveries"),
    all_failed="were given up",
    since="made",
    busy="is sending it now",
    held="what is for it",
    erased="the comment was deleted, and nothing earlier about it is sent any more",
    none_found="No such delivery.",
)
INBOUND_KIND = QueueKind(
    model=InboundEvent,
    owner=Source,
    owner_name="source",
    filters=filtered_lists.InboundEvents,
    read=filtered_lists.inbound_events,
    facts=source_shapes.inbound_event,
    verb="reprocess",
    nouns=("inbound event", "inbound events"),
    all_failed="failed",
    since="received",
    busy="is processing it now",
    held="what it sent",
    erased="the comment was deleted for good, and what was sent for it too",
    none_found="No such event.",
)


queue_options = together(
    click.option("--status", type=Choice(QUEUE_STATUSES), help="Only those with this status."),
    period_options,
    click.option("--text", help="Only those with this in the payload or the last answer."),
    row_commands.limit_option,
)


def print_list(
    kind: QueueKind, columns: Mapping[str, Any], *cut: str, owner: str | None, limit: int, **filters: Any
) -> None:
    """Print the rows that the options choose. In the column of the owner stands its name."""
    # PostgreSQL refuses a NUL, so text is cleaned like stored text.
    cleaned = {name: text.clean_line(one) if isinstance(one, str) else one for name, one in filters.items()}
    wanted = _filters(kind, owner, **cleaned)
    rows = row_commands.newest(partial(kind.read, db.session(), wanted), limit)
    names = {row.id: row.name for row in db.session.execute(select(kind.owner.id, kind.owner.name))}
    of_owner = attrgetter(f"{kind.owner_name}_id")
    empty = kind.none_found if wanted != kind.filters() else f"No {kind.nouns[1]} yet."
    columns = {**columns, kind.owner_name.upper(): lambda row: names.get(of_owner(row))}
    row_commands.print_rows(rows, kind.facts, columns, empty, cut)


def status_in_words(row: Delivery | InboundEvent) -> str:
    """Return the status for a table, and whether the row was erased."""
    return f"{row.status}, erased" if row.erased_at else row.status


def options(kind: QueueKind) -> Decorator:
    """Return a decorator that adds the options of redeliver or reprocess."""
    since = f"With --failed: only those {kind.since} since then {WHEN}."
    owner = f"With --failed: only those of one {kind.owner_name}."
    return together(
        click.argument("ids", nargs=-1, metavar="[ID]..."),
        click.option("--failed", is_flag=True, help=f"All that {kind.all_failed}."),
        click.option(f"--{kind.owner_name}", "owner", metavar="ID", help=owner),
        click.option("--since", callback=moment, metavar="WHEN", help=since),
        click.option("--dry-run", is_flag=True, help="Only print how many it would be."),
        output.json_option,
    )


def run(kind: QueueKind, *, dry_run: bool, **chosen: Any) -> None:
    """Make the chosen rows due again, or only count them, and print which stay as they are."""
    which = _condition(kind, **chosen)
    groups = redelivery.forecast(db.session(), kind.model, which, clock.now())
    due = redelivery.total(groups)
    if any(group.erased for group in groups) and not due + sum(group.leased for group in groups):
        raise Refused(f"This cannot be done: {kind.erased}.")
    count = due if dry_run else redelivery.run(kind.model, which)
    all_pulled = redelivery.are_pulled(groups)
    how = "to a listener" if all_pulled else "with the next pass"
    number, pulled = kind.counted(count), sum(group.count for group in groups if group.pulled)
    output.print_done(
        {"count": count, "groups": [asdict(group) for group in groups]},
        f"Would {kind.verb} {number}." if dry_run else f"Will {kind.verb} {number} {how}.",
        *_notes(kind, groups, 0 if dry_run or all_pulled else pulled),
    )


def _notes(kind: QueueKind, groups: Sequence[RequeueGroup], pulled: int) -> list[str]:
    """Say what is special about some of the rows; `pulled` are for a listener."""
    among, left = "Among them, because", "Left alone, because"
    notes = {
        f"{among} a listener fetches them": pulled,
        f"{among} they follow others about the same comment": sum(group.later for group in groups),
        f"{left} a pass {kind.busy}": sum(group.leased for group in groups if not group.pulled),
        f"{left} a listener has it now": sum(group.leased for group in groups if group.pulled),
        f"{left} {kind.erased}": sum(group.erased for group in groups),
    }
    waits = f"is disabled: {kind.held} waits until it is enabled."
    disabled = [text.printable(group.name) for group in groups if group.disabled and group.count]
    said = [f"{note}: {kind.counted(count)}." for note, count in notes.items() if count]
    return said + [f"The {kind.owner_name} {name} {waits}" for name in disabled]


def _condition(
    kind: QueueKind, ids: Sequence[str], failed: bool, owner: str | None, since: datetime | None
) -> Any:
    """Return the condition for the chosen rows; refuses options that do not go together."""
    if bool(ids) == failed:
        raise click.UsageError(f"Give ids, or --failed for all that {kind.all_failed}.")
    if not failed and (owner or since):
        raise click.UsageError(f"--{kind.owner_name} and --since go with --failed.")
    if ids:
        return kind.model.id.in_([row_commands.find(kind.model, one).id for one in ids])
    return _filters(kind, owner, status="failed", since=since).condition()


def _filters(kind: QueueKind, owner: str | None, **filters: Any) -> Any:
    """Return what selects these rows; refuses an owner that is not there."""
    filters[f"{kind.owner_name}_id"] = None if owner is None else row_commands.find(kind.owner, owner).id
    return kind.filters(**filters)
