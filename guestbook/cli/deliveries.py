"""The deliveries from the shell."""

from datetime import datetime
from typing import Any

import click
from sqlalchemy import select

from guestbook.cli import output, requeue
from guestbook.cli.help_sections import Group
from guestbook.queries import listing
from guestbook.queue import erasure
from guestbook.storage.database import db
from guestbook.storage.models import Attempt, Delivery, Webhook
from guestbook.storage.models.webhook import EVENTS

WORDS = requeue.Words(
    verb="redeliver",
    one="delivery",
    many="deliveries",
    failed="were given up",
    in_hand="is sending",
    owner="webhook",
    held="is for it",
    gone="the comment was deleted for good, and its words with it",
)


@click.group(cls=Group)
def deliveries() -> None:
    """See what was sent, what waits and what failed, and send it again."""


@deliveries.command("list")
@requeue.status_option
@click.option("--webhook", metavar="ID", help="Only those of one webhook.")
@click.option("--event", type=click.Choice(EVENTS), help=requeue.event_help)
@requeue.since_option
@requeue.until_option
@requeue.text_option
@requeue.limit_option
@output.as_json
@output.command
def list_(webhook: str | None, limit: int, as_json: bool, **filters: Any) -> None:
    """List deliveries, newest first."""
    wanted = listing.Deliveries(webhook_id=requeue.owner_id(Webhook, webhook), **requeue.cleaned(filters))
    rows = requeue.newest(listing.deliveries, wanted, limit)
    if as_json:
        output.print_json([output.document(row, leave_out=("payload",)) for row in rows])
        return
    names = {row.id: row.name for row in db.session.execute(select(Webhook.id, Webhook.name))}
    output.print_table(
        ("ID", "EVENT", "WEBHOOK", "STATUS", "ATTEMPTS", "DUE", "LAST ANSWER"),
        [
            (
                row.id,
                row.event,
                names.get(row.webhook_id),
                requeue.status(row),
                row.attempts,
                row.due_at,
                _answer(row),
            )
            for row in rows
        ],
        "There is no such delivery." if wanted != listing.Deliveries() else "No deliveries yet.",
    )


@deliveries.command("show")
@click.argument("id_", metavar="ID")
@output.as_json
@output.command
def show_(id_: str, as_json: bool) -> None:
    """Show one, with every attempt and answer."""
    row = output.find(Delivery, id_)
    query = select(Attempt).where(Attempt.delivery_id == row.id).order_by(Attempt.number)
    attempts = db.session.scalars(query).all()
    if as_json:
        output.print_json(
            {**output.document(row), "attempts_made": [output.document(one) for one in attempts]}
        )
        return
    output.print_fields(
        output.document(row) | ({"payload": erasure.DELIVERY_ERASED} if row.erased_at else {})
    )
    for attempt in attempts:
        facts = output.document(attempt, leave_out=("delivery_id", "number", "triggered_by"))
        sent = facts.pop("request_headers")
        output.print_part(f"Attempt {attempt.number} ({attempt.triggered_by})", facts)
        output.print_part("Request headers", sent)


@deliveries.command()
@requeue.ids_argument
@click.option("--failed", is_flag=True, help="All that were given up.")
@click.option("--webhook", "webhook_id", metavar="ID", help="With --failed: only those of one webhook.")
@click.option(
    "--since",
    callback=output.moment,
    metavar="WHEN",
    help="With --failed: only those made since (2026-01-31, 6h, 2d).",
)
@requeue.dry_run_option
@output.command
def redeliver(
    ids: tuple[str, ...], failed: bool, webhook_id: str | None, since: datetime | None, dry_run: bool
) -> None:
    """Make deliveries due again.

    The next pass sends them, with the same id and payload. Give ids, or --failed.
    """
    requeue.check(ids, failed, bool(webhook_id or since), WORDS)
    which = requeue.among(Delivery, ids)
    if failed:
        owner_id = requeue.owner_id(Webhook, webhook_id)
        which = listing.Deliveries(status="failed", webhook_id=owner_id, since=since).condition()
    requeue.do_again(Delivery, which, dry_run, WORDS)


def _answer(row: Delivery) -> object:
    return row.last_error or row.last_status_code
