"""The time, in one place so that a test can turn it; time zones by their IANA names (RFC 6557).

`zoneinfo` is imported only for another zone than UTC: a page by CGI starts without it.
"""

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
UNITS = {"m": "minutes", "h": "hours", "d": "days"}
TIME_UNITS = {"year": 31_536_000, "month": 2_592_000, "day": 86_400, "hour": 3600, "minute": 60, "second": 1}


def now() -> datetime:
    """Return this moment as an aware datetime in UTC, cut to whole milliseconds as the tables keep it."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def to_text(moment: datetime) -> str:
    """Return `2026-01-31T23:59:59.123Z`, which sorts as text in the order of time."""
    return f"{moment.astimezone(UTC).isoformat(timespec='milliseconds').removesuffix('+00:00')}Z"


def from_text(text: str) -> datetime:
    """Return the aware datetime behind the text of `to_text`. A text without a zone, typed by hand, is UTC.

    Raises ValueError, also for a moment that in UTC lies beyond the years 1 to 9999.
    """
    moment = datetime.fromisoformat(text)
    try:
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except OverflowError as error:
        raise ValueError(str(error)) from None


def stored(text: str) -> datetime:
    """Return the moment of a table's text. One garbled by hand is long ago: it must not stop all others."""
    try:
        return from_text(text)
    except ValueError:
        return LONG_AGO


def typed(text: str, *, ahead: bool = False) -> datetime:
    """Read `2026-01-31`, `2026-01-31T23:59`, or `90m`, `6h`, `2d` ago; in UTC unless it names a zone.

    With `ahead` the last three are in the future. Raises ValueError for anything else.
    """
    try:
        if text[-1:] in UNITS and text[:-1].isascii() and text[:-1].isdigit():
            distance = timedelta(**{UNITS[text[-1]]: int(text[:-1][:9])})
            return now() + distance if ahead else now() - distance
        return from_text(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is no time such as 2026-01-31, 90m, 6h or 2d.") from None


def ago(moment: datetime) -> str:
    """Return `5 minutes ago`, `in 2 hours` or `just now`.

    A time to come is rounded: a link that was made for 30 days a moment ago does not end in 29.
    """
    seconds = (now() - moment).total_seconds()
    for unit, size in TIME_UNITS.items():
        if abs(seconds) >= size:
            count = int(seconds // size) if seconds > 0 else round(-seconds / size)
            words = f"{count} {unit}{'s' if count > 1 else ''}"
            return f"{words} ago" if seconds > 0 else f"in {words}"
    return "just now"


UTC_NAME = "UTC"
# Files such as `localtime`, `posix/…` and `right/…` stand beside the zones, in small letters.
ZONE_NAME = re.compile(r"[A-Z][A-Za-z0-9_+-]{0,31}(/[A-Za-z0-9_+-]{1,32}){0,2}")
NO_ZONE = "Factory"  # the file for machines on which nobody has chosen one
REGIONS = re.compile("(Africa|America|Antarctica|Asia|Atlantic|Australia|Europe|Indian|Pacific)/")


def checked_zone(typed: str) -> str:
    """Return the name of a zone that this machine knows, UTC for none; raises ValueError with a sentence."""
    name = typed.strip() or UTC_NAME
    if name == UTC_NAME:
        return name
    from zoneinfo import ZoneInfo

    with suppress(OSError, ValueError, LookupError):  # a folder; no file of a zone; no such file
        if ZONE_NAME.fullmatch(name) and name != NO_ZONE:
            return ZoneInfo(name).key
    raise ValueError(
        f"There is no time zone {name[:60]!r}. Use a name such as Europe/Berlin, America/New_York or UTC."
    )


def in_zone(moment: datetime, name: str) -> datetime:
    """Return the moment by the clock of a zone whose name was checked."""
    if name == UTC_NAME:
        return moment
    from zoneinfo import ZoneInfo

    try:
        return moment.astimezone(ZoneInfo(name))
    except OverflowError:  # at the ends of the years 1 to 9999
        return moment


def suggested_zones() -> list[str]:
    """Return UTC, and the zones that are named after a place."""
    from zoneinfo import available_timezones

    return [UTC_NAME, *sorted(filter(REGIONS.match, available_timezones()))]


REMIND_AFTER = timedelta(days=1)  # the owner is reminded then
MODERATION_LINK_LASTS = timedelta(days=7)  # a link to moderate works for so long after its message was made
