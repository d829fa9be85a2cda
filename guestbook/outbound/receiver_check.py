"""The check of a webhook's receiver: what it should accept, and what it should refuse.

Each request is made as a delivery is, with the same body, headers, signatures, transport and limits, and
carries TEST_HEADER. Nothing is stored. First come the requests, then the table of examinations and its run.
"""

import base64
import json
import math
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from guestbook.lib import clock, ids, signatures
from guestbook.lib.errors import Refused
from guestbook.lib.rate_counters import RateLimit
from guestbook.outbound import delivery_tasks, formats, payload_versions, webhook_urls, webhooks
from guestbook.outbound.attempt_sender import transport as transport_for
from guestbook.outbound.delivery_tasks import DeliveryTask, Receiver
from guestbook.outbound.event_catalogue import EVENTS
from guestbook.outbound.formats import FormatError, FormatInput
from guestbook.outbound.webhook_signatures import plain_headers, signature_headers, user_agent
from guestbook.settings import Settings
from guestbook.storage.models import Webhook
from guestbook.transport.connections import Writer, send_at_once
from guestbook.transport.failure import TransportError
from guestbook.transport.http_request_and_redirects import Transport
from guestbook.transport.urls import EVERY_NETWORK

TEST_HEADER = "X-Guestbook-Test"
LAST_LETTER = re.compile(rb"[A-Za-z](?=[^A-Za-z]*\Z)|\Z")  # Without a letter it is the end.
PULLED = "The receiver of this webhook fetches its messages, so there is no URL to check."
UNVERIFIED = "The check is for programs that verify signatures. This webhook goes to people or websites."


class CheckRequest(NamedTuple):
    """One request, how it is put on the socket, and a sentence for its examination's fault."""

    headers: dict[str, str]
    body: bytes
    write: Writer = send_at_once
    why: str = ""


Make = Callable[["CheckedWebhook"], list[CheckRequest]]


@dataclass(frozen=True, slots=True)
class CheckedWebhook:
    """A webhook, as far as a check needs it."""

    task: DeliveryTask  # All requests are made of it.
    format: str
    template: str | None
    pause: float  # seconds before each request, because of its rate limit
    settings: Settings

    def is_about_comment(self) -> bool:
        """Whether its event has a comment and a sequence."""
        return "sequence" in EVENTS[self.task.event].data

    def has_timestamps(self) -> bool:
        """Whether its receiver knows more than GitHub's signature, which covers no timestamp."""
        return not self.task.receiver.github_headers

    def body(self, event: str = "", sequence: int = 1, **comment: str) -> bytes:
        """Return the body of a sample whose comment, if it has one, has these fields; raises FormatError."""
        data = EVENTS[self.task.event].sample_data(self.settings.base_url)
        if self.is_about_comment():
            data |= {"sequence": sequence, "comment": data["comment"] | comment}
        given = FormatInput(event or self.task.event, clock.now(), data, "", self.template, self.task.version)
        return formats.render(self.format, given).encode()

    def request(
        self, body: bytes | None = None, *, seconds: int = 0, write: Writer = send_at_once, **parts: Any
    ) -> CheckRequest:
        """Return a signed delivery, as of so many seconds from now; `parts` are those of its task."""
        body = self.body() if body is None else body
        task = replace(self.task, **{"body": body, "event_id": ids.new(), **parts})
        timestamp = int(time.time()) + seconds
        plain = plain_headers(task, user_agent(self.settings.base_url), timestamp)
        headers = {**plain, **signature_headers(task, timestamp), **self.task.receiver.headers}
        return CheckRequest({**headers, TEST_HEADER: "1"}, body, write)


