"""The command that sends a webhook past events."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import click

from guestbook.cli import app_command, output, row_lookup
from guestbook.cli.options import WHEN, moment
from guestbook.cli.output import show_progress
from guestbook.comments import backfill as backfills
from guestbook.comments.backfill import ALL, BackfillRange, BackfillReport, BackfillRules
from guestbook.lib import clock
from guestbook.lib.text import counted
from guestbook.queries.health import COUNT_LIMIT
from guestbook.storage.models import Webhook

SOME = BackfillRange(deliveries=COUNT_LIMIT + 1)  # before the question; a dry run counts them all


@click.command(cls=app_command.AppCommand)
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
    webhook_id, name, when = row.id, row.name, _when(row)  # the count ends its transaction
    found = backfills.forecast(webhook_id, rules, ALL if dry_run else SOME)
    if not as_json:
        _describe(found)
    sent = 0
    if found.deliveries and not dry_run:
        if not yes:
            number = "all of them" if found.next_after else counted(found.deliveries, "event")
            ask = f"Send {number} to {name}?"
            output.ask(ask, nothing="Nothing was sent.", verb="send them", as_json=as_json)
        sent = _send(webhook_id, rules)
        if not as_json:
            click.echo(f"Made {counted(sent, 'delivery', 'deliveries')}. {when}")
    if as_json:
        output.print_json(_document(webhook_id, since, found, sent))


def _describe(found: BackfillReport) -> None:
    if found.next_after:  # what else it has counted is a part of the book
        click.echo(f"There are more than {COUNT_LIMIT:,} events that the webhook has not had.")
        return
    if found.deliveries:
        about = f"{counted(found.deliveries, 'event')} about {counted(found.comments, 'comment')}"
        by_event = ", ".join(f"{number:,} {event}" for event, number in found.events.items())
        click.echo(f"The webhook has not had {about}: {by_event}.")
    else:
        click.echo("There is nothing to send.")
    if found.present:
        click.echo(f"Left out, because it has deliveries of them: {counted(found.present, 'event')}.")
    if found.pruned:
        pruned = counted(found.pruned, "event")
        click.echo(f"Left out, because their deliveries to it may have been pruned: {pruned}.")
        click.echo("--pruned-too sends them as well.")


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
