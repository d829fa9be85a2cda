"""A pass: one run of the cron command. First what came in, then what goes out, then housekeeping."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Engine

from guestbook.background import pass_lifecycle
from guestbook.background.pass_lifecycle import RunningPass
from guestbook.inbound.event_counts import Counts
from guestbook.inbound.inbox import Inbox
from guestbook.outbound.dispatcher import Dispatcher
from guestbook.outbound.tally import Tally
from guestbook.settings import Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Options:
    """The options of the command."""

    max_seconds: float = 50
    stay: bool = False
    concurrency: int = 32
    inbox: bool = True
    outbox: bool = True
    housekeeping: bool = True


@dataclass(frozen=True, slots=True)
class PassReport:
    """What a pass has done."""

    outbox: Tally
    inbox: Counts


def run(
    engine: Engine, settings: Settings, options: Options, *, after_tick: Callable[[Tally], None] | None = None
) -> PassReport | None:
    """Do everything that is due; None when another pass holds the lock."""
    with pass_lifecycle.opened(
        engine, settings, options.max_seconds, housekeeping=options.housekeeping
    ) as running:
        if running is None:
            log.info("Another pass is running; it does the work.")
            return None
        inbox = Inbox(engine, settings, threads=options.concurrency > 1)
        dispatcher = Dispatcher(engine, settings, concurrency=options.concurrency)
        running.tally = dispatcher.tally
        if options.outbox:
            _send(running, dispatcher, inbox if options.inbox else None, options.stay, after_tick)
        else:
            inbox.drain(until=running.until, stop=running.stop)
        inbox.close()
    report = PassReport(dispatcher.tally, inbox.counts)
    _log_figures(options, report)
    return report


def _send(
    running: RunningPass,
    dispatcher: Dispatcher,
    inbox: Inbox | None,
    stay: bool,
    after_tick: Callable[[Tally], None] | None,
) -> None:
    """Send what is due, and let the inbox have its share of the time."""

    def tick() -> None:
        running.host.keep()
        if after_tick:
            after_tick(dispatcher.tally)

    dispatcher.run(until=running.until, stay=stay, stop=running.stop, after_tick=tick, beside=inbox)
    if inbox and dispatcher.tally.local_error:  # a fault that stops sending does not concern the inbox
        inbox.drain(until=running.until, stop=running.stop)


def _log_figures(options: Options, report: PassReport) -> None:
    inbox, outbox = report.inbox, report.outbox
    failed = inbox.all_failed
    if options.inbox and (inbox.processed or failed or not options.outbox):
        figures = {"processed": inbox.processed, "failed": failed}
        log.info("Inbox: processed %(processed)d, failed %(failed)d.", figures, extra=figures)
    if options.outbox:
        figures = {"processed": outbox.processed, "retried": outbox.retried, "given_up": outbox.failed}
        words = "Processed %(processed)d, to be retried %(retried)d, given up %(given_up)d."
        log.info(words, figures, extra=figures)
