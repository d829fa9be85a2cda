"""Sample events of known senders, to try a source or a template before a real one comes.

First the samples; then how one is sent to a source; then what a template makes of an event, which is stored
nowhere.
"""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session, make_transient

from guestbook.comments.comment_form import Draft
from guestbook.inbound import event_reader, ingest, verify_and_decide
from guestbook.inbound.sender_presets import SENDER_PRESETS
from guestbook.inbound.verify_and_decide import ReceivedEvent, WriteComment
from guestbook.lib import VERSION, clock, ids, validate, verification
from guestbook.lib.errors import Refused, only_here
from guestbook.lib.verification.kinds import Unproven
from guestbook.outbound.event_catalogue import EVENTS
from guestbook.settings import Settings
from guestbook.storage.models import InboundEvent, Source
from guestbook.storage.models.source import UNREADABLE_SOURCE

_LIGHTHOUSE = "https://github.com/ada/lighthouse"
_ISSUE = {"number": 7, "title": "The lamp flickers", "html_url": f"{_LIGHTHOUSE}/issues/7"}
_PULL = {"number": 8, "title": "A brighter lamp", "html_url": f"{_LIGHTHOUSE}/pull/8"}
_ABOUT_ALL = {
    "repository": {"full_name": "ada/lighthouse", "html_url": _LIGHTHOUSE},
    "sender": {"login": "ada", "html_url": "https://github.com/ada"},
}
_GITHUB: dict[str, dict[str, Any]] = {  # event → what differs between events
    "issues": {"action": "opened", "issue": _ISSUE},
    "push": {
        "ref": "refs/heads/main",
        "commits": [{"message": "Trim the wick\n\nIt was too long."}, {"message": "Polish the lens"}],
        "compare": f"{_LIGHTHOUSE}/compare/1…2",
    },
    "pull_request": {"action": "closed", "pull_request": {**_PULL, "merged": True}},
    "release": {"action": "published", "release": {"name": "1.0", "html_url": f"{_LIGHTHOUSE}/releases/1.0"}},
    "star": {"action": "created"},
    "issue_comment": {
        "action": "created",
        "issue": _ISSUE,
        "comment": {"body": "It is the wick.", "html_url": f"{_LIGHTHOUSE}/issues/7#issuecomment-1"},
    },
    "discussion": {
        "action": "created",
        "discussion": {
            "number": 9,
            "title": "Which oil is best?",
            "html_url": f"{_LIGHTHOUSE}/discussions/9",
        },
    },
    "pull_request_review": {
        "action": "submitted",
        "review": {"state": "approved", "body": "It shines.", "html_url": f"{_LIGHTHOUSE}/pull/8#review"},
        "pull_request": _PULL,
    },
    "fork": {"forkee": {"full_name": "grace/lighthouse", "html_url": "https://github.com/grace/lighthouse"}},
    "sponsorship": {
        "action": "created",
        "sponsorship": {"privacy_level": "public", "sponsorable": {"login": "lighthouse"}},
    },
    "workflow_run": {
        "action": "completed",
        "workflow_run": {
            "name": "Tests",
            "run_number": 12,
            "head_branch": "main",
            "conclusion": "failure",
            "html_url": f"{_LIGHTHOUSE}/actions/runs/12",
        },
    },
    "deployment_status": {
        "action": "created",
        "deployment_status": {"state": "success", "environment": "production", "target_url": ""},
    },
}
# Gitea sends GitHub’s header too. It has none of the other events: https://docs.gitea.com/usage/webhooks
_GITEA_EVENTS = ("push", "issues", "issue_comment", "pull_request", "release", "fork")
_GITLAB = {
    "object_kind": "issue",
    "user": {"name": "Grace", "username": "grace"},
    "project": {"path_with_namespace": "ada/lighthouse", "web_url": "https://gitlab.com/ada/lighthouse"},
    "object_attributes": {
        "iid": 7,
        "title": "The lamp flickers",
        "action": "open",
        "url": "https://gitlab.com/ada/lighthouse/-/issues/7",
    },
}
_BOOK_EVENT = EVENTS["comment.published"]
_BOOK_PAYLOAD = _BOOK_EVENT.example() | {"data": _BOOK_EVENT.sample_data("https://other.example")}
_PAYMENT = {
    "amount_total": 500,
    "currency": "eur",
    "payment_status": "paid",
    "customer_details": {"name": "Grace Hopper"},
}
_STRIPE = {"id": "evt_1", "object": "event", "livemode": False, "type": "checkout.session.completed"}
_MESSAGE = {"type": "message", "user": "U1", "channel": "C1", "text": "Hello from the harbour"}
_ORDER = {"customer": {"first_name": "Grace"}, "line_items": [{"title": "A lantern"}, {"title": "A wick"}]}
_COMMAND = {
    "type": 2,
    "member": {"user": {"username": "grace", "global_name": "Grace"}},
    "data": {"name": "sign", "options": [{"name": "message", "value": "Hello from Discord"}]},
}
_FIELDS = {"name": "Grace", "website": "https://grace.example", "message": "Hello from a script"}


