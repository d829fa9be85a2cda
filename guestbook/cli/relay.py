"""The command that hands due rows to Celery's workers through RabbitMQ."""

import logging
import sys

import click

from guestbook.background import housekeeping
from guestbook.cli import app_command, options, terminal_log
from guestbook.lib.errors import TRY_LATER
from guestbook.lib.text import counted
from guestbook.settings import installation
from guestbook.storage.database import db

BROKER_MISSING = (
    "GUESTBOOK_BROKER_URL is not set. Set it to your RabbitMQ, as in amqp://user:password@host:5672/vhost."
)
CELERY_MISSING = "Celery is not installed here. Install it with: {}"
log = logging.getLogger(__name__)


@click.command(cls=app_command.AppCommand)
@options.max_seconds("Publish")
@click.option("--stay", is_flag=True, help="Stay for --max-seconds and publish new rows at once.")
@click.option("--take-back", is_flag=True, help="Make rows due again that were published but not started.")
@terminal_log.verbose_option("Print what is published.")
def relay(max_seconds: float, stay: bool, take_back: bool) -> None:
    """Hand due work to Celery's workers through RabbitMQ, and prune. Use it instead of cron.

    If another relay is running, it ends at once. It prints nothing when all is well.
    """
    try:
        from guestbook.background.celery import relay as the_relay
        from guestbook.background.celery.messages import BrokerAway
    except ModuleNotFoundError:
        raise click.ClickException(CELERY_MISSING.format(installation.install_command("celery"))) from None
    if take_back:
        count = the_relay.take_back(db.engine)
        click.echo(f"Took back {counted(count, 'row')}.")
        return
    settings = app_command.settings()
    if not settings.broker_url:
        raise click.ClickException(BROKER_MISSING)
    try:
        done = the_relay.run(db.engine, settings, max_seconds=max_seconds, stay=stay)
    except BrokerAway as error:
        log.error("The broker cannot be used now: %s. Everything due waits.", error)
        sys.exit(TRY_LATER)
    if done:
        housekeeping.log_warnings(done)
