"""Set a book up."""

import click

from guestbook import database
from guestbook.cli import show
from guestbook.database import db


@click.command("init-db")
@show.command
def init_db() -> None:
    """Make the tables, and add the columns that an older book lacks. It is safe to run again."""
    database.create_tables(db.engine)
    click.echo(f"The tables are ready in {db.engine.url.render_as_string(hide_password=True)}.")
    click.echo(f"The data folder is {show.settings().data_dir}.")