class SampleEvent(NamedTuple):
    """What a sender sends of an event, without what is new in each request."""

    sender: str  # the name of its preset, or plain
    payload: dict[str, Any]
    named: dict[str, str]  # headers with the event's name, in lower case

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers, in lower case."""
        return {"content-type": "application/json", **self.named}

    @property
    def name(self) -> str:
        """Return the event as the inbox names it: `issues.opened`. One without a name has its sender's."""
        return event_reader.extract_metadata(self.headers, self.payload).event or self.sender


def _forge(sender: str, names: Iterable[str], *headers: str) -> list[SampleEvent]:
    return [SampleEvent(sender, _GITHUB[name] | _ABOUT_ALL, dict.fromkeys(headers, name)) for name in names]


SAMPLES = {
    "github": _forge("github", _GITHUB, "x-github-event"),
    "gitea": _forge("gitea", filter(_GITEA_EVENTS.__contains__, _GITHUB), "x-github-event", "x-gitea-event"),
    "gitlab": [SampleEvent("gitlab", _GITLAB, {"x-gitlab-event": "Issue Hook"})],
    "guestbook": [SampleEvent("guestbook", _BOOK_PAYLOAD, {"x-guestbook-event": "comment.published"})],
    "stripe": [SampleEvent("stripe", {**_STRIPE, "data": {"object": _PAYMENT}}, {})],
    "slack": [SampleEvent("slack", {"type": "event_callback", "event_id": "Ev1", "event": _MESSAGE}, {})],
    "shopify": [SampleEvent("shopify", _ORDER, {"x-shopify-topic": "orders/create"})],
    "discord": [SampleEvent("discord", _COMMAND, {})],
    "plain": [SampleEvent("plain", _FIELDS, {})],
}
SENDERS = {  # kind of verification → names of senders
    "github": ("github",),
    "standard": ("guestbook",),
    "stripe": ("stripe",),
    "slack": ("slack",),
    "hmac": ("shopify", "github", "plain"),
    "ed25519": ("discord", "plain"),
    "token": ("gitlab", "plain"),
}


NEW_HEADERS = {  # sender → headers with a GUID that is new in each request
    "github": ("x-github-delivery",),
    "gitea": ("x-gitea-delivery", "x-github-delivery"),
    "gitlab": ("idempotency-key", "x-gitlab-event-uuid"),
    "shopify": ("x-shopify-webhook-id",),
}
SAMPLE_AGENT = f"guestbook/{VERSION} (sample event)"  # the owner recognizes it in the inbox
OF_UNKNOWN_SENDERS = ("plain", *(name for name in SAMPLES if name not in ("plain", "gitea")))
BUILT_IN = (
    "The book has added this source for webmentions, which have no samples: mention the book on a page."
)


def hindrance(source: Source) -> str | None:
    """Return why no sample can be sent to a source, or None."""
    if source.is_unreadable:
        return UNREADABLE_SOURCE
    return BUILT_IN if source.is_built_in else verification.hindrance(source.verify, source.secret)


def choices(source: Source) -> dict[str, SampleEvent]:
    """Return the samples that fit a source, by name: those of its sender, or all where it is not known."""
    senders = SENDERS.get(source.verify, OF_UNKNOWN_SENDERS)
    if source.verify in ("hmac", "token"):  # The source keeps no preset, but its header tells the sender.
        known = {(one.verify, one.header.lower()): name for name, one in SENDER_PRESETS.items()}
        sender = known.get((source.verify, (source.header or "").lower()))
        senders = (sender,) if sender in SAMPLES else OF_UNKNOWN_SENDERS
    return {sample.name: sample for sender in senders for sample in SAMPLES[sender]}


