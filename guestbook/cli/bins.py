"""The commands for bins."""

from typing import Any

import click
from sqlalchemy import select

from guestbook.cli import app_command, output, row_commands
from guestbook.inbound import request_bins, source_json
from guestbook.lib.text import counted, printable
from guestbook.storage import row_changes
from guestbook.storage.database import db, writing
from guestbook.storage.models import Bin, BinRequest

SHOWN_REQUESTS = 20


@click.group(cls=app_command.Group)
def bins() -> None:
    """Manage bins: catch-all URLs that show what is sent to them."""


@bins.command()
@click.argument("name", required=False)
@click.option("--status", help="The status that it answers, 200 by default.")
@click.option("--body", help="The text that it answers, none by default.")
@click.option("--type", help=f"The content type of that text: {', '.join(request_bins.ANSWER_TYPES)}.")
@click.option("--delay", metavar="SECONDS", help="How long it waits before it answers, at most 5.")
@click.option("--fail", metavar="TIMES", help="How many requests it answers with 500 first.")
def add(**fields: Any) -> None:
    """Add a bin and print its URL, which takes any request."""
    with writing() as session:
        facts = _facts(request_bins.add(session, output.given(fields)))
    seen = f"See what arrived: {app_command.typed('bins show ' + facts['id'])}"
    output.print_done(facts, f"Added bin {facts['id']}. Send something to it:", facts["url"], seen)


@bins.command("list")
def list_() -> None:
    """List the bins, with how many requests each holds."""
    rows, held = db.session.scalars(select(Bin).order_by(Bin.id)).all(), request_bins.held(db.session())
    facts = {row.id: _facts(row) | {"requests": held.get(row.id, (0,))[0]} for row in rows}
    columns = {
        "NAME": "name",
        "REQUESTS": lambda row: facts[row.id]["requests"],
        "ANSWERS": "answer_status",
        "URL": lambda row: facts[row.id]["url"],
    }
    empty = f"No bins yet. Add one: {app_command.typed('bins add')}"
    row_commands.print_rows(rows, lambda row: facts[row.id], columns, empty)


@bins.command("show")
@row_commands.id_argument
def show_(id_: str) -> None:
    """Show a bin and its latest requests, newest first."""
    row = row_commands.find(Bin, id_)
    requests = request_bins.latest(db.session(), row.id, SHOWN_REQUESTS)
    checks = [request_bins.check_of(db.session(), one) for one in requests]
    whole = list(map(source_json.bin_request_in_full, requests, checks))
    output.end_with_json({**_facts(row), "requests": whole})
    answer = "answer_status answer_type answer_body delay_milliseconds failures_left"
    output.print_groups(_facts(row), {"Answer": answer})
    output.print_heading("Requests")
    headings = ("RECEIVED", "METHOD", "PATH", "SIZE", "ANSWERED", "BODY")
    output.print_table(headings, map(_cells, requests), "No requests yet.")


def _cells(one: BinRequest) -> tuple[object, ...]:
    path, body = f"{one.path}?{one.query}" if one.query else one.path, one.kept[:400].decode(errors="replace")
    return one.received_at, one.method, path, one.size, one.answered, body


@bins.command()
@row_commands.id_argument
@output.yes_option
def clear(id_: str, yes: bool) -> None:
    """Delete the requests of a bin and keep the bin. On a terminal it says how many, and asks."""
    row = _to_change(id_, yes, "Clear")
    with writing() as session:
        count = request_bins.clear(session, row.id)
    done = f"Removed {counted(count, 'request')} from bin {row.id}."
    output.print_done({**_facts(row), "requests": 0}, done)


@bins.command()
@row_commands.id_argument
@output.yes_option
def delete(id_: str, yes: bool) -> None:
    """Delete a bin and its requests. Its URL stops working. On a terminal it says what goes, and asks."""
    row_id = _to_change(id_, yes, "Delete").id
    db.session.rollback()  # A reader would keep SQLite's rollback journal from being written.
    count = row_changes.delete_with_rows(db.engine, Bin, row_id)
    done = f"Deleted bin {row_id} and {counted(count, 'request')}."
    output.print_done({"deleted": [row_id], "requests": count}, done)


def _to_change(id_: str, yes: bool, verb: str) -> Bin:
    """Return the bin whose requests are to go, unless the answer to the question is no."""
    row = row_commands.find(Bin, id_)
    row_id, name = row.id, printable(row.name)
    held = request_bins.count(db.session(), row_id)
    output.ask_on_terminal(lambda: f"The bin {name} has {counted(held, 'request')}.", yes, verb)
    return row


def _facts(row: Bin) -> dict[str, Any]:
    return source_json.bin_(row, app_command.settings())
