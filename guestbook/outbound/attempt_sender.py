"""One attempt by HTTP, e-mail or webmention: sign, send, and describe the outcome.

It runs in the sender threads, without a database.
"""

import json
import time
from collections.abc import Callable, Mapping
from email.message import EmailMessage
from email.utils import formatdate
from urllib.parse import urldefrag, urlencode, urlsplit

from guestbook.lib import clock, current_process, parse_html, retry_policy, signed_links, validate
from guestbook.lib.body_encoding import PackedWrongly
from guestbook.lib.redaction import HIDDEN
from guestbook.lib.signed_links import MAIL_PATH
from guestbook.lib.text import printable
from guestbook.lib.validate import is_mailto
from guestbook.outbound import response_policy, visitor_mail, webhook_signatures
from guestbook.outbound.delivery_tasks import DeliveryTask, Outcome
from guestbook.outbound.rate_and_time_limits import NO_LIMIT, TimeLimit
from guestbook.outbound.response_policy import Decision
from guestbook.settings import Settings
from guestbook.storage.models.delivery import REFUSED_WITH
from guestbook.transport import addresses
from guestbook.transport.failure import TransportError
from guestbook.transport.http_request_and_redirects import PAGE_LIMIT, FetchedPage, ReceiverAnswer, Transport

MAIL_HEADERS = ("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted")


class MailSender:
    """Makes messages and hands them over; without a server each attempt fails with a sentence."""

    def __init__(self, settings: Settings, *, threads: bool = True) -> None:
        self._from, self._server = settings.mail_from, None
        self._host = urlsplit(settings.base_url).hostname or "localhost"
        self._settings = settings
        if settings.smtp_url:
            import email.policy  # noqa: F401  before a message needs it: by then this host may allow no more files

            from guestbook.transport.email_by_smtp import SmtpServer

            lookups = addresses.shared if threads else addresses.without_threads
            self._server = SmtpServer(settings.smtp_url, lookups)

    def message(self, task: DeliveryTask) -> EmailMessage:
        """Return the message. A repeat has the same Message-ID, so a mail program can drop it.

        A delivery is sent as it is when it was stored for a webhook that had another format then.
        """
        import email.policy  # Most books send no mail, and it takes 0.7 MB.

        try:
            body = json.loads(task.body)
            subject, text = str(body["subject"]), str(body["text"])
        except (ValueError, LookupError, TypeError):
            subject, text = task.event, task.body.decode(errors="replace")
        # Raw headers stay as they are: folded, a long URL would become an encoded word, which is no URL.
        message = EmailMessage(policy=email.policy.SMTP.clone(refold_source="none"))
        message["From"] = self._from or ""
        message["To"] = task.address or validate.address_of_mailto(task.receiver.url)
        message["Subject"] = " ".join(printable(subject).split())
        message["Date"] = formatdate()
        message["Message-ID"] = f"<{task.event_id}.{task.receiver.webhook_id}@{self._host}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no answering machine answers
        if task.receiver.is_visitors:
            text = self._with_links(message, text, task.comment_id or "")
        message.set_content(text, cte="quoted-printable")
        return message

    def _with_links(self, message: EmailMessage, text: str, comment_id: str) -> str:
        """Return the text with its links, which no payload holds; headers have the one that unsubscribes."""
        for action, placeholder in visitor_mail.PLACEHOLDERS.items():
            token = signed_links.sign(comment_id, f"mail {action}", self._settings.secret_key)
            link = f"{self._settings.base_url}{MAIL_PATH}/{action}/{token}"
            text = text.replace(placeholder, link)
        message.set_raw("List-Unsubscribe", f"<{link}>")  # The last one is to delete the address.
        if link.startswith("https:"):  # RFC 8058 wants it.
            message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        return text

    def send(self, message: EmailMessage, seconds: float) -> ReceiverAnswer:
        """Hand it over and return the server's answer; raises TransportError."""
        if not self._server or not self._from:
            raise TransportError("no_mail_server")
        code, text = self._server.send(self._from, message["To"], message.as_bytes(), seconds)
        return ReceiverAnswer(code, {}, text, None)


INCOMPLETE = {"body_timeout": "timeout", "body_broken": "connection_lost"}
NO_ENDPOINT = "The website takes no webmentions, so nothing was sent."
MARGIN = 2.0  # seconds of lease that must be left beyond the deadline of an attempt
SET_BACK = 10.0  # seconds: if more are left by the clock that somebody may set, somebody has
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


# It answers a request to a URL of the book itself, with its headers, body and seconds; None for other URLs.
OwnReceiver = Callable[[str, Mapping[str, str], bytes, float], ReceiverAnswer | None]