def send_sample(source: Source, settings: Settings, event: str | None = None) -> str:
    """Store a sample, by default the first that fits, and return the inbound event's id; raises Refused.

    No transaction may be open: it has its own.
    """
    if why := hindrance(source):
        raise Refused(why)
    known = choices(source)
    name = event or next(iter(known))
    with only_here():
        sample = known[validate.one_of(known, name, field="event", noun="sample")]
    headers, body = sample_request(source, sample, ids.new(), clock.now())
    packed = ingest.pack(source, headers, body, proof_key=settings.secret_key)
    make_transient(source)  # A rollback does not read it again.
    return ingest.receive(source, packed, settings.secret_keys)


def sample_request(
    source: Source, sample: SampleEvent, new_id: str, now: datetime
) -> tuple[dict[str, str], bytes]:
    """Return headers and body as the sender would send them now, with an id of their own; raises Refused."""
    body = json.dumps(sample.payload | _new_fields(sample, new_id, now)).encode()
    new_headers = dict.fromkeys(NEW_HEADERS.get(sample.sender, ()), ids.guid(new_id))
    try:
        proof = verification.sign_request(
            source.verify,
            source.secret,
            body,
            event_id=new_id,
            seconds=int(now.timestamp()),
            header=source.header,
            scheme=source.signature_scheme,
        )
    except Unproven as error:
        raise Refused(str(error)) from None
    return {**sample.headers, **new_headers, "user-agent": SAMPLE_AGENT, **proof}, body


def _new_fields(sample: SampleEvent, new_id: str, now: datetime) -> dict[str, Any]:
    """Return what is new in the payload. Where it has an id, two samples are two events."""
    seconds, moment = int(now.timestamp()), clock.to_text(now)
    if sample.sender == "stripe":
        return {"id": f"evt_{new_id}", "created": seconds}
    if sample.sender == "slack":
        return {"event_id": f"Ev{new_id}", "event_time": seconds}
    if sample.sender == "guestbook":  # the comment is new too, or the book would take it for one that it has
        data = sample.payload["data"]
        url = f"{data['comment']['url'].rpartition('/')[0]}/{new_id}"
        comment = {**data["comment"], "id": new_id, "url": url, "created_at": moment}
        return {"timestamp": moment, "data": {**data, "comment": comment}}
    return {}


EVENTS_TRIED = 5  # events that are tried until one gives a comment: each may take half a second


class TemplatePreview(NamedTuple):
    """What a template makes of an event."""

    what: str  # the event, in words
    draft: Draft | None  # the comment, if there is one
    sentence: str  # why there is none
    is_error: bool


def preview_of(
    session: Session,
    source: Source | None,
    verify: str,
    template: str | None,
    base_url: str,
    name: str = "",
    condition: str | None = None,
) -> list[TemplatePreview]:
    """Try a template, if any, and a condition with the latest events of a source, or with samples.

    All of them count as genuine. First comes one that gives a comment or fails, if there is any.
    """
    name = name or (source.name if source else "The name of the source")
    action = "log" if template is None else "comment"
    trial = Source(name=name, verify="none", action=action, template=template, event_condition=condition)
    found = []
    for what, event in _tried(session, source.id if source else None, verify):
        decision = verify_and_decide.decide(event, trial, base_url=base_url, proof_keys=())
        draft = decision.action.draft if isinstance(decision.action, WriteComment) else None
        why = "" if draft else decision.error or decision.note or "The other book removed this comment."
        found.append(TemplatePreview(what, draft, why, decision.error is not None))
    return sorted(found, key=lambda made: not (made.draft or made.is_error))


def _tried(session: Session, source_id: str | None, verify: str) -> Iterator[tuple[str, ReceivedEvent]]:
    query = select(InboundEvent).where(InboundEvent.source_id == source_id).order_by(InboundEvent.id.desc())
    latest = session.scalars(query.limit(EVENTS_TRIED)).all() if source_id else ()
    for row in latest:
        what = f"{row.event or 'the event'} that came {clock.ago(row.received_at)}"
        yield what, ReceivedEvent(row.id, row.headers, row.body, row.received_at)
    for sender in () if latest else SENDERS.get(verify, ("plain",)):
        for one in SAMPLES[sender]:
            body = json.dumps(one.payload).encode()
            yield "a sample, because nothing has come yet", ReceivedEvent("", one.headers, body, clock.now())
