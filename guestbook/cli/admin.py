"""The owner's password from the shell."""

import sys

import click

from guestbook import login
from guestbook.cli import show
from guestbook.database import db, writing
from guestbook.refusal import Refused

LINE_LIMIT = 4 * login.LONGEST + 3  # bytes: one character too many, and what ends a line


@click.group()
def admin() -> None:
    """Say who may come to the desk."""


@admin.command("set-password")
@click.option("--random", "make", is_flag=True, help="Make a password, and print it and nothing else.")
@click.option("--once", is_flag=True, help="Do nothing when there is a password already.")
@show.command
def set_password(make: bool, once: bool) -> None:
    """Set the password of the desk.

    It is asked twice, or read from the first line of what is piped in. All logins end.
    """
    if once and login.has_password(db.session()):
        return
    password = login.random_password() if make else _asked()
    with writing() as session:
        login.set_password(session, password)
    if make:
        click.echo(password)
    if not once:
        click.echo("The password is set. Who was logged in has to log in again.", err=make)


def _asked() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("New password", hide_input=True, confirmation_prompt="Once more"))
    line = sys.stdin.buffer.readline(LINE_LIMIT)
    if not line:
        raise Refused("No password came in. Run this on a terminal, pipe the password in, or say --random.")
    return line.decode(errors="surrogateescape").rstrip("\r\n")  # what is no UTF-8 is refused in a sentence
