"""How often a network may do something, and how often it may guess the password.

The counts are in the database: a server has several processes. A row is named by a keyed hash of the network,
so no visitor's address is stored. For comments the key is another one each day, so the rows of two days do
not show that they are of one network. Retention deletes them after a day.
"""

import hmac
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address
from typing import NamedTuple

from sqlalchemy import Connection, delete
from sqlalchemy.orm import Session

from guestbook.lib import clock
from guestbook.lib.rate_counters import FORGET_TRIES_AFTER
from guestbook.storage import audit_log, plain_sql, row_changes
from guestbook.storage.models import Limit

FIRST_TRY_WAIT = 1.0  # seconds after the first try that was not free; it doubles with each further one
LONGEST_TRY_WAIT = 900.0  # seconds
LIMITS_SKEW = timedelta(seconds=60)  # a row may be ahead: the clock was read before the wait for it
# By the bits of an IPv6 network, how many times the limit is its own. A visitor usually has all addresses of
# a /64, and one with a server may have all of a /48, in which others live too.
IPV6_NETWORKS = {64: 1, 48: 10}
LIMIT_ROW = "SELECT hits, since, last_at FROM limits WHERE who = :name"
SET_LIMIT = "UPDATE limits SET hits = :hits, since = :since, last_at = :last_at WHERE who = :name"
WITH_PORT = re.compile(r"(?:\[([^\]]+)\]|([0-9.]+))(?::\d+)?")  # some proxies pass an address on like this


class LimitCount(NamedTuple):
    """What a row has counted."""

    hits: int
    since: datetime
    last_at: datetime

    def is_present(self, now: datetime, within: timedelta) -> bool:
        """Whether something was counted in a stretch of time that has not ended."""
        return bool(self.hits) and now - within < self.since <= now + LIMITS_SKEW


def who(secret_key: str, what: str, address: str | None = None) -> str:
    """Return the name under which an address's network is counted for `what`; everybody's without one."""
    if address is not None:
        return networks(secret_key, what, address)[0][0]
    return hmac.new(secret_key.encode(), what.encode(), "sha256").hexdigest()


def networks(secret_key: str, what: str, address: str) -> list[tuple[str, int]]:
    """Return the names of an address's networks, the smallest first, each with its share of the limit."""
    return [(who(secret_key, f"{what} {one}"), times) for one, times in _networks(address)]


