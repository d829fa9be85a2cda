"""Send a sample event to a source, signed as its sender signs. It takes the way of a real one.

The receiver's code stores it, and the next pass verifies it and acts. So with a source that makes comments it
becomes a comment.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from guestbook.inbound import ingest, sample_events
from guestbook.inbound.ingest import SourceGone
from guestbook.inbound.sample_events import SAMPLES, SampleEvent
from guestbook.inbound.sender_presets import SENDER_PRESETS
from guestbook.lib import clock, ids, validate
from guestbook.lib.errors import Refused, only_here
from guestbook.lib.verification import sign_request
from guestbook.lib.verification.sign_request import Unsignable
from guestbook.lib.version import VERSION
from guestbook.settings import Settings
from guestbook.storage.database import db
from guestbook.storage.models import Source
from guestbook.storage.models.source import UNREADABLE_SOURCE, scheme_of

SAMPLE_AGENT = f"guestbook/{VERSION} (sample event)"  # so that the owner recognizes it in the inbox
OF_UNKNOWN_SENDERS = ("plain", *(name for name in SAMPLES if name not in ("plain", "gitea")))
BUILT_IN = (
    "The book has added this source for webmentions, which have no samples: mention the book on a page."
)


def hindrance(source: Source) -> str | None:
    """Return why no sample can be sent to a source, or None."""
    if source.is_unreadable:
        return UNREADABLE_SOURCE
    return BUILT_IN if source.is_built_in else sign_request.hindrance(source.verify, source.secret)


def choices(source: Source) -> dict[str, SampleEvent]:
    """Return the samples that fit a source, by name: those of its sender, or all where it is not known."""
    senders = _senders(source.verify, source.header)
    return {sample.name: sample for sender in senders for sample in SAMPLES[sender]}


def send(source: Source, settings: Settings, event: str | None = None) -> str:
    """Store a sample, by default the first that fits, and return the inbound event's id; raises Refused.

    No transaction may be open: it has its own.
    """
    if why := hindrance(source):
        raise Refused(why)
    known = choices(source)
    name = event or next(iter(known))
    with only_here():
        sample = known[validate.one_of(known, name, field="event", noun="sample")]
    headers, body = request(source, sample, ids.new(), clock.now())
    receiving = ingest.find(db.session(), source.token)
    if receiving is None:
        raise SourceGone
    packed = ingest.pack(receiving, headers, body, proof_key=settings.secret_key)
    return ingest.receive(receiving, packed, settings.secret_keys)


def request(source: Source, sample: SampleEvent, new_id: str, now: datetime) -> tuple[dict[str, str], bytes]:
    """Return headers and body as the sender would send them now, with an id of their own; raises Refused."""
    made = NEW_PARTS.get(sample.sender, _unchanged)(sample, new_id, now)
    try:
        proof = sign_request.sign(
            source.verify,
            source.secret,
            made.body,
            event_id=new_id,
            seconds=int(now.timestamp()),
            header=source.header,
            scheme=scheme_of(source.verify, source.header, source.scheme),
        )
    except Unsignable as error:
        raise Refused(str(error)) from None
    return {**made.headers, "user-agent": SAMPLE_AGENT, **proof}, made.body


def _senders(verify: str, header: str | None) -> tuple[str, ...]:
    """Return whose samples fit: the source keeps no preset, but its header tells the sender."""
    if verify in ("hmac", "token"):
        fits = (
            name
            for name, preset in SENDER_PRESETS.items()
            if name in SAMPLES and (preset.verify, preset.header.lower()) == (verify, (header or "").lower())
        )
        return tuple(fits) or OF_UNKNOWN_SENDERS
    return sample_events.SENDERS.get(verify, OF_UNKNOWN_SENDERS)


def _unchanged(sample: SampleEvent, _new_id: str, _now: datetime) -> SampleEvent:
    return sample


def _with_headers(*names: str) -> Callable[[SampleEvent, str, datetime], SampleEvent]:
    """Return what gives these headers a new GUID."""

    def made(sample: SampleEvent, new_id: str, _now: datetime) -> SampleEvent:
        return replace(sample, headers=sample.headers | dict.fromkeys(names, ids.guid(new_id)))

    return made


def _stripe(sample: SampleEvent, new_id: str, now: datetime) -> SampleEvent:
    return _with_fields(sample, id=f"evt_{new_id}", created=int(now.timestamp()))


def _slack(sample: SampleEvent, new_id: str, now: datetime) -> SampleEvent:
    return _with_fields(sample, event_id=f"Ev{new_id}", event_time=int(now.timestamp()))


def _guestbook(sample: SampleEvent, new_id: str, now: datetime) -> SampleEvent:
    """The comment is new too, or the book would take it for one that it has."""
    data, moment = sample.payload["data"], clock.to_text(now)
    place = data["comment"]["url"].rpartition("/")[0]
    comment = {**data["comment"], "id": new_id, "url": f"{place}/{new_id}", "created_at": moment}
    return _with_fields(sample, timestamp=moment, data={**data, "comment": comment})


def _with_fields(sample: SampleEvent, **fields: Any) -> SampleEvent:
    return replace(sample, payload=sample.payload | fields)


# What is new in each request of a sender. Where it has an id, two samples are two events.
NEW_PARTS: dict[str, Callable[[SampleEvent, str, datetime], SampleEvent]] = {
    "github": _with_headers("x-github-delivery"),
    "gitea": _with_headers("x-gitea-delivery", "x-github-delivery"),
    "gitlab": _with_headers("idempotency-key", "x-gitlab-event-uuid"),
    "shopify": _with_headers("x-shopify-webhook-id"),
    "stripe": _stripe,
    "slack": _slack,
    "guestbook": _guestbook,
}
