"""Hand what is due to RabbitMQ, where Celery's workers take it. For who outgrows one machine."""

import logging
import sys

import click

from guestbook.cli import app_command, cron, terminal_log
from guestbook.cli.option_types import FiniteRange
from guestbook.lib.text import counted
from guestbook.storage.database import db

NO_BROKER = (
    "GUESTBOOK_BROKER_URL is not set: it names the RabbitMQ, as in amqp://user:password@host:5672/vhost."
)
NO_CELERY = "Celery is not installed here: .venv/bin/pip install -e '.[celery]'"
log = logging.getLogger(__name__)


@click.command()
@click.option(
    "--max-seconds",
    type=FiniteRange(0.1, 86400),
    default=50,
    show_default=True,
    help="Publish nothing new after so many seconds.",
)
@click.option("--stay", is_flag=True, help="Wait for more until --max-seconds are over.")
@click.option("--take-back", is_flag=True, help="Make due again what was published and not started.")
@terminal_log.verbose_option("Tell what is published.")
@app_command.run
def relay(max_seconds: float, stay: bool, take_back: bool) -> None:
    """Give what is due to Celery's workers through RabbitMQ, and tidy up. Instead of cron.

    A second one beside a running one ends at once. Silence means that all is well.
    """
    try:
        from guestbook.background.celery import relay as the_relay
        from guestbook.background.celery.publisher import BrokerAway
    except ModuleNotFoundError:
        raise click.ClickException(NO_CELERY) from None
    if take_back:
        count = the_relay.take_back(db.engine)
        click.echo(f"Took back {counted(count, 'row')}.")
        return
    settings = app_command.settings()
    if not settings.broker_url:
        raise click.ClickException(NO_BROKER)
    try:
        done = the_relay.run(db.engine, settings, max_seconds=max_seconds, stay=stay)
    except BrokerAway as error:
        log.error("The broker cannot be used now: %s. What is due waits.", error)
        sys.exit(app_command.TRY_LATER)
    if done:
        cron.warn_of_deliveries(done)
