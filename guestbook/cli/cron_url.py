"""The command for the address that runs a pass."""

import click

from guestbook.cli import app_command, output
from guestbook.storage import cron_token
from guestbook.storage.database import writing


@click.command("cron-url", cls=app_command.AppCommand)
@click.option("--rotate", is_flag=True, help="Make a new address. The old one stops working at once.")
@click.option("--off", is_flag=True, help="Remove the address.")
@output.as_json
def cron_url(rotate: bool, off: bool, as_json: bool) -> None:
    """Print the secret address that does the work of cron when a pinger calls it. The first call makes it.

    Use it where the host has no cron. The address answers GET, HEAD and POST with what it did, as JSON.
    """
    if rotate and off:
        raise click.UsageError("Choose --rotate or --off.")
    with writing() as session:
        if off:
            cron_token.remove(session)
            output.print_done("The address is removed.", {"url": None}, as_json)
            return
        token = cron_token.make(session, rotate=rotate)
    url = cron_token.url(app_command.settings().base_url, token)
    output.print_done(url, {"url": url}, as_json)
