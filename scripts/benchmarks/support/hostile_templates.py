"""The templates of `scripts/bench hostile`. To add one, add an entry to TEMPLATES."""

import json
from functools import partial
from typing import Any

from sqlalchemy import delete, select

from guestbook.lib import clock, ids
from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.storage.models import Delivery, InboundEvent, Source, Webhook
from guestbook.storage.models.webhook import Template
from scripts.benchmarks.support.attacked_book import Bomb, Throw, Victim


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
