"""Checks that several forms share: most return the value to store. A wrong value raises Refused."""

import re
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from guestbook.lib import clock, text
from guestbook.lib.errors import Refused, Translatable, refusing

ALIKE = 0.75  # from 0 to 1, how much a word has in common with the one that was probably meant
NAME_LIMIT = 80  # characters of the owner's name for a thing, as in schema.sql
TYPED_NUMBER = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6})?")
NOT_STORABLE = re.compile("[\0\ud800-\udfff]")  # no database takes half a character, and PostgreSQL no NUL

Check = Callable[[Any], Any]


def all_of(checks: Mapping[str, Callable[[], Any]]) -> dict[str, Any]:
    """Run every check; return column → value. Refuses with one sentence for each wrong field."""
    values: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    only_here = True
    for column, check in checks.items():
        try:
            values[column] = check()
        except Refused as error:
            wrong |= error.fields or {column: error.sentence}
            only_here &= error.only_here
    if wrong:
        raise Refused.of(wrong, only_here=only_here)
    return values


def given(fields: Mapping[str, Any], checks: Mapping[str, tuple[str, Check]]) -> dict[str, Any]:
    """Check the given fields alone; `checks` is field → column and check. Return column → value."""
    named = {name: of for name, of in checks.items() if name in fields}
    return all_of({column: partial(check, fields[name]) for name, (column, check) in named.items()})


def name(value: str) -> str:
    """Check the owner's name for a webhook, a source, a bin or a token."""
    cleaned = text.clean_line(value)
    if not cleaned or len(cleaned) > NAME_LIMIT:
        raise Refused(f"The name must have 1 to {NAME_LIMIT} characters.", field="name")
    return cleaned


def end(typed: str, noun: str) -> datetime:
    """Read when something expires, such as `90d` or a date: in the future."""
    with refusing("expires", ValueError):
        moment = clock.typed(typed, ahead=True)
    if moment <= clock.now():
        raise Refused(f"A {noun} must expire in the future, such as in 90d.", field="expires")
    return moment


def one_of(known: Collection[str], value: str, *, field: str, noun: str) -> str:
    """Check that a value is one of the known ones."""
    if not value:
        raise Refused(f"Choose the {noun}: {', '.join(known)}.", field=field)
    if value not in known:
        advice = did_you_mean(value, known) or f" Choose one of: {', '.join(known)}."
        raise Refused(f"There is no {noun} {value!r}.{advice}", field=field)
    return value


def did_you_mean(word: str, known: Collection[str]) -> str:
    """Return a question after a blank: the known word that is written much like this one, if there is one."""
    from difflib import get_close_matches  # here: cron starts each minute

    close = get_close_matches(word.lower(), known, n=1, cutoff=ALIKE)
    return f" Did you mean {close[0]!r}?" if close else ""


def number(value: object, least: float, most: float, *, field: str, what: str, whole: bool = True) -> float:
    """Check a number that was typed or sent, such as "5" or 2.5. Its sentence begins with `what`."""
    typed = str(value).strip()
    read = float(typed) if TYPED_NUMBER.fullmatch(typed) else -1.0
    if not least <= read <= most or (whole and read % 1):
        raise Refused(f"{what} from {least:g} to {most:,g}.", field=field)
    return read


def whole(least: int, most: int, field: str, what: str) -> Callable[[object], int]:
    """Return the check of a whole number."""
    return lambda value: int(number(value, least, most, field=field, what=what))


def storable(value: str, *, field: str) -> str:
    """Check that a database can store the text."""
    if NOT_STORABLE.search(value):
        raise Refused(f"The {field} must be text without NUL.", field=field)
    return value


def lines(value: str, most: int, check: Callable[[str], str]) -> str:
    """Return the lines, each checked, without blank and repeated ones; raises ValueError for too many."""
    found = list(dict.fromkeys(filter(None, map(text.clean_line, value.splitlines()))))
    if len(found) > most:
        raise ValueError(f"These are {len(found):,} lines. Please use at most {most}.")
    return "\n".join(map(check, found))


