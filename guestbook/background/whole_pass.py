"""A pass: one run of the cron command. First what came in, then what goes out, then housekeeping.

The file begins with a pass's row in the database and its start and end. Then come `run`, which cron starts,
and `run_short`, which a web request starts where there is no cron. Last are housekeeping (prune old rows,
remind the owner, log what cron mails) and the ping to a monitor. A pass that has nothing to do
is in pass_with_nothing_due.py.
"""

import logging
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Thread
from urllib.parse import urlsplit

from sqlalchemy import Engine, Table, TextClause, func, insert, select, text, update

from guestbook.background import public_files, retention_rules
from guestbook.comments import events_and_reminders
from guestbook.inbound.inbox import Counts, Inbox
from guestbook.lib import VERSION, clock, current_process, files, ids, locks
from guestbook.lib.current_process import StopFlag
from guestbook.lib.text import counted
from guestbook.outbound import delivery_tasks
from guestbook.outbound.attempt_recorder import Tally
from guestbook.outbound.delivery_dispatcher import Dispatcher
from guestbook.outbound.rate_and_time_limits import TimeLimit
from guestbook.queries import statistics
from guestbook.queue import clock_repair
from guestbook.settings import Settings, installation
from guestbook.settings.parsers import Network
from guestbook.storage import (
    database,
    disk_budget_of_source,
    engines,
    hits_and_notes,
    hosts_sharing_sqlite,
    row_changes,
    writable_check,
)
from guestbook.storage.database import Base
from guestbook.storage.hosts_sharing_sqlite import HostNote
from guestbook.storage.models import Pass
from guestbook.transport.failure import TransportError
from guestbook.transport.http_request_and_redirects import Transport
from guestbook.transport.urls import check_destination

ROOM = 1_000_000  # bytes: a thousand attempts with the usual answers, or sixty with the longest ones
STEADY_TIME = timedelta(days=2)  # We believe the clock when passes have come so long without such a gap.


def require_room(engine: Engine) -> None:
    """Raise the database's error if the last pass did not come to its end, and there is no room for this one.

    An almost full disk may have room for a claim and none for its outcomes. Then each pass would send the
    same deliveries again. A pass without anything to do counts only if it was killed or could not store its
    end. On a server those of other hosts may be running now.
    """
    did = Pass.processed + Pass.retried + Pass.failed > 0
    query = select(Pass.finished_at).where(did | Pass.finished_at.is_(None)).order_by(Pass.started_at.desc())
    if engine.dialect.name != "sqlite":
        query = query.where(Pass.host == ids.host_name())
    with database.read(engine) as connection:
        last = connection.execute(query.limit(1)).first()
    was_cut_off = last is not None and last.finished_at is None
    if was_cut_off and (full := writable_check.error_of_attempts(engine, ROOM)):
        raise full


def begin_record(engine: Engine) -> str:
    """Store a pass that starts now, and return its id."""
    pass_id, host = ids.new(), ids.host_name()
    new = insert(Pass).values(id=pass_id, started_at=clock.now(), host=host)
    database.write_with_retry(engine, lambda connection: connection.execute(new))
    return pass_id


def finish(engine: Engine, settings: Settings, pass_id: str, tally: Tally) -> None:
    """Store that the pass has ended, what it did, and which limit of the host it met."""
    disk_budget_of_source.recount(engine)  # Verified and deleted events have left room.
    counts = {"processed": tally.processed, "retried": tally.retried, "failed": tally.failed}
    change = update(Pass).where(Pass.id == pass_id).values(finished_at=clock.now(), **counts)
    database.write_with_retry(engine, lambda connection: connection.execute(change))
    if tally.host_limit:
        hits_and_notes.note_observations(settings.data_dir, {hits_and_notes.HOST_LIMIT: tally.host_limit})
    engines.clear_wal(engine)


