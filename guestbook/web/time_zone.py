"""The time zone of a page's dates: the book's. Where the owner allows it, a small script shows the visitor's.

The admin pages and feeds have UTC.
"""

from datetime import datetime

from flask import Response, after_this_request, has_request_context

from guestbook.lib import clock
from guestbook.web import request_context, response_headers


def shown() -> str:
    """Return the name of the current page's zone; the book's for the pages of a static site."""
    is_admin_page = has_request_context() and response_headers.is_admin_page()
    return clock.UTC_NAME if is_admin_page else request_context.preferences_or_defaults().timezone


def local(moment: datetime) -> datetime:
    """Return the moment by the clock of that zone."""
    return clock.in_zone(moment, shown())


def is_visitors() -> bool:
    """Whether this page runs the script that shows its dates in the visitor's zone; then let it run."""
    if not request_context.preferences_or_defaults().visitor_times or response_headers.is_for_owner():
        return False
    after_this_request(_allow_script)
    return True


def _allow_script(response: Response) -> Response:
    """Allow it, unless an error took the place of the page."""
    if response.status_code < 400:
        response.headers["Content-Security-Policy"] = response_headers.WITH_SCRIPT
    return response
