"""The command that sets up the database."""

import click

from guestbook.cli import app_command
from guestbook.storage import database
from guestbook.storage.database import db


@click.command("init-db", cls=app_command.AppCommand)
def init_db() -> None:
    """Create the tables, and add columns that an older book lacks. It is safe to run again."""
    database.create_tables(db.engine)
    click.echo(f"The tables are ready in {db.engine.url.render_as_string(hide_password=True)}.")
    click.echo(f"The data folder is {app_command.settings().data_dir}.")
