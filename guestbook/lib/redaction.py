"""Hide what works like a password: addresses of the book with a secret in them, and most of a URL. Pure."""

import re
from urllib.parse import parse_qsl, urlsplit

HIDDEN = "(hidden)"
SHORTEST_SECRET = 12  # characters of a part of a URL that may be a password; shorter ones are common words
# Links to moderate, to a receiver's page and in e-mails to visitors, and the addresses of sources, bins and
# pingers. Programs escape a slash in JSON, in URLs and in HTML, also several times.
_SLASH = r"(?:\\{0,32}/{1,9}|%(?:25){0,8}2[Ff]|\\{1,32}u002[Ff]|&(?:#x2[Ff]|#47|sol);)"
_END_OF_SLASH = "(?:/|2[Ff]|u002[Ff]|(?:#x2[Ff]|#47|sol);)"
_PLACES = f"mail{_SLASH}(?:confirm|stop)|receiver|hooks|bin|cron"
_TOKEN = "[0-9A-Za-z_-]{32,88}"
SECRET_ADDRESS = re.compile(f"({_END_OF_SLASH}(?:moderate|{_PLACES}){_SLASH}){_TOKEN}")
NO_LINK_TO_MODERATE = re.compile(f"({_END_OF_SLASH}(?:{_PLACES}){_SLASH}){_TOKEN}")
# The part of a URL that bodies for ntfy and Telegram contain, and answers of ntfy.
ADDRESSED_TO = re.compile(r'("(?:topic|chat_id)": ?)("[^"]*"|-?[0-9]+)')


def addresses(text: str, *, may_moderate: bool = False) -> str:
    """Return the text without the secret parts of the book's addresses."""
    return (NO_LINK_TO_MODERATE if may_moderate else SECRET_ADDRESS).sub(rf"\1{HIDDEN}", text)


def url(whole: str) -> str:
    """Return a URL without what may be a password: a user, and all that follows the host."""
    parts = urlsplit(whole)
    if not parts.hostname:
        return whole
    rest = f"/{HIDDEN}" if parts.path.strip("/") or parts.query else parts.path
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{rest}"


def parts_of_url(text: str, whole: str) -> str:
    """Return a text about a request to that URL without the parts that may be a password."""
    parts = urlsplit(whole)
    found = {parts.path, parts.query, parts.password or "", *parts.path.split("/")}
    found |= {value for _, value in parse_qsl(parts.query)}
    for one in sorted(found, key=len, reverse=True):
        if len(one) >= SHORTEST_SECRET:
            text = text.replace(one, HIDDEN)
    return ADDRESSED_TO.sub(rf'\1"{HIDDEN}"', text)
