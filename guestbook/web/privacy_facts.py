"""How long the book keeps what, in words for its visitors, from the settings. It needs no SQLAlchemy."""

from typing import NamedTuple

from guestbook.lib import rate_limit_backoff
from guestbook.lib.text import counted
from guestbook.web import current, receipt, visitor_cookie


class KeptFor(NamedTuple):
    """The times of the page about privacy."""

    spam: str
    delivered: str
    failed: str
    network: str
    cookie: str
    change: str


def read() -> KeptFor:
    """Return the times."""
    settings = current.settings()
    return KeptFor(
        spam=counted(settings.keep_spam_days, "day"),
        delivered=counted(settings.keep_processed_days, "day"),
        failed=counted(settings.keep_failed_days, "day"),
        network=counted(rate_limit_backoff.FORGET_AFTER.days, "day"),
        cookie=counted(visitor_cookie.VISITOR_LIFETIME.days, "day"),
        change=counted(receipt.CHANGE_WINDOW.seconds // 60, "minute"),
    )
