"""Let a server fail in each way that servers do, under a book at work, and see what becomes of it.

Each fault has a server, a book and processes of its own. Two hosts run one pass after the other, a publisher
keeps them busy, and visitors come. The receivers take a second, so that the rate depends on what waits.
"""

import logging
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import click
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

import guestbook
from guestbook.background.doctor import State, examination
from guestbook.outbound.worker_pool import MAX_UNRECORDED
from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.storage.models import DELIVERIES, INBOUND, Comment
from tests.background.celery.works import Works
from tests.support import inbound_factories, rabbitmq, servers, visitor
from tests.support.book import Book
from tests.support.forks import Forks, open_forks
from tests.support.pass_series import TRY_LATER, PassSeries
from tests.support.receiver import OK, Answer, Receiver
from tests.support.server_faults import FAULTS, OF_BROKER, TWINS
from tests.support.small_disk import SmallDisk, small_disk
from tests.support.visitors import Visitors

HOSTS, THREADS, WEBHOOKS = 2, 8, 4
DELAY = 1.0  # seconds before a receiver answers
BACKLOG, BATCH = 200, 10  # deliveries that wait at least; events that are published together
PASS_SECONDS = 30
MOST_OVER = 90  # seconds that a pass may take longer, and the longest way back to the earlier rate
MOST_WAIT = 30  # seconds for a page
WINDOW, WINDOWS, BACK = 4, 5, 0.98  # seconds; the rate is the median of so many; so much must come back
DISK = 400_000  # kB
SETTINGS = {"GUESTBOOK_SECRET_KEY": "a secret of proofs", "GUESTBOOK_ALLOW_NETWORKS": "127.0.0.0/8"}
MODES = ("postgresql", "mariadb", "rabbitmq")


