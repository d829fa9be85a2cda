"""The limits of the API: of requests with a token, and of comments from a network. Answers name them.

The headers are those of draft-ietf-httpapi-ratelimit-headers-11. Requests are counted in memory, because one
that only reads must not write; where a server has several processes, each counts alone.
"""

import math
import time

from flask import Response, g, request
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import TooManyRequests

from guestbook.lib.rate_counters import WindowCounter
from guestbook.web import submission
from guestbook.web.api import request_reader

REQUESTS_PER_MINUTE = 6000  # a hundred in a second: it stops a program that has gone wild
TOO_MANY_REQUESTS = "This token has made too many requests. Wait as long as Retry-After says."

token_requests = WindowCounter(REQUESTS_PER_MINUTE, 60)


def count_token(token_id: str) -> None:
    """Count a request with this token; raises TooManyRequests."""
    counter = token_requests
    left, seconds = counter.take(token_id, time.monotonic())
    g.token_limit = _named("token", counter.most, counter.seconds, max(0, left), seconds)
    if left < 0:
        raise TooManyRequests(TOO_MANY_REQUESTS, retry_after=math.ceil(seconds))


def add(response: Response) -> Response:
    """Name the limits that this request counts for, and what is left of each."""
    limits = [g.token_limit] if "token_limit" in g else []
    if request.method == "POST" and request_reader.address() == "POST /comments":
        limits += _comments(response)
    if limits:
        response.headers["RateLimit-Policy"] = ", ".join(policy for policy, _ in limits)
        response.headers["RateLimit"] = ", ".join(state for _, state in limits)
    return response


def _comments(response: Response) -> list[tuple[str, str]]:
    if response.status_code >= 500:
        return []
    try:
        most, left, seconds = submission.left_of_limit()
    except SQLAlchemyError:
        return []
    return [_named("comments", most, submission.RATE_WINDOW.total_seconds(), left, seconds)]


def _named(name: str, most: int, window: float, left: int, seconds: float) -> tuple[str, str]:
    """Return the policy and its state, as structured fields (RFC 8941)."""
    return f'"{name}";q={most};w={window:.0f}', f'"{name}";r={left};t={math.ceil(seconds)}'
