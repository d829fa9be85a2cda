"""Time zones by their IANA names, such as Europe/Berlin (RFC 6557).

`zoneinfo` is imported only for another zone than UTC: a page by CGI starts without it.
"""

import re
from datetime import datetime

UTC_NAME = "UTC"
# Files such as `localtime`, `posix/…` and `right/…` stand beside the zones, in small letters.
ZONE_NAME = re.compile(r"[A-Z][A-Za-z0-9_+-]{0,31}(/[A-Za-z0-9_+-]{1,32}){0,2}")
NO_ZONE = "Factory"  # the file for machines on which nobody has chosen one
REGIONS = (
    *("Africa/", "America/", "Antarctica/", "Asia/", "Atlantic/"),
    *("Australia/", "Europe/", "Indian/", "Pacific/"),
)


def checked(typed: str) -> str:
    """Return the name of a zone that this machine knows, UTC for none; raises ValueError with a sentence."""
    name = typed.strip() or UTC_NAME
    if name == UTC_NAME or (ZONE_NAME.fullmatch(name) and name != NO_ZONE and _exists(name)):
        return name
    raise ValueError(
        f"There is no time zone {name[:60]!r}. Use a name such as Europe/Berlin, America/New_York or UTC."
    )


def local(moment: datetime, name: str) -> datetime:
    """Return the moment by the clock of a zone whose name was checked."""
    if name == UTC_NAME:
        return moment
    from zoneinfo import ZoneInfo

    try:
        return moment.astimezone(ZoneInfo(name))
    except OverflowError:  # at the ends of the years 1 to 9999
        return moment


def suggested() -> list[str]:
    """Return UTC, and the zones that are named after a place."""
    from zoneinfo import available_timezones

    return [UTC_NAME, *sorted(name for name in available_timezones() if name.startswith(REGIONS))]


def _exists(name: str) -> bool:
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(name)
    except (OSError, ValueError, LookupError):  # a folder; no file of a zone; no such file
        return False
    return True