def of_webhook(session: Session, webhook: Webhook, settings: Settings) -> CheckedWebhook:
    """Return what a check needs of a webhook; raises Refused where its receiver cannot be checked."""
    if webhook.is_pulled or not webhooks.is_verified(webhook):
        raise Refused(PULLED if webhook.is_pulled else UNVERIFIED)
    receiver = delivery_tasks.of_webhook(webhook, webhook.headers, clock.now())
    if receiver.error:
        raise Refused(receiver.error)
    if webhook_urls.is_own_bin(webhook.url, settings):
        settings = replace(settings, allow_networks=EVERY_NETWORK, require_https_webhooks=False)
    wanted = [name for name in EVENTS if name in webhook.events.split()] or [webhooks.PING]
    event = next((name for name in wanted if "sequence" in EVENTS[name].data), wanted[0])
    version, template = payload_versions.known(webhook.version), webhooks.template_of(session, webhook)
    task = DeliveryTask(ids.new(), "", event, b"", version, 0, 0, clock.now(), "", 0.0, receiver)
    rate = RateLimit.stored(webhook.rate) if webhook.rate else RateLimit(1, 0)
    return CheckedWebhook(task, webhook.format, template, rate.seconds / rate.number, settings)


def _repeat(one: CheckedWebhook) -> list[CheckRequest]:
    body, event_id = one.body(), ids.new()
    return [one.request(body, event_id=event_id, attempts=number) for number in range(2)]


def _older_sequence(one: CheckedWebhook) -> list[CheckRequest]:
    comment_id = ids.new()[-12:].zfill(32)  # Neither samples nor earlier checks have sent a sequence for it.
    return [one.request(one.body(sequence=number, id=comment_id)) for number in (2, 1)]


def _forged(one: CheckedWebhook) -> list[CheckRequest]:
    other = one.request(receiver=_with_other_secrets(one.task.receiver))
    good, unsigned = one.request(), one.request()
    for name in ("webhook-signature", "X-Hub-Signature-256"):
        unsigned.headers.pop(name, None)
    changed = LAST_LETTER.sub(lambda found: found[0].swapcase() or b" ", good.body, count=1)
    return [
        other._replace(why="The signature was made with another secret."),
        good._replace(body=changed, why="A letter was changed."),
        unsigned._replace(why="There was no signature."),
    ]


def _rotated(one: CheckedWebhook) -> list[CheckRequest]:
    new, old = _with_other_secrets(one.task.receiver), one.task.receiver
    both = replace(new, keys=(*new.keys, *old.keys), seeds=(*new.seeds, *old.seeds))
    return [one.request(receiver=both)]


def _with_other_secrets(receiver: Receiver) -> Receiver:
    """Return the receiver with secrets that it does not know, of the same kinds as its own."""
    secret, seed = signatures.new_secret(), secrets.token_bytes(signatures.KEY_LENGTH)
    keys, seeds = (signatures.key_of(secret),) if receiver.keys else (), (seed,) if receiver.seeds else ()
    return replace(receiver, secret=secret.encode(), keys=keys, seeds=seeds)


def _unknown_version(one: CheckedWebhook) -> list[CheckRequest]:
    request = one.request()
    request.headers["webhook-signature"] += f" v2,{base64.b64encode(secrets.token_bytes(32)).decode()}"
    return [request]


def _unknown_fields(one: CheckedWebhook) -> list[CheckRequest]:
    longer = json.loads(one.body(), object_hook=lambda found: {**found, "added_later": {"is": [None]}})
    return [one.request(json.dumps(longer, ensure_ascii=False, separators=(",", ":")).encode())]


class _ClosedEarly(Exception):
    """The check has closed the connection on purpose."""


def _write_slowly(sock: Any, message: bytes) -> None:
    head, end, body = message.partition(b"\r\n\r\n")
    size = len(body) // PIECES + 1
    for piece in (head + end, *(body[place : place + size] for place in range(0, len(body), size))):
        sock.sendall(piece)
        time.sleep(PIECE_PAUSE)


