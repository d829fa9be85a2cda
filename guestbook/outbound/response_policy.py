"""What a receiver's answer means for the delivery and for its webhook. Pure."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from guestbook.lib import retry_policy

SLOW_DOWN = (429, 502, 503, 504)
SLACK_IS_GONE = (b"no_service", b"no_team", b"no_active_hooks", b"channel_is_archived", b"channel_not_found")
# At its beginning: Telegram sends the message back after it, which may be longer than what we read.
TELEGRAM_HAS_IT = re.compile(rb'\s*\{\s*"ok"\s*:\s*true\b')


@dataclass(frozen=True, slots=True)
class Meaning:
    """Success or not, and what else the receiver asks for."""

    ok: bool
    gone: bool = False  # disable the webhook: nothing of ours is wanted there any more
    abort: bool = False  # this delivery ends now, as it is; another attempt would change nothing
    pause: float = 0.0  # seconds for which the whole webhook is to be left alone
    but: str = ""  # what is wrong with an answer whose status alone looks well


OK = Meaning(ok=True)
RETRY = Meaning(ok=False)


Reader = Callable[[int, Mapping[str, str], datetime, bytes], Meaning]


def reader(format_name: str) -> Reader:
    """Return how to read the answers to that format: chat services say some things in ways of their own."""
    return READERS.get(format_name, read)


def read(status: int, headers: Mapping[str, str], now: datetime, _body: bytes = b"") -> Meaning:
    """Read a status code and the headers: only 2xx is success, a redirect is not.

    410 is Standard Webhooks 1.0.0's sign that a receiver is gone; `webhook-delivery: disable` and
    `abort-message` are its proposed response header.
    """
    wish = headers.get("webhook-delivery", "").strip().lower()
    ok = 200 <= status < 300
    if ok and not wish:
        return OK
    pause = retry_policy.retry_after(headers.get("retry-after"), now) if status in SLOW_DOWN else 0.0
    return Meaning(ok, gone=status == 410 or wish == "disable", abort=wish == "abort-message", pause=pause)


def _slack(status: int, headers: Mapping[str, str], now: datetime, body: bytes) -> Meaning:
    """A webhook that was removed, or whose channel is archived, says so in a word; 410 does too."""
    meaning = read(status, headers, now)
    return replace(meaning, gone=True) if not meaning.ok and body.strip() in SLACK_IS_GONE else meaning


def _discord(status: int, headers: Mapping[str, str], now: datetime, body: bytes) -> Meaning:
    """404: somebody has deleted the webhook. A 429 says in its body, to the millisecond, how long to wait."""
    meaning = read(status, headers, now)
    if status == 404:
        return replace(meaning, gone=True)
    return _wait(meaning, status, body, "retry_after")


def _telegram(status: int, headers: Mapping[str, str], now: datetime, body: bytes) -> Meaning:
    """Telegram has the message when it says `"ok": true`; a 429 says in its body how long to wait."""
    meaning = read(status, headers, now)
    if meaning.ok and not TELEGRAM_HAS_IT.match(body):
        return replace(meaning, ok=False, but=', but not that it is "ok"')
    return _wait(meaning, status, body, "parameters", "retry_after")


def _wait(meaning: Meaning, status: int, body: bytes, *path: str) -> Meaning:
    """Add the seconds that stand there in the body of a 429."""
    if status != 429:
        return meaning
    try:
        value: Any = json.loads(body)
        for name in path:
            value = value[name]
        seconds = float(value)
    except (ValueError, LookupError, TypeError, OverflowError, RecursionError):
        return meaning
    if not 0 < seconds < float("inf"):
        return meaning
    return replace(meaning, pause=max(meaning.pause, min(seconds, retry_policy.RETRY_AFTER_CAP)))


READERS: dict[str, Reader] = {"slack": _slack, "discord": _discord, "telegram": _telegram}
