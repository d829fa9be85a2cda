"""How long the book keeps what, in words for its visitors, from the settings. It needs no SQLAlchemy."""

from typing import NamedTuple

from guestbook.lib import rate_counters
from guestbook.lib.errors import Translatable
from guestbook.web import request_context, visitor_form
from guestbook.web.template_filters import translated


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
    settings = request_context.settings()
    return KeptFor(
        spam=_days(settings.keep_spam_days),
        delivered=_days(settings.keep_processed_days),
        failed=_days(settings.keep_failed_days),
        network=_days(rate_counters.FORGET_TRIES_AFTER.days),
        cookie=_days(visitor_form.VISITOR_LIFETIME.days),
        change=translated(visitor_form.CHANGE_TIME),
    )


def _days(count: int) -> str:
    return translated(Translatable.plural("%(count)s day", "%(count)s days", count))
