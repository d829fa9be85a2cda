"""The commands for inbound events."""

from typing import Any

import click

from guestbook.background import cron
from guestbook.cli import app_command, options, output, queue_commands, row_commands, terminal_log
from guestbook.cli import cron as commands
from guestbook.cli.queue_commands import INBOUND_KIND
from guestbook.inbound import event_reader, source_shapes, verify_and_decide
from guestbook.storage.database import db
from guestbook.storage.models import InboundEvent, Source

GROUPS_OF_EVENT = {"Result": "status attempts due_at processed_at error note comment_id"}
NOT_SHOWN = ("claims", "claimed_by", "unproven_bytes")  # Only --json has these.


@click.group(cls=app_command.Group)
def inbox() -> None:
    """See what sources have sent and what was done with it, and reprocess it."""


@inbox.command()
@options.max_seconds("Start")
@terminal_log.verbose_option("Print what happens to each event.")
def process(max_seconds: float) -> None:
    """Process due inbound events and do nothing else. It prints nothing when all is well."""
    commands.run(cron.Options(max_seconds, outbox=False, housekeeping=False))


@inbox.command("list")
@queue_commands.queue_options
@click.option("--source", "owner", metavar="ID", help="Only those of one source.")
@click.option("--event", help="Only those of this event. One such as issues means issues.opened too.")
@click.option("--sender", help="Only those with this text in their sender.")
@click.option("--external-id", help="Only those to which the sender gave this id.")
@output.json_option
def list_(**options: Any) -> None:
    """List inbound events, newest first."""
    columns = {
        "RECEIVED": "received_at",
        "SOURCE": "source_id",
        "EVENT": "event",
        "SENDER": "sender",
        "STATUS": queue_commands.status_in_words,
        "RESULT": lambda row: row.error or row.note,
    }
    queue_commands.print_list(INBOUND_KIND, columns, "SOURCE", "EVENT", "SENDER", **options)


@inbox.command("show")
@row_commands.id_argument
@output.json_option
def show_(id_: str) -> None:
    """Show an inbound event: what arrived, how it was verified, what was done with it."""
    row = row_commands.find(InboundEvent, id_)
    source = db.session.get_one(Source, row.source_id)
    if output.is_json():
        output.print_json(source_shapes.inbound_event_in_full(row, source, app_command.settings()))
        return
    verdict = verify_and_decide.verify(row, source, app_command.settings().secret_keys)
    facts = source_shapes.inbound_event(row) | {"source": source.name} | dict.fromkeys(NOT_SHOWN)
    output.print_groups(facts, GROUPS_OF_EVENT)
    output.print_part("Headers", row.shown_headers)
    output.print_part(f"Verification: {verdict.sentence}", {step.name: step.value for step in verdict.steps})
    view = event_reader.views(row.headers, row.body)[0]
    output.print_text(f"Payload ({view.kind}, {len(row.body):,} bytes)", view.text or "-")
    output.say(not view.is_whole and "… (--json shows all of it)")


@inbox.command()
@queue_commands.options(INBOUND_KIND)
def reprocess(**options: Any) -> None:
    """Make inbound events due again.

    The next pass processes them with the settings that their source has then. Give ids, or --failed.
    """
    queue_commands.run(INBOUND_KIND, **options)
