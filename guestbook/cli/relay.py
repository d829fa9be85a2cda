"""Hand what is due to RabbitMQ, where Celery's workers take it. For who outgrows one machine."""

import sys

import click

from guestbook.cli import passes, show
from guestbook.database import db
from guestbook.text import counted

NO_BROKER = (
    "GUESTBOOK_BROKER_URL is not set: it names the RabbitMQ, as in amqp://user:password@host:5672/vhost."
)
NO_CELERY = "Celery is not installed here: .venv/bin/pip install -e '.[celery]'"


@click.command()
@click.option(
    "--max-seconds",
    type=show.FiniteRange(0.1, 86400),
    default=50,
    show_default=True,
    help="Publish nothing new after so many seconds.",
)
@click.option("--stay", is_flag=True, help="Wait for more until --max-seconds are over.")
@click.option("--take-back", is_flag=True, help="Make due again what was published and not started.")
@click.option("-v", "--verbose", is_flag=True, help="Tell what is published.")
@show.command
def relay(max_seconds: float, stay: bool, take_back: bool, verbose: bool) -> None:
    """Give what is due to Celery's workers through RabbitMQ, and tidy up. Instead of cron.

    A second one beside a running one ends at once. Silence means that all is well.
    """
    try:
        from guestbook.broker import relay as the_relay
        from guestbook.broker.publisher import BrokerAway
    except ModuleNotFoundError:
        raise click.ClickException(NO_CELERY) from None
    if take_back:
        count = the_relay.take_back(db.engine)
        click.echo(f"Took back {counted(count, 'row')}.")
        return
    settings = show.settings()
    if not settings.broker_url:
        raise click.ClickException(NO_BROKER)
    narrate = passes.narrator(verbose)
    try:
        done = the_relay.run(db.engine, settings, max_seconds=max_seconds, stay=stay, narrate=narrate)
    except BrokerAway as error:
        click.echo(f"The broker cannot be used now: {show.safe(str(error))}. What is due waits.", err=True)
        sys.exit(show.AWAY)
    if done is None:
        narrate("Another relay is running; it does the work.")
    else:
        passes.complain(done)