def _close_in_body(sock: Any, message: bytes) -> None:
    sock.sendall(message[: -(len(message.partition(b"\r\n\r\n")[2]) // 2 or 1)])
    raise _ClosedEarly


def _close_unanswered(sock: Any, message: bytes) -> None:
    sock.sendall(message)
    raise _ClosedEarly


PIECES, PIECE_PAUSE = 4, 0.3  # A slow body comes in so many pieces, with so many seconds after each.
CUT_AND_GOOD = (_close_in_body, send_at_once, _close_unanswered, send_at_once)
FAR = 3600  # seconds from now: much more than the five minutes that a receiver should allow
UNKNOWN_EVENT = "check.unknown"
LONG_TEXT = "A line of a long comment.\n" * 800
ODD_TEXT = '👩🏽‍🚀 e\u0301 \u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627 𝔘 \u2028 \x00 "\\/ 漢字'
GUIDE = "docs/howto/write-a-receiver.md"
ACCEPTED, REFUSED = "2xx", "4xx"


class Examination(NamedTuple):
    """What is sent, what the receiver should answer, why, and which part of GUIDE explains it."""

    name: str
    sent: str
    make: Make
    should: str
    part: str
    why: str
    applies: Callable[[CheckedWebhook], bool] = lambda _: True
    seconds: float = math.inf  # The answer should come within these.


EXAMINATIONS = (  # in the order in which they run
    Examination("good", "a good delivery", lambda one: [one.request()], ACCEPTED, "add-it",
        "Real webhooks fail there too. Compare the URL and the secret."),
    Examination("quick", "another one, timed", lambda one: [one.request()], f"{ACCEPTED} in 5 s", "answer",
        "The receiver works before it answers. A webhook that takes too long comes again.", seconds=5.0),
    Examination("repeat", "the same webhook-id once more", _repeat, ACCEPTED, "repeat",
        "The book sends a refused repeat again and again. Accept it, and ignore it."),
    Examination("sequence", "a newer, then an older sequence", _older_sequence, ACCEPTED, "repeat",
        "The book sends a refused event again and again. Accept it, and ignore it.",
        CheckedWebhook.is_about_comment),
    Examination("stale", "a timestamp of an hour ago",
        lambda one: [one.request(seconds=-FAR)], REFUSED, "verify",
        "Somebody who has recorded a webhook can send it again at any time.", CheckedWebhook.has_timestamps),
    Examination("future", "a timestamp in an hour",
        lambda one: [one.request(seconds=FAR)], REFUSED, "verify",
        "A webhook with such a timestamp can be sent again for a long time.", CheckedWebhook.has_timestamps),
    Examination("forged", "forged, changed or not signed", _forged, REFUSED, "verify",
        "Anybody who knows the URL can send forged webhooks."),
    Examination("rotated", "a new secret's signature first", _rotated, ACCEPTED, "verify",
        "After a rotation the receiver refuses everything. Compare each signature.",
        CheckedWebhook.has_timestamps),
    Examination("version", "a signature of unknown version", _unknown_version, ACCEPTED, "verify",
        "A new kind of signature would stop all webhooks. Ignore versions that you do not know."),
    Examination("fields", "unknown fields at all depths", _unknown_fields, ACCEPTED, "what-comes",
        "New fields come without a new version. Ignore fields that you do not know.",
        lambda one: one.format == "json"),
    Examination("event", "an unknown event",
        lambda one: [one.request(one.body(UNKNOWN_EVENT), event=UNKNOWN_EVENT)], ACCEPTED, "which-events",
        "The book sends a refused event again and again. Accept it, and ignore it."),
    Examination("size", "a body of 20 kB",
        lambda one: [one.request(one.body(message=LONG_TEXT))], ACCEPTED, "what-comes",
        "A long comment never arrives. Allow larger bodies.", CheckedWebhook.is_about_comment),
    Examination("unicode", "emoji, accents, Hebrew, \\u0000",
        lambda one: [one.request(one.body(message=ODD_TEXT))], ACCEPTED, "verify",
        "Visitors write in all scripts. Verify the bytes as they came, then read them as UTF-8.",
        CheckedWebhook.is_about_comment),
    Examination("slow", "a body that comes in pieces",
        lambda one: [one.request(write=_write_slowly)], ACCEPTED, "what-comes",
        "Networks cut a body anywhere. Read as many bytes as Content-Length says."),
    Examination("closed", "good ones after cut connections",
        lambda one: [one.request(write=write) for write in CUT_AND_GOOD], ACCEPTED, "repeat",
        "One broken connection stops the receiver. End that request, and take the next one."),
)  # fmt: skip
GONE = "The answer says that nothing is wanted any more, so the book would disable the webhook."
TOO_MANY = "The receiver limits its requests. Give the webhook a rate limit, and check the receiver again."
REDIRECT = "The book never follows a redirect. Give the webhook the URL that it leads to."
NO_CLEAR_REFUSAL = "The receiver did not accept it, but failed on it. Refuse it with 401."


class CheckResult(NamedTuple):
    """What a receiver did in an examination: its answer, or why there was none."""

    examination: Examination
    did: str
    fault: str | None = None  # a sentence for people
    is_answer: bool = True  # The receiver decided about the request.


def shape(result: CheckResult) -> dict[str, Any]:
    """Return a result as JSON."""
    each, guide = result.examination, f"{GUIDE}#{result.examination.part}"
    shown = {"check": each.name, "sent": each.sent, "answer": result.did, "should_be": each.should}
    return {**shown, "fault": result.fault, "guide": guide}


def examinations_of(one: CheckedWebhook) -> list[Examination]:
    """Return those that concern the webhook."""
    return [each for each in EXAMINATIONS if each.applies(one)]


def examine(one: CheckedWebhook) -> Iterator[CheckResult]:
    """Run the examinations one after the other; let no transaction be open.

    They end where the receiver takes no good delivery, for each could only say so once more.
    """
    first = EXAMINATIONS[0]
    with closing(transport_for(one.settings)) as transport:
        transport.limit(connections=0)  # Each request has its own, so that none spoils the next.
        for each in examinations_of(one):
            yield (result := _result(each, one, transport))
            if not result.is_answer and each is not first:  # Perhaps the receiver has ended or hangs.
                result = _result(first, one, transport)
            if result.fault and result.examination is first:
                return


def _result(examination: Examination, one: CheckedWebhook, transport: Transport) -> CheckResult:
    """Send the requests of an examination, up to the first one with a wrong answer."""
    result = CheckResult(examination, "not sent")
    try:
        for request in examination.make(one):
            time.sleep(one.pause)
            result = _sent(request, examination, one.task.receiver, transport)
            if result.fault:
                return result._replace(fault=f"{result.fault} {request.why}".rstrip())
    except FormatError as error:  # The template makes no body of it.
        return result._replace(fault=str(error))
    return result


def _sent(
    request: CheckRequest, examination: Examination, receiver: Receiver, transport: Transport
) -> CheckResult:
    began = time.monotonic()
    try:
        answer = transport.send("POST", receiver.url, request.headers, request.body, write=request.write)
    except _ClosedEarly:
        return CheckResult(examination, "nothing")
    except TransportError as error:
        if error.is_ours:
            raise Refused(str(error)) from None
        more = NO_CLEAR_REFUSAL if examination.should == REFUSED else examination.why
        return CheckResult(examination, error.reason.replace("_", " "), f"{error} {more}", is_answer=False)
    seconds, fault = time.monotonic() - began, None
    decision = receiver.policy(answer.status, answer.headers, clock.now(), answer.body)
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS or decision.gone:
        fault = GONE if decision.gone else TOO_MANY
    elif examination.should == REFUSED and not 400 <= answer.status < 500:
        fault = examination.why if decision.ok else NO_CLEAR_REFUSAL
    elif examination.should != REFUSED and (not decision.ok or seconds > examination.seconds):
        fault = REDIRECT if 300 <= answer.status < 400 else examination.why
    did = f"{answer.status} in {seconds * 1000:,.0f} ms"
    return CheckResult(examination, did, fault, is_answer=fault != TOO_MANY)
