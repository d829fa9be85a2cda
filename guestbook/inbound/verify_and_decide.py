"""Decide about one inbound event: is it genuine, what does it say, what is to be done? Pure.

Nothing here uses the database, so no transaction is open while a template runs.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

from guestbook.comments import comment_form
from guestbook.comments.comment_form import Draft
from guestbook.inbound import event_reader
from guestbook.inbound.event_reader import NO_METADATA, BodyError, Metadata
from guestbook.lib import clock, conditions, ids, template_sandbox, text
from guestbook.lib.conditions import NOT_WANTED
from guestbook.lib.template_sandbox import TemplateFault
from guestbook.lib.verification import Verdict
from guestbook.queue import comment_order, deleted_comments
from guestbook.storage.models import InboundEvent, Source


class WriteComment(NamedTuple):
    """Write a comment."""

    draft: Draft
    is_proven: bool  # whether the sender is known to be the source
    home: str | None  # its address in the book in which it was signed; None unless that book sent it


class RemoveComment(NamedTuple):
    """Remove our copy of another book's comment."""

    home: str


class UpdateMention(NamedTuple):
    """Write the comment of a page that mentions the book, or bring it up to date, or remove it."""

    url: str
    host: str
    draft: Draft | None  # None: the page mentions the book no more
    why: str = ""  # a sentence that says why the comment is removed


class ForwardEvent(NamedTuple):
    """Pass the event on as `inbound.received`."""

    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class InboundDecision:
    """What is to be done about one event, and why."""

    metadata: Metadata
    is_genuine: bool = False
    error: str | None = None
    note: str | None = None
    action: WriteComment | RemoveComment | UpdateMention | ForwardEvent | None = None
    was_verified: bool = True  # False if an error of ours came first
    home: str | None = None  # address of the comment that another guestbook tells of
    retry_after: float | None = None  # after an error: try again by the schedule, after so many seconds
    retry_at: datetime | None = None  # the time of that; None if the schedule is used up
    mark: str | None = None  # the same for replays of the event, where its sender signs the time


MOST_HOPS = 5  # times that an event may be forwarded from book to book
FORWARD_LIMIT = 14_000  # bytes of a forwarded payload: the whole body stays under 20 kB
FULL_FORWARD_LIMIT = 1_000_000  # bytes of a forwarded payload, where the owner wants large ones too
LOGGED = "Logged."


class ReceivedEvent(NamedTuple):
    """An inbound event as plain values."""

    id: str
    headers: dict[str, str]
    body: bytes
    received_at: datetime
    token: str = ""  # the name of the lease
    lost_passes: int = 0  # passes that ended in the middle of it
    due_at: datetime | None = None  # the due time before the lease
    attempts: int = 0


Claimed = list[tuple[ReceivedEvent, Source]]


def decide(
    event: ReceivedEvent, source: Source, *, base_url: str, proof_keys: Sequence[str]
) -> InboundDecision:
    """Verify against the time of receipt, parse, extract and decide. Never raises over what was sent."""
    verdict = verify(event, source, proof_keys)
    payload, found, unreadable = None, NO_METADATA, None
    try:
        payload = event_reader.parse(event.headers, event.body)
        found = event_reader.extract_metadata(event.headers, payload)
    except BodyError as error:
        unreadable = str(error)
    if not verdict.ok:
        return InboundDecision(found, error=verdict.sentence)
    if not unreadable:
        decision = _decide(event, source, found, payload, base_url)
    elif source.action == "log":  # nothing needs to read it
        decision = InboundDecision(found, True, note=f"{LOGGED} {unreadable}")
    else:
        decision = InboundDecision(found, True, error=unreadable)
    return replace(decision, mark=ids.of_secret(source.id + verdict.mark) if verdict.mark else None)


def verify(event: ReceivedEvent | InboundEvent, source: Source, proof_keys: Sequence[str]) -> Verdict:
    """Verify against the time of receipt, with the source's present settings. Never raises."""
    if isinstance(event, InboundEvent) and event.erased_at:
        return Verdict(False, deleted_comments.INBOUND_ERASED)
    return source.verify_request(event.headers, event.body, event.received_at, proof_keys)


