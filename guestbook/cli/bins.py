"""The commands for bins."""

from typing import Any

import click
from sqlalchemy import select

from guestbook.cli import app_command, output, row_commands, row_lookup
from guestbook.inbound import bins as inbound_bins
from guestbook.inbound import source_shapes
from guestbook.lib.text import counted, printable
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
@click.option("--type", help=f"The content type of that text: {', '.join(inbound_bins.ANSWER_TYPES)}.")
@click.option("--delay", metavar="SECONDS", help="How long it waits before it answers, at most 5.")
@click.option("--fail", metavar="TIMES", help="How many requests it answers with 500 first.")
@output.as_json
def add(as_json: bool, **fields: Any) -> None:
    """Add a bin and print its URL, which takes any request."""
    with writing() as session:
        facts = _facts(inbound_bins.add(session, output.given(fields)))
    if as_json:
        output.print_json(facts)
        return
    click.echo(f"Added bin {facts['id']}. Send something to it:")
    click.echo(facts["url"])
    click.echo(f"See what arrived: {app_command.typed('bins show ' + facts['id'])}")


@bins.command("list")
@output.as_json
def list_(as_json: bool) -> None:
    """List the bins, with how many requests each holds."""
    held = inbound_bins.held(db.session())
    row_commands.print_rows(
        db.session.scalars(select(Bin).order_by(Bin.id)).all(),
        lambda row: _facts(row) | {"requests": held.get(row.id, (0,))[0]},
        {
            "NAME": "name",
            "REQUESTS": lambda row: held.get(row.id, (0,))[0],
            "ANSWERS": "answer_status",
            "URL": lambda row: row.url(app_command.settings().base_url),
        },
        f"No bins yet. Add one: {app_command.typed('bins add')}",
        as_json=as_json,
        cut=("NAME",),
    )


@bins.command("show")
@row_lookup.id_argument
@output.as_json
def show_(id_: str, as_json: bool) -> None:
    """Show a bin and its latest requests, newest first."""
    row = row_lookup.find(Bin, id_)
    requests = inbound_bins.latest(db.session(), row.id, SHOWN_REQUESTS)
    if as_json:
        shown = [
            source_shapes.bin_request_in_full(one, inbound_bins.check_of(db.session(), one))
            for one in requests
        ]
        output.print_json({**_facts(row), "requests": shown})
        return
    answer = ("answer_status", "answer_type", "answer_body", "delay_milliseconds", "failures_left")
    output.print_groups(_facts(row), {"Answer": answer})
    output.print_heading("Requests")
    output.print_table(
        ("RECEIVED", "METHOD", "PATH", "SIZE", "ANSWERED", "BODY"),
        [
            (one.received_at, one.method, _address(one), one.size, one.answered, _excerpt(one))
            for one in requests
        ],
        "No requests yet.",
        cut=("PATH",),
    )


@bins.command()
@row_lookup.id_argument
@output.yes_option
@output.as_json
def clear(id_: str, yes: bool, as_json: bool) -> None:
    """Delete the requests of a bin and keep the bin. On a terminal it says how many, and asks."""
    row = _to_change(id_, yes, "Clear")
    with writing() as session:
        count = inbound_bins.clear(session, row.id)
    done = f"Removed {counted(count, 'request')} from bin {row.id}."
    output.print_done(done, {**_facts(row), "requests": 0}, as_json)


@bins.command()
@row_lookup.id_argument
@output.yes_option
@output.as_json
def delete(id_: str, yes: bool, as_json: bool) -> None:
    """Delete a bin and its requests. Its URL stops working. On a terminal it says what goes, and asks."""
    row_id = _to_change(id_, yes, "Delete").id
    with writing() as session:
        count = inbound_bins.delete(session, row_lookup.find(Bin, row_id))
    done = f"Deleted bin {row_id} and {counted(count, 'request')}."
    output.print_done(done, {"deleted": [row_id], "requests": count}, as_json)


def _to_change(id_: str, yes: bool, verb: str) -> Bin:
    """Return the bin whose requests are to go, unless the answer to the question is no."""
    row = row_lookup.find(Bin, id_)
    row_id, name = row.id, printable(row.name)
    output.ask_on_terminal(
        lambda: f"The bin {name} has {counted(inbound_bins.count(db.session(), row_id), 'request')}.",
        yes,
        verb,
    )
    return row


def _facts(row: Bin) -> dict[str, Any]:
    return source_shapes.bin_(row, app_command.settings())


def _address(row: BinRequest) -> str:
    return f"{row.path}?{row.query}" if row.query else row.path


def _excerpt(row: BinRequest) -> str:
    return row.kept[:400].decode(errors="replace")
