"""The commands for deliveries, and `trigger`, which stores example deliveries."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import click
from sqlalchemy import select

from guestbook.cli import app_command, output, queue_commands, row_commands
from guestbook.cli.options import WHEN, Choice, moment
from guestbook.cli.queue_commands import DELIVERY_KIND
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

GROUPS_OF_DELIVERY = {"Result": "status attempts due_at finished_at last_status_code last_error"}
# Only programs read these, in --json; the attempts and the payload follow below.
NOT_SHOWN = ("claims", "claimed_by", "schedule_start", "attempts_made", "payload")
NOUNS = ("delivery", "deliveries")
SHOWN_OF_ATTEMPT = ("started_at", "milliseconds", "status_code", "error")


@click.group(cls=app_command.Group)
def deliveries() -> None:
    """See which deliveries were sent, wait or failed, and redeliver them."""


@deliveries.command("list")
@queue_commands.queue_options
@click.option("--webhook", "owner", metavar="ID", help="Only those of one webhook.")
@click.option("--event", type=Choice(list(EVENTS)), help="Only those of this event.")
@output.json_option
def list_(**options: Any) -> None:
    """List deliveries, newest first."""
    columns = {
        "EVENT": "event",
        "WEBHOOK": "webhook_id",
        "STATUS": queue_commands.status_in_words,
        "ATTEMPTS": "attempts",
        "DUE": "due_at",
        "LAST ANSWER": lambda row: row.last_error or row.last_status_code,
    }
    queue_commands.print_list(DELIVERY_KIND, columns, "WEBHOOK", **options)


@deliveries.command("show")
@row_commands.id_argument
@output.json_option
def show_(id_: str) -> None:
    """Show a delivery with all its attempts and answers."""
    row = row_commands.find(Delivery, id_)
    query = select(Attempt).where(Attempt.delivery_id == row.id).order_by(Attempt.number)
    attempts = db.session.scalars(query).all()
    facts = webhook_shapes.delivery_with_attempts(row, attempts)
    if output.is_json():
        output.print_json(facts)
        return
    webhook = db.session.get_one(Webhook, row.webhook_id).name
    output.print_groups(facts | {"webhook": webhook} | dict.fromkeys(NOT_SHOWN), GROUPS_OF_DELIVERY)
    for attempt in facts["attempts_made"]:
        heading = f"Attempt {attempt['number']} ({attempt['triggered_by']})"
        output.print_part(heading, {name: attempt[name] for name in SHOWN_OF_ATTEMPT})
        output.print_part("Request headers", attempt["request_headers"])
        output.print_part("Response headers", attempt["response_headers"] or {})
        output.print_text("Response", attempt["response_body"])
    output.print_text("Payload", erasure.DELIVERY_ERASED if row.erased_at else facts["payload"])


@deliveries.command()
@queue_commands.options(DELIVERY_KIND)
def redeliver(**options: Any) -> None:
    """Make deliveries due again.

    The next pass sends them, or a listener fetches them, with the same id and payload. All later ones about
    the same comment to the same webhook follow, so the receiver ends with the newest state. Give ids, or
    --failed.
    """
    queue_commands.run(DELIVERY_KIND, **options)


@click.command(cls=app_command.AppCommand, epilog=f"Events: {', '.join(EVENTS)}.")
@click.argument("event", type=Choice(list(EVENTS)), metavar="EVENT")
@click.option("--webhook", metavar="ID", help="Send it to this webhook alone, whatever events it wants.")
@output.json_option
def trigger(event: str, webhook: str | None) -> None:
    """Send an example of EVENT to every webhook that wants it.

    The example goes through the queue like a real event: the next pass sends it, or a listener fetches it. No
    comment is written. Its comment has the id 00…01, so that receivers can tell it from a real one.
    """
    only = None if webhook is None else row_commands.find(Webhook, webhook).id
    with writing() as session:
        rows = session.scalars(select(Webhook))
        wanted = [row for row in rows if (row.id == only if only else event in row.events.split())]
        if not wanted:
            raise Refused(f"No webhook wants {event}. Name one with --webhook.")
        settings = app_command.settings()
        sample = EVENTS[event].sample_data(settings.base_url)
        event_id = outbox.send(session.connection(), event, sample, wanted, settings)
        pulled = sum(row.is_pulled for row in wanted)
    made = db.session.scalars(select(Delivery).where(Delivery.event_id == event_id).order_by(Delivery.id))
    ways = {"sent with the next pass": len(wanted) - pulled, "fetched by a listener": pulled}
    said = [f"{counted(ways[how], *NOUNS)} of {event} will be {how}." for how in ways if ways[how]]
    output.print_done(list(map(webhook_shapes.delivery, made)), *said)


@deliveries.command()
@click.argument("webhook", metavar="WEBHOOK")
@click.option("--since", required=True, callback=moment, metavar="WHEN", help=f"Events since then {WHEN}.")
@click.option("--pruned-too", is_flag=True, help="Also events whose old deliveries may have been pruned.")
@click.option("--dry-run", is_flag=True, help="Only print how many it would be, and count them all.")
@output.yes_option
@output.json_option
def backfill(webhook: str, since: datetime, pruned_too: bool, dry_run: bool, yes: bool) -> None:
    """Send a webhook the past events that it has not had.

    They are comment.created, comment.published and comment.replied, as far as the webhook wants them. They
    are made from the comments that the book has now, with their present words. So nothing of a deleted
    comment is sent. An event of which the webhook has a delivery is left out; redeliver sends it. The command
    prints how many events there are, and asks.
    """
    row, rules = row_commands.find(Webhook, webhook), BackfillRules(since, app_command.settings(), pruned_too)
    when = "A listener fetches what waits." if row.is_pulled else "Sending begins with the next pass."
    if row.disabled_at:
        when = "Sending begins when the webhook is enabled."
    webhook_id, name, sent = row.id, row.name, 0  # The count ends its transaction.
    to_count = rules if dry_run else replace(rules, most_deliveries=COUNT_LIMIT + 1)
    found = backfills.forecast(webhook_id, to_count)
    if not output.is_json():
        output.say(*_described(found))
    if found.deliveries and not dry_run:
        if not yes:
            number = "all of them" if found.next_after else counted(found.deliveries, "event")
            output.ask(f"Send {number} to {name}?", "Nothing was sent.", "send them")
        with output.show_progress("Comments", backfills.comments_in_book()) as step:
            sent = backfills.run(webhook_id, replace(rules, after_look=step)).deliveries
    done = found.deliveries and not dry_run and f"Made {counted(sent, *NOUNS)}. {when}"
    facts = {"webhook_id": webhook_id, "since": clock.to_text(since), "comments": found.comments}
    numbers = {"events": dict(found.events), "there_already": found.present, "maybe_pruned": found.pruned}
    output.print_done(facts | numbers | {"more": found.next_after is not None, "created": sent}, done)


def _described(found: BackfillReport) -> tuple[object, ...]:
    if found.next_after:  # It has counted only a part of the book.
        return (f"There are more than {COUNT_LIMIT:,} events that the webhook has not had.",)
    about = f"{counted(found.deliveries, 'event')} about {counted(found.comments, 'comment')}"
    by_event = ", ".join(f"{number:,} {event}" for event, number in found.events.items())
    pruned = f"because their deliveries to it may have been pruned: {counted(found.pruned, 'event')}."
    return (
        f"The webhook has not had {about}: {by_event}." if found.deliveries else "There is nothing to send.",
        found.present and f"Left out, because it has deliveries of them: {counted(found.present, 'event')}.",
        found.pruned and f"Left out, {pruned}\n--pruned-too sends them as well.",
    )