def _decide(
    event: ReceivedEvent, source: Source, found: Metadata, payload: Any, base_url: str
) -> InboundDecision:
    # https://docs.github.com/en/webhooks/webhook-events-and-payloads#ping
    if event.headers.get("x-github-event") == "ping":
        return InboundDecision(found, True, note="The sender's test; there is nothing to do.")
    if event_reader.is_handshake(source.verify, event.body):
        return InboundDecision(found, True, note="The sender's handshake, which was answered at once.")
    # A deletion in another book has no words any more that a condition could look at.
    is_end = event.headers.get("x-guestbook-event") == comment_order.END
    values = _values(source, found, payload)
    if not is_end and conditions.evaluate(source.event_condition, values) == NOT_WANTED:
        return InboundDecision(found, True, note=NOT_WANTED)
    if source.action == "comment":
        return _comment(event, source, found, values, base_url)
    if source.action == "forward":
        return _forward(event, source, found, payload, base_url)
    return InboundDecision(found, True, note=LOGGED)


def _comment(
    event: ReceivedEvent, source: Source, found: Metadata, values: dict[str, Any], base_url: str
) -> InboundDecision:
    home = None
    if remote := _remote_comment(event.headers, values["payload"], base_url):
        home, skip = remote
        if skip:
            return InboundDecision(found, True, note=skip, home=home)
        if event.headers["x-guestbook-event"] == comment_order.END:
            return InboundDecision(found, True, action=RemoveComment(home))
    try:
        made = template_sandbox.render(source.template or "", values)
    except TemplateFault as error:
        return InboundDecision(found, True, error=str(error))
    name = text.clean_line(str(made.names.get("name") or found.sender or "")) or source.name
    website = made.names.get("website")
    draft = fitting(name, website if isinstance(website, str) else "", text.clean_text(made.text))
    if not draft.message:
        return InboundDecision(found, True, note="The template gave no text, so there is no comment.")
    return InboundDecision(found, True, action=WriteComment(draft, source.verify != "none", home))


def _values(source: Source, found: Metadata, payload: Any) -> dict[str, Any]:
    """Return what a template or a condition sees."""
    kind, action = event_reader.split_metadata(found.event, payload)
    values = {"event": kind, "action": action, "payload": payload, "sender": found.sender or ""}
    return values | {"source": source.name}


def fitting(name: str, website: str, message: str) -> Draft:
    """Return a comment. Long texts are cut, and a website that cannot be linked is left out."""
    fields = {
        "name": text.shortened(name, comment_form.VISITOR_NAME_LIMIT),
        "website": "" if comment_form.website_error(website) else website,
        "message": text.shortened(message, comment_form.MESSAGE_LIMIT),
    }
    return comment_form.read(fields)


def _remote_comment(headers: Mapping[str, str], payload: Any, base_url: str) -> tuple[str, str | None] | None:
    """Return the home of the comment in an event of another guestbook, and why there is nothing to do.

    None for other senders and events.
    """
    event = headers.get("x-guestbook-event", "")
    comment = _dict(_dict(_dict(payload).get("data")).get("comment"))
    home = _dict(comment.get("origin")).get("url") or comment.get("url")
    if not event.startswith("comment.") or not isinstance(home, str) or comment_form.website_error(home):
        return None
    if home.startswith(f"{base_url}/"):
        return home, "It was written in this book."
    if event not in ("comment.created", "comment.published", "comment.deleted"):
        return home, "There is nothing to do for this event of the other book."
    if event != "comment.deleted" and comment.get("status") != "published":
        return home, "It is not published in the other book."
    return home, None


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _forward(
    event: ReceivedEvent, source: Source, found: Metadata, payload: Any, base_url: str
) -> InboundDecision:
    hops = 1  # so often it was forwarded, this time included
    if event.headers.get("x-guestbook-event") == "inbound.received":
        before = _dict(_dict(_dict(payload).get("data")).get("inbound")).get("hops", 0)
        hops += before if isinstance(before, int) and 0 <= before <= MOST_HOPS else MOST_HOPS
    if hops > MOST_HOPS:
        circle = f"It was forwarded {MOST_HOPS} times: some guestbooks send it round in a circle."
        return InboundDecision(found, True, error=circle)
    inbound: dict[str, Any] = {
        "id": event.id,
        "event": found.event,
        "external_id": found.external_id,
        "sender": found.sender,
        "received_at": clock.to_text(event.received_at),
        "hops": hops,
        "payload": payload,
    }
    size = len(json.dumps(payload, ensure_ascii=False).encode(errors="replace"))
    if size > (FULL_FORWARD_LIMIT if source.forwarded_in_full_since else FORWARD_LIMIT):
        where = f"{base_url}/api/v1/inbox/{event.id}"
        why = f"The payload has {len(event.body):,} bytes. Read it with a token: {where}"
        inbound |= {"payload": None, "left_out": why, "payload_url": where}
    data = {"source": {"id": source.id, "name": source.name}, "inbound": inbound}
    return InboundDecision(found, True, action=ForwardEvent(data))
