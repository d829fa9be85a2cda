"""The clocks: that of this host, that of the database server, and the times of the newest rows."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, select

from guestbook.background.doctor.examined_book import ExaminedBook
from guestbook.background.doctor.finding import DoctorFinding, ok, problem, warning
from guestbook.lib import clock
from guestbook.storage.models import Comment, Delivery, Pass
from guestbook.storage.server_setup import SECONDS_BY_SERVER

NOTICED, BAD = timedelta(seconds=5), timedelta(minutes=1)  # hosts that share a book must agree to a minute
SET_CLOCK = "Set the clock by NTP, or ask your host to. Both machines must agree to within a minute."
NEWEST = {  # ids are in the order of time
    "comment": select(Comment.created_at).order_by(Comment.id.desc()),
    "delivery": select(Delivery.created_at).order_by(Delivery.id.desc()),
    "pass of cron": select(Pass.started_at).order_by(Pass.started_at.desc()),
}


def check_clock(book: ExaminedBook) -> Iterator[DoctorFinding]:
    """Compare the clocks, and look for rows in the future."""
    with book.engine.connect() as connection:
        findings = [*_of_server(connection), *_of_rows(connection)]
    yield from findings or [ok("clock", f"It is {clock.now():%Y-%m-%d %H:%M} UTC on this host.")]


def _of_server(connection: Connection) -> Iterator[DoctorFinding]:
    if seconds := SECONDS_BY_SERVER.get(connection.dialect.name):
        server_time = connection.exec_driver_sql(f"SELECT {seconds}").scalar()
        apart = abs(datetime.fromtimestamp(float(server_time or 0), UTC) - clock.now())
        sentence = f"The clocks of this host and the database server differ by {apart.total_seconds():.0f} s."
        if apart > BAD:
            yield problem("clock", sentence, SET_CLOCK)
        elif apart > NOTICED:
            yield warning("clock", sentence, SET_CLOCK)


def _of_rows(connection: Connection) -> Iterator[DoctorFinding]:
    for name, query in NEWEST.items():
        newest = connection.scalar(query.limit(1))
        if newest and newest > clock.now() + BAD:
            yield warning(
                "clock",
                f"The newest {name} is from {clock.to_text(newest)}, which is in the future.",
                "This host's clock is behind, or it was ahead. Set it by NTP. Passes repair due times.",
            )
