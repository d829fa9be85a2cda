"""Links with a wrong signature: a network may try some a minute. Nobody guesses one, but each costs work."""

from datetime import timedelta

from flask import request
from werkzeug.exceptions import TooManyRequests

from guestbook.auth import rate_limit
from guestbook.lib import clock
from guestbook.storage.database import writing
from guestbook.web import current

MOST_WRONG_LINKS = 20  # tries of one network within
WRONG_WITHIN = timedelta(minutes=1)  # this time
TOO_MANY_LINKS = "Too many wrong links came from your network. Please try again in a minute."


def count(purpose: str) -> None:
    """Count one of the current request's network; 429 when there were too many."""
    name = rate_limit.who(current.settings().secret_key, f"wrong {purpose} link", request.remote_addr or "")
    with writing() as session:
        wait = rate_limit.take(
            session.connection(), name, clock.now(), most=MOST_WRONG_LINKS, within=WRONG_WITHIN
        )
    if wait:
        raise TooManyRequests(TOO_MANY_LINKS, retry_after=int(wait) + 1)
