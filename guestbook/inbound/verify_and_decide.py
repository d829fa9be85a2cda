"""Decide about one inbound event: is it genuine, what does it say, what is to be done? Pure.

Nothing here uses the database, so no transaction is open while a template runs. First comes what an
event says of a comment and of itself, then what may be done, then `decide`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from guestbook.comments import comment_form
from guestbook.comments.comment_form import Draft
from guestbook.inbound import body_parser, known_senders
from guestbook.inbound.body_parser import BodyError
from guestbook.lib import clock, ids, template_sandbox, text
from guestbook.lib.template_sandbox import TemplateFault
from guestbook.lib.text import clean_line
from guestbook.lib.verification import Verdict
from guestbook.queue import erasure
from guestbook.storage.models import Comment, InboundEvent, Source


@dataclass(frozen=True, slots=True)
class RemoteComment:
    """A comment of another book."""

    home: str  # its address in the book in which it was signed
    is_gone: bool  # the sending book removed it
    skip: str | None  # why there is nothing to do


def read_remote_comment(headers: Mapping[str, str], payload: Any, base_url: str) -> RemoteComment | None:
    """Return the comment in an event of another guestbook; None for other senders and events."""
    event = headers.get("x-guestbook-event", "")
    comment = _dict(_dict(_dict(payload).get("data")).get("comment"))
    if not event.startswith("comment.") or not comment:
        return None
    home = _dict(comment.get("origin")).get("url") or comment.get("url")
    if not isinstance(home, str) or comment_form.website_error(home):
        return None
    if home.startswith(f"{base_url}/"):
        return RemoteComment(home, False, "It was written in this book.")
    return RemoteComment(home, event == "comment.deleted", _why_skip(event, comment))


def _why_skip(event: str, comment: Mapping[str, Any]) -> str | None:
    if event not in ("comment.created", "comment.published", "comment.deleted"):
        return "There is nothing to do for this event of the other book."
    if event != "comment.deleted" and comment.get("status") != "published":
        return "It is not published in the other book."
    return None


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


EVENT_LIMIT, ID_LIMIT, SENDER_LIMIT = 100, 200, 200  # characters, as in schema.sql

# Headers that name the event. Gitea and Forgejo send GitHub's too, and mean the same.
EVENT_HEADERS = (
    *("x-github-event", "x-gitea-event", "x-forgejo-event", "x-gogs-event", "x-guestbook-event"),
    *("x-shopify-topic", "x-wc-webhook-topic", "linear-event"),
    *("x-event-key", "ce-type"),  # Bitbucket; CloudEvents
)
# An id finds repeats. So a header counts only if its value is new with each delivery and the same in all
# attempts at it. GitLab's Idempotency-Key is; several events share one X-Gitlab-Event-UUID.
ID_HEADERS = (
    *("x-github-delivery", "x-gitea-delivery", "x-forgejo-delivery", "x-gogs-delivery"),
    *("x-shopify-webhook-id", "linear-delivery"),
    *("webhook-id", "svix-id", "idempotency-key"),
)
# Where payloads name a person, the best first.
SENDER_PATHS = (
    ("sender", "login"),  # GitHub, Gitea, Forgejo
    ("sender", "username"),
    ("user_username",),  # GitLab, push
    ("user", "username"),  # GitLab, all else; Slack's buttons
    ("user_name",),  # Slack's commands
    ("event", "user"),  # Slack
    ("data", "comment", "name"),  # another guestbook
    ("pusher", "name"),
    ("actor", "nickname"),  # Bitbucket
    ("actor", "name"),  # Bitbucket's own servers; Linear
    ("sender",),
    ("user", "name"),
)


@dataclass(frozen=True, slots=True)
class Metadata:
    """Clean, in one line each, and no longer than their columns; None where the sender says nothing."""

    event: str | None
    external_id: str | None
    sender: str | None


NO_METADATA = Metadata(None, None, None)


def extract_metadata(headers: Mapping[str, str], payload: object) -> Metadata:
    """Read it from the headers, whose names are in lower case, and the parsed body. Never raises."""
    return Metadata(
        _cleaned(_event(headers, payload), EVENT_LIMIT),
        _cleaned(_external_id(headers, payload), ID_LIMIT),
        next((name for path in SENDER_PATHS if (name := _cleaned(_at(payload, *path), SENDER_LIMIT))), None),
    )


def split_metadata(event: str | None, payload: object) -> tuple[str, str]:
    """Return the event without its action, and the action or "": `issues.opened` → `issues`, `opened`."""
    event, action = event or "", _action(payload) or ""
    if action and event.endswith(f".{action}"):
        return event.removesuffix(f".{action}"), action
    return event, ""


def _event(headers: Mapping[str, str], payload: object) -> str | None:
    named = next((headers[name] for name in EVENT_HEADERS if headers.get(name)), None)
    if named and "x-guestbook-event" in headers:
        return named
    named = named or _at(payload, "object_kind") or headers.get("x-gitlab-event")
    if named:
        action = _action(payload)
        return f"{named}.{action}" if action else named
    said = _at(payload, "event", "type") or _at(payload, "type") or _at(payload, "event")
    return said or _at(payload, "event_type")  # Typeform, Paddle, PayPal


def _action(payload: object) -> str | None:
    """Return `opened` and the like: of GitHub and its kin, or of GitLab."""
    action = _at(payload, "action") or _at(payload, "object_attributes", "action")
    return _cleaned(action, EVENT_LIMIT)


def _external_id(headers: Mapping[str, str], payload: object) -> str | None:
    named = next((headers[name] for name in ID_HEADERS if headers.get(name)), None)
    if named:
        return named
    own = _at(payload, "id")
    if own and own.startswith("evt_"):  # Stripe; elsewhere `id` is mostly that of a thing, not of the event
        return own
    return _at(payload, "event_id")  # Slack


def _at(payload: Any, *path: str) -> str | None:
    """Return the text that stands there, if one does."""
    for key in path:
        payload = payload.get(key) if isinstance(payload, dict) else None
    return payload if isinstance(payload, str) else None


def _cleaned(text: str | None, limit: int) -> str | None:
    # A text that is far too long is also cut before it is cleaned, because cleaning takes time.
    return clean_line((text or "")[: limit * 8])[:limit].rstrip() or None


BECAME = "It became a comment"  # the beginning of the note of an event that made one


@dataclass(frozen=True, slots=True)
class WriteComment:
    """Write a comment."""

    draft: Draft
    is_proven: bool  # whether the sender is known to be the source
    remote: RemoteComment | None  # None unless another guestbook sent it


@dataclass(frozen=True, slots=True)
class RemoveComment:
    """Remove our copy of another book's comment."""

    home: str


