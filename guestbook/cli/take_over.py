"""The command that makes this host the one that uses the book's SQLite file."""

import click

from guestbook.cli import app_command
from guestbook.lib import host_name
from guestbook.lib.errors import Refused
from guestbook.settings import database_url
from guestbook.storage import active_hosts

ANY_HOSTS = "Any number of hosts may use a book on PostgreSQL or MariaDB, so there is nothing to take over."


@click.command("take-over", cls=app_command.AppCommand)
def take_over() -> None:
    """Let this host use the SQLite file at once, after the book has moved here.

    SQLite's locks work within one host, so only the host that came first writes. Stop the
    book on the old host, and run this where it is now. A host that still runs it only reads from then on.
    """
    read = app_command.settings()
    file = database_url.sqlite_file(read.data_dir, read.database_url)
    if file is None:
        raise Refused(ANY_HOSTS)
    try:
        others = active_hosts.take_over(file)
    except OSError as error:
        raise Refused(f"{file.parent} cannot be written: {error.strerror}.") from None
    names = ", ".join(host.name for host in others)
    click.echo(f"This host, {host_name.of_this_host()}, uses {file} from now on.")
    click.echo(f"It does so in place of {names}." if names else "No other host has used it lately.")
