"""The commands for deliveries."""

from functools import partial
from typing import Any

import click
from sqlalchemy import select

from guestbook.cli import app_command, backfill, list_options, output, requeue, row_lookup
from guestbook.outbound import webhook_shapes
from guestbook.outbound.event_catalogue import EVENTS
from guestbook.queries import lists
from guestbook.queue import erasure
from guestbook.storage.database import db
from guestbook.storage.models import Attempt, Delivery, Webhook


@click.group(cls=app_command.Group)
def deliveries() -> None:
    """See which deliveries were sent, wait or failed, and redeliver them."""


@deliveries.command("list")
@list_options.queue_options
@click.option("--webhook", metavar="ID", help="Only those of one webhook.")
@click.option("--event", type=click.Choice(list(EVENTS)), help="Only those of this event.")
@output.as_json
def list_(webhook: str | None, limit: int, as_json: bool, **filters: Any) -> None:
    """List deliveries, newest first."""
    webhook_id = row_lookup.id_of(Webhook, webhook)
    wanted = lists.Deliveries(webhook_id=webhook_id, **list_options.cleaned(filters))
    rows = list_options.newest(partial(lists.deliveries, db.session(), wanted), limit)
    if as_json:
        output.print_json([webhook_shapes.delivery(row) for row in rows])
        return
    names = {row.id: row.name for row in db.session.execute(select(Webhook.id, Webhook.name))}
    output.print_table(
        ("ID", "EVENT", "WEBHOOK", "STATUS", "ATTEMPTS", "DUE", "LAST ANSWER"),
        [
            (
                row.id,
                row.event,
                names.get(row.webhook_id),
                list_options.status(row),
                row.attempts,
                row.due_at,
                row.last_error or row.last_status_code,
            )
            for row in rows
        ],
        "No such delivery." if wanted != lists.Deliveries() else "No deliveries yet.",
    )


@deliveries.command("show")
@row_lookup.id_argument
@output.as_json
def show_(id_: str, as_json: bool) -> None:
    """Show a delivery with all its attempts and answers."""
    row = row_lookup.find(Delivery, id_)
    query = select(Attempt).where(Attempt.delivery_id == row.id).order_by(Attempt.number)
    attempts = db.session.scalars(query).all()
    facts = webhook_shapes.delivery_with_attempts(row, attempts)
    if as_json:
        output.print_json(facts)
        return
    made = facts.pop("attempts_made")
    output.print_fields(facts | ({"payload": erasure.DELIVERY_ERASED} if row.erased_at else {}))
    for attempt in made:
        del attempt["delivery_id"]
        sent = attempt.pop("request_headers")
        output.print_part(f"Attempt {attempt.pop('number')} ({attempt.pop('triggered_by')})", attempt)
        output.print_part("Request headers", sent)


@deliveries.command()
@requeue.options(requeue.DELIVERY_KIND)
def redeliver(**options: Any) -> None:
    """Make deliveries due again.

    The next pass sends them, or a listener fetches them, with the same id and payload. All later ones about
    the same comment to the same webhook follow, so the receiver ends with the newest state. Give ids, or
    --failed.
    """
    requeue.run(requeue.DELIVERY_KIND, **options)


deliveries.add_command(backfill.backfill)
