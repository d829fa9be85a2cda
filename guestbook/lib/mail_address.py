"""E-mail addresses: those that a header and an SMTP server take without quotes. Pure."""

import re
from urllib.parse import unquote

MAILTO = "mailto:"
MAIL_ADDRESS_LIMIT = 254  # characters, RFC 5321
MAIL_ADDRESS = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*"
)


def check(address: str) -> str:
    """Return the address; raises ValueError for any other text."""
    if len(address) > MAIL_ADDRESS_LIMIT or not MAIL_ADDRESS.fullmatch(address):
        raise ValueError("it must be an address like book@example.org")
    return address


def of_url(url: str) -> str:
    """Return the address of a mailto: URL; raises ValueError."""
    return check(unquote(url[len(MAILTO) :]))


def is_mailto(url: str) -> bool:
    """Whether it is a mailto: URL."""
    return url[: len(MAILTO)].lower() == MAILTO