class NetworkLimit(NamedTuple):
    """How often the networks of an address may do something within a time. The larger ones may do more."""

    secret_key: str
    what: str
    address: str
    most: int
    within: timedelta

    def take(self, connection: Connection, now: datetime) -> float:
        """Count one more for each network and return 0; or stop at a full one, and return its seconds."""
        counted = networks(*self[:3])
        waits = (take(connection, name, now, self.most * times, self.within) for name, times in counted)
        return next(filter(None, waits), 0.0)

    def take_by_day(self, connection: Connection, now: datetime) -> float:
        """Do as `take`, under names that are other ones each day.

        A stretch of time that began under yesterday's name ends under it, so the limit is exact at midnight
        too. Where two servers' clocks differ, one may be at tomorrow's name already: both look at both, in
        this order.
        """
        for days in self._by_day(now):
            several = days if len(set(days)) > 1 else ()
            rows = ((one, _row(connection, one[0], now)) for one in several)
            present = (one for one, row in rows if row.is_present(now, self.within))
            name, times = next(present, days[1])
            if wait := take(connection, name, now, times * self.most, self.within):
                return wait
        return 0.0

    def left_by_day(self, connection: Connection, now: datetime) -> tuple[int, float]:
        """Return how many `take_by_day` would count now, and the seconds until there may be `most` again."""
        left = [(self.most, self.within.total_seconds())]
        for days in self._by_day(now):
            for name, times in days:
                if row := counted(connection, name, now, self.within):
                    seconds = (row.since + self.within - now).total_seconds()
                    left.append((max(0, times * self.most - row.hits), seconds))
                    break
        return min(left)

    def _by_day(self, now: datetime) -> Iterator[tuple[tuple[str, int], ...]]:
        """Yield each network with its names when the stretch may have started, now, and by a clock ahead."""
        days = (one.timestamp() // 86400 for one in (now - self.within, now, now + LIMITS_SKEW))
        keys = [f"{self.secret_key} {day:.0f}" for day in days]
        for network, times in _networks(self.address):
            yield tuple((who(key, f"{self.what} {network}"), times) for key in keys)


def counted(connection: Connection, name: str, now: datetime, within: timedelta) -> LimitCount | None:
    """Return what `take` has counted since its present stretch of that time began; None if there is none."""
    row = _read(connection, LIMIT_ROW, name)
    return row if row and row.is_present(now, within) else None


def take(connection: Connection, name: str, now: datetime, most: int, within: timedelta) -> float:
    """Count one more and return 0, or count nothing and return the seconds until there may be one again."""
    row = _row(connection, name, now)
    hits, since = (row.hits, row.since) if row.is_present(now, within) else (0, now)
    if hits >= most:
        return max(1.0, (since + within - now).total_seconds())
    _set(connection, name, hits + 1, since, now)
    return 0.0


def knock(connection: Connection, name: str, now: datetime, *, free: int) -> float:
    """Count one more try and return 0, or count nothing and return the seconds to wait before the next.

    The first `free` ones need not wait; from then on the waits double, up to a quarter of an hour.
    """
    row = _row(connection, name, now)
    hits = 0 if now - row.last_at >= FORGET_TRIES_AFTER else row.hits
    last_at = min(row.last_at, now)  # a clock that ran ahead and was put right must not cost years
    wait = 0.0 if hits < free else min(FIRST_TRY_WAIT * 2.0 ** min(hits - free, 20), LONGEST_TRY_WAIT)
    left = wait - (now - last_at).total_seconds()
    if left <= 0:
        hits, last_at = hits + 1, now
    _set(connection, name, hits, row.since, last_at)
    return max(0.0, left)


def forget(connection: Connection, name: str) -> None:
    """Start the count again."""
    connection.execute(delete(Limit).where(Limit.who == name))


def _row(connection: Connection, name: str, now: datetime) -> LimitCount:
    """Return the row under a lock; a new one where there is none, be it another process that makes it."""
    while not (row := _read(connection, LIMIT_ROW + plain_sql.FOR_UPDATE, name)):
        # In a loop, because another process may delete the row that it has made.
        row_changes.insert_missing(connection, Limit, who=name, hits=0, since=now, last_at=now)
    return row


def _read(connection: Connection, query: str, name: str) -> LimitCount | None:
    for hits, since, last_at in plain_sql.run(connection, query, name=name):
        return LimitCount(hits, clock.stored(since), clock.stored(last_at))
    return None


def _set(connection: Connection, name: str, hits: int, since: datetime, last_at: datetime) -> None:
    moments = {"since": clock.to_text(since), "last_at": clock.to_text(last_at)}
    plain_sql.run(connection, SET_LIMIT, name=name, hits=hits, **moments)


def _networks(address: str) -> list[tuple[str, int]]:
    """Return an IPv4 address, or an IPv6 address's networks; anything else, such as a socket's name, as is.

    Each comes with how many times the limit is its own.
    """
    bare = WITH_PORT.fullmatch(address)
    try:
        ip = ip_address((bare[1] or bare[2] if bare else address).partition("%")[0])
    except ValueError:
        return [(address, 1)]
    if not isinstance(ip, IPv6Address) or ip.ipv4_mapped:
        return [(str(getattr(ip, "ipv4_mapped", None) or ip), 1)]
    return [(f"{int(ip) >> (128 - bits):x}/{bits}", times) for bits, times in IPV6_NETWORKS.items()]


FREE_TRIES = 5  # wrong guesses from one network before it has to wait
UNDER_ATTACK = 30  # wrong guesses from all networks in an hour, after which strangers have fewer
FREE_UNDER_ATTACK = 1
HOUR = timedelta(hours=1)


class GuessLimit:
    """The limit of one network for one secret: `login` is the password."""

    def __init__(self, secret_key: str, what: str, address: str | None) -> None:
        self.everybody = who(secret_key, what)
        self.networks = networks(secret_key, what, address or "")

    def begin(self, connection: Connection, now: datetime) -> float:
        """Count a try and return 0, or return the seconds until the network may try again."""
        wrong = counted(connection, self.everybody, now, HOUR)
        free = FREE_UNDER_ATTACK if wrong and wrong.hits >= UNDER_ATTACK else FREE_TRIES
        waits = (knock(connection, name, now, free=times * free) for name, times in self.networks)
        return next(filter(None, waits), 0.0)

    def was_right(self, connection: Connection) -> None:
        """Forget the tries of its networks."""
        for name, _ in self.networks:
            forget(connection, name)

    def was_wrong(self, session: Session, now: datetime, noun: str) -> None:
        """Count a wrong one of everybody's, and write it down under its noun."""
        # It locks the row of all networks.
        take(session.connection(), self.everybody, now, UNDER_ATTACK, HOUR)
        audit_log.record_failure(session, noun)
