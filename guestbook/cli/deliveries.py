"""The commands for deliveries, and `trigger`, which stores example deliveries."""

from functools import partial
from typing import Any

import click
from sqlalchemy import select

from guestbook.cli import app_command, backfill, list_options, output, requeue, row_lookup
from guestbook.cli.options import Choice
from guestbook.lib.errors import Refused
from guestbook.lib.text import counted
from guestbook.outbound import outbox, webhook_shapes
from guestbook.outbound.event_catalogue import EVENTS
from guestbook.queries import lists
from guestbook.queue import erasure
from guestbook.storage.database import db, writing
from guestbook.storage.models import Attempt, Delivery, Webhook

GROUPS_OF_DELIVERY = {
    "Result": ("status", "attempts", "due_at", "finished_at", "last_status_code", "last_error"),
}
# Only programs read these, in --json; the attempts and the payload follow below.
NOT_SHOWN = ("claims", "claimed_by", "schedule_start", "attempts_made", "payload")
SHOWN_OF_ATTEMPT = ("started_at", "milliseconds", "status_code", "error")


@click.group(cls=app_command.Group)
def deliveries() -> None:
    """See which deliveries were sent, wait or failed, and redeliver them."""


@deliveries.command("list")
@list_options.queue_options
@click.option("--webhook", metavar="ID", help="Only those of one webhook.")
@click.option("--event", type=Choice(list(EVENTS)), help="Only those of this event.")
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
    ids = row_lookup.shown_ids(Delivery, [row.id for row in rows])
    output.print_table(
        ("ID", "EVENT", "WEBHOOK", "STATUS", "ATTEMPTS", "DUE", "LAST ANSWER"),
        [
            (
                ids[row.id],
                row.event,
                names.get(row.webhook_id),
                list_options.status_option(row),
                row.attempts,
                row.due_at,
                row.last_error or row.last_status_code,
            )
            for row in rows
        ],
        "No such delivery." if wanted != lists.Deliveries() else "No deliveries yet.",
        cut=("WEBHOOK",),
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
    webhook = db.session.get_one(Webhook, row.webhook_id).name
    output.print_groups(facts | {"webhook": webhook} | dict.fromkeys(NOT_SHOWN), GROUPS_OF_DELIVERY)
    for attempt in facts["attempts_made"]:
        heading = f"Attempt {attempt['number']} ({attempt['triggered_by']})"
        output.print_part(heading, {name: attempt[name] for name in SHOWN_OF_ATTEMPT})
        output.print_part("Request headers", attempt["request_headers"])
        output.print_part("Response headers", attempt["response_headers"] or {})
        output.print_text("Response", attempt["response_body"] or "")
    output.print_text("Payload", erasure.DELIVERY_ERASED if row.erased_at else facts["payload"])


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


@click.command(cls=app_command.AppCommand, epilog=f"Events: {', '.join(EVENTS)}.")
@click.argument("event", type=Choice(list(EVENTS)), metavar="EVENT")
@click.option("--webhook", metavar="ID", help="Send it to this webhook alone, whatever events it wants.")
@output.as_json
def trigger(event: str, webhook: str | None, as_json: bool) -> None:
    """Send an example of EVENT to every webhook that wants it.

    The example goes through the queue like a real event: the next pass sends it, or a listener fetches it. No
    comment is written. Its comment has the id 00…01, so that receivers can tell it from a real one.
    """
    only = row_lookup.id_of(Webhook, webhook)
    with writing() as session:
        rows = session.scalars(select(Webhook).where(Webhook.id == only) if only else select(Webhook))
        wanted = [row for row in rows if only or event in row.events.split()]
        if not wanted:
            raise Refused(f"No webhook wants {event}. Name one with --webhook.")
        event_id = outbox.send_example(session.connection(), event, wanted, app_command.settings())
        pulled = sum(row.is_pulled for row in wanted)
    if as_json:
        made = db.session.scalars(select(Delivery).where(Delivery.event_id == event_id).order_by(Delivery.id))
        output.print_json([webhook_shapes.delivery(row) for row in made])
        return
    for number, how in ((len(wanted) - pulled, "sent with the next pass"), (pulled, "fetched by a listener")):
        if number:
            click.echo(f"{counted(number, 'delivery', 'deliveries')} of {event} will be {how}.")
