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

from guestbook.lib import clock, rate_counters
from guestbook.storage import audit_log, plain_sql, row_changes
from guestbook.storage.models import Limit

LIMITS_SKEW = timedelta(seconds=60)  # a row may be ahead: the clock was read before the wait for it
ROTATION = timedelta(days=1)  # the key of a network's hash is another one each day
# By the bits of an IPv6 network, how many times the limit is its own. A visitor usually has all addresses of
# a /64, and one with a server may have all of a /48, in which others live too.
IPV6_NETWORKS = {64: 1, 48: 10}
LIMIT_ROW = "SELECT hits, since, last_at FROM limits WHERE who = :name"
LOCKED_LIMIT_ROW = LIMIT_ROW + plain_sql.FOR_UPDATE
SET_LIMIT = "UPDATE limits SET hits = :hits, since = :since, last_at = :last_at WHERE who = :name"
WITH_PORT = re.compile(r"(?:\[([^\]]+)\]|([0-9.]+))(?::\d+)?")  # some proxies pass an address on like this


class CountedNetwork(NamedTuple):
    """The name of a network's row, and how many times the limit is its own."""

    name: str
    times: int


class LimitCount(NamedTuple):
    """What a row has counted."""

    hits: int
    since: datetime
    last_at: datetime


def who(secret_key: str, what: str, address: str | None = None) -> str:
    """Return the name under which an address's network is counted for `what`; everybody's without one."""
    if address is not None:
        return networks(secret_key, what, address)[0].name
    return hmac.new(secret_key.encode(), what.encode(), "sha256").hexdigest()


def networks(secret_key: str, what: str, address: str) -> list[CountedNetwork]:
    """Return the networks of an address that are counted for `what`, the smallest first."""
    return [CountedNetwork(who(secret_key, f"{what} {one}"), times) for one, times in _networks(address)]


def take_of(
    connection: Connection,
    secret_key: str,
    what: str,
    address: str,
    now: datetime,
    *,
    most: int,
    within: timedelta,
) -> float:
    """Do as `take` for the networks of an address, the larger of which may do more."""
    counted = networks(secret_key, what, address)
    waits = (take(connection, one.name, now, most=one.times * most, within=within) for one in counted)
    return next(filter(None, waits), 0.0)


def take_of_network(
    connection: Connection,
    secret_key: str,
    what: str,
    address: str,
    now: datetime,
    *,
    most: int,
    within: timedelta,
) -> float:
    """Do as `take_of`, under names that are other ones each day.

    A stretch of time that began under yesterday's name ends under it, so the limit is exact at midnight too.
    Where two servers' clocks differ, one may be at tomorrow's name already: both look at both, in this order.
    """
    for days in _by_day(secret_key, what, address, now, within):
        several = days if len(set(days)) > 1 else ()
        present = (one for one in several if _is_present(_row(connection, one.name, now), now, within))
        name, times = next(present, days[1])
        if wait := take(connection, name, now, most=times * most, within=within):
            return wait
    return 0.0


def left_of_network(
    connection: Connection,
    secret_key: str,
    what: str,
    address: str,
    now: datetime,
    *,
    most: int,
    within: timedelta,
) -> tuple[int, float]:
    """Return how many `take_of_network` would count now, and the seconds until there may be `most` again."""
    left = [(most, within.total_seconds())]
    for days in _by_day(secret_key, what, address, now, within):
        for name, times in days:
            row = _unlocked(connection, name)
            if row and _is_present(row, now, within):
                left.append((max(0, times * most - row.hits), (row.since + within - now).total_seconds()))
                break
    return min(left)


def _by_day(
    secret_key: str, what: str, address: str, now: datetime, within: timedelta
) -> Iterator[tuple[CountedNetwork, ...]]:
    """Yield each network with its names when the stretch may have started, now, and by a clock ahead."""
    moments = (now - within, now, now + LIMITS_SKEW)
    return zip(*(networks(f"{secret_key} {_day(one)}", what, address) for one in moments), strict=True)


