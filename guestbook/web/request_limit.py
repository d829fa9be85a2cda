"""At most so many requests of one kind, or wrong links, within a time; 429 beyond that."""

from datetime import timedelta

from flask import request
from werkzeug.exceptions import TooManyRequests

from guestbook.auth import rate_limit
from guestbook.auth.rate_limit import NetworkLimit
from guestbook.lib import clock
from guestbook.storage.database import writing
from guestbook.web import request_context


def count(what: str, address: str | None = None, *, most: int, within: timedelta, sentence: str) -> None:
    """Count a request of this address's network, or of everybody without one; raises TooManyRequests."""
    key, now = request_context.settings().secret_key, clock.now()
    with writing() as session:
        connection = session.connection()
        if address is None:
            wait = rate_limit.take(connection, rate_limit.who(key, what), now, most, within)
        else:
            wait = NetworkLimit(key, what, address, most, within).take(connection, now)
    if wait:
        raise TooManyRequests(sentence, retry_after=int(wait) + 1)


MOST_WRONG_LINKS = 20  # tries of one network
WRONG_WITHIN = timedelta(minutes=1)
TOO_MANY_LINKS = "Too many wrong links came from your network. Please try again in a minute."


def count_wrong_link(purpose: str) -> None:
    """Count one of the current request's network; 429 when there were too many."""
    what, address = f"wrong {purpose} link", request.remote_addr or ""
    count(what, address, most=MOST_WRONG_LINKS, within=WRONG_WITHIN, sentence=TOO_MANY_LINKS)
