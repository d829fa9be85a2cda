"""The commands for API tokens."""

import click

from guestbook.auth import api_tokens as keys
from guestbook.cli import app_command, output, question, row_lookup
from guestbook.cli.option_types import Choice
from guestbook.lib import clock
from guestbook.lib.text import printable
from guestbook.storage.database import db, writing
from guestbook.storage.models import Token
from guestbook.storage.models.admin_access import SCOPES


@click.group(cls=app_command.Group)
def tokens() -> None:
    """Manage the tokens with which programs use the API."""


@tokens.command()
@click.argument("name")
@click.option(
    "--scope",
    type=Choice(SCOPES),
    default="manage",
    show_default=True,
    help="Its rights: read everything, also moderate comments, or manage everything.",
)
@click.option(
    "--expires", metavar="WHEN", help="When it expires, such as 90d or 2027-01-31; by default never."
)
@output.as_json
def add(name: str, scope: str, expires: str | None, as_json: bool) -> None:
    """Add a token for a program and print it.

    NAME helps you to know later which one to revoke.
    """
    with writing() as session:
        token, value = keys.add(session, name, scope=scope, expires=expires)
        facts = {**keys.shape(token), "token": value}
    if as_json:
        output.print_json(facts)
        return
    click.echo(f"Added token {facts['id']}. Keep it safe: it is shown only once.\n{value}")


@tokens.command("list")
@output.as_json
def list_(as_json: bool) -> None:
    """List the tokens, what each may do and when it was last used. The list never shows their values."""
    rows = keys.all_of(db.session())
    if as_json:
        output.print_json([keys.shape(row) for row in rows])
        return
    ids = row_lookup.shown_ids(Token, [row.id for row in rows])
    output.print_table(
        ("ID", "SCOPE", "ADDED", "LAST USED", "EXPIRES", "NAME"),
        [
            (ids[row.id], row.scope, row.created_at, row.last_used_at, row.expires_at or "never", row.name)
            for row in rows
        ],
        f"No tokens yet. Add one: {app_command.typed('tokens add NAME')}",
    )


@tokens.command()
@row_lookup.id_argument
@question.yes_option
@output.as_json
def revoke(id_: str, yes: bool, as_json: bool) -> None:
    """Revoke a token. It stops working at once. On a terminal it says when it was last used, and asks."""
    row = row_lookup.find(Token, id_)
    row_id, name, used = row.id, printable(row.name), row.last_used_at
    last = f"was last used {clock.ago(used)}" if used else "was never used"
    question.ask_on_terminal(lambda: f"The token {name} {last}.", yes, "Revoke")
    with writing() as session:
        keys.revoke(session, row_lookup.find(Token, row_id))
    output.print_done(f"Revoked token {row_id}.", {"revoked": [row_id]}, as_json)
