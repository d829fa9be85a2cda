"""The bodies of `scripts/bench hostile`: what strangers send to a source or a bin."""

import gzip
from collections.abc import Callable
from functools import partial

from sqlalchemy import delete, select

from guestbook.inbound import bins
from guestbook.lib import clock, ids
from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.storage.models import BinRequest, Delivery, InboundEvent, Source, Webhook
from scripts.benchmarks.support.attacked_book import Victim
from scripts.benchmarks.support.hostile_templates import Bomb

NESTED = f"[{','.join(['[' * 900 + ']' * 900] * 555)}]".encode()
FORM = "application/x-www-form-urlencoded"
BODIES = {  # a megabyte each
    "lists in lists": NESTED,
    "empty lists": b"[" + b"[]," * 330_000 + b"[]]",
    "empty objects": b'[{"":{}}' + b',{"":{}}' * 120_000 + b"]",
    "open brackets": b"[" * 1_000_000,
    "escapes": b'["' + b"\\ud83d\\ude00" * 80_000 + b'"]',
    "what turns text around": ("\u202e" * 330_000).encode(),
    "a form of one field": b"a=" + b"%41" * 330_000,
    "a form of many": (b"a=" + b"[" * 150 + b"]" * 149 + b"&") * 3300,
    "nothing": b"\0" * 1_000_000,
}


def inbox(body: bytes, kind: str) -> Callable[[Victim], Callable[[], str]]:
    """Look at what came, compressed."""

    def prepare(victim: Victim) -> Callable[[], str]:
        _send(victim, body, kind)
        event_id = db.session.scalars(select(InboundEvent.id)).one()
        return partial(victim.load, f"/admin/inbox/{event_id}")

    return prepare


def processed(body: bytes) -> Callable[[Victim], Callable[[], str]]:
    """Let a pass read what came, compressed to four megabytes."""

    def prepare(victim: Victim) -> Callable[[], str]:
        _send(victim, body, "application/json")
        return victim.cron

    return prepare


def caught(body: bytes, **headers: str) -> Callable[[Victim], Callable[[], str]]:
    """Look at what a bin has caught; a webhook's secret may have signed it."""

    def prepare(victim: Victim) -> Callable[[], str]:
        with database.writing() as session:
            session.add_all(_webhook() for _ in range(20))
            token = bins.add(session, {}).token
        victim.post(f"/bin/{token}", body[:256_000], **headers)
        request_id = db.session.scalars(select(BinRequest.id).order_by(BinRequest.id.desc()).limit(1)).one()
        return partial(victim.load, f"/admin/bins/requests/{request_id}")

    return prepare


def delivered(payload: str) -> Callable[[Victim], Callable[[], str]]:
    """Look at a delivery, whose payload a template may have made."""

    def prepare(victim: Victim) -> Callable[[], str]:
        now = clock.now()
        with database.writing() as session:
            webhook = _webhook()
            session.add(webhook)
            session.flush()
            row = Delivery(
                id=ids.new(), webhook_id=webhook.id, event="ping", event_id=ids.new(), payload=payload
            )
            row.status, row.created_at, row.finished_at = "processed", now, now
            row.attempts = row.claims = row.schedule_start = 0
            session.add(row)
            session.flush()
            delivery_id = row.id
        return partial(victim.load, f"/admin/deliveries/{delivery_id}")

    return prepare


def _send(victim: Victim, body: bytes, kind: str) -> None:
    """Post it, compressed, to a new source; what came before it is gone."""
    with database.writing() as session:
        session.execute(delete(InboundEvent))
        source = Source(name="Bomb", token=ids.new(), verify="none", action="log")
        session.add(source)
    packed = gzip.compress(body)
    victim.post(f"/hooks/{source.token}", packed, Content_Type=kind, Content_Encoding="gzip")


def _webhook() -> Webhook:
    return Webhook(name="Bomb", url="http://127.0.0.1:9/", events="comment.deleted", headers={})


SIGNED = {"webhook_id": "a", "webhook_timestamp": "1", "webhook_signature": "v1,a"}
MANY = {f"X-{number}": "a" for number in range(90)} | {"X-Long": "\xad" * 60_000}
BODY_BOMBS = [
    *(Bomb(f"inbox page: {name}", inbox(body, FORM)) for name, body in BODIES.items()),
    *(Bomb(f"bin's page: {name}", caught(body, **SIGNED)) for name, body in BODIES.items()),
    Bomb("bin's page: long headers", caught(b"{}", **MANY)),
    Bomb("delivery's page: lists in lists", delivered(NESTED[:60_000].decode())),
    *(Bomb(f"pass: {name}", processed(4 * body[:990_000])) for name, body in BODIES.items()),
    Bomb("pass: 4 MB of empty lists", processed(b"[" + b"[]," * 1_330_000 + b"[]]")),
    Bomb("pass: 4 MB of empty objects", processed(b"[" + b'{"":{}},' * 490_000 + b"1]")),
]