def ends_at(connection: Connection, name: str, now: datetime, *, within: timedelta) -> datetime | None:
    """Return when the present stretch of time of `take` ends; None when there is none."""
    row = _unlocked(connection, name)
    return row.since + within if row and _is_present(row, now, within) else None


def take(connection: Connection, name: str, now: datetime, *, most: int, within: timedelta) -> float:
    """Count one more and return 0, or count nothing and return the seconds until there may be one again."""
    row = _row(connection, name, now)
    hits, since = (row.hits, row.since) if _is_present(row, now, within) else (0, now)
    if hits >= most:
        return max(1.0, (since + within - now).total_seconds())
    _set(connection, name, LimitCount(hits + 1, since, now))
    return 0.0


def count(connection: Connection, name: str, now: datetime, *, within: timedelta) -> int:
    """Return how often `take` has counted since its present stretch of that time began."""
    row = _unlocked(connection, name)
    return row.hits if row and _is_present(row, now, within) else 0


def knock(connection: Connection, name: str, now: datetime, *, free: int) -> float:
    """Count one more try and return 0, or count nothing and return the seconds to wait before the next.

    The first `free` ones need not wait; from then on the waits double, up to a quarter of an hour.
    """
    row = _row(connection, name, now)
    hits = 0 if now - row.last_at >= rate_counters.FORGET_TRIES_AFTER else row.hits
    last_at = min(row.last_at, now)  # a clock that ran ahead and was put right must not cost years
    left = (last_at + timedelta(seconds=rate_counters.wait_after_tries(hits, free)) - now).total_seconds()
    if left <= 0:
        hits, last_at = hits + 1, now
    _set(connection, name, LimitCount(hits, row.since, last_at))
    return max(0.0, left)


def forget(connection: Connection, name: str) -> None:
    """Start the count again."""
    connection.execute(delete(Limit).where(Limit.who == name))


def _is_present(row: LimitCount, now: datetime, within: timedelta) -> bool:
    """Whether something was counted in a stretch of time that has not ended."""
    return bool(row.hits) and now - within < row.since <= now + LIMITS_SKEW


def _day(moment: datetime) -> int:
    return int(moment.timestamp() // ROTATION.total_seconds())


def _unlocked(connection: Connection, name: str) -> LimitCount | None:
    return _read(connection, LIMIT_ROW, name)


def _row(connection: Connection, name: str, now: datetime) -> LimitCount:
    """Return the row under a lock; a new one where there is none, be it another process that makes it."""
    while True:  # another process may delete the row that it has made
        row = _read(connection, LOCKED_LIMIT_ROW, name)
        if row:
            return row
        row_changes.insert_missing(connection, Limit, who=name, hits=0, since=now, last_at=now)


def _read(connection: Connection, query: str, name: str) -> LimitCount | None:
    for hits, since, last_at in plain_sql.run(connection, query, name=name):
        return LimitCount(hits, clock.stored(since), clock.stored(last_at))
    return None


def _set(connection: Connection, name: str, row: LimitCount) -> None:
    moments = {"since": clock.to_text(row.since), "last_at": clock.to_text(row.last_at)}
    plain_sql.run(connection, SET_LIMIT, name=name, hits=row.hits, **moments)


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

    def begin(self, session: Session, now: datetime) -> float:
        """Count a try and return 0, or return the seconds until the network may try again."""
        attacked = count(session.connection(), self.everybody, now, within=HOUR) >= UNDER_ATTACK
        free, connection = FREE_UNDER_ATTACK if attacked else FREE_TRIES, session.connection()
        waits = (knock(connection, one.name, now, free=one.times * free) for one in self.networks)
        return next(filter(None, waits), 0.0)

    def was_right(self, session: Session) -> None:
        """Forget the tries of its networks."""
        for one in self.networks:
            forget(session.connection(), one.name)

    def was_wrong(self, session: Session, now: datetime, noun: str) -> None:
        """Count a wrong one of everybody's, and write it down under its noun."""
        connection, everybody = session.connection(), self.everybody
        take(connection, everybody, now, most=UNDER_ATTACK, within=HOUR)  # it locks the row of all networks
        audit_log.record_failure(session, noun)
