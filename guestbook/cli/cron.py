"""What crontab runs. These commands print nothing when all is well."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import click
from sqlalchemy import func, select

from guestbook.background import cron as background_cron
from guestbook.background import retention
from guestbook.cli import output
from guestbook.inbound.outcome_counts import Counts
from guestbook.lib import clock
from guestbook.lib.text import counted
from guestbook.outbound.recorder import Tally
from guestbook.queries import stats
from guestbook.storage.database import db
from guestbook.storage.models import Delivery, Webhook

NO_LIMIT = 10**9  # seconds


def _options(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(
        (
            click.option(
                "--max-seconds",
                type=output.FiniteRange(0.1, 86400),
                default=50,
                show_default=True,
                help="Start nothing new after so many seconds.",
            ),
            click.option(
                "--stay",
                is_flag=True,
                help="Wait for more until --max-seconds are over: deliveries go out at once.",
            ),
            click.option(
                "--concurrency",
                type=click.IntRange(1, 256),
                default=32,
                show_default=True,
                help="Requests at once; at most a quarter of them to one webhook.",
            ),
            click.option("-v", "--verbose", is_flag=True, help="Tell what happens to each delivery."),
        )
    ):
        function = option(function)
    return function


@click.command()
@_options
@output.command
def cron(max_seconds: float, stay: bool, concurrency: int, verbose: bool) -> None:
    """Do all that is due: work through what came in, send webhooks, tidy up. Crontab runs this.

    A second one beside a running one ends at once. Silence means that all is well.
    """
    run(background_cron.Options(max_seconds, stay, concurrency), verbose)


@click.command()
@_options
@output.command
def deliver(max_seconds: float, stay: bool, concurrency: int, verbose: bool) -> None:
    """Send the deliveries that are due, and nothing else."""
    run(background_cron.Options(max_seconds, stay, concurrency, inbox=False, housekeeping=False), verbose)


@click.command()
@click.option("-v", "--verbose", is_flag=True, help="Tell how much was removed.")
@output.command
def prune(verbose: bool) -> None:
    """Remove deliveries that are older than the retention (GUESTBOOK_KEEP_…_DAYS)."""
    stats.settle(db.engine, output.settings(), clock.now())
    removed = retention.prune(db.engine, output.settings(), until=time.monotonic() + NO_LIMIT)
    if verbose:
        click.echo(f"Removed {counted(removed, 'row')}.")


def run(options: background_cron.Options, verbose: bool) -> None:
    """Run a pass; print what cron shall mail to the owner, and with `verbose` a line for all that happens."""

    narrate = narrator(verbose)
    with ExitStack() as stack:
        after_tick = _progress(stack) if sys.stderr.isatty() and not verbose and not options.stay else None
        report = background_cron.run(
            db.engine, output.settings(), options, narrate=narrate, after_tick=after_tick
        )
    if report is None:
        narrate("Another pass is running; it does the work.")
        return
    for line in _summary(options, report):
        narrate(line)
    complain(report.outbox)
    _complain_of_inbox(report.inbox)


def _summary(options: background_cron.Options, report: background_cron.Report) -> Iterator[str]:
    came, went = report.inbox, report.outbox
    failed = came.failed.total() + came.refused
    if options.inbox and (came.processed or failed or not options.outbox):
        yield f"Inbox: processed {came.processed}, failed {failed}."
    if options.outbox:
        yield f"Processed {went.processed}, to be retried {went.retried}, given up {went.failed}."


def narrator(verbose: bool) -> Callable[[str], None]:
    """Return what prints a line where somebody wants to read it."""

    def narrate(line: str) -> None:
        if verbose:
            try:
                click.echo(output.safe(line))
            except OSError:  # a full disk or a closed pipe must not stop the sending
                _be_silent()

    return narrate


def _be_silent() -> None:
    """Lead what is still to be printed, and what Python would flush at its end, to nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())


def _progress(stack: ExitStack) -> Callable[[Tally], None] | None:
    """Return what moves a bar on the terminal, or None where there is too little to do."""
    open_now = select(Webhook.id).where(Webhook.disabled_at.is_(None))
    due = select(func.count()).where(Delivery.due_at <= clock.now(), Delivery.webhook_id.in_(open_now))
    length = db.session.scalar(due) or 0
    db.session.rollback()
    if length < 20:
        return None
    bar: Any = click.progressbar(range(length), label="Sending", file=sys.stderr)
    stack.enter_context(bar)

    def move(tally: Tally) -> None:
        bar.update(tally.processed + tally.retried + tally.failed - bar.pos)

    return move


def complain(tally: Tally) -> None:
    """Print the lines that cron mails to the owner: one a webhook, however many deliveries it cost."""
    for (name, webhook_id), count in sorted(tally.given_up.items()):
        noun = "1 delivery was" if count == 1 else f"{count} deliveries were"
        click.echo(
            f"guestbook: {noun} given up for webhook {output.safe(name)}. "
            f"See: {output.typed(f'deliveries list --status failed --webhook {webhook_id}')}",
            err=True,
        )
    if tally.fault:
        click.echo(f"guestbook: the pass ended early, and what is due waits. {tally.fault}", err=True)
    if tally.limit:
        click.echo(f"guestbook: {tally.limit}", err=True)
    for line in tally.disabled:
        click.echo(f"guestbook: {output.safe(line)}.", err=True)


def _complain_of_inbox(counts: Counts) -> None:
    """Print what the owner can mend. What was not genuine is none of it: anybody could fill a mailbox so."""
    for (name, source_id), count in sorted(counts.failed.items()):
        click.echo(
            f"guestbook: {counted(count, 'inbound event')} of source {output.safe(name)} failed. "
            f"See: {output.typed(f'inbox list --status failed --source {source_id}')}",
            err=True,
        )