def may_prune(engine: Engine, previous: datetime | None) -> bool:
    """Whether passes have come for two days by this clock. After a jump of the clock everything looks old."""
    now = clock.now()
    if previous is None or now - previous >= STEADY_TIME:
        return False
    earlier = Pass.started_at.between(now - 2 * STEADY_TIME, now - STEADY_TIME)
    with database.read(engine) as connection:
        return connection.scalar(select(Pass.id).where(earlier).limit(1)) is not None


log = logging.getLogger(__name__)

PRUNE_TIME = 0.5  # seconds that a pass may prune, also when its time is over
SHORT_PRUNE_TIME = 0.1  # seconds for a pass inside a web request


@dataclass(slots=True)
class RunningPass:
    """How long a pass may work, and what it has done."""

    until: float  # of the monotonic clock
    host: HostNote  # It is to be kept while the pass lasts.
    stop: StopFlag = field(default_factory=StopFlag)
    tally: Tally = field(default_factory=Tally)


@contextmanager
def opened_pass(
    engine: Engine,
    settings: Settings,
    max_seconds: float,
    *,
    housekeeping: bool,
    lock: str = locks.PASS,
    in_request: bool = False,
) -> Iterator[RunningPass | None]:
    """Begin a pass, and end it after the work; None when another process holds the data folder's lock.

    Raises Refused while another host, which came first, uses the same SQLite file.
    """
    running = RunningPass(time.monotonic() + max_seconds, HostNote(settings, hosts_sharing_sqlite.PASS))
    running.host.keep()
    with locks.taken(settings.data_dir / lock) as held, _prepared_process(in_request) as stop:
        if not held:
            yield None
            return
        previous = clock_repair.repair(engine, settings.timeout, settings.retry_schedule)
        require_room(engine)
        pass_id = begin_record(engine)
        if housekeeping:
            remind(engine, settings)
        running.stop = stop
        yield running
        if housekeeping and not stop.is_set():
            prune_until = time.monotonic() + (SHORT_PRUNE_TIME if in_request else PRUNE_TIME)
            if by_age := may_prune(engine, previous):  # Retention deletes the rows that these figures count.
                statistics.record_days(engine, settings.keep_processed_days, clock.now())
            prune(engine, settings, until=prune_until, by_age=by_age)
        finish(engine, settings, pass_id, running.tally)


@contextmanager
def _prepared_process(in_request: bool) -> Iterator[StopFlag]:
    """Catch signals and keep to one core, but not in a web request: there the process is the server's."""
    if in_request:
        yield StopFlag()
        return
    caught = current_process.flag_set_by((signal.SIGTERM, signal.SIGINT), second_ends=True)
    with caught as stop, current_process.batch_on_one_core():
        yield stop


@dataclass(frozen=True, slots=True)
class Options:
    """The options of the command."""

    max_seconds: float = 50
    stay: bool = False
    concurrency: int = 32
    inbox: bool = True
    outbox: bool = True
    housekeeping: bool = True


AfterTick = Callable[[Tally], None]


@dataclass(frozen=True, slots=True)
class PassReport:
    """What a pass has done. The last three are of a short pass."""

    outbox: Tally
    inbox: Counts
    seconds: float = 0.0
    cut: frozenset[str] = frozenset()  # ids of webhooks whose receivers did not answer in this time
    has_more: bool = False  # Something is still due.


def run(
    engine: Engine, settings: Settings, options: Options, *, after_tick: AfterTick = lambda _tally: None
) -> PassReport | None:
    """Do everything that is due; None when another pass holds the lock."""
    with opened_pass(engine, settings, options.max_seconds, housekeeping=options.housekeeping) as running:
        if running is None:
            log.info("Another pass is running; it does the work.")
            return None
        inbox = Inbox(engine, settings, threads=options.concurrency > 1)
        own = inbox.take_delivery
        dispatcher = Dispatcher(engine, settings, concurrency=options.concurrency, own=own)
        host, tally, until, stop = running.host, dispatcher.tally, running.until, running.stop
        running.tally, beside = tally, inbox if options.inbox else None
        stop.set_when(_reason_to_end(settings, stays=options.stay))

        def tick() -> None:
            host.keep()
            after_tick(tally)

        if options.outbox:
            dispatcher.run(until=until, stay=options.stay, stop=stop, after_tick=tick, beside=beside)
        if beside and (not options.outbox or tally.local_error):  # Such a fault does not concern the inbox.
            inbox.drain(until=until, stop=stop)
        inbox.close()
    if stop.is_set():  # One of crontab's that ends by itself is followed by the next one.
        host.leave()
    report = PassReport(tally, inbox.counts)
    _log_figures(options, report)
    return report


