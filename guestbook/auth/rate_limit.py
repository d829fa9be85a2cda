"""How often a network may do something. The counts are in the database: a server has several processes.

A row is named by a keyed hash of the network, so no visitor's address is stored. For comments the key is
another one each day, so the rows of two days do not show that they are of one network. Retention deletes
them after a day.
"""

import hmac
import re
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address

from sqlalchemy import delete
from sqlalchemy.orm import Session

from guestbook.lib import rate_limit_backoff
from guestbook.storage import upsert
from guestbook.storage.models import Limit

LIMITS_SKEW = timedelta(seconds=60)  # a row may be ahead: the clock was read before the wait for it
ROTATION = timedelta(days=1)  # the key of a network's hash is another one each day
IPV6_NETWORK = 64  # bits; a visitor usually has all addresses of such a network
WITH_PORT = re.compile(r"(?:\[([^\]]+)\]|([0-9.]+))(?::\d+)?")  # as some proxies pass an address on


def who(secret_key: str, what: str, address: str | None = None) -> str:
    """Return the name under which an address's network is counted for `what`; everybody's without one."""
    subject = what if address is None else f"{what} {_network(address)}"
    return hmac.new(secret_key.encode(), subject.encode(), "sha256").hexdigest()


def take_of_network(
    session: Session, secret_key: str, what: str, address: str, now: datetime, *, most: int, within: timedelta
) -> float:
    """Do as `take` for an address's network, under a name that is another one each day.

    A stretch of time that began under yesterday's name ends under it, so the limit is exact at midnight too.
    Where two servers' clocks differ, one may be at tomorrow's name already: both look at both, in this order.
    """
    moments = (now - within, now, now + LIMITS_SKEW)
    names = [who_on_day(secret_key, what, address, moment) for moment in moments]
    for name in dict.fromkeys(names) if len(set(names)) > 1 else ():
        row = _row(session, name, now)
        if row.hits and now - within < row.since <= now + LIMITS_SKEW:
            return take(session, name, now, most=most, within=within)
    return take(session, names[1], now, most=most, within=within)


def left_of_network(
    session: Session, secret_key: str, what: str, address: str, now: datetime, *, most: int, within: timedelta
) -> tuple[int, float]:
    """Return how many `take_of_network` would count now, and the seconds until there may be `most` again."""
    for moment in (now - within, now, now + LIMITS_SKEW):
        row = session.get(Limit, who_on_day(secret_key, what, address, moment), populate_existing=True)
        if row and row.hits and now - within < row.since <= now + LIMITS_SKEW:
            return max(0, most - row.hits), (row.since + within - now).total_seconds()
    return most, within.total_seconds()


def who_on_day(secret_key: str, what: str, address: str, moment: datetime) -> str:
    """Return the name under which an address's network is counted on the day of that moment."""
    day = int(moment.timestamp() // ROTATION.total_seconds())
    return who(f"{secret_key} {day}", what, address)


def ends_at(session: Session, name: str, now: datetime, *, within: timedelta) -> datetime | None:
    """Return when the present stretch of time of `take` ends; None when there is none."""
    row = session.get(Limit, name, populate_existing=True)
    is_present = row and row.hits and now - within < row.since <= now + LIMITS_SKEW
    return row.since + within if row and is_present else None


def take(session: Session, name: str, now: datetime, *, most: int, within: timedelta) -> float:
    """Count one more and return 0, or count nothing and return the seconds until there may be one again."""
    row = _row(session, name, now)
    if not now - within < row.since <= now + LIMITS_SKEW:
        row.hits, row.since = 0, now
    if row.hits >= most:
        return max(1.0, (row.since + within - now).total_seconds())
    row.hits, row.last_at = row.hits + 1, now
    session.flush()
    return 0.0


def count(session: Session, name: str, now: datetime, *, within: timedelta) -> int:
    """Return how often `take` has counted since its present stretch of that time began."""
    row = session.get(Limit, name)
    return row.hits if row and now - within < row.since <= now + LIMITS_SKEW else 0


def knock(session: Session, name: str, now: datetime, *, free: int) -> float:
    """Count one more try and return 0, or count nothing and return the seconds to wait before the next.

    The first `free` ones need not wait; from then on the waits double, up to a quarter of an hour.
    """
    row = _row(session, name, now)
    if now - row.last_at >= rate_limit_backoff.FORGET_AFTER:
        row.hits = 0
    row.last_at = min(row.last_at, now)  # a clock that ran ahead and was put right must not cost years
    left = (row.last_at + timedelta(seconds=rate_limit_backoff.wait(row.hits, free)) - now).total_seconds()
    if left <= 0:
        row.hits, row.last_at = row.hits + 1, now
    session.flush()
    return max(0.0, left)


def forget(session: Session, name: str) -> None:
    """Start the count anew."""
    session.execute(delete(Limit).where(Limit.who == name))


def _row(session: Session, name: str, now: datetime) -> Limit:
    """Return the row under a lock; a new one where there is none, be it another process that makes it."""
    while True:  # another process may delete the row that it has made
        row = session.get(Limit, name, with_for_update=True, populate_existing=True)
        if row:
            return row
        upsert.insert_missing(session.connection(), Limit, who=name, hits=0, since=now, last_at=now)


def _network(address: str) -> str:
    """Return an IPv4 address or the /64 of an IPv6 address; anything else, such as a socket's name, as is."""
    bare = WITH_PORT.fullmatch(address)
    try:
        ip = ip_address((bare[1] or bare[2] if bare else address).partition("%")[0])
    except ValueError:
        return address
    if not isinstance(ip, IPv6Address):
        return str(ip)
    return str(ip.ipv4_mapped or f"{int(ip) >> (128 - IPV6_NETWORK):x}/{IPV6_NETWORK}")
