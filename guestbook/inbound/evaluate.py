"""Evaluate one inbound event: is it genuine, what does it say, what is to be done? Pure.

Nothing here uses the database, so no transaction is open while a template runs.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from guestbook.comments import comment_form
from guestbook.comments.comment_form import Draft
from guestbook.inbound import body_parser, federation, handshakes, metadata
from guestbook.inbound.body_parser import BodyError
from guestbook.inbound.decision import ForwardEvent, InboundDecision, RemoveComment, WriteComment
from guestbook.inbound.metadata import NO_METADATA, Metadata
from guestbook.lib import clock, ids, template_sandbox, text
from guestbook.lib.template_sandbox import TemplateFault
from guestbook.lib.verification.verify_signature import Verdict
from guestbook.queue import erasure
from guestbook.storage.models import InboundEvent, Source

MOST_HOPS = 5  # times that an event may be forwarded from book to book
FORWARD_LIMIT = 14_000  # bytes of a forwarded payload: the whole body stays under 20 kB
FULL_FORWARD_LIMIT = 1_000_000  # bytes of it where the owner wants large ones too
LOGGED = "Logged."


@dataclass(frozen=True, slots=True)
class ReceivedEvent:
    """An inbound event as plain values."""

    id: str
    headers: dict[str, str]
    body: bytes
    received_at: datetime
    token: str = ""  # of the lease
    lost_passes: int = 0  # passes that ended in the middle of it
    due_at: datetime | None = None  # before the lease
    attempts: int = 0


def evaluate(
    event: ReceivedEvent, source: Source, *, base_url: str, proof_keys: Sequence[str]
) -> InboundDecision:
    """Verify against the time of receipt, parse, extract and decide. Never raises over what was sent."""
    verdict = verify(event, source, proof_keys)
    payload, found, unreadable = None, NO_METADATA, None
    try:
        payload = body_parser.parse(event.headers, event.body)
        found = metadata.extract(event.headers, payload)
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
        return Verdict(False, erasure.INBOUND_ERASED)
    return source.verify_request(event.headers, event.body, event.received_at, proof_keys)


def _decide(
    event: ReceivedEvent, source: Source, found: Metadata, payload: Any, base_url: str
) -> InboundDecision:
    if handshakes.is_ping(event.headers):
        return InboundDecision(found, True, note="The sender's test; there is nothing to do.")
    if handshakes.is_handshake(source.verify, event.body):
        return InboundDecision(found, True, note="The sender's handshake, which was answered at once.")
    if source.action == "comment":
        return _comment(event, source, found, payload, base_url)
    if source.action == "forward":
        return _forward(event, source, found, payload, base_url)
    return InboundDecision(found, True, note=LOGGED)


def _comment(
    event: ReceivedEvent, source: Source, found: Metadata, payload: Any, base_url: str
) -> InboundDecision:
    remote = federation.read(event.headers, payload, base_url)
    if remote and remote.skip:
        return InboundDecision(found, True, note=remote.skip, home=remote.home)
    if remote and remote.is_gone:
        return InboundDecision(found, True, action=RemoveComment(remote.home))
    try:
        draft = _draft(source, found, payload)
    except TemplateFault as error:
        return InboundDecision(found, True, error=str(error))
    if not draft.message:
        return InboundDecision(found, True, note="The template gave no text, so there is no comment.")
    return InboundDecision(found, True, action=WriteComment(draft, source.verify != "none", remote))


def _draft(source: Source, found: Metadata, payload: Any) -> Draft:
    """Run the template. Long texts are cut, and a website that cannot be linked is left out."""
    kind, action = metadata.split(found.event, payload)
    values = {
        "event": kind,
        "action": action,
        "payload": payload,
        "sender": found.sender or "",
        "source": source.name,
    }
    made = template_sandbox.render(source.template or "", values)
    name = text.clean_line(str(made.names.get("name") or found.sender or "")) or source.name
    website = made.names.get("website")
    fields = {
        "name": text.shortened(name, comment_form.VISITOR_NAME_LIMIT),
        "website": website if isinstance(website, str) and not comment_form.website_error(website) else "",
        "message": text.shortened(text.clean_text(made.text), comment_form.MESSAGE_LIMIT),
    }
    return comment_form.read(fields)


def _forward(
    event: ReceivedEvent, source: Source, found: Metadata, payload: Any, base_url: str
) -> InboundDecision:
    hops = _hops(event, payload) + 1
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


def _hops(event: ReceivedEvent, payload: Any) -> int:
    """Return how often it was forwarded before it reached us."""
    if event.headers.get("x-guestbook-event") != "inbound.received":
        return 0
    try:
        hops = payload["data"]["inbound"]["hops"]
    except (KeyError, TypeError, IndexError):
        return 0
    return hops if isinstance(hops, int) and 0 <= hops <= MOST_HOPS else MOST_HOPS