def _reason_to_end(settings: Settings, *, stays: bool) -> Callable[[], bool]:
    """Return what says whether a pass must end: a command waits for it, or the settings have changed.

    The latter is of one that stays: the next pass has the new settings, such as the book's address.
    """
    file = settings.data_dir / ".env"
    before = files.state_of(file)
    return lambda: locks.must_pass_end(settings.data_dir) or (stays and files.state_of(file) != before)


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


REST_AFTER_PASS = timedelta(minutes=1)  # after a pass, until the next one at the end of a request
HOUSEKEEPING_EVERY = timedelta(hours=1)


def run_short(
    settings: Settings, seconds: float, *, slow: frozenset[str] = frozenset(), skips_slow: bool = False
) -> PassReport | None:
    """Do what is due within so many seconds, in a web request; None when another pass holds the lock.

    It starts no thread, and does and records the same as a pass of cron. `slow` are the webhooks that come
    last, or not at all. The database may wait half a second longer. Raises the database's errors.
    """
    began = time.monotonic()
    with (
        engines.waiting(engines.FOR_SHORT_PASSES),
        engines.opened(settings) as engine,
        opened_pass(engine, settings, seconds, housekeeping=True, in_request=True) as running,
    ):
        if running is None:
            return None
        # Not from the beginning: on a slow host the rest may take half a second, and nothing would be sent.
        limit = TimeLimit(time.monotonic() + seconds, slow, skips_slow)
        inbox = Inbox(engine, settings, threads=False, limit=limit)
        dispatcher = Dispatcher(engine, settings, concurrency=1, limit=limit, own=inbox.take_delivery)
        running.tally = dispatcher.tally
        dispatcher.run(until=running.until, stay=False, stop=running.stop, beside=inbox)
        inbox.close()
        has_more = _is_due(engine, settings, limit.skipped, clock.now())
    report = PassReport(
        dispatcher.tally, inbox.counts, time.monotonic() - began, frozenset(limit.cut), has_more
    )
    log_warnings(report.outbox)
    return report


def wait_for_work(settings: Settings, *, skipped: frozenset[str] = frozenset()) -> timedelta | None:
    """Return how long to wait before a pass: nothing when something is due, None when nothing is.

    It only reads, and takes some milliseconds.
    """
    with engines.waiting(engines.FOR_SHORT_PASSES), engines.opened(settings) as engine:
        now = clock.now()
        with database.read(engine) as connection:
            last = connection.scalar(select(func.max(Pass.started_at)).where(Pass.started_at <= now))
        if last and now - last < REST_AFTER_PASS:
            return last + REST_AFTER_PASS - now
        is_late = last is not None and now - last >= HOUSEKEEPING_EVERY
        return timedelta(0) if is_late or _is_due(engine, settings, skipped, now) else None


def _is_due(engine: Engine, settings: Settings, skipped: frozenset[str], now: datetime) -> bool:
    with database.read(engine) as connection:
        due = {row.id for row in delivery_tasks.open_with_due(connection, now)}
        reminds = events_and_reminders.is_reminder_due(connection)
    is_due = bool(due - skipped) or reminds or public_files.is_behind(settings)
    return is_due or Inbox(engine, settings).anything_due(now)


PRUNE_PAUSE = 0.03  # seconds between two batches, which are so small that nobody waits for them


