"""Judge one inbound event: is it genuine, what does it say, what is to be done about it? Pure.

Nothing here asks the database, so that no transaction is open while a template runs.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from guestbook.comments import comment_form
from guestbook.comments.comment_form import Draft
from guestbook.inbound import body_parser, federation, handshakes, metadata, verification
from guestbook.inbound.body_parser import BodyFault
from guestbook.inbound.federation import Told
from guestbook.inbound.metadata import Facts
from guestbook.inbound.verification import Verdict
from guestbook.lib import byte_text, clock, template_sandbox, text
from guestbook.lib.template_sandbox import TemplateFault
from guestbook.queue import erasure
from guestbook.storage.models import InboundEvent, Source

MOST_HOPS = 5  # that an event may be forwarded from book to book
FORWARD_LIMIT = 14_000  # bytes of a payload that is passed on: with all around it, it stays under 20 kB
LOGGED = "Logged."
PING = "The sender's test; there is nothing to do."
HANDSHAKE = "The sender's handshake, which was answered at once."
NO_TEXT = "The template gave no text, so there is no comment."
NO_FACTS = Facts(None, None, None)
IN_A_CIRCLE = f"It was forwarded {MOST_HOPS} times: some guestbooks send it round in a circle."


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment to be written."""

    draft: Draft
    is_proven: bool  # that the sender is who it says
    told: Told | None  # what another guestbook said of it


@dataclass(frozen=True, slots=True)
class Removal:
    """A comment of another book that is to leave ours too."""

    home: str


