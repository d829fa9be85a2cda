"""Decide what a receiver's answer means for the delivery and for its webhook. Pure."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from guestbook.lib import retry_policy

RETRY_AFTER_STATUSES = (429, 502, 503, 504)
SLACK_GONE = (b"no_service", b"no_team", b"no_active_hooks", b"channel_is_archived", b"channel_not_found")
NO_MAILBOX = re.compile(rb"5\.1\.(1|6|10)\b")
# Only the beginning: Telegram then repeats the message, which may be longer than what we read.
TELEGRAM_OK = re.compile(rb'\s*\{\s*"ok"\s*:\s*true\b')


@dataclass(frozen=True, slots=True)
class Decision:
    """Success or not, and what else to do."""

    ok: bool
    gone: bool = False  # disable the webhook: its receiver wants nothing more
    abort: bool = False  # end this delivery now; another attempt would change nothing
    pause: float = 0.0  # seconds to leave the whole webhook alone
    delay: float = 0.0  # seconds to leave this delivery alone
    problem: str = ""  # what is wrong with an answer whose status means success


OK = Decision(ok=True)
RETRY = Decision(ok=False)

Policy = Callable[[int, Mapping[str, str], datetime, bytes], Decision]


def standard(status: int, headers: Mapping[str, str], now: datetime, _body: bytes = b"") -> Decision:
    """Decide by status and headers: only 2xx is success, a redirect is not.

    410 is Standard Webhooks 1.0.0's sign that a receiver is gone. `webhook-delivery: disable` and
    `abort-message` are its proposed response header.
    """
    request = headers.get("webhook-delivery", "").strip().lower()
    ok = 200 <= status < 300
    if ok and not request:
        return OK
    may_pause = status in RETRY_AFTER_STATUSES
    pause = retry_policy.retry_after(headers.get("retry-after"), now) if may_pause else 0.0
    return Decision(
        ok, gone=status == 410 or request == "disable", abort=request == "abort-message", pause=pause
    )


def slack(status: int, headers: Mapping[str, str], now: datetime, body: bytes) -> Decision:
    """Slack names a removed webhook or an archived channel in one word."""
    decision = standard(status, headers, now)
    return replace(decision, gone=True) if not decision.ok and body.strip() in SLACK_GONE else decision


def discord(status: int, headers: Mapping[str, str], now: datetime, body: bytes) -> Decision:
    """A 404 means that somebody has deleted the webhook. The body of a 429 says how long to wait."""
    decision = standard(status, headers, now)
    if status == 404:
        return replace(decision, gone=True)
    return _with_pause(decision, status, body, "retry_after")


def telegram(status: int, headers: Mapping[str, str], now: datetime, body: bytes) -> Decision:
    """Telegram has the message when it answers `"ok": true`. The body of a 429 says how long to wait."""
    decision = standard(status, headers, now)
    if decision.ok and not TELEGRAM_OK.match(body):
        return replace(decision, ok=False, problem=', but not that it is "ok"')
    return _with_pause(decision, status, body, "parameters", "retry_after")


def email(status: int, headers: Mapping[str, str], now: datetime, body: bytes) -> Decision:
    """SMTP's 2xx is success. An enhanced code says that there is no such mailbox (RFC 3463)."""
    decision = standard(status, headers, now)
    return replace(decision, gone=True) if status >= 500 and NO_MAILBOX.match(body) else decision


def visitor_email(status: int, _headers: Mapping[str, str], _now: datetime, _body: bytes) -> Decision:
    """SMTP's 550 to 554 are about this mailbox or message (RFC 5321); the next has another one."""
    return OK if 200 <= status < 300 else Decision(ok=False, abort=550 <= status <= 554)


def webmention(status: int, headers: Mapping[str, str], now: datetime, _body: bytes) -> Decision:
    """Only this delivery is concerned: the next one goes to another website."""
    if 200 <= status < 300:
        return OK
    may_pass = retry_policy.may_pass(status)
    delay = retry_policy.retry_after(headers.get("retry-after"), now) if may_pass else 0.0
    return Decision(ok=False, abort=not may_pass, delay=delay)


def _with_pause(decision: Decision, status: int, body: bytes, *path: str) -> Decision:
    """Add the seconds that stand at that place in the JSON body of a 429."""
    if status != 429:
        return decision
    try:
        value: Any = json.loads(body)
        for name in path:
            value = value[name]
        seconds = float(value)
    except (ValueError, LookupError, TypeError, OverflowError, RecursionError):
        return decision
    if not 0 < seconds < float("inf"):
        return decision
    return replace(decision, pause=max(decision.pause, min(seconds, retry_policy.RETRY_AFTER_CAP)))
