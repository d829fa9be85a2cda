"""Sample events of known senders, to try a source or a template before a real one comes.

First the samples; then how one is sent to a source; then what a template makes of an event, which is stored
nowhere.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, make_transient

from guestbook.comments.comment_form import Draft
from guestbook.inbound import event_reader, ingest, verify_and_decide
from guestbook.inbound.sender_presets import SENDER_PRESETS
from guestbook.inbound.verify_and_decide import InboundDecision, ReceivedEvent, WriteComment
from guestbook.lib import VERSION, clock, ids, validate, verification
from guestbook.lib.errors import Refused, only_here
from guestbook.lib.verification import Unsignable
from guestbook.outbound.event_catalogue import EVENTS
from guestbook.settings import Settings
from guestbook.storage.models import InboundEvent, Source
from guestbook.storage.models.source import UNREADABLE_SOURCE

_LIGHTHOUSE = "https://github.com/ada/lighthouse"
_REPO = {"full_name": "ada/lighthouse", "html_url": _LIGHTHOUSE}
_ADA = {"login": "ada", "html_url": "https://github.com/ada"}
_GITHUB_EVENT = "x-github-event"
_OTHER_BOOK = "https://other.example"


@dataclass(frozen=True, slots=True)
class SampleEvent:
    """What a sender sends of an event, without what is new in each request."""

    sender: str  # the name of its preset, or plain
    headers: dict[str, str]  # names in lower case
    payload: dict[str, Any]

    @property
    def body(self) -> bytes:
        """Return the body: JSON."""
        return json.dumps(self.payload).encode()

    @property
    def name(self) -> str:
        """Return the event as the inbox names it: `issues.opened`. One without a name has its sender's."""
        return event_reader.extract_metadata(self.headers, self.payload).event or self.sender


def samples_of(verify: str) -> list[SampleEvent]:
    """Return samples of senders of that kind."""
    return [sample for sender in SENDERS.get(verify, ("plain",)) for sample in SAMPLES[sender]]


def _json(sender: str, payload: dict[str, Any], **headers: str) -> SampleEvent:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return SampleEvent(sender, {"content-type": "application/json", **named}, payload)


def _github(event: str, **payload: Any) -> SampleEvent:
    return _json("github", {**payload, "repository": _REPO, "sender": _ADA}, x_github_event=event)


def _gitea(sample: SampleEvent) -> SampleEvent:
    named = {"x-gitea-event": sample.headers[_GITHUB_EVENT]}
    return replace(sample, sender="gitea", headers=sample.headers | named)


def _numbered(part: str, number: int, title: str, **more: Any) -> dict[str, Any]:
    url = f"{_LIGHTHOUSE}/{part}/{number}"
    return {"number": number, "title": title, "html_url": url, **more}


