"""What a receiver's answer means for the delivery and for its webhook. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from guestbook import schedule

SLOW_DOWN = (429, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class Meaning:
    """Success or not, and what else the receiver asks for."""

    ok: bool
    gone: bool = False  # disable the webhook: nothing of ours is wanted there any more
    abort: bool = False  # fail this delivery now; another attempt would change nothing
    pause: float = 0.0  # seconds for which the whole webhook is to be left alone


OK = Meaning(ok=True)
RETRY = Meaning(ok=False)


def read(status: int, headers: Mapping[str, str], now: datetime) -> Meaning:
    """Read a status code and the headers: only 2xx is success, a redirect is not.

    410 is Standard Webhooks 1.0.0's sign that a receiver is gone; `webhook-delivery: disable` and
    `abort-message` are its proposed response header.
    """
    wish = headers.get("webhook-delivery", "").strip().lower()
    ok = 200 <= status < 300
    if ok and not wish:
        return OK
    pause = schedule.retry_after(headers.get("retry-after"), now) if status in SLOW_DOWN else 0.0
    return Meaning(ok, gone=status == 410 or wish == "disable", abort=wish == "abort-message", pause=pause)
