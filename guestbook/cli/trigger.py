"""The command that sends an example of an event."""

import click
from sqlalchemy import select

from guestbook.cli import app_command, output, row_lookup
from guestbook.cli.option_types import Choice
from guestbook.lib.errors import Refused
from guestbook.lib.text import counted
from guestbook.outbound import outbox, webhook_shapes
from guestbook.outbound.event_catalogue import EVENTS
from guestbook.storage.database import db, writing
from guestbook.storage.models import Delivery, Webhook


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
