"""The base URL and the proxies in the settings, compared with what requests carry."""

from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlsplit

from guestbook.background.doctor.examined_book import ExaminedBook
from guestbook.background.doctor.finding import DoctorFinding, ok, warning
from guestbook.lib.text import counted
from guestbook.storage import seen_facts

REQUESTS_OF = timedelta(days=1)
LOOPBACK = ("127.0.0.1", "localhost", "::1")
RESTART = "Put this line in .env in the data folder, and restart the web server."


def check_base_url(book: ExaminedBook) -> Iterator[DoctorFinding]:
    """Look whether visitors reach the book where links lead."""
    base, seen = book.settings.base_url, seen_facts.read(book.settings.data_dir, REQUESTS_OF)
    other = seen.get(seen_facts.OTHER_HOST)
    if other and seen_facts.SAME_HOST not in seen:
        path = urlsplit(base).path
        yield warning(
            "base URL",
            f"GUESTBOOK_BASE_URL is {base}, and lately all requests came for {other.text}. Links in webhooks "
            "and feeds lead to the first.",
            f"Do this if visitors use the second one. {RESTART}",
            f"GUESTBOOK_BASE_URL={other.text}{path}",
        )
    elif seen_facts.SAME_HOST in seen:
        yield ok("base URL", f"Requests come for {base}, as the settings say.")
    else:
        yield ok("base URL", f"It is {base}. No request has come in the last day.")


def check_https(book: ExaminedBook) -> Iterator[DoctorFinding]:
    """Look whether the owner's password and comments travel in the open."""
    base, seen = urlsplit(book.settings.base_url), seen_facts.read(book.settings.data_dir, REQUESTS_OF)
    if base.scheme == "https":
        yield ok("HTTPS", "The base URL begins with https, so browsers send the login's cookie encrypted.")
    elif base.hostname in LOOPBACK:
        yield ok("HTTPS", "The book is for this machine alone, where it needs no HTTPS.")
    elif seen_facts.HTTPS in seen:
        yield warning(
            "HTTPS",
            f"Requests come over HTTPS, and GUESTBOOK_BASE_URL is {book.settings.base_url}.",
            RESTART,
            f"GUESTBOOK_BASE_URL=https{book.settings.base_url.removeprefix('http')}",
        )
    else:
        yield warning(
            "HTTPS",
            "The book is served without HTTPS, so others on the way can read your password.",
            "Get a certificate for the web server; many hosts give one for free. Then let GUESTBOOK_BASE_URL "
            "begin with https.",
        )


def check_proxies(book: ExaminedBook) -> Iterator[DoctorFinding]:
    """Look whether the number of trusted proxies fits what requests carry."""
    count, seen = book.settings.trusted_proxies, seen_facts.read(book.settings.data_dir, REQUESTS_OF)
    forwarded, direct = seen_facts.BY_PROXY in seen, seen_facts.NO_PROXY in seen
    # A visitor can send more addresses than the proxies add, but never fewer.
    numbers = [int(name.removeprefix(seen_facts.ADDRESSES)) for name in seen if seen_facts.ADDRESSES in name]
    fewest = min(numbers, default=count or 1) if forwarded else 0
    setting, advice = f"GUESTBOOK_TRUSTED_PROXIES is {count}", "if so many proxies stand before the book."
    if count == 0 and forwarded and not direct:
        sentence = (
            f"All requests carry X-Forwarded-For, and {setting}. So all visitors share one address, and "
            "someone guessing your password locks you out as well."
        )
    elif count and direct and not forwarded:
        sentence = f"{setting}, and no request carries X-Forwarded-For. So a visitor can invent an address."
        advice = "if no proxy stands before the book, else let it send X-Forwarded-For."
    elif forwarded and fewest < count:
        carried = counted(fewest, "address", "addresses")
        sentence = (
            f"{setting}, and requests carry {carried} in X-Forwarded-For. So a visitor can invent an "
            "address, and all others share one."
        )
    else:
        yield ok("proxies", f"{setting}, and no request contradicts it.")
        return
    line = f"GUESTBOOK_TRUSTED_PROXIES={fewest}"
    yield warning("proxies", sentence, f"Do this {advice} {RESTART}", line)