_GITHUB = (
    _github("issues", action="opened", issue=_numbered("issues", 7, "The lamp flickers")),
    _github(
        "push",
        ref="refs/heads/main",
        commits=[{"message": "Trim the wick\n\nIt was too long."}, {"message": "Polish the lens"}],
        compare=f"{_LIGHTHOUSE}/compare/1…2",
    ),
    _github(
        "pull_request", action="closed", pull_request=_numbered("pull", 8, "A brighter lamp", merged=True)
    ),
    _github(
        "release", action="published", release={"name": "1.0", "html_url": f"{_LIGHTHOUSE}/releases/1.0"}
    ),
    _github("star", action="created"),
    _github(
        "issue_comment",
        action="created",
        issue=_numbered("issues", 7, "The lamp flickers"),
        comment={"body": "It is the wick.", "html_url": f"{_LIGHTHOUSE}/issues/7#issuecomment-1"},
    ),
    _github("discussion", action="created", discussion=_numbered("discussions", 9, "Which oil is best?")),
    _github(
        "pull_request_review",
        action="submitted",
        review={"state": "approved", "body": "It shines.", "html_url": f"{_LIGHTHOUSE}/pull/8#review"},
        pull_request=_numbered("pull", 8, "A brighter lamp"),
    ),
    _github(
        "fork", forkee={"full_name": "grace/lighthouse", "html_url": "https://github.com/grace/lighthouse"}
    ),
    _github(
        "sponsorship",
        action="created",
        sponsorship={"privacy_level": "public", "sponsorable": {"login": "lighthouse"}},
    ),
    _github(
        "workflow_run",
        action="completed",
        workflow_run={
            "name": "Tests",
            "run_number": 12,
            "head_branch": "main",
            "conclusion": "failure",
            "html_url": f"{_LIGHTHOUSE}/actions/runs/12",
        },
    ),
    _github(
        "deployment_status",
        action="created",
        deployment_status={"state": "success", "environment": "production", "target_url": ""},
    ),
)
_GITLAB = _json(
    "gitlab",
    {
        "object_kind": "issue",
        "user": {"name": "Grace", "username": "grace"},
        "project": {"path_with_namespace": "ada/lighthouse", "web_url": "https://gitlab.com/ada/lighthouse"},
        "object_attributes": {
            "iid": 7,
            "title": "The lamp flickers",
            "action": "open",
            "url": "https://gitlab.com/ada/lighthouse/-/issues/7",
        },
    },
    x_gitlab_event="Issue Hook",
)
_SHOPIFY = _json(
    "shopify",
    {"customer": {"first_name": "Grace"}, "line_items": [{"title": "A lantern"}, {"title": "A wick"}]},
    x_shopify_topic="orders/create",
)
_DISCORD = _json(
    "discord",
    {
        "type": 2,
        "member": {"user": {"username": "grace", "global_name": "Grace"}},
        "data": {"name": "sign", "options": [{"name": "message", "value": "Hello from Discord"}]},
    },
)
_GUESTBOOK_EVENT = _json(
    "guestbook",
    EVENTS["comment.published"].example() | {"data": EVENTS["comment.published"].sample_data(_OTHER_BOOK)},
    x_guestbook_event="comment.published",
)
_STRIPE = _json(
    "stripe",
    {
        "id": "evt_1",
        "object": "event",
        "livemode": False,
        "type": "checkout.session.completed",
        "data": {
            "object": {
                "amount_total": 500,
                "currency": "eur",
                "payment_status": "paid",
                "customer_details": {"name": "Grace Hopper"},
            }
        },
    },
)
_SLACK = _json(
    "slack",
    {
        "type": "event_callback",
        "event_id": "Ev1",
        "event": {"type": "message", "user": "U1", "channel": "C1", "text": "Hello from the harbour"},
    },
)
# Gitea sends GitHub’s header too. It has none of the other events: https://docs.gitea.com/usage/webhooks
_GITEA_EVENTS = ("push", "issues", "issue_comment", "pull_request", "release", "fork")
_PLAIN_EVENT = _json(
    "plain", {"name": "Grace", "website": "https://grace.example", "message": "Hello from a script"}
)
SAMPLES = {
    "github": _GITHUB,
    "gitea": tuple(_gitea(sample) for sample in _GITHUB if sample.headers[_GITHUB_EVENT] in _GITEA_EVENTS),
    "gitlab": (_GITLAB,),
    "guestbook": (_GUESTBOOK_EVENT,),
    "stripe": (_STRIPE,),
    "slack": (_SLACK,),
    "shopify": (_SHOPIFY,),
    "discord": (_DISCORD,),
    "plain": (_PLAIN_EVENT,),
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
    senders = _senders(source.verify, source.header)
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
    except Unsignable as error:
        raise Refused(str(error)) from None
    return {**sample.headers, **new_headers, "user-agent": SAMPLE_AGENT, **proof}, body


def _senders(verify: str, header: str | None) -> tuple[str, ...]:
    """Return whose samples fit: the source keeps no preset, but its header tells the sender."""
    if verify in ("hmac", "token"):
        fits = (
            name
            for name, preset in SENDER_PRESETS.items()
            if name in SAMPLES and (preset.verify, preset.header.lower()) == (verify, (header or "").lower())
        )
        return tuple(fits) or OF_UNKNOWN_SENDERS
    return SENDERS.get(verify, OF_UNKNOWN_SENDERS)


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


@dataclass(frozen=True, slots=True)
class TemplatePreview:
    """What a template makes of an event."""

    what: str  # the event, in words
    draft: Draft | None  # the comment, if there is one
    sentence: str  # why there is none
    is_error: bool


def preview_of(
    session: Session, source_id: str | None, name: str, verify: str, template: str, base_url: str
) -> TemplatePreview:
    """Try a template with the latest events of a source, the newest first, or with samples if it has none.

    All of them count as genuine.
    """
    trial = Source(name=name, verify="none", action="comment", template=template)
    latest = list(_latest(session, source_id)) if source_id else []
    samples = (
        ("a sample, because nothing has come yet", ReceivedEvent("", one.headers, one.body, clock.now()))
        for one in samples_of(verify)
    )
    return _best(
        _preview(what, verify_and_decide.decide(event, trial, base_url=base_url, proof_keys=()))
        for what, event in latest or samples
    )


def _latest(session: Session, source_id: str) -> Iterator[tuple[str, ReceivedEvent]]:
    query = select(InboundEvent).where(InboundEvent.source_id == source_id)
    for row in session.scalars(query.order_by(InboundEvent.id.desc()).limit(EVENTS_TRIED)):
        what = f"{row.event or 'the event'} that came {clock.ago(row.received_at)}"
        yield what, ReceivedEvent(row.id, row.headers, row.body, row.received_at)


def _best(previews: Iterator[TemplatePreview]) -> TemplatePreview:
    """Return the first that gives a comment or fails; else the first."""
    first = next(previews)  # there is always a sample
    return next((one for one in chain([first], previews) if one.draft or one.is_error), first)


def _preview(what: str, decision: InboundDecision) -> TemplatePreview:
    action = decision.action
    draft = action.draft if isinstance(action, WriteComment) else None
    sentence = decision.error or decision.note or "The other book removed this comment."
    return TemplatePreview(what, draft, sentence, decision.error is not None)