class Sender:
    """Makes attempts; all threads share one. A request that the `own` receiver answers needs no network."""

    def __init__(
        self,
        transport: Transport,
        settings: Settings,
        *,
        threads: bool = True,
        limit: TimeLimit = NO_LIMIT,
        own: OwnReceiver = lambda *_: None,
    ) -> None:
        self._transport = transport
        self._own = own
        self._mail = MailSender(settings, threads=threads)
        self._timeout = settings.timeout
        self._limit = limit
        self._agent = webhook_signatures.user_agent(settings.base_url)

    def attempt(self, task: DeliveryTask) -> Outcome:
        """Send one delivery once. Never raises: whatever goes wrong is this delivery's outcome."""
        try:
            return self._attempt(task)
        except MemoryError:  # It is given back.
            return Outcome(task, host_limit=current_process.MEMORY_LIMIT)

    def _attempt(self, task: DeliveryTask) -> Outcome:
        seconds = self._limit.left(self._timeout)
        started_at, start = clock.now(), time.monotonic()
        # Nobody sets the monotonic clock, but it stops while the host sleeps.
        left = task.lease_end - start
        if task.leased_until:  # By the other clock it is due again, and our own pass may claim it again.
            by_clock = (task.leased_until - started_at).total_seconds()
            # If it was set back, another pass frees the lease: see clock_repair.
            left = min(left, by_clock) if by_clock - left < SET_BACK else 0
        if task.receiver.is_locked or not seconds or left < seconds + MARGIN:
            return Outcome(task)  # Nothing is sent unsigned, or beyond the end of the pass or the lease.
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
            outcome.host_limit = current_process.MEMORY_LIMIT
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
            self._send_mail(task, outcome, seconds)
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
        answer = self._own(receiver.url, headers, task.body, seconds)
        answer = answer or self._transport.post(receiver.url, headers, task.body, seconds=seconds)
        _note_answer(answer, outcome, receiver.policy)

    def _send_mail(self, task: DeliveryTask, outcome: Outcome, seconds: float) -> None:
        """Send an e-mail to the owner, or to a visitor, whose address is never stored with the attempt."""
        is_visitors = task.receiver.is_visitors
        if is_visitors and not task.address:
            outcome.error, outcome.decision = visitor_mail.NO_ADDRESS, response_policy.OK
            return
        message = self._mail.message(task)
        outcome.request_headers = {name: str(message[name]) for name in MAIL_HEADERS}
        if is_visitors:
            outcome.request_headers["To"] = HIDDEN
        _note_answer(self._mail.send(message, seconds), outcome, task.receiver.policy)
        outcome.response_body = "" if is_visitors else outcome.response_body  # Servers repeat the address.

    def _mention(self, task: DeliveryTask, outcome: Outcome, seconds: float) -> None:
        """Send a webmention to the endpoint that the website names; note the answer, if there is one."""
        until, mention, policy = time.monotonic() + seconds, json.loads(task.body), task.receiver.policy
        headers = {"User-Agent": f"{self._agent} Webmention", "Accept": "*/*", "Accept-Encoding": "identity"}
        outcome.request_headers = headers
        website = urldefrag(str(mention["target"])).url
        page = self._transport.get(website, headers, seconds=seconds)
        if retry_policy.may_pass(page.answer.status):
            _note_answer(page.answer, outcome, policy)
        elif endpoint := _endpoint(page):
            form = {"Content-Type": "application/x-www-form-urlencoded"}
            left = max(until - time.monotonic(), 0.001)
            body = urlencode({"source": mention["source"], "target": mention["target"]}).encode()
            answer = self._transport.post(endpoint, {**headers, **form}, body, seconds=left)
            _note_answer(answer, outcome, policy)
        elif page.answer.note in INCOMPLETE:  # What is missing may name one.
            raise TransportError(INCOMPLETE[page.answer.note], sent=True)
        else:  # There is nothing to do, and nothing to try again.
            outcome.status_code, outcome.error = page.answer.status, NO_ENDPOINT
            outcome.decision = response_policy.OK


def _endpoint(page: FetchedPage) -> str | None:
    """Return where a website takes webmentions, if it does."""
    try:
        content = parse_html.read(page.url, page.answer.headers, page.answer.body, PAGE_LIMIT)
    except PackedWrongly:  # Its headers can be read all the same.
        content = parse_html.WebPage(page.url, "text/plain", page.answer.headers.get("link", ""), "")
    found = parse_html.endpoint(content)
    return urldefrag(found).url if found else None


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