def prune(engine: Engine, settings: Settings, *, until: float, by_age: bool = True) -> int:
    """Remove old deliveries, inbound events and the like; stop at that moment of the monotonic clock.

    Returns how many rows went, attempts not counted. Rows that wait for a disabled webhook or source go when
    they are as old as failed ones may become; all other waiting rows stay. Without `by_age` only what no
    clock decides goes.
    """
    removed = 0
    for table, condition in conditions(settings, clock.now(), by_age):
        while time.monotonic() < until:
            count = row_changes.delete_batch(engine, table, condition)
            removed += count
            if count < row_changes.BATCH_SIZE:
                break
            time.sleep(PRUNE_PAUSE)
    return removed


def conditions(settings: Settings, now: datetime, by_age: bool = True) -> Iterator[tuple[Table, TextClause]]:
    """Return the tables with the rules that say which of their rows go: all, or those that ask no clock."""
    moments = retention_rules.moments(settings, now)
    for table, rule in retention_rules.RULES:
        used = {name: moments[name] for name in moments if f":{name}" in rule.split()}
        if by_age or not used:
            yield Base.metadata.tables[table], text(rule).bindparams(**used)


def remind(engine: Engine, settings: Settings) -> None:
    """Store the reminder, if one is due; the same pass sends it."""
    with database.read(engine) as connection:
        if not events_and_reminders.is_reminder_due(connection):
            return
    count = database.write_with_retry(
        engine, lambda connection: events_and_reminders.remind(connection, settings)
    )
    if count:
        log.info("Reminded of %s.", counted(count, "held comment"), extra={"held_comments": count})


def log_warnings(tally: Tally) -> None:
    """Log what cron mails to the owner: one line a webhook, however many deliveries it cost."""
    for (name, webhook_id), count in sorted(tally.given_up.items()):
        log.warning(
            "%s given up for webhook %s. See: %s",
            "1 delivery was" if count == 1 else f"{count} deliveries were",
            name,
            installation.typed(f"deliveries list --status failed --webhook {webhook_id}"),
            extra={"webhook_id": webhook_id, "deliveries": count},
        )
    if tally.local_error:
        log.warning("the pass ended early, and what is due waits. %s", tally.local_error)
    elif tally.host_limit:  # After an early end the line above has it.
        log.warning("%s", tally.host_limit)
    for line in tally.disabled:
        log.warning("%s.", line)


PING_TIMEOUT = 10.0  # seconds
PING_BODY_LIMIT = 1000  # characters
PING_HEADERS = {"User-Agent": f"guestbook/{VERSION}", "Content-Type": "text/plain; charset=utf-8"}


class CronPing:
    """The pings of one pass. None of them raises, whatever the monitor does."""

    def __init__(self, url: str, *, allow_networks: Sequence[Network], proxy: str | None) -> None:
        self._url: str | None = url
        self._transport = Transport(timeout=PING_TIMEOUT, allow_networks=allow_networks, proxy=proxy)
        self._first = Thread(target=self._post, args=("/start", ""), name="ping", daemon=True)
        try:
            check_destination(url, allow_networks=allow_networks)
        except ValueError as error:
            self._url = None
            log.warning("no ping is sent to the monitor. %s", error)

    def start(self) -> None:
        """Say that the pass starts, and do not wait for the answer."""
        with suppress(RuntimeError, MemoryError):  # This host allows no thread; the end needs none.
            self._first.start()

    def end(self, failure: str | None) -> None:
        """Say that the pass has ended, or why it failed."""
        if self._first.is_alive():
            self._first.join(PING_TIMEOUT)  # Else the monitor might get the end first.
        self._post("/fail" if failure else "", (failure or "")[:PING_BODY_LIMIT])
        self._transport.close()

    def _post(self, suffix: str, body: str) -> None:
        if self._url is None:
            return
        parts = urlsplit(self._url)
        target = parts._replace(path=parts.path.rstrip("/") + suffix).geturl() if suffix else self._url
        try:
            answer = self._transport.post(target, PING_HEADERS, body.encode(errors="replace"))
        except TransportError as error:
            log.info("The ping to the monitor failed: %s", error)
        else:
            log.info("The monitor answered %d.", answer.status)