@dataclass(frozen=True, slots=True)
class WriteMention:
    """Write the comment of a page that mentions the book, or bring it up to date. The host is the page's."""

    draft: Draft
    url: str
    host: str


@dataclass(frozen=True, slots=True)
class RemoveMention:
    """Remove the comment of a page that mentions the book no more."""

    url: str
    host: str
    why: str  # a sentence


@dataclass(frozen=True, slots=True)
class ForwardEvent:
    """Pass the event on as `inbound.received`."""

    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class InboundDecision:
    """What is to be done about one event, and why."""

    metadata: Metadata
    is_genuine: bool = False
    error: str | None = None
    note: str | None = None
    action: WriteComment | RemoveComment | WriteMention | RemoveMention | ForwardEvent | None = None
    was_verified: bool = True  # False if an error of ours came first
    home: str | None = None  # address of the comment that another guestbook tells of
    retry_after: float | None = None  # after an error: try again by the schedule, after so many seconds
    retry_at: datetime | None = None  # the time of that; None if the schedule is used up
    mark: str | None = None  # the same for replays of the event, where its sender signs the time

    def after(self, done: "Effect") -> "InboundDecision":
        """Return the decision with the error that only the action has met; the sender is to blame for it."""
        return replace(self, error=done.error, is_genuine=False) if done.error else self

    @property
    def fate(self) -> str:
        """Return what becomes of an event with an error."""
        return f"will be retried at {clock.to_text(self.retry_at)}" if self.retry_at else "failed"

    def proves(self, source: Source) -> bool:
        """Whether it is known that the source has sent it."""
        return self.is_genuine and self.was_verified and source.verify != "none"


@dataclass(frozen=True, slots=True)
class Effect:
    """What was done, in words, and the comment that it became or is about; or why nothing could be done."""

    note: str
    comment_id: str | None = None
    error: str | None = None

    @classmethod
    def of_new(cls, comment: Comment) -> "Effect":
        """Return the one of an event that made this comment."""
        return cls(
            f"{BECAME}." if comment.status == "published" else f"{BECAME}, {comment.status}.", comment.id
        )


MOST_HOPS = 5  # times that an event may be forwarded from book to book
FORWARD_LIMIT = 14_000  # bytes of a forwarded payload: the whole body stays under 20 kB
FULL_FORWARD_LIMIT = 1_000_000  # bytes of a forwarded payload, where the owner wants large ones too
LOGGED = "Logged."


@dataclass(frozen=True, slots=True)
class ReceivedEvent:
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
        payload = body_parser.parse(event.headers, event.body)
        found = extract_metadata(event.headers, payload)
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
    if known_senders.is_ping(event.headers):
        return InboundDecision(found, True, note="The sender's test; there is nothing to do.")
    if known_senders.is_handshake(source.verify, event.body):
        return InboundDecision(found, True, note="The sender's handshake, which was answered at once.")
    if source.action == "comment":
        return _comment(event, source, found, payload, base_url)
    if source.action == "forward":
        return _forward(event, source, found, payload, base_url)
    return InboundDecision(found, True, note=LOGGED)


def _comment(
    event: ReceivedEvent, source: Source, found: Metadata, payload: Any, base_url: str
) -> InboundDecision:
    remote = read_remote_comment(event.headers, payload, base_url)
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
    kind, action = split_metadata(found.event, payload)
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