class Site:
    """A book at work with a server that can fail: its database, or the broker of its relay and worker."""

    def __init__(self, forks: Forks, server: Any, folder: Path, point: str | None) -> None:
        self.server, self.forks = server, forks
        url = getattr(server, "url", f"sqlite:///{folder}/guestbook.db")
        self.environ = {"GUESTBOOK_DATA_DIR": str(folder), "GUESTBOOK_DATABASE_URL": url, **SETTINGS}
        command, hosts = ("cron", f"--concurrency={THREADS}"), HOSTS
        if has_broker := isinstance(server, rabbitmq.Node):
            command, hosts, self.vhost = ("relay", "--max-seconds=60"), 1, server.vhost()
            self.environ["GUESTBOOK_BROKER_URL"] = self.vhost.url
        self.passes = PassSeries(forks, self.environ, command, hosts, PASS_SECONDS, MOST_OVER, point)
        self.has_broker, self.published, self.breaches = has_broker, list[str](), list[str]()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Let all come; in the end they have gone, and what they have left is sent."""
        with ExitStack() as stack:
            self.receiver = stack.enter_context(Receiver())
            app = guestbook.create_app(self.environ)
            stack.enter_context(app.app_context())
            stack.callback(lambda: db.engine.dispose())
            database.create_tables(db.engine)
            self.book = Book(app)
            for number in range(WEBHOOKS):
                self.book.webhook(self.receiver.url(f"/{number}"))
                self.receiver.answer(f"/{number}", Answer(delay=DELAY))
            inbound_factories.source()
            visitor.let_write()
            if self.has_broker:
                works = Works(self.book, self.vhost, self.forks, self.environ, Path())
                self.worker = stack.enter_context(works.worker(HOSTS * THREADS))
            address, self.serving = stack.enter_context(self.forks.serving(self.environ))
            self.visitors = Visitors(address, MOST_WAIT)
            self.visitors.start(self.publish)
            yield
            self.visitors.end()
            self.passes.end()
            self.settle()
            self.check()

    def publish(self) -> None:
        """Publish events if few deliveries wait."""
        with suppress(DBAPIError):
            if self.book.statuses()["new"] - self.book.leased() < BACKLOG:
                self.published += self.book.publish(BATCH)

    def rate_within(self, seconds: float, wanted: float = 0) -> tuple[float, float]:
        """Return the rate once it is as wanted, or after so many seconds, and how long that took."""
        began = time.monotonic()
        while True:
            self.passes.watch(WINDOW)
            took, last = time.monotonic() - began, self.receiver.rates(began, WINDOW)[-WINDOWS:]
            if len(last) == WINDOWS and (statistics.median(last) >= wanted or took > seconds):
                return statistics.median(last), took - WINDOW * WINDOWS

    def settle(self) -> None:
        """Send all that is left, as if the leases of those that gave up had run out."""
        for number in range(WEBHOOKS):
            self.receiver.answer(f"/{number}", OK)
        for _ in range(50):
            if self.has_broker:
                time.sleep(1)  # The worker ends what it has in hand.
                self.forks.run(self.environ, "relay", "--take-back")
            else:
                self.book.expire()
            self.forks.run(self.environ, *self.passes.command)
            with database.read(self.book.engine) as connection:
                waiting = [select(func.count()).where(one.c.status == "new") for one in (DELIVERIES, INBOUND)]
                if not any(connection.scalar(one) for one in waiting):
                    return

    def check(self) -> None:
        """Note what is lost, what was sent again without a reason, and who complains."""
        attempts, visitors, add = self.book.attempts(), self.visitors, self.breaches.extend
        self.again = len(self.receiver.requests) - len(attempts)
        try:
            self.book.check_arrivals(self.receiver.requests, MAX_UNRECORDED * self.passes.ended[TRY_LATER])
        except AssertionError as error:
            add([f"{self.again} requests without a record; {str(error)[:500]}"])
        with database.read(self.book.engine) as connection:
            found = Counter(connection.scalars(select(Comment.message)))
            events = Counter(connection.scalars(select(DELIVERIES.c.event_id)))
        add(f"an attempt failed: {one.error}" for one in attempts if one.error)
        add(f"{one} is there {found[one]} times" for one in visitors.signed if found[one] != 1)
        add(f"{one} is lost" for one in visitors.hooks if not found[one])
        add(f"event {one} is lost" for one in self.published if events[one] != WEBHOOKS)
        add(visitors.complaints + self.passes.complaints)
        findings = examination.examine(self.book.settings)
        add(f"doctor: {one.sentence}" for one in findings if one.state is State.PROBLEM)
        logs = [self.serving.printed, self.worker.output if self.has_broker else ""]
        add(f"a log has {one[-2000:]}" for one in logs if "Traceback" in one)


def fails(site: Site, name: str, seconds: float, disk: SmallDisk, luck: Random) -> str:
    """Let the server fail once, and return what came of it."""
    with site.at_work():
        site.passes.watch(2 * WINDOW)
        before, _ = site.rate_within(0)
        began = time.monotonic()
        with FAULTS[name][1](site.server, disk, luck) as step:
            site.passes.watch(seconds, step)
        during = statistics.mean(site.receiver.rates(began, 1))
        after, took = site.rate_within(MOST_OVER, BACK * before)
        if after < BACK * before and not site.passes.point:  # A twin must do worse than be slow.
            site.breaches.append(f"only {after:.1f} requests a second")
    ended, pages = site.passes.ended, site.visitors.statuses
    return (
        f"{before:.0f} requests/s, {during:.0f} meanwhile, {after:.0f} after {took:.0f} s; "
        f"{len(site.receiver.requests):,} requests, {site.again} without a record; "
        f"{ended[0]} passes ended well, {ended[TRY_LATER]} gave up, {max(0, site.passes.over):.0f} s late; "
        f"{pages.total():,} pages, {pages[503]} said 503, {site.visitors.slowest:.0f} s at most"
    )


def run(forks: Forks, folder: Path, seed: int, mode: str, name: str, point: str = "") -> bool:
    """Let a server fail once, print a line, and return whether all was well, or a twin has its own fault."""
    *_, seconds, wanted = TWINS[point] if point else (FAULTS[name][0], "")
    (folder / "book").mkdir(parents=True)
    with small_disk(folder / "disk", DISK) as disk, ExitStack() as stack:
        if mode == "rabbitmq":
            server: Any = stack.enter_context(rabbitmq.open_node(disk.folder))
            server.start()
        else:
            server = stack.enter_context(servers.own_server(mode, disk.folder))
        site = Site(forks, server, folder / "book", point or None)
        line = fails(site, name, seconds, disk, Random(f"{seed} {mode} {name}"))
    faults = Counter(site.breaches).most_common(5)
    if point:
        found = [one for one in site.breaches if one.startswith(wanted)]
        print(f"twin {point}: {f'caught ({found[0][:100]!r})' if found else 'SURVIVED'}", flush=True)
        return bool(found)
    print(f"{mode} {name}: {line}; {len(site.breaches)} faults", *faults, sep="\n    ", flush=True)
    return not faults


@click.command()
@click.option("--server", "modes", type=click.Choice(MODES), multiple=True, help="Let only this one fail.")
@click.option("--fault", "names", type=click.Choice(list(FAULTS)), multiple=True, help="Only in this way.")
@click.option(
    "--twin",
    "twins",
    type=click.Choice(list(TWINS)),
    multiple=True,
    help="Only this broken twin of the program.",
)
@click.option("--seed", default=1, show_default=True, help="Draws what is ended and when.")
def faults(modes: tuple[str, ...], names: tuple[str, ...], twins: tuple[str, ...], seed: int) -> None:
    """Let servers fail in each way while a book works, and see that the rate comes back; for an hour."""
    logging.getLogger("psycopg").setLevel(logging.ERROR)
    some = [(mode, name) for mode in modes or MODES for name in names or FAULTS if names or not twins]
    some = [one for one in some if one[0] != "rabbitmq" or one[1] in OF_BROKER]
    changed = twins or (() if modes + names else TWINS)
    todo = [*some, *((*TWINS[one][:2], one) for one in changed)]
    with TemporaryDirectory() as folder, open_forks(Path(folder) / "forks") as forks:
        Path(folder).chmod(0o755)  # Servers run as other users.
        ends = [run(forks, Path(folder, f"{number}"), seed, *one) for number, one in enumerate(todo)]
    sys.exit(0 if all(ends) else 1)
