"""What crontab runs. These commands print nothing when all is well."""

import logging
import sys
import time

import click
from flask.cli import with_appcontext
from sqlalchemy import func, select

from guestbook.background import whole_pass
from guestbook.background.whole_pass import CronPing
from guestbook.cli import app_command, options, output
from guestbook.lib import clock
from guestbook.lib.errors import TRY_LATER
from guestbook.lib.text import counted
from guestbook.queries import statistics
from guestbook.settings import installation
from guestbook.storage.database import db
from guestbook.storage.models import Delivery, Webhook

FOREVER = 10**9  # seconds
FEWEST_FOR_A_BAR = 20  # deliveries
log = logging.getLogger(__name__)


class PingedCommand(app_command.AppCommand):
    """A command that tells a monitor of its start and its end, also when the database cannot be used."""

    @with_appcontext
    def invoke(self, ctx: click.Context) -> None:
        """Run it between two pings, if the option or the setting has a URL for them."""
        read, wanted = app_command.settings(), ctx.params.pop("ping_url")
        url = wanted or read.ping_url
        if not url:
            super().invoke(ctx)
            return
        with options.log_shown(read.log_format):
            ping = CronPing(url, allow_networks=read.allow_networks, proxy=read.outbound_proxy)
        ping.start()
        failure: str | None = "The pass broke."
        try:
            super().invoke(ctx)
            failure = None
        except SystemExit as error:
            failure = f"The pass ended with exit code {error.code}." if error.code else None
            raise
        except click.ClickException as error:
            failure = f"The pass was refused: {error.message}"
            raise
        finally:
            ping.end(failure)


@click.command(cls=PingedCommand)
@options.pass_options
@options.ping_option
def cron(max_seconds: float, stay: bool, concurrency: int) -> None:
    """Do everything that is due: process inbound events, send webhooks, prune. Put it in your crontab.

    If another cron is running, it ends at once. It prints nothing when all is well.
    """
    run(whole_pass.Options(max_seconds, stay, concurrency))


@click.command(cls=app_command.AppCommand)
@options.pass_options
def deliver(max_seconds: float, stay: bool, concurrency: int) -> None:
    """Send due deliveries and do nothing else."""
    run(whole_pass.Options(max_seconds, stay, concurrency, inbox=False, housekeeping=False))


@click.command(cls=app_command.AppCommand)
@options.verbose_option("Print how much was removed.")
def prune() -> None:
    """Delete rows that are older than the retention (GUESTBOOK_KEEP_…_DAYS)."""
    statistics.record_days(db.engine, app_command.settings().keep_processed_days, clock.now())
    removed = whole_pass.prune(db.engine, app_command.settings(), until=time.monotonic() + FOREVER)
    log.info("Removed %s.", counted(removed, "row"), extra={"rows": removed})


def run(wanted: whole_pass.Options) -> None:
    """Run a pass; on a terminal a bar shows the progress of a long one."""
    is_shown = sys.stderr.isatty() and not options.is_verbose() and not wanted.stay
    with output.show_progress("Sending", _due() if is_shown else 0, to_position=True) as move:
        report = whole_pass.run(
            db.engine,
            app_command.settings(),
            wanted,
            after_tick=lambda tally: move(tally.processed + tally.retried + tally.failed),
        )
    if not report:
        return
    whole_pass.log_warnings(report.outbox)
    # The owner can fix these. Forged events are left out, or anybody could fill a mailbox.
    for (name, source_id), count in sorted(report.inbox.failed.items()):
        failed, extra = counted(count, "inbound event"), {"source_id": source_id, "inbound_events": count}
        see = app_command.typed(f"inbox list --status failed --source {source_id}")
        log.warning("%s of source %s failed. See: %s", failed, name, see, extra=extra)


def _due() -> int:
    """Return how many deliveries are due, or none where they are too few for a bar."""
    open_now = select(Webhook.id).where(Webhook.disabled_at.is_(None))
    due = select(func.count()).where(Delivery.due_at <= clock.now(), Delivery.webhook_id.in_(open_now))
    length: int = db.session.scalars(due).one()
    db.session.rollback()
    return length if length >= FEWEST_FOR_A_BAR else 0


@click.command(cls=app_command.AppCommand)
@options.max_seconds("Publish")
@click.option("--stay", is_flag=True, help="Stay for --max-seconds and publish new rows at once.")
@click.option("--take-back", is_flag=True, help="Make rows due again that were published but not started.")
@options.verbose_option("Print what is published.")
def relay(max_seconds: float, stay: bool, take_back: bool) -> None:
    """Hand due work to Celery's workers through RabbitMQ, and prune. Use it instead of cron.

    If another relay is running, it ends at once. It prints nothing when all is well.
    """
    try:
        from guestbook.background.celery import relay as the_relay
        from guestbook.background.celery.messages import BrokerAway
    except ModuleNotFoundError:
        command = installation.install_command("celery")
        raise click.ClickException(f"Celery is not installed here. Install it with: {command}") from None
    if take_back:
        click.echo(f"Took back {counted(the_relay.take_back(db.engine), 'row')}.")
        return
    settings = app_command.settings()
    if not settings.broker_url:
        raise click.ClickException(
            "GUESTBOOK_BROKER_URL is not set. Set it to your RabbitMQ, as in "
            "amqp://user:password@host:5672/vhost."
        )
    try:
        done = the_relay.run(db.engine, settings, max_seconds=max_seconds, stay=stay)
    except BrokerAway as error:
        log.error("The broker cannot be used now: %s. Everything due waits.", error)
        sys.exit(TRY_LATER)
    if done:
        whole_pass.log_warnings(done)
