"""The command that sets up the database."""

import click

from guestbook.cli import app_command
from guestbook.storage import database
from guestbook.storage.database import db


@click.command("init-db", cls=app_command.AnyVersionCommand)
def init_db() -> None:
    """Create the tables. It is safe to run again, and changes nothing of an older book: `upgrade` does."""
    database.create_tables(db.engine)
    click.echo(f"The tables are ready in {db.engine.url.render_as_string(hide_password=True)}.")
    click.echo(f"The data folder is {app_command.settings().data_dir}.")
