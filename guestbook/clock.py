"""The time, in one place so that a test can turn it."""

from datetime import UTC, datetime


def now() -> datetime:
    """Return this moment as an aware datetime in UTC, cut to whole milliseconds as the tables keep it."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def to_text(moment: datetime) -> str:
    """Return `2026-01-31T23:59:59.123Z`, which sorts as text in the order of time."""
    utc = moment.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}Z"


def from_text(text: str) -> datetime:
    """Return the aware datetime behind the text of `to_text`; what names no zone, typed by hand, is UTC."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
