"""How often a network may guess the password or a code.

Each try is counted before it is looked at, so many at once gain nothing. No try from elsewhere makes the
owner wait who types the right one: under attack a network that is new still has its first try.
"""

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from guestbook.auth import rate_limit
from guestbook.storage import audit_log

FREE_TRIES = 5  # wrong ones from one network before it has to wait
UNDER_ATTACK = 30  # wrong ones from all networks in an hour, from which on strangers have fewer of them
FREE_UNDER_ATTACK = 1
HOUR = timedelta(hours=1)


class GuessLimit:
    """The limit of one network for one secret: `login` is the password."""

    def __init__(self, secret_key: str, what: str, address: str | None) -> None:
        self.everybody = rate_limit.who(secret_key, what)
        self.networks = rate_limit.networks(secret_key, what, address or "")

    def begin(self, session: Session, now: datetime) -> float:
        """Count a try and return 0, or return the seconds until the network may try again."""
        attacked = rate_limit.count(session.connection(), self.everybody, now, within=HOUR) >= UNDER_ATTACK
        free, connection = FREE_UNDER_ATTACK if attacked else FREE_TRIES, session.connection()
        waits = (rate_limit.knock(connection, one.name, now, free=one.times * free) for one in self.networks)
        return next(filter(None, waits), 0.0)

    def was_right(self, session: Session) -> None:
        """Forget the tries of its networks."""
        for one in self.networks:
            rate_limit.forget(session.connection(), one.name)

    def was_wrong(self, session: Session, now: datetime, noun: str) -> None:
        """Count a wrong one of everybody's, and write it down under its noun."""
        connection, everybody = session.connection(), self.everybody
        rate_limit.take(connection, everybody, now, most=UNDER_ATTACK, within=HOUR)  # which locks its row
        audit_log.record_failure(session, noun)
