"""The commands for the owner's password, the second factor, API tokens, and the address of a pass."""

import csv
import sys
from functools import partial
from typing import Any

import click

from guestbook.auth import api_tokens, login, second_factor, setup_code
from guestbook.cli import app_command, output, row_commands
from guestbook.cli.options import Choice, period_options, with_default
from guestbook.cli.row_commands import Noun
from guestbook.lib import clock, json_schema, text
from guestbook.lib.errors import Refused
from guestbook.queries import filtered_lists
from guestbook.storage import cron_token, database
from guestbook.storage.database import db, writing
from guestbook.storage.models import AUDIT_LOG, AuditEntry, Token
from guestbook.storage.models.owner import ACTORS, AUDIT_ENTRY_SCHEMA, AUDITED_ACTIONS, SCOPES

PASSWORD_LINE_LIMIT = 4 * login.LONGEST + 3  # bytes


@click.group(cls=app_command.Group)
def admin() -> None:
    """Set up a new book, set the password of the admin pages, or remove the second factor."""


@admin.command("set-password", cls=app_command.AppCommand)
@click.option("--random", "make", is_flag=True, help="Make a password and print only that.")
@click.option("--once", is_flag=True, help="Do nothing if there is a password already.")
@click.option("--revoke-tokens", is_flag=True, help="Revoke all API tokens too.")
def set_password(make: bool, once: bool, revoke_tokens: bool) -> None:
    """Set the password of the admin pages.

    Type it twice when asked, or pipe it in as the first line. All logins end. API tokens keep working unless
    you revoke them; do so if somebody else may know the old password.
    """
    if once and login.has_password(db.session()):
        return
    password = login.random_password() if make else _read_password()

    def store() -> int:
        with writing() as session:
            login.set_password(session, password)
            return api_tokens.revoke_all(session) if revoke_tokens else api_tokens.count(session, clock.now())

    count = database.retry_conflicts(store)  # A pipe with the password can be read only once.
    if make:
        click.echo(password)
    if once:
        return
    click.echo("The password is set. Everyone who was logged in must log in again.", err=make)
    some = text.counted(count, "API token")
    if revoke_tokens:
        click.echo(f"Revoked {some}.", err=make)
    elif count:
        click.echo(f"{some} can still be used. To revoke all of them, add --revoke-tokens.", err=make)


@admin.command("setup-link")
def setup_link() -> None:
    """Print a link with which you set up a new book in the browser. It works once, for 30 minutes.

    The two links before it work until their end. The page asks for a password, and for the book's name and
    address.
    """
    url = setup_code.new_link(app_command.settings().base_url)
    if url is None:
        raise Refused(f"The book has a password. Set another: {app_command.typed('admin set-password')}")
    output.print_done({"url": url}, url)


@admin.command("reset-second-factor", cls=app_command.AppCommand)
def reset_second_factor() -> None:
    """Remove the second factor, for an owner who lost the phone and the recovery codes.

    The password is enough then. Set up another app on the account page.
    """
    with writing() as session:
        was_on = second_factor.remove(session)
    done = "The second factor is removed." if was_on else "The second factor was off already."
    click.echo(f"{done} The password is enough to log in.")


def _read_password() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("New password", hide_input=True, confirmation_prompt="Once more"))
    line = sys.stdin.buffer.readline(PASSWORD_LINE_LIMIT)
    if not line:
        raise Refused("No password came in. Run this on a terminal, pipe the password in, or add --random.")
    return line.decode(errors="surrogateescape").rstrip("\r\n")  # Login refuses other encodings.


@click.group(cls=app_command.Group)
def tokens() -> None:
    """Manage the tokens with which programs use the API."""


