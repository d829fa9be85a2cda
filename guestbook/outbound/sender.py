"""One attempt by HTTP, e-mail or webmention: sign, send, and describe the outcome.

It runs in the sender threads, without a database.
"""

import json
import time
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate
from typing import TYPE_CHECKING
from urllib.parse import urldefrag, urlencode, urlsplit

from guestbook.lib import clock, own_process, page_content, retry_policy, validate
from guestbook.lib.page_content import PackedWrongly
from guestbook.lib.redaction import HIDDEN
from guestbook.lib.text import printable
from guestbook.lib.validate import is_mailto
from guestbook.outbound import response_policy, webhook_signatures
from guestbook.outbound.delivery_tasks import DeliveryTask, Outcome
from guestbook.outbound.response_policy import Decision
from guestbook.outbound.throttle import NO_LIMIT, TimeLimit
from guestbook.settings import Settings
from guestbook.storage.models.delivery import REFUSED_WITH
from guestbook.transport import PAGE_LIMIT, ReceiverAnswer, Transport, TransportError, addresses

if TYPE_CHECKING:
    from guestbook.transport.smtp import SmtpServer

MAIL_HEADERS = ("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted")


@dataclass(frozen=True, slots=True)
class MailSender:
    """Makes messages and hands them over; without a server each attempt fails with a sentence."""

    server: "SmtpServer | None"
    mail_from: str | None
    host: str  # Ids of messages end with the book's host.

    @classmethod
    def of(cls, settings: Settings, *, threads: bool = True) -> "MailSender":
        """Return the one that the settings describe; it may start threads or not."""
        server = _server(settings.smtp_url, threads=threads) if settings.smtp_url else None
        return cls(server, settings.mail_from, urlsplit(settings.base_url).hostname or "localhost")

    def message(self, task: DeliveryTask) -> EmailMessage:
        """Return the message. A repeat has the same Message-ID, so a mail program can drop it."""
        import email.policy  # Most books send no mail, and it takes 0.7 MB.

        subject, text = _written(task)
        message = EmailMessage(policy=email.policy.SMTP)
        message["From"] = self.mail_from or ""
        message["To"] = validate.address_of_mailto(task.receiver.url)
        message["Subject"] = subject
        message["Date"] = formatdate()
        message["Message-ID"] = f"<{task.event_id}.{task.receiver.webhook_id}@{self.host}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no answering machine answers
        message.set_content(text, cte="quoted-printable")
        return message

    def send(self, message: EmailMessage, seconds: float) -> ReceiverAnswer:
        """Hand it over and return the server's answer; raises TransportError."""
        if not self.server or not self.mail_from:
            raise TransportError("no_mail_server")
        answer = self.server.send(self.mail_from, message["To"], message.as_bytes(), seconds)
        return ReceiverAnswer(answer.code, {}, answer.text, None)


def _server(url: str, *, threads: bool) -> "SmtpServer":
    import email.policy  # noqa: F401  before a message needs it: by then this host may allow no more files

    from guestbook.transport.smtp import SmtpServer

    return SmtpServer(url, addresses.shared if threads else addresses.without_threads)


def _written(task: DeliveryTask) -> tuple[str, str]:
    """Return the subject, as one line, and the text.

    A delivery is sent as it is when it was stored for a webhook that had another format then.
    """
    try:
        body = json.loads(task.body)
        subject, text = str(body["subject"]), str(body["text"])
    except (ValueError, LookupError, TypeError):
        subject, text = task.event, task.body.decode(errors="replace")
    return " ".join(printable(subject).split()), text


INCOMPLETE = {"body_timeout": "timeout", "body_broken": "connection_lost"}
NO_ENDPOINT = "The website takes no webmentions, so nothing was sent."


class NoEndpoint(Exception):
    """The website was read and names no endpoint. There is nothing to do, and nothing to try again."""

    def __init__(self, status: int) -> None:
        super().__init__(NO_ENDPOINT)
        self.status = status


