"""From the text of a setting to its value; a ValueError says which values are right."""

import json
import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from guestbook.lib import validate

MIN_KEY_LENGTH = 16  # characters
MOST_STEPS = 50  # steps of the retry schedule
LONGEST_STEP = 30 * 86400  # seconds
NO_BLANKS = re.compile(r"[\x21-\x7e]+")
SECONDS_TEXT = re.compile(r"[0-9]+(?:\.[0-9]*)?")

Network = IPv4Network | IPv6Network


def secret(text: str) -> str:
    """A key too long to guess."""
    if text and len(text) < MIN_KEY_LENGTH:
        raise ValueError(f"a secret key needs at least {MIN_KEY_LENGTH} characters")
    return text


def secrets(text: str) -> tuple[str, ...]:
    """Keys with commas between them, or a JSON list of them."""
    if not text.startswith("["):
        return tuple(secret(part.strip()) for part in text.split(",") if part.strip())
    try:
        listed = json.loads(text)
    except (ValueError, RecursionError):
        listed = None
    if not isinstance(listed, list) or not all(isinstance(one, str) and one for one in listed):
        raise ValueError("it must be keys with commas between them, or a JSON list of keys")
    return tuple(map(secret, listed))


def base_url(text: str) -> str:
    """The address of the book in the form that the URLs of webhooks have, without a slash at its end."""
    parts = _address(text, "http", "https")
    if parts is None or parts.query or parts.fragment or "@" in parts.netloc:
        ascii_only = "" if text.isascii() else ", in ASCII: a domain with other letters begins with xn--"
        raise ValueError(f"it must be an address like https://example.org/guestbook{ascii_only}")
    host = parts.netloc.lower().removesuffix({"http": ":80", "https": ":443"}[parts.scheme])
    return f"{parts.scheme}://{host}{parts.path.rstrip('/')}"


def address(text: str, example: str, schemes: tuple[str, ...]) -> str | None:
    """An address with one of these schemes, or None for none."""
    if text and _address(text, *schemes) is None:
        raise ValueError(f"it must be an address like {example}")
    return text or None


def smtp_url(text: str) -> str | None:
    """A mail server, or None for none."""
    parts = _address(text, "smtp", "smtps", "smtp+starttls")
    # They may be the end of a password.
    usable = parts and not (parts.path.strip("/") or parts.query or parts.fragment)
    if text and not (parts and usable and unquote(parts.netloc).isascii()):
        raise ValueError("it must be an address like smtps://user:password@mail.example")
    return text or None


def mail_from(text: str) -> str | None:
    """The address that e-mail comes from, or None for none."""
    return validate.mail_address(text) if text else None


def _address(text: str, *schemes: str) -> SplitResult | None:
    """Take apart an address that a header can carry; None when it is none with one of the schemes."""
    if not NO_BLANKS.fullmatch(text):
        return None
    try:
        parts = urlsplit(text)
        usable = parts.scheme in schemes and parts.hostname and parts.port != 0
    except ValueError:  # its words would quote a proxy's password
        return None
    return parts if usable else None


def folder(text: str) -> Path | None:
    """An absolute path, or None for none."""
    if text and not text.startswith("/"):
        raise ValueError("it must be an absolute path like /var/www/book-pages")
    return Path(text) if text else None


def whole_number(text: str, low: int, high: int) -> int:
    """A whole number within limits."""
    if not (text.isascii() and text.isdigit() and low <= int(text[:9]) <= high and len(text) < 9):
        raise ValueError(f"it must be a whole number from {low} to {high}")
    return int(text)


def seconds(text: str, low: float, high: float) -> float:
    """Seconds within limits."""
    if not (SECONDS_TEXT.fullmatch(text) and low <= float(text) <= high):
        raise ValueError(f"it must be a number of seconds from {low:g} to {high:.0f}")
    return float(text)


def schedule(text: str) -> tuple[float, ...]:
    """Seconds with commas between them."""
    steps = [step.strip() for step in text.split(",")]
    good = [SECONDS_TEXT.fullmatch(step) and float(step) <= LONGEST_STEP for step in steps]
    if len(steps) > MOST_STEPS or not all(good):
        raise ValueError(
            f"it must be 1 to {MOST_STEPS} numbers of seconds up to {LONGEST_STEP}, with commas between them"
        )
    return tuple(map(float, steps))


def one_of(text: str, words: tuple[str, ...]) -> str:
    """One of these words."""
    if text not in words:
        raise ValueError(f"it must be {' or '.join(words)}")
    return text


def true_or_false(text: str) -> bool:
    """A switch."""
    return one_of(text, ("true", "false")) == "true"


def networks(text: str) -> tuple[Network, ...]:
    """Networks in CIDR notation with commas between them."""
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())