def too_long(what: str, value: str, limit: int) -> str | None:
    """Return a sentence for a visitor whose text is too long, or None."""
    if len(value) <= limit:
        return None
    return Translatable(
        "%(what)s has %(length)s characters. Please use at most %(limit)s.",
        what=what,
        length=len(value),
        limit=limit,
    )


PULL_URL = "pull:"  # the URL of a webhook whose receiver fetches the deliveries: no pass sends them
MAILTO = "mailto:"
VISITORS_URL = "mailto:visitors"  # the URL of the webhook that the book adds for e-mail to visitors
REPLY_MAIL = "mail.reply"  # the event of the delivery that brings a visitor the owner's reply
MAIL_ADDRESS_LIMIT = 254  # characters, RFC 5321
MAIL_ADDRESS = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*"
)


def mail_address(address: str) -> str:
    """Return the address; raises ValueError for any other text."""
    if len(address) > MAIL_ADDRESS_LIMIT or not MAIL_ADDRESS.fullmatch(address):
        raise ValueError("it must be an address like book@example.org")
    return address


def address_of_mailto(url: str) -> str:
    """Return the address of a mailto: URL; raises ValueError."""
    return mail_address(unquote(url[len(MAILTO) :]))


def is_mailto(url: str) -> bool:
    """Whether it is a mailto: URL."""
    return url[: len(MAILTO)].lower() == MAILTO


DEFAULT_PORTS = {"http": 80, "https": 443}
ASCII_HOST = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*")


NOT_A_WEBSITE = "“{}” is not the address of a website, such as https://example.org."
QUOTED = 500  # characters of what was typed


def not_a_website(typed: str) -> ValueError:
    """Return the error that quotes what was typed."""
    return ValueError(NOT_A_WEBSITE.format(text.shortened(typed, QUOTED)))


def web_origins(typed: str) -> list[str]:
    """Return the origin of each website that somebody typed, once; raises ValueError that quotes the line."""
    found = dict[str, None]()
    for line in typed.splitlines():
        try:
            found |= dict.fromkeys(web_origin(with_scheme(one)) for one in line.split())
        except ValueError:
            raise not_a_website(line) from None
    return list(found)


def web_origin(typed: str) -> str:
    """Return the origin that somebody typed, also by a whole address; raises ValueError with a sentence."""
    try:
        parts = urlsplit(typed)
        host, port = (parts.hostname or "").encode("idna").decode().lower(), parts.port
    except ValueError:
        raise not_a_website(typed) from None
    if parts.scheme not in DEFAULT_PORTS or "@" in parts.netloc or not ASCII_HOST.fullmatch(host):
        raise not_a_website(typed)
    return f"{parts.scheme}://{host}" + (f":{port}" if port and port != DEFAULT_PORTS[parts.scheme] else "")


def with_scheme(typed: str) -> str:
    """Return what a person typed as an address, with `https://` before a host that has a dot."""
    is_host = "." in typed.partition("/")[0] and "://" not in typed
    return f"https://{typed}" if is_host else typed


PAGE_LIMIT = 350  # characters of a page's address, as in schema.sql
ESCAPED = re.compile("%[0-9a-f]{2}", re.IGNORECASE)
KEPT_IN_A_PATH = "/%:@!$&'()*+,;=~"  # beside letters, digits and - . _ (RFC 3986)


def web_page(typed: str) -> str:
    """Return the address that stands for a page, with its query and without its fragment.

    Raises ValueError with a sentence. `/a` and `/a/` are two pages, as they may be on a website.
    """
    page, parts = web_origin(typed), urlsplit(typed)
    page += quote(parts.path or "/", KEPT_IN_A_PATH, errors="replace")
    if parts.query:
        page += "?" + quote(parts.query, f"{KEPT_IN_A_PATH}?", errors="replace")
    if len(page) > PAGE_LIMIT:
        raise ValueError(f"The address of a page may have at most {PAGE_LIMIT} characters.")
    return ESCAPED.sub(lambda found: found[0].upper(), page)