@dataclass(frozen=True, slots=True)
class MentionSender:
    """Sends webmentions; all threads share one."""

    transport: Transport
    agent: str

    @property
    def headers(self) -> dict[str, str]:
        """Return what the website and its endpoint get."""
        return {"User-Agent": f"{self.agent} Webmention", "Accept": "*/*", "Accept-Encoding": "identity"}

    def send(self, task: DeliveryTask, seconds: float) -> ReceiverAnswer:
        """Return the endpoint's answer, or the website's if it failed; raises TransportError, NoEndpoint."""
        until = time.monotonic() + seconds
        mention = json.loads(task.body)
        website = urldefrag(str(mention["target"])).url
        page = self.transport.get(website, self.headers, seconds=seconds)
        if retry_policy.may_pass(page.answer.status):
            return page.answer
        endpoint = self._endpoint(page.url, page.answer)
        if endpoint is None:
            if page.answer.note in INCOMPLETE:  # What is missing may name one.
                raise TransportError(INCOMPLETE[page.answer.note], sent=True)
            raise NoEndpoint(page.answer.status)
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        left = max(until - time.monotonic(), 0.001)
        body = urlencode({"source": mention["source"], "target": mention["target"]}).encode()
        return self.transport.post(endpoint, {**self.headers, **form}, body, seconds=left)

    def _endpoint(self, url: str, answer: ReceiverAnswer) -> str | None:
        try:
            page = page_content.read(url, answer.headers, answer.body, PAGE_LIMIT)
        except PackedWrongly:  # Its headers can be read all the same.
            page = page_content.WebPage(url, "text/plain", answer.headers.get("link", ""), "")
        found = page_content.endpoint(page)
        return urldefrag(found).url if found else None


MARGIN = 2.0  # seconds of lease that must be left beyond the deadline of an attempt
ATTEMPT_ERROR_LIMIT = 300  # characters
NO_MORE = "asked for no further attempt (webhook-delivery: abort-message)"


def transport(settings: Settings, *, threads: bool = True) -> Transport:
    """Make the transport that the settings describe, one that may start threads or not."""
    return Transport(
        timeout=settings.timeout,
        allow_networks=settings.allow_networks,
        proxy=settings.outbound_proxy,
        require_https=settings.require_https_webhooks,
        threads=threads,
    )


