"""The commands for the owner's password."""

import sys

import click

from guestbook.auth import api_tokens, login, second_factor
from guestbook.cli import app_command
from guestbook.lib import clock, text
from guestbook.lib.errors import Refused
from guestbook.storage import transaction_retry
from guestbook.storage.database import db, writing

PASSWORD_LINE_LIMIT = 4 * login.LONGEST + 3  # bytes: a character too many, and the end of the line


@click.group(cls=app_command.Group)
def admin() -> None:
    """Set the password of the admin pages, or remove the second factor."""


@admin.command("set-password")
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

    count = transaction_retry.complete(store)  # the password may have come from a pipe, which is read once
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


@admin.command("reset-second-factor")
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
    return line.decode(errors="surrogateescape").rstrip("\r\n")  # login refuses anything that is not UTF-8
