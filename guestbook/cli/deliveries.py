"""The deliveries from the shell."""

from datetime import datetime
from typing import Any

import click
from sqlalchemy import select

from guestbook import browse, erasure
from guestbook.cli import queued, show
from guestbook.cli.help import Group
from guestbook.database import db
from guestbook.models import Attempt, Delivery, Webhook
from guestbook.models.webhook import EVENTS

WORDS = queued.Words(
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
@queued.status_option
@click.option("--webhook", metavar="ID", help="Only those of one webhook.")
@click.option("--event", type=click.Choice(EVENTS), help=queued.event_help)
@queued.since_option
@queued.until_option
@queued.text_option
@queued.limit_option
@show.as_json
@show.command
def list_(webhook: str | None, limit: int, as_json: bool, **filters: Any) -> None:
    """List deliveries, newest first."""
    wanted = browse.Deliveries(webhook_id=queued.owner_id(Webhook, webhook), **queued.cleaned(filters))
    rows = queued.newest(browse.deliveries, wanted, limit)
    if as_json:
        show.print_json([show.document(row, leave_out=("payload",)) for row in rows])
        return
    names = {row.id: row.name for row in db.session.execute(select(Webhook.id, Webhook.name))}
    show.print_table(
        ("ID", "EVENT", "WEBHOOK", "STATUS", "ATTEMPTS", "DUE", "LAST ANSWER"),
        [
            (
                row.id,
                row.event,
                names.get(row.webhook_id),
                queued.status(row),
                row.attempts,
                row.due_at,
                _answer(row),
            )
            for row in rows
        ],
        "There is no such delivery." if wanted != browse.Deliveries() else "No deliveries yet.",
    )


@deliveries.command("show")
@click.argument("id_", metavar="ID")
@show.as_json
@show.command
def show_(id_: str, as_json: bool) -> None:
    """Show one, with every attempt and answer."""
    row = show.find(Delivery, id_)
    query = select(Attempt).where(Attempt.delivery_id == row.id).order_by(Attempt.number)
    attempts = db.session.scalars(query).all()
    if as_json:
        show.print_json({**show.document(row), "attempts_made": [show.document(one) for one in attempts]})
        return
    show.print_fields(show.document(row) | ({"payload": erasure.ERASED} if row.erased_at else {}))
    for attempt in attempts:
        facts = show.document(attempt, leave_out=("delivery_id", "number", "triggered_by"))
        sent = facts.pop("request_headers")
        show.print_part(f"Attempt {attempt.number} ({attempt.triggered_by})", facts)
        show.print_part("Request headers", sent)


@deliveries.command()
@queued.ids_argument
@click.option("--failed", is_flag=True, help="All that were given up.")
@click.option("--webhook", "webhook_id", metavar="ID", help="With --failed: only those of one webhook.")
@click.option(
    "--since",
    callback=show.moment,
    metavar="WHEN",
    help="With --failed: only those made since (2026-01-31, 6h, 2d).",
)
@queued.dry_run_option
@show.command
def redeliver(
    ids: tuple[str, ...], failed: bool, webhook_id: str | None, since: datetime | None, dry_run: bool
) -> None:
    """Make deliveries due again.

    The next pass sends them, with the same id and payload. Give ids, or --failed.
    """
    queued.check(ids, failed, bool(webhook_id or since), WORDS)
    which = queued.among(Delivery, ids)
    if failed:
        owner_id = queued.owner_id(Webhook, webhook_id)
        which = browse.Deliveries(status="failed", webhook_id=owner_id, since=since).condition()
    queued.do_again(Delivery, which, dry_run, WORDS)


def _answer(row: Delivery) -> object:
    return row.last_error or row.last_status_code
