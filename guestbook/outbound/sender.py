"""One attempt: sign, POST, and say what came of it. Runs in the sender threads, without a database."""

import time

from guestbook.lib import clock, resource_limits, signing
from guestbook.lib.version import VERSION
from guestbook.outbound import response_policy
from guestbook.outbound.tasks import DeliveryTask, Outcome
from guestbook.settings import Settings
from guestbook.transport import Answer, Transport, TransportError

MARGIN = 2.0  # seconds of lease that must be left beyond the deadline of an attempt
ERROR_LIMIT = 300  # characters
NO_MORE = "asked for no further attempt (webhook-delivery: abort-message)"


class Sender:
    """Makes attempts; one for all threads."""

    def __init__(self, transport: Transport, *, timeout: float, base_url: str) -> None:
        self._transport = transport
        self._needs = timeout + MARGIN
        self._agent = f"guestbook/{VERSION} (+{base_url})"

    def attempt(self, task: DeliveryTask) -> Outcome:
        """Send one delivery once. Never raises: whatever goes wrong is this delivery's outcome."""
        if task.lease_end - time.monotonic() < self._needs:
            return Outcome(task)
        started_at, start = clock.now(), time.monotonic()
        outcome = Outcome(task, started_at)
        try:
            self._post(task, outcome)
        except TransportError as error:
            if error.is_ours and not (error.limit and error.sent):
                return Outcome(task, error=str(error), fault=error.limit is None, limit=error.limit)
            outcome.error, outcome.unreachable = str(error)[:ERROR_LIMIT], error.unreachable
            outcome.limit = error.limit
        except MemoryError:
            if outcome.status_code is None:
                return Outcome(task, limit=resource_limits.MEMORY)
            outcome.limit = resource_limits.MEMORY
        except Exception as error:  # a fault of ours or of the row must not end the thread
            outcome.error = f"The request could not be made ({type(error).__name__})."
        outcome.milliseconds = round((time.monotonic() - start) * 1000)
        return outcome

    def _post(self, task: DeliveryTask, outcome: Outcome) -> None:
        to = task.receiver
        shown = self._plain_headers(task, int(time.time()))
        outcome.request_headers = {**shown, **to.shown_headers}
        if to.fault:
            outcome.error = to.fault[:ERROR_LIMIT]
            return
        headers = {**shown, **self._signatures(task, int(shown["webhook-timestamp"])), **to.headers}
        _read(self._transport.post(to.url, headers, task.body), outcome, to.read)

    def _plain_headers(self, task: DeliveryTask, timestamp: int) -> dict[str, str]:
        return {
            "Content-Type": "application/json",
            "User-Agent": self._agent,
            "X-Guestbook-Event": task.event,
            "X-Guestbook-Attempt": str(task.attempts + 1),
            "webhook-id": task.event_id,
            "webhook-timestamp": str(timestamp),
        }

    def _signatures(self, task: DeliveryTask, timestamp: int) -> dict[str, str]:
        to = task.receiver
        try:
            return {
                "webhook-signature": signing.standard(to.keys, task.event_id, timestamp, task.body),
                "X-Hub-Signature-256": signing.hub(to.secret, task.body),
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


def transport(settings: Settings) -> Transport:
    """Make the transport that the settings ask for."""
    return Transport(
        timeout=settings.timeout,
        allow_networks=settings.allow_networks,
        proxy=settings.outbound_proxy,
        require_https=settings.require_https_webhooks,
    )