class Sender:
    """Makes attempts; all threads share one."""

    def __init__(
        self,
        transport: Transport,
        *,
        timeout: float,
        base_url: str,
        mail: MailSender,
        limit: TimeLimit = NO_LIMIT,
    ) -> None:
        self._transport = transport
        self._mail = mail
        self._timeout = timeout
        self._limit = limit
        self._agent = webhook_signatures.user_agent(base_url)
        self._mentions = MentionSender(transport, self._agent)

    def attempt(self, task: DeliveryTask) -> Outcome:
        """Send one delivery once. Never raises: whatever goes wrong is this delivery's outcome."""
        try:
            return self._attempt(task)
        except MemoryError:  # It is given back.
            return Outcome(task, host_limit=own_process.MEMORY_LIMIT)

    def _attempt(self, task: DeliveryTask) -> Outcome:
        seconds = self._limit.left(self._timeout)
        if not seconds or _lease_left(task) < seconds + MARGIN:
            return Outcome(task)  # The pass or the lease could end before the request.
        if task.receiver.is_locked:
            return Outcome(task)  # Nothing is ever sent unsigned: it waits.
        started_at, start = clock.now(), time.monotonic()
        if task.slot and not task.slot.begin():
            return Outcome(task)  # So late, it could exceed the webhook's rate limit.
        outcome = Outcome(task, started_at)
        try:
            self._post(task, outcome, seconds)
        except TransportError as error:
            if error.is_ours and not (error.limit and error.sent):  # Nothing was sent.
                is_local_error = error.limit is None
                return Outcome(task, error=str(error), is_local_error=is_local_error, host_limit=error.limit)
            outcome.error, outcome.unreachable = self._why(task, error, seconds), error.unreachable
            if task.receiver.mentions:
                outcome.unreachable, outcome.decision = False, Decision(False, abort=error.is_lasting)
            outcome.host_limit = error.limit
        except MemoryError:
            if outcome.status_code is None:
                raise  # No answer was read.
            outcome.host_limit = own_process.MEMORY_LIMIT
        except Exception as error:  # A mistake of ours must not end the thread.
            outcome.error = f"The request could not be made ({type(error).__name__})."
        outcome.milliseconds = round((time.monotonic() - start) * 1000)
        return outcome

    def _why(self, task: DeliveryTask, error: TransportError, seconds: float) -> str:
        """Return why there is no answer, and note whether the end of the pass is to blame."""
        why = str(error)[:ATTEMPT_ERROR_LIMIT]
        if not error.unreachable or seconds >= self._timeout or time.monotonic() < self._limit.until:
            return why
        self._limit.cut.add(task.receiver.webhook_id)
        return f"{why} It had {seconds:.1f} seconds, because a web request sent it."

    def _post(self, task: DeliveryTask, outcome: Outcome, seconds: float) -> None:
        receiver = task.receiver
        if is_mailto(receiver.url):
            message = self._mail.message(task)
            outcome.request_headers = {name: str(message[name]) for name in MAIL_HEADERS}
            _note_answer(self._mail.send(message, seconds), outcome, receiver.policy)
            return
        if receiver.mentions:
            self._mention(task, outcome, seconds)
            return
        plain = webhook_signatures.plain_headers(task, self._agent, int(time.time()))
        outcome.request_headers = {**plain, **dict.fromkeys(receiver.headers, HIDDEN)}
        if receiver.error:
            outcome.error = receiver.error[:ATTEMPT_ERROR_LIMIT]
            return
        signatures = webhook_signatures.signature_headers(task, int(plain["webhook-timestamp"]))
        headers = {**plain, **signatures, **receiver.headers}
        answer = self._transport.post(receiver.url, headers, task.body, seconds=seconds)
        _note_answer(answer, outcome, receiver.policy)

    def _mention(self, task: DeliveryTask, outcome: Outcome, seconds: float) -> None:
        outcome.request_headers = self._mentions.headers
        try:
            _note_answer(self._mentions.send(task, seconds), outcome, task.receiver.policy)
        except NoEndpoint as error:
            outcome.status_code, outcome.error, outcome.decision = (
                error.status,
                str(error),
                response_policy.OK,
            )


def _lease_left(task: DeliveryTask) -> float:
    """Return the seconds that are left of a lease, by the clock that says less.

    The monotonic clock stops while the host sleeps, and nobody sets it. But the delivery is due again once
    the other clock is past the end of the lease, and our own pass may have claimed it a second time.
    """
    left = task.lease_end - time.monotonic()
    return min(left, (task.leased_until - clock.now()).total_seconds()) if task.leased_until else left


def _note_answer(answer: ReceiverAnswer, outcome: Outcome, policy: response_policy.Policy) -> None:
    outcome.status_code = answer.status
    decision = outcome.decision = policy(answer.status, answer.headers, clock.now(), answer.body)
    no_more = f" and {NO_MORE}" if decision.abort else ""
    failure = f"{REFUSED_WITH}{answer.status}{decision.problem}{no_more}."
    outcome.error = _note(answer, decision) if decision.ok else failure
    # JSON makes control characters six times as long, too much for MariaDB.
    outcome.response_headers = {printable(name): printable(text) for name, text in answer.headers.items()}
    outcome.response_body = _as_text(answer.body, is_cut=answer.note is not None)


def _note(answer: ReceiverAnswer, decision: response_policy.Decision) -> str | None:
    """Say what is remarkable about a success, if anything."""
    notes = [f"the receiver {NO_MORE}"] if decision.abort else []
    notes += [f"the rest of the answer was left unread ({answer.note})"] if answer.note else []
    return f"Delivered; {'; '.join(notes)}." if notes else None


def _as_text(body: bytes, *, is_cut: bool) -> str:
    """Return the body, of which perhaps the end is missing, as text, or say that it is binary."""
    if b"\0" not in body:
        try:
            return body.decode()
        except UnicodeDecodeError as error:
            if error.reason == "unexpected end of data" and is_cut:
                return body[: error.start].decode()  # The cut is within a character.
    return f"(binary, {len(body)} bytes, begins {body[:64].hex(' ')})"
