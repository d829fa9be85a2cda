"""The bodies of `scripts/bench hostile`, which strangers send to a source or a bin."""

import gzip
import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from sqlalchemy import delete, select

from guestbook.inbound import bins
from guestbook.lib import clock, ids
from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.storage.models import BinRequest, Delivery, InboundEvent, Source, Webhook
from guestbook.storage.models.webhook import Template
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


def preview(victim: Victim, template: str, payload: Any = None) -> Throw:
    """Try a source's template on its admin page, with that payload when there is one."""
    source_id, token = _add_source(template)
    victim.post(f"/hooks/{token}", json.dumps(payload or {}).encode())
    form = {"name": "Bomb", "verify": "none", "action": "comment", "template": template}
    return partial(victim.submit, f"/admin/sources/{source_id}/preview", form)


def inbound(victim: Victim, template: str, payload: Any) -> Throw:
    """Let a pass make a comment of that payload."""
    victim.post(f"/hooks/{_add_source(template)[1]}", json.dumps(payload).encode())
    latest = select(InboundEvent.status).order_by(InboundEvent.id.desc()).limit(1)
    return lambda: f"{victim.cron()}, {db.session.scalars(latest).one()}"


def outbound(victim: Victim, template: str) -> Throw:
    """Sign the book, with a webhook whose body the template makes."""
    with database.writing() as session:
        session.execute(delete(Delivery))
        session.execute(delete(Webhook))  # those of the bombs before
        row = Webhook(name="Bomb", url="http://127.0.0.1:9/", format="template", events="comment.created")
        row.headers = {}
        row.disable(clock.now(), "by_hand")
        session.add(row)
        session.flush()
        session.add(Template(webhook_id=row.id, text=template))
    body = json.dumps({"name": "Ada", "message": "Hello"}).encode()
    return partial(victim.post, "/api/v1/comments", body)


def _add_source(template: str) -> tuple[str, str]:
    """Add a source; return its id and the last part of its URL."""
    with database.writing() as session:
        row = Source(id=ids.new(), name="Bomb", token=ids.new(), verify="none", action="comment")
        row.template = template
        session.add(row)
        return row.id, row.token


LISTS = "{% set a = [0] * 64000 %}{% set b = [a] * 5000 %}"
DOUBLED = "{% set a = [1] %}" + "{% set a = [a, a] %}" * 40
LOOPS = "{% for a in payload.many %}" * 4 + "{{ a }}" + "{% endfor %}" * 4
PAYLOAD = {"many": [["x"] * 5] * 20_000, "text": "a" * 300_000, "numbers": [10**4000] * 20}  # 0.9 MB
# An owner's templates. Outgoing ones have no `payload`.
TEMPLATES = {
    "round to 6,000,000 digits": "{{ 1|round(6000000, 'ceil') }}",
    "round before the point": "{{ 5|round(-300000000) }}",
    **{
        f"lists of lists, {name}": f"{LISTS}{{{{ b|{name} }}}}"
        for name in ("string", "tojson", "replace('0', '1')", "upper", "e", "trim", "striptags", "wordcount")
    },
    "lists of lists, printed": LISTS + "{{ b }}",
    "lists of lists, added up": LISTS + "{{ b|sum(start=[]) }}",
    "lists of lists, as a key": LISTS + "{{ {1: b} }}",
    "doubled lists, compared": DOUBLED + DOUBLED.replace("a", "c") + "{{ a == c }}",
    "a text doubled": "{% set a = 'x' %}" + "{% set a = a ~ a %}" * 40,
    "many steps": "{% set a = [0] * 3000 %}{% for x in a %}{% for y in a %}{% endfor %}{% endfor %}",
    "a long template": "{{ 1 }}" * 1140,
    "deep brackets": "{{ " + "(" * 3900 + ")" * 3900 + " }}",
    "a macro that calls itself": "{% macro a() %}{{ a() }}{{ a() }}{% endmacro %}{{ a() }}",
}
OF_LARGE_EVENTS = {
    "all of it": "{{ payload }}",
    "all of it as JSON": "{{ payload|tojson }}",
    "loops in loops": LOOPS,
    "sorting": "{{ payload.many|map('first')|sort|length }}",
    "splitting": "{% for a in payload.many %}{% set b = payload.text.split('a') %}{% endfor %}",
    "replacing": "{% for a in payload.many %}{% set b = payload.text|replace('a', 'b') %}{% endfor %}",
    "searching": "{% for a in payload.many %}{% if 'b' in payload.text %}{% endif %}{% endfor %}",
    "joining": "{{ payload.text|join(payload.text) }}",
}
TEMPLATE_BOMBS = [
    Bomb("nothing: an admin page", lambda victim: partial(victim.load, "/admin/webhooks/")),
    *(Bomb(f"previewed: {name}", preview, text) for name, text in TEMPLATES.items()),
    *(Bomb(f"previewed, 1 MB: {name}", preview, text, PAYLOAD) for name, text in OF_LARGE_EVENTS.items()),
    *(Bomb(f"outgoing: {name}", outbound, text) for name, text in TEMPLATES.items()),
    *(Bomb(f"inbound: {name}", inbound, text, {"a": 1}) for name, text in TEMPLATES.items()),
    *(Bomb(f"inbound, 1 MB: {name}", inbound, text, PAYLOAD) for name, text in OF_LARGE_EVENTS.items()),
]