@tokens.command()
@click.argument("name")
@with_default(
    "--scope",
    type=Choice(SCOPES),
    default="manage",
    help="Its rights: read everything, also moderate comments, or manage everything.",
)
@click.option(
    "--expires", metavar="WHEN", help="When it expires, such as 90d or 2027-01-31; by default never."
)
def add(name: str, scope: str, expires: str | None) -> None:
    """Add a token for a program and print it.

    NAME helps you to know later which one to revoke.
    """
    with writing() as session:
        token, value = api_tokens.add(session, name, scope=scope, expires=expires)
        facts = {**api_tokens.shape(token), "token": value}
    output.print_done(facts, f"Added token {facts['id']}. Keep it safe: it is shown only once.", value)


@tokens.command("list")
def list_() -> None:
    """List the tokens, what each may do and when it was last used. The list never shows their values."""
    empty = f"No tokens yet. Add one: {app_command.typed('tokens add NAME')}"
    columns: dict[str, Any] = {"SCOPE": "scope", "ADDED": "created_at", "LAST USED": "last_used_at"}
    columns |= {"EXPIRES": lambda row: row.expires_at or "never", "NAME": "name"}
    row_commands.print_rows(api_tokens.all_of(db.session()), api_tokens.shape, columns, empty)


TOKEN = Noun(tokens, Token, "token", api_tokens.shape)
REVOKE = "Revoke a token. It stops working at once. On a terminal it says when it was last used, and asks."
row_commands.add_revocation(TOKEN, api_tokens.revoke, REVOKE)


@click.command("cron-url", cls=app_command.AppCommand)
@click.option("--rotate", is_flag=True, help="Make a new address. The old one stops working at once.")
@click.option("--off", is_flag=True, help="Remove the address.")
@output.json_option
def cron_url(rotate: bool, off: bool) -> None:
    """Print the secret address that does the work of cron when a pinger calls it. The first call makes it.

    Use it where the host has no cron. The address answers GET, HEAD and POST with what it did, as JSON.
    """
    if rotate and off:
        raise click.UsageError("Choose --rotate or --off.")
    with writing() as session:
        if off:
            cron_token.remove(session)
        token = None if off else cron_token.make(session, rotate=rotate)
    url = token and cron_token.url(app_command.settings().base_url, token)
    output.print_done({"url": url}, url or "The address is removed.")


SHOWN_ENTRIES = 50  # An export has all.
ALL_ENTRIES = 1_000_000_000


@click.command(cls=app_command.AppCommand)
@click.option("--action", type=Choice(AUDITED_ACTIONS), help="Only entries with this action.")
@click.option("--actor", type=Choice(ACTORS), help="Only entries of this kind of actor.")
@period_options
@click.option(
    "--limit", type=click.IntRange(1), help=f"How many; by default {SHOWN_ENTRIES}, and all in an export."
)
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV for a spreadsheet.")
@output.json_option
def audit(limit: int | None, as_csv: bool, **filters: Any) -> None:
    """Show who did what on the admin pages, by the API and by commands, newest first."""
    if as_csv and output.is_json():
        raise click.UsageError("Choose --csv or --json.")
    wanted = filtered_lists.AuditFilter(**filters)
    most = limit or (ALL_ENTRIES if as_csv or output.is_json() else SHOWN_ENTRIES)
    rows = row_commands.newest(partial(wanted.page, db.session()), most)
    facts = [json_schema.of_row(row, AUDIT_ENTRY_SCHEMA) for row in rows]
    output.end_with_json(facts)
    if as_csv:
        names = [column.name for column in AUDIT_LOG.columns]
        writer = csv.writer(sys.stdout, quoting=csv.QUOTE_ALL)
        writer.writerow(names)
        writer.writerows([text.inert_cell(str(row[name] or "")) for name in names] for row in facts)
    else:
        headings = ("WHEN", "BY", "ACTION", "OBJECT", "NAME", "DETAIL")
        empty = "No such entry." if wanted != filtered_lists.AuditFilter() else "No entries yet."
        output.print_table(headings, map(_cells, rows), empty)


def _cells(row: AuditEntry) -> tuple[object, ...]:
    """Return what the table shows; of a command its name, of others their kind too."""
    by = f"{'' if row.actor == 'command' else row.actor} {row.actor_name or ''}".strip()
    return row.at, by, row.action, row.object, row.object_name, row.remark
