"""Links with a wrong signature: a network may try some a minute. Nobody guesses one, but each costs work."""

from datetime import timedelta

from flask import request

from guestbook.web import request_limit

MOST_WRONG_LINKS = 20  # tries of one network within
WRONG_WITHIN = timedelta(minutes=1)  # this time
TOO_MANY_LINKS = "Too many wrong links came from your network. Please try again in a minute."


def count(purpose: str) -> None:
    """Count one of the current request's network; 429 when there were too many."""
    what, address = f"wrong {purpose} link", request.remote_addr or ""
    request_limit.count(what, address, most=MOST_WRONG_LINKS, within=WRONG_WITHIN, sentence=TOO_MANY_LINKS)
