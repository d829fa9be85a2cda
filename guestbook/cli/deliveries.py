"""The commands for deliveries, and `trigger`, which stores example deliveries."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import click
from sqlalchemy import select

from guestbook.cli import app_command, output, queue_commands, row_lookup
from guestbook.cli.options import WHEN, Choice, moment
from guestbook.cli.output import show_progress
from guestbook.cli.row_commands import Column
from guestbook.comments import backfill as backfills
from guestbook.comments.backfill import BackfillReport, BackfillRules
from guestbook.lib import clock
from guestbook.lib.errors import Refused
from guestbook.lib.text import counted
from guestbook.outbound import outbox, webhook_shapes
from guestbook.outbound.event_catalogue import EVENTS
from guestbook.queries.statistics import COUNT_LIMIT
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
@queue_commands.queue_options
@click.option("--webhook", "owner", metavar="ID", help="Only those of one webhook.")
@click.option("--event", type=Choice(list(EVENTS)), help="Only those of this event.")
@output.as_json
def list_(**options: Any) -> None:
    """List deliveries, newest first."""
    columns: dict[str, Column] = {
        "EVENT": "event",
        "WEBHOOK": "webhook_id",
        "STATUS": queue_commands.status_in_words,
        "ATTEMPTS": "attempts",
        "DUE": "due_at",
        "LAST ANSWER": lambda row: row.last_error or row.last_status_code,
    }
    queue_commands.print_list(queue_commands.DELIVERY_KIND, columns, ("WEBHOOK",), **options)


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
@queue_commands.options(queue_commands.DELIVERY_KIND)
def redeliver(**options: Any) -> None:
    """Make deliveries due again.

    The next pass sends them, or a listener fetches them, with the same id and payload. All later ones about
    the same comment to the same webhook follow, so the receiver ends with the newest state. Give ids, or
    --failed.
    """
    queue_commands.run(queue_commands.DELIVERY_KIND, **options)


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
        settings = app_command.settings()
        sample = EVENTS[event].sample_data(settings.base_url)
        event_id = outbox.send(session.connection(), event, sample, wanted, settings)
        pulled = sum(row.is_pulled for row in wanted)
    if as_json:
        made = db.session.scalars(select(Delivery).where(Delivery.event_id == event_id).order_by(Delivery.id))
        output.print_json([webhook_shapes.delivery(row) for row in made])
        return
    for number, how in ((len(wanted) - pulled, "sent with the next pass"), (pulled, "fetched by a listener")):
        if number:
            click.echo(f"{counted(number, 'delivery', 'deliveries')} of {event} will be {how}.")


@deliveries.command()
@click.argument("webhook", metavar="WEBHOOK")
@click.option("--since", required=True, callback=moment, metavar="WHEN", help=f"Events since then {WHEN}.")
@click.option("--pruned-too", is_flag=True, help="Also events whose old deliveries may have been pruned.")
@click.option("--dry-run", is_flag=True, help="Only print how many it would be, and count them all.")
@output.yes_option
@output.as_json
def backfill(
    webhook: str, since: datetime, pruned_too: bool, dry_run: bool, yes: bool, as_json: bool
) -> None:
    """Send a webhook the past events that it has not had.

    They are comment.created, comment.published and comment.replied, as far as the webhook wants them. They
    are made from the comments that the book has now, with their present words. So nothing of a deleted
    comment is sent. An event of which the webhook has a delivery is left out; redeliver sends it. The command
    prints how many events there are, and asks.
    """
    row, rules = row_lookup.find(Webhook, webhook), BackfillRules(since, app_command.settings(), pruned_too)
    webhook_id, name, when = row.id, row.name, _when(row)  # The count ends its transaction.
    counted_ones = rules if dry_run else replace(rules, most_deliveries=COUNT_LIMIT + 1)
    found = backfills.forecast(webhook_id, counted_ones)
    if not as_json:
        _describe(found)
    sent = 0
    if found.deliveries and not dry_run:
        if not yes:
            number = "all of them" if found.next_after else counted(found.deliveries, "event")
            ask = f"Send {number} to {name}?"
            output.ask(ask, "Nothing was sent.", "send them", as_json=as_json)
        sent = _send(webhook_id, rules)
        if not as_json:
            click.echo(f"Made {counted(sent, 'delivery', 'deliveries')}. {when}")
    if as_json:
        output.print_json(_document(webhook_id, since, found, sent))


def _describe(found: BackfillReport) -> None:
    if found.next_after:  # It has counted only a part of the book.
        click.echo(f"There are more than {COUNT_LIMIT:,} events that the webhook has not had.")
        return
    about = f"{counted(found.deliveries, 'event')} about {counted(found.comments, 'comment')}"
    by_event = ", ".join(f"{number:,} {event}" for event, number in found.events.items())
    pruned = f"because their deliveries to it may have been pruned: {counted(found.pruned, 'event')}."
    output.say(
        f"The webhook has not had {about}: {by_event}." if found.deliveries else "There is nothing to send.",
        found.present and f"Left out, because it has deliveries of them: {counted(found.present, 'event')}.",
        found.pruned and f"Left out, {pruned}\n--pruned-too sends them as well.",
    )


def _when(row: Webhook) -> str:
    """Say when the deliveries go out."""
    if row.disabled_at:
        return "Sending begins when the webhook is enabled."
    return "A listener fetches what waits." if row.is_pulled else "Sending begins with the next pass."


def _send(webhook_id: str, rules: BackfillRules) -> int:
    with show_progress("Comments", backfills.comments_in_book()) as step:
        return backfills.run(webhook_id, replace(rules, after_look=step)).deliveries


def _document(webhook_id: str, since: datetime, found: BackfillReport, sent: int) -> dict[str, Any]:
    return {
        "webhook_id": webhook_id,
        "since": clock.to_text(since),
        "comments": found.comments,
        "events": dict(found.events),
        "there_already": found.present,
        "maybe_pruned": found.pruned,
        "more": found.next_after is not None,
        "created": sent,
    }
