"""How often somebody may do something. Counts are kept in the database, for a server has several processes.

Whoever is counted is known by a keyed hash of the network alone, so no visitor's address is stored.
"""

import hmac
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address

from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from guestbook.models import Limit

FORGET_AFTER = timedelta(days=1)
FIRST_WAIT = 1.0  # seconds after the first wrong try that was one too many; it doubles with each further one
LONGEST_WAIT = 900.0  # seconds
IPV6_NETWORK = 64  # bits; whoever has one address of such a network has them all


def who(secret_key: str, what: str, address: str | None = None) -> str:
    """Return the name under which an address's network is counted for `what`; everybody's without one."""
    subject = f"{what} {_network(address) if address is not None else 'everybody'}"
    return hmac.new(secret_key.encode(), subject.encode(), "sha256").hexdigest()


def take(session: Session, name: str, now: datetime, *, most: int, within: timedelta) -> float:
    """Count one more and return 0, or count nothing and return the seconds until there may be one again."""
    row = _row(session, name, now)
    if not now - within < row.since <= now:
        row.hits, row.since = 0, now
    if row.hits >= most:
        return max(1.0, (row.since + within - now).total_seconds())
    row.hits, row.last_at = row.hits + 1, now
    session.flush()
    return 0.0


def count(session: Session, name: str, now: datetime, *, within: timedelta) -> int:
    """Return how often `take` has counted since its present stretch of that time began."""
    row = session.get(Limit, name)
    return row.hits if row and now - within < row.since <= now else 0


def knock(session: Session, name: str, now: datetime, *, free: int) -> float:
    """Count one more try and return 0, or count nothing and return the seconds to wait before the next.

    The first `free` ones need not wait; from then on the waits double, up to a quarter of an hour.
    """
    row = _row(session, name, now)
    if now - row.last_at >= FORGET_AFTER:
        row.hits = 0
    last = min(row.last_at, now)  # a clock that ran ahead and was put right must not make it wait for years
    left = (last + timedelta(seconds=_wait(row.hits, free)) - now).total_seconds()
    if left > 0:
        return left
    row.hits, row.last_at = row.hits + 1, now
    session.flush()
    return 0.0


def forget(session: Session, name: str) -> None:
    """Let somebody begin anew."""
    session.execute(delete(Limit).where(Limit.who == name))


def _wait(tries: int, free: int) -> float:
    return 0.0 if tries < free else min(FIRST_WAIT * 2.0 ** min(tries - free, 20), LONGEST_WAIT)


def _row(session: Session, name: str, now: datetime) -> Limit:
    """Return the row under a lock; a new one where there is none, be it another process that makes it."""
    row = session.get(Limit, name, with_for_update=True, populate_existing=True)
    if row is not None:
        return row
    try:
        with session.begin_nested():
            row = Limit(who=name, hits=0, since=now, last_at=now)
            session.add(row)
        return row
    except IntegrityError:
        return session.get_one(Limit, name, with_for_update=True, populate_existing=True)


def _network(address: str) -> str:
    """Return the address, or of one in IPv6 its /64; what is no address, such as a socket's name, as is."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, IPv6Address):
        return str(ip.ipv4_mapped or int(ip) >> (128 - IPV6_NETWORK))
    return str(ip)