@dataclass(frozen=True, slots=True)
class Forward:
    """An event to be passed on, as the data of `inbound.received`."""

    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What came of it: an error, a note that nothing is to do, or something to do."""

    facts: Facts
    is_genuine: bool = False
    error: str | None = None
    note: str | None = None
    deed: Comment | Removal | Forward | None = None
    was_verified: bool = True  # not, where a fault of ours came before it
    about: str | None = None  # the address of the comment that another guestbook tells of

    def proves(self, source: Source) -> bool:
        """Whether it is known that the source has sent it."""
        return self.is_genuine and self.was_verified and source.verify != "none"


@dataclass(frozen=True, slots=True)
class Arrived:
    """An inbound event as plain values."""

    id: str
    headers: dict[str, str]
    body: bytes
    received_at: datetime
    token: str  # of the lease
    losses: int  # passes that came to no end with it
    due_at: datetime | None = None  # before the lease; None when nobody has claimed it

    @classmethod
    def of(cls, row: Row[Any], token: str) -> "Arrived":
        """Return a claimed row of the inbox, under the token of its lease."""
        body, losses = byte_text.unpack(row.payload, row.encoding), row.claims - row.attempts
        return cls(row.id, row.headers, body, row.received_at, token, losses, row.due_at)


def judge(event: Arrived, source: Source, *, base_url: str, proof_key: str) -> Judgement:
    """Verify against the time of receipt, parse, extract and decide. Never raises over what was sent."""
    verdict = verify(event, source, proof_key)
    try:
        payload = body_parser.parse(event.headers, event.body)
    except BodyFault as error:
        return _unreadable(source, verdict, str(error))
    facts = metadata.extract(event.headers, payload)
    if not verdict.ok:
        return Judgement(facts, error=verdict.sentence)
    return _decide(event, source, facts, payload, base_url)


def verify(event: Arrived | InboundEvent, source: Source, proof_key: str) -> Verdict:
    """Verify as of when it was received, with the source as it is set now. Never raises."""
    if isinstance(event, InboundEvent) and event.erased_at:
        return Verdict(False, erasure.INBOUND_ERASED)
    return verification.verify(
        source.verify,
        source.secrets_at(event.received_at),
        event.headers,
        event.body,
        event.received_at,
        header=source.header,
        proof_key=proof_key,
    )


def _unreadable(source: Source, verdict: Verdict, why: str) -> Judgement:
    """Log what cannot be read too, for nothing needs to read it; other actions fail over it."""
    if not verdict.ok:
        return Judgement(NO_FACTS, error=verdict.sentence)
    if source.action == "log":
        return Judgement(NO_FACTS, True, note=f"{LOGGED} {why}")
    return Judgement(NO_FACTS, True, error=why)


def _decide(event: Arrived, source: Source, facts: Facts, payload: Any, base_url: str) -> Judgement:
    if handshakes.is_ping(event.headers):
        return Judgement(facts, True, note=PING)
    if source.verify == "slack" and handshakes.slack_challenge(event.body) is not None:
        return Judgement(facts, True, note=HANDSHAKE)
    if source.action == "comment":
        return _comment(event, source, facts, payload, base_url)
    if source.action == "forward":
        return _forward(event, source, facts, payload, base_url)
    return Judgement(facts, True, note=LOGGED)


def _comment(event: Arrived, source: Source, facts: Facts, payload: Any, base_url: str) -> Judgement:
    told = federation.read(event.headers, payload, base_url)
    if told and told.skip:
        return Judgement(facts, True, note=told.skip, about=told.home)
    if told and told.is_gone:
        return Judgement(facts, True, deed=Removal(told.home))
    try:
        entry = _write(source, facts, payload)
    except TemplateFault as error:
        return Judgement(facts, True, error=str(error))
    if not entry.message:
        return Judgement(facts, True, note=NO_TEXT)
    return Judgement(facts, True, deed=Comment(entry, source.verify != "none", told))


def _write(source: Source, facts: Facts, payload: Any) -> Draft:
    """Run the template; what is too long is cut, and a website that cannot be linked is left out."""
    kind, action = metadata.split(facts.event, payload)
    values = {
        "event": kind,
        "action": action,
        "payload": payload,
        "sender": facts.sender or "",
        "source": source.name,
    }
    made = template_sandbox.render(source.template or "", values)
    name = text.clean_line(str(made.names.get("name") or facts.sender or "")) or source.name
    website = made.names.get("website")
    fields = {
        "name": _cut(name, comment_form.VISITOR_NAME_LIMIT),
        "website": website if isinstance(website, str) and not comment_form.website_error(website) else "",
        "message": _cut(text.clean_text(made.text), comment_form.MESSAGE_LIMIT),
    }
    return comment_form.read(fields)


def _cut(words: str, limit: int) -> str:
    return words if len(words) <= limit else words[: limit - 1].rstrip() + "…"


def _forward(event: Arrived, source: Source, facts: Facts, payload: Any, base_url: str) -> Judgement:
    hops = _hops(event, payload) + 1
    if hops > MOST_HOPS:
        return Judgement(facts, True, error=IN_A_CIRCLE)
    inbound: dict[str, Any] = {
        "id": event.id,
        "event": facts.event,
        "external_id": facts.external_id,
        "sender": facts.sender,
        "received_at": clock.to_text(event.received_at),
        "hops": hops,
        "payload": payload,
    }
    size = len(json.dumps(payload, ensure_ascii=False).encode(errors="replace"))
    if size > FORWARD_LIMIT:
        where = f"{base_url}/admin/inbox/{event.id}"
        inbound |= {"payload": None, "left_out": f"The payload has {len(event.body):,} bytes. See {where}"}
    return Judgement(
        facts, True, deed=Forward({"source": {"id": source.id, "name": source.name}, "inbound": inbound})
    )


def _hops(event: Arrived, payload: Any) -> int:
    """Return how often it was forwarded before it came to us."""
    if event.headers.get("x-guestbook-event") != "inbound.received":
        return 0
    try:
        hops = payload["data"]["inbound"]["hops"]
    except (KeyError, TypeError, IndexError):
        return 0
    return hops if isinstance(hops, int) and 0 <= hops <= MOST_HOPS else MOST_HOPS
