"""At most so many requests of one kind within a time, from one network or from all; 429 beyond that."""

from datetime import timedelta

from werkzeug.exceptions import TooManyRequests

from guestbook.auth import rate_limit
from guestbook.lib import clock
from guestbook.storage.database import writing
from guestbook.web import current


def count(what: str, address: str | None = None, *, most: int, within: timedelta, sentence: str) -> None:
    """Count a request of this address's network, or of everybody without one; raises TooManyRequests."""
    name = rate_limit.who(current.settings().secret_key, what, address)
    with writing() as session:
        wait = rate_limit.take(session.connection(), name, clock.now(), most=most, within=within)
    if wait:
        raise TooManyRequests(sentence, retry_after=int(wait) + 1)
