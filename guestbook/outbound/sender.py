"""One attempt: sign, POST, and say what came of it. Runs in the sender threads, without a database."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from guestbook.lib import clock, resource_limits, signing
from guestbook.lib.version import VERSION
from guestbook.outbound import response_policy
from guestbook.transport import Answer, TransportError

MARGIN = 2.0  # seconds of lease that must be left beyond the deadline of an attempt
ERROR_LIMIT = 300  # characters
HIDDEN = "(hidden)"
NO_MORE = "asked for no further attempt (webhook-delivery: abort-message)"


class Post(Protocol):
    """What `transport.Transport` offers."""

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Make one request; raise TransportError when there is no answer."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """What a sender has to know of a webhook."""

    webhook_id: str
    name: str
    url: str
    headers: dict[str, str]
    keys: tuple[bytes, ...]
    secret: bytes
    shown_headers: dict[str, str]
    fault: str | None = None  # why nothing can be sent: a row that somebody edited by hand
    read: response_policy.Reader = response_policy.read  # how its service answers


@dataclass(frozen=True, slots=True)
class Errand:
    """A claimed delivery as plain values."""

    id: str
    event_id: str
    event: str
    body: bytes
    attempts: int
    schedule_start: int
    due_at: datetime  # before the claim
    token: str
    lease_end: float  # on the monotonic clock
    receiver: Receiver

    @property
    def triggered_by(self) -> str:
        """Return what the next attempt is owed to."""
        if self.event == "ping" and self.attempts == 0:
            return "test"
        return "redelivery" if 0 < self.attempts == self.schedule_start else "schedule"


@dataclass(slots=True)
class Outcome:
    """What came of an errand."""

    errand: Errand
    started_at: datetime | None = None  # None: nothing was sent, and the delivery is given back as it was
    milliseconds: int = 0
    status_code: int | None = None
    error: str | None = None
    unreachable: bool = False
    fault: bool = False  # of our own machine or proxy: nothing was sent, and the receiver is not to blame
    limit: str | None = None  # of this host, which was met: the receiver is not to blame
    meaning: response_policy.Meaning = response_policy.RETRY
    request_headers: dict[str, str] = field(default_factory=dict)
    response_headers: dict[str, str] | None = None
    response_body: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the receiver has it."""
        return self.meaning.ok

    @property
    def hold(self) -> bool:
        """Whether the rest of this webhook's work must wait."""
        return self.fault or self.meaning.pause > 0 or self.meaning.gone


def receiver(
    webhook_id: str,
    name: str,
    url: str,
    headers: str,
    secret: str,
    previous: str | None,
    format_name: str = "json",
) -> Receiver:
    """Make a receiver from the values of a row; what is wrong with them becomes its fault."""
    fault = None
    own: dict[str, str] = {}
    keys: tuple[bytes, ...] = ()
    try:
        own = {str(key): str(value) for key, value in json.loads(headers).items()}
    except (ValueError, AttributeError, RecursionError):
        fault = "Nothing was sent: the webhook's stored headers are no JSON object of names and values."
    try:
        keys = tuple(signing.key_of(text) for text in (secret, previous) if text)
    except ValueError:
        fault = (
            "Nothing was sent: the webhook's stored secret is not whsec_ and the base64 of 24 to 64 bytes."
        )
    shown = dict.fromkeys(own, HIDDEN)
    read = response_policy.reader(format_name)
    return Receiver(webhook_id, name, url, own, keys, secret.encode(), shown, fault, read)


class Sender:
    """Makes attempts; one for all threads."""

    def __init__(self, transport: Post, *, timeout: float, base_url: str) -> None:
        self._transport = transport
        self._needs = timeout + MARGIN
        self._agent = f"guestbook/{VERSION} (+{base_url})"

    def attempt(self, errand: Errand) -> Outcome:
        """Send one delivery once. Never raises: whatever goes wrong is this delivery's outcome."""
        if errand.lease_end - time.monotonic() < self._needs:
            return Outcome(errand)
        started_at, start = clock.now(), time.monotonic()
        outcome = Outcome(errand, started_at)
        try:
            self._post(errand, outcome)
        except TransportError as error:
            if error.is_ours and not (error.limit and error.sent):
                return Outcome(errand, error=str(error), fault=error.limit is None, limit=error.limit)
            outcome.error, outcome.unreachable = str(error)[:ERROR_LIMIT], error.unreachable
            outcome.limit = error.limit
        except MemoryError:
            if outcome.status_code is None:
                return Outcome(errand, limit=resource_limits.MEMORY)
            outcome.limit = resource_limits.MEMORY
        except Exception as error:  # a fault of ours or of the row must not end the thread
            outcome.error = f"The request could not be made ({type(error).__name__})."
        outcome.milliseconds = round((time.monotonic() - start) * 1000)
        return outcome

    def _post(self, errand: Errand, outcome: Outcome) -> None:
        to = errand.receiver
        shown = self._plain_headers(errand, int(time.time()))
        outcome.request_headers = {**shown, **to.shown_headers}
        if to.fault:
            outcome.error = to.fault[:ERROR_LIMIT]
            return
        headers = {**shown, **self._signatures(errand, int(shown["webhook-timestamp"])), **to.headers}
        _read(self._transport.post(to.url, headers, errand.body), outcome, to.read)

    def _plain_headers(self, errand: Errand, timestamp: int) -> dict[str, str]:
        return {
            "Content-Type": "application/json",
            "User-Agent": self._agent,
            "X-Guestbook-Event": errand.event,
            "X-Guestbook-Attempt": str(errand.attempts + 1),
            "webhook-id": errand.event_id,
            "webhook-timestamp": str(timestamp),
        }

    def _signatures(self, errand: Errand, timestamp: int) -> dict[str, str]:
        to = errand.receiver
        try:
            return {
                "webhook-signature": signing.standard(to.keys, errand.event_id, timestamp, errand.body),
                "X-Hub-Signature-256": signing.hub(to.secret, errand.body),
            }
        except ValueError as error:  # so OpenSSL says that it got no memory
            raise MemoryError from error


def _read(answer: Answer, outcome: Outcome, read: response_policy.Reader) -> None:
    outcome.status_code = answer.status
    outcome.meaning = read(answer.status, answer.headers, clock.now(), answer.body)
    outcome.error = _failure(answer, outcome.meaning) if not outcome.ok else _note(answer, outcome.meaning)
    outcome.response_headers = {_storable(name): _storable(text) for name, text in answer.headers.items()}
    outcome.response_body = _as_text(answer.body)


def _failure(answer: Answer, meaning: response_policy.Meaning) -> str:
    """Say why an answer was none of success."""
    no_more = f" and {NO_MORE}" if meaning.abort else ""
    return f"The receiver answered {answer.status}{meaning.but}{no_more}."


def _note(answer: Answer, meaning: response_policy.Meaning) -> str | None:
    """Say what else is to be known of an answer that was a success."""
    notes = [f"the receiver {NO_MORE}"] if meaning.abort else []
    notes += [f"the rest of the answer was left unread ({answer.note})"] if answer.note else []
    return f"Delivered; {'; '.join(notes)}." if notes else None


def _as_text(body: bytes) -> str:
    """Return the body as text, or say that it is binary."""
    if b"\0" not in body:
        try:
            return body.decode()
        except UnicodeDecodeError as error:
            if error.reason == "unexpected end of data":  # 16 KiB may end within a character
                return body[: error.start].decode()
    return f"(binary, {len(body)} bytes, begins {body[:64].hex(' ')})"


def _storable(text: str) -> str:
    """Return a header without controls: as JSON they are six times as long, too much for MariaDB's TEXT."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
