"""The owner's password from the shell."""

import sys

import click

from guestbook.auth import api_tokens, login
from guestbook.cli import app_command
from guestbook.cli.help_sections import Group
from guestbook.lib import clock, text
from guestbook.lib.errors import Refused
from guestbook.storage.database import db, writing

LINE_LIMIT = 4 * login.LONGEST + 3  # bytes: one character too many, and what ends a line


@click.group(cls=Group)
def admin() -> None:
    """Set the password of the admin pages."""


@admin.command("set-password")
@click.option("--random", "make", is_flag=True, help="Make a password, and print it and nothing else.")
@click.option("--once", is_flag=True, help="Do nothing when there is a password already.")
@click.option("--revoke-tokens", is_flag=True, help="Revoke all API tokens too.")
@app_command.run
def set_password(make: bool, once: bool, revoke_tokens: bool) -> None:
    """Set the password of the desk.

    You are asked for it twice, or it is read from the first line of a pipe. All logins end. API tokens keep
    working unless you revoke them: do so if somebody else may know the old password.
    """
    if once and login.has_password(db.session()):
        return
    password = login.random_password() if make else _asked()
    with writing() as session:
        login.set_password(session, password)
        count = api_tokens.revoke_all(session) if revoke_tokens else api_tokens.count(session, clock.now())
    if make:
        click.echo(password)
    if not once:
        click.echo("The password is set. Everyone who was logged in must log in again.", err=make)
        _say_tokens(count, revoke_tokens, make)


def _say_tokens(count: int, revoked: bool, make: bool) -> None:
    some = text.counted(count, "API token")
    if revoked:
        click.echo(f"Revoked {some}.", err=make)
    elif count:
        click.echo(f"{some} can still be used. To revoke all of them, add --revoke-tokens.", err=make)


def _asked() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("New password", hide_input=True, confirmation_prompt="Once more"))
    line = sys.stdin.buffer.readline(LINE_LIMIT)
    if not line:
        raise Refused("No password came in. Run this on a terminal, pipe the password in, or say --random.")
    return line.decode(errors="surrogateescape").rstrip("\r\n")  # what is no UTF-8 is refused in a sentence
