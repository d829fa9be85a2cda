"""The bodies of `scripts/bench hostile`, which strangers send to a source or a bin."""

import gzip
from collections.abc import Mapping
from functools import partial

from sqlalchemy import delete, select

from guestbook.inbound import bins
from guestbook.lib import clock, ids
from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.storage.models import BinRequest, Delivery, InboundEvent, Source, Webhook
from scripts.benchmarks.support.attacked_book import Bomb, Throw, Victim

NESTED = f"[{','.join(['[' * 900 + ']' * 900] * 555)}]".encode()
FORM = "application/x-www-form-urlencoded"
BODIES = {  # a megabyte each
    "lists in lists": NESTED,
    "empty lists": b"[" + b"[]," * 330_000 + b"[]]",
    "empty objects": b'[{"":{}}' + b',{"":{}}' * 120_000 + b"]",
    "open brackets": b"[" * 1_000_000,
    "escapes": b'["' + b"\\ud83d\\ude00" * 80_000 + b'"]',
    "text from right to left": ("\u202e" * 330_000).encode(),
    "a form of one field": b"a=" + b"%41" * 330_000,
    "a form of many": (b"a=" + b"[" * 150 + b"]" * 149 + b"&") * 3300,
    "nothing": b"\0" * 1_000_000,
}


def inbox(victim: Victim, body: bytes) -> Throw:
    """Look at a stored event whose body came compressed."""
    _send(victim, body, FORM)
    return partial(victim.load, f"/admin/inbox/{db.session.scalars(select(InboundEvent.id)).one()}")


def processed(victim: Victim, body: bytes) -> Throw:
    """Let a pass read an event whose body came compressed."""
    _send(victim, body, "application/json")
    return victim.cron


def bin_page(victim: Victim, body: bytes, headers: Mapping[str, str]) -> Throw:
    """Look at a bin's request, which a webhook's secret may have signed."""
    with database.writing() as session:
        session.add_all(_webhook() for _ in range(20))
        token = bins.add(session, {}).token
    victim.post(f"/bin/{token}", body[:256_000], headers)
    latest = select(BinRequest.id).order_by(BinRequest.id.desc()).limit(1)
    return partial(victim.load, f"/admin/bins/requests/{db.session.scalars(latest).one()}")


def delivered(victim: Victim, payload: str) -> Throw:
    """Look at a delivery; a template may have made its payload."""
    now = clock.now()
    with database.writing() as session:
        webhook = _webhook()
        session.add(webhook)
        session.flush()
        row = Delivery(id=ids.new(), webhook_id=webhook.id, event="ping", event_id=ids.new(), payload=payload)
        row.status, row.created_at, row.finished_at = "processed", now, now
        row.attempts = row.claims = row.schedule_start = 0
        session.add(row)
        return partial(victim.load, f"/admin/deliveries/{row.id}")


def _send(victim: Victim, body: bytes, kind: str) -> None:
    """Post it, compressed, to a new source; earlier events are deleted."""
    with database.writing() as session:
        session.execute(delete(InboundEvent))
        source = Source(name="Bomb", token=ids.new(), verify="none", action="log")
        session.add(source)
    packed = gzip.compress(body)
    victim.post(f"/hooks/{source.token}", packed, {"Content-Type": kind, "Content-Encoding": "gzip"})


def _webhook() -> Webhook:
    return Webhook(name="Bomb", url="http://127.0.0.1:9/", events="comment.deleted", headers={})


SIGNED = {"webhook-id": "a", "webhook-timestamp": "1", "webhook-signature": "v1,a"}
MANY = {f"X-{number}": "a" for number in range(90)} | {"X-Long": "\xad" * 60_000}
BODY_BOMBS = [
    *(Bomb(f"inbox page: {name}", inbox, body) for name, body in BODIES.items()),
    *(Bomb(f"bin's page: {name}", bin_page, body, SIGNED) for name, body in BODIES.items()),
    Bomb("bin's page: long headers", bin_page, b"{}", MANY),
    Bomb("delivery's page: lists in lists", delivered, NESTED[:60_000].decode()),
    *(Bomb(f"pass: {name}", processed, 4 * body[:990_000]) for name, body in BODIES.items()),
    Bomb("pass: 4 MB of empty lists", processed, b"[" + b"[]," * 1_330_000 + b"[]]"),
    Bomb("pass: 4 MB of empty objects", processed, b"[" + b'{"":{}},' * 490_000 + b"1]"),
]
