"""The bombs of `scripts/bench hostile`. To add one, add an entry to BOMBS."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from guestbook import clock, database, ids
from guestbook.models import Source, Webhook
from guestbook.models.webhook import Template
from scripts.benchmarks.victim import Victim


class Bomb(NamedTuple):
    """Something that would use up CPU or memory without a limit."""

    name: str
    prepare: Callable[[Victim], Callable[[], str]]  # does what is not measured; gives what is, and its answer


def preview(template: str, payload: Any = None) -> Callable[[Victim], Callable[[], str]]:
    """Try a source's template at the desk, over that payload when there is one."""

    def prepare(victim: Victim) -> Callable[[], str]:
        source_id, token = _source(template)
        victim.post(f"/hooks/{token}", json.dumps(payload or {}).encode(), Content_Type="application/json")
        form = {"name": "Bomb", "verify": "none", "action": "comment", "template": template}
        return partial(victim.submit, f"/admin/sources/{source_id}/preview", form)

    return prepare


def inbound(template: str, payload: Any) -> Callable[[Victim], Callable[[], str]]:
    """Let a pass make a comment of that payload."""

    def prepare(victim: Victim) -> Callable[[], str]:
        _, token = _source(template)
        victim.post(f"/hooks/{token}", json.dumps(payload).encode(), Content_Type="application/json")
        return victim.cron

    return prepare


def outbound(template: str) -> Callable[[Victim], Callable[[], str]]:
    """Sign the book, with a webhook whose body that template makes."""

    def prepare(victim: Victim) -> Callable[[], str]:
        with database.writing() as session:
            row = Webhook(name="Bomb", url="http://127.0.0.1:9/", format="template", events="comment.created")
            row.headers = {}
            row.disable(clock.now(), "by_hand")
            session.add(row)
            session.flush()
            session.add(Template(webhook_id=row.id, text=template))
        body = json.dumps({"name": "Ada", "message": "Hello"}).encode()
        return partial(victim.post, "/api/v1/comments", body, Content_Type="application/json")

    return prepare


def _source(template: str) -> tuple[str, str]:
    """Add a source; return its id and the last part of its URL."""
    with database.writing() as session:
        row = Source(id=ids.new(), name="Bomb", token=ids.new(), verify="none", action="comment")
        row.template = template
        session.add(row)
        return row.id, row.token


NESTED = "{% set a = [0] * 64000 %}{% set b = [a] * 5000 %}"
TEMPLATES = {
    "round to 6,000,000 digits": "{{ 1|round(6000000, 'ceil') }}",
    "list of lists, printed": NESTED + "{{ b }}",
    "list of lists as JSON": NESTED + "{{ b|tojson }}",
}
BOMBS = [
    *(Bomb(f"template, previewed: {name}", preview(text)) for name, text in TEMPLATES.items()),
    *(Bomb(f"template, outgoing: {name}", outbound(text)) for name, text in TEMPLATES.items()),
    *(Bomb(f"template, inbound: {name}", inbound(text, {"a": 1})) for name, text in TEMPLATES.items()),
]
