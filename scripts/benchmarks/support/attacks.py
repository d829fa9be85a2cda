"""Attacks on a served book with hostile templates and bodies, and what they cost.

To add one, add an entry to TEMPLATES, OF_LARGE_EVENTS or BODIES.
"""

import gzip
import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import requests
from flask import Flask
from sqlalchemy import delete, select

from guestbook.inbound import request_bins
from guestbook.lib import clock, ids
from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.storage.models import BinRequest, Delivery, InboundEvent, Webhook
from guestbook.storage.models.delivery import Template
from scripts.benchmarks.support import process_usage, processes, temp_book
from scripts.benchmarks.support.process_usage import Meter
from tests.support import factories

VISITS = 20  # to measure the CPU of one
TIMEOUT = 300  # seconds
JSON = {"Content-Type": "application/json"}


class Victim:
    """The book at a port, and the process that serves it."""

    def __init__(self, app: Flask, port: int, pid: int) -> None:
        """Warm up; measure what a visit and an idle pass take."""
        self.url = f"http://127.0.0.1:{port}"
        self._pid, self._environ = pid, app.config["ENVIRON"]
        self.owner = requests.Session()
        temp_book.log_in(self.owner, self.url)
        before = process_usage.cpu([pid])
        for _ in range(VISITS):
            self.visit()
        self.cpu_of_a_visit = (process_usage.cpu([pid]) - before) / VISITS  # seconds
        self._idle_pass = self._cron("--help")
        self._pass_cpu = self._pass_mb = 0.0

    def visit(self) -> None:
        """Load the front page as anybody."""
        requests.get(f"{self.url}/", timeout=TIMEOUT).raise_for_status()

    def load(self, path: str) -> str:
        """Load a page as the owner; return the status and the size in kB."""
        return _summary(self.owner.get(self.url + path, timeout=TIMEOUT))

    def submit(self, path: str, form: Mapping[str, str]) -> str:
        """Send a form as the owner; return the status and the size in kB."""
        page = self.owner.get(f"{self.url}/admin/", timeout=TIMEOUT).text
        token = temp_book.hidden_field(page, "csrf_token")
        return _summary(self.owner.post(self.url + path, data={"csrf_token": token, **form}, timeout=TIMEOUT))

    def post(self, path: str, body: bytes, headers: Mapping[str, str] = JSON) -> str:
        """Post anything as anybody; return the status."""
        return str(requests.post(self.url + path, data=body, headers=headers, timeout=TIMEOUT).status_code)

    def cron(self) -> str:
        """Run a pass beside the server; return its exit code."""
        (code, cpu, mb), (_, idle_cpu, idle_mb) = self._cron(), self._idle_pass
        self._pass_cpu, self._pass_mb = max(0.0, cpu - idle_cpu), max(0.0, mb - idle_mb)
        return f"exit {code}"

    def costs_of(self, throw: "Throw") -> tuple[str, float, float, float]:
        """Throw a bomb; return the answer, seconds, CPU seconds, and MB more than the process had before."""
        Path(f"/proc/{self._pid}/clear_refs").write_text("5")  # the peak begins anew (proc(5))
        meter, mb = Meter([self._pid]), process_usage.memory(self._pid)
        answer = throw()
        usage = meter.usage()
        return answer, usage.seconds, usage.cpu + self._pass_cpu, max(usage.mb - mb, self._pass_mb)

    def _cron(self, *options: str) -> tuple[int, float, float]:
        """Run the command; return its exit code, CPU seconds and peak memory in MB."""
        return process_usage.of_command((*processes.FLASK, "cron", *options), self._environ)


Throw = Callable[[], str]  # throws the bomb and returns the answer
Bombs = dict[str, tuple[Any, ...]]  # by name: what prepares a bomb for a victim, and its other arguments


def _summary(answer: requests.Response) -> str:
    return f"{answer.status_code}, {len(answer.content) / 1000:.0f} kB"


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
    temp_book.add_webhooks([9] * 20)
    token = factories.written(lambda session: request_bins.add(session, {}).token)
    victim.post(f"/bin/{token}", body[:256_000], headers)
    latest = select(BinRequest.id).order_by(BinRequest.id.desc()).limit(1)
    return partial(victim.load, f"/admin/bins/requests/{db.session.scalars(latest).one()}")


def delivered(victim: Victim, payload: str) -> Throw:
    """Look at a delivery; a template may have made its payload."""
    row_id = factories.delivery(factories.webhook(), event="ping", payload=payload, status="processed")
    return partial(victim.load, f"/admin/deliveries/{row_id}")


def _send(victim: Victim, body: bytes, kind: str) -> None:
    """Post it, compressed, to a new source."""
    headers = {"Content-Type": kind, "Content-Encoding": "gzip"}
    victim.post(f"/hooks/{_add_source(None)[1]}", gzip.compress(body), headers)


SIGNED = {"webhook-id": "a", "webhook-timestamp": "1", "webhook-signature": "v1,a"}
MANY = {f"X-{number}": "a" for number in range(90)} | {"X-Long": "\xad" * 60_000}
BODY_BOMBS: Bombs = {
    **{f"inbox page: {name}": (inbox, body) for name, body in BODIES.items()},
    **{f"bin's page: {name}": (bin_page, body, SIGNED) for name, body in BODIES.items()},
    "bin's page: long headers": (bin_page, b"{}", MANY),
    "delivery's page: lists in lists": (delivered, NESTED[:60_000].decode()),
    **{f"pass: {name}": (processed, 4 * body[:990_000]) for name, body in BODIES.items()},
    "pass: 4 MB of empty lists": (processed, b"[" + b"[]," * 1_330_000 + b"[]]"),
    "pass: 4 MB of empty objects": (processed, b"[" + b'{"":{}},' * 490_000 + b"1]"),
}


def preview(victim: Victim, template: str, payload: Any = None) -> Throw:
    """Try a source's template on its admin page, with that payload when there is one."""
    source_id, token = _add_source(template)
    victim.post(f"/hooks/{token}", json.dumps(payload or {}).encode())
    form = {"name": "Bomb", "verify": "none", "action": "comment", "template": template}
    return partial(victim.submit, f"/admin/sources/{source_id}/preview", form)


def inbound(victim: Victim, template: str, payload: Any) -> Throw:
    """Let a pass make a comment of that payload."""
    victim.post(f"/hooks/{_add_source(template)[1]}", json.dumps(payload).encode())
    return lambda: f"{victim.cron()}, {db.session.scalars(select(InboundEvent.status)).one()}"


def outbound(victim: Victim, template: str) -> Throw:
    """Sign the book, with a webhook whose body the template makes."""
    with database.writing() as session:
        session.execute(delete(Delivery))
        session.execute(delete(Webhook))  # those of the bombs before
    webhook_id = factories.webhook(format="template", disabled_at=clock.now(), disabled_reason="by_hand")
    factories.written(lambda session: session.add(Template(webhook_id=webhook_id, text=template)))
    body = json.dumps({"name": "Ada", "message": "Hello"}).encode()
    return partial(victim.post, "/api/v1/comments", body)


def _add_source(template: str | None) -> tuple[str, str]:
    """Add a source, and delete all earlier events; return its id and the last part of its URL."""
    factories.written(lambda session: session.execute(delete(InboundEvent)))
    token, action = ids.new(), "comment" if template else "log"
    return factories.source(token=token, action=action, template=template), token


LISTS = "{% set a = [0] * 64000 %}{% set b = [a] * 5000 %}"
DOUBLED = "{% set a = [1] %}" + "{% set a = [a, a] %}" * 40
LOOPS = "{% for a in payload.many %}" * 4 + "{{ a }}" + "{% endfor %}" * 4
PAYLOAD = {"many": [["x"] * 5] * 20_000, "text": "a" * 300_000, "numbers": [10**4000] * 20}  # 0.9 MB
# An owner's templates. Outgoing ones have no `payload`.
TEMPLATES = {
    **{
        f"lists of lists, {name}": f"{LISTS}{{{{ b|{name} }}}}"
        for name in ("string", "tojson", "replace('0', '1')", "trim")
    },
    "lists of lists, printed": LISTS + "{{ b }}",
    "lists of lists, as a key": LISTS + "{{ {1: b} }}",
    "doubled lists, compared": DOUBLED + DOUBLED.replace("a", "c") + "{{ a == c }}",
    "a text doubled": "{% set a = 'x' %}" + "{% set a = a ~ a %}" * 40,
    "many steps": "{% set a = [0] * 3000 %}{% for x in a %}{% for y in a %}{% endfor %}{% endfor %}",
    "a long template": "{{ 1 }}" * 1140,
    "deep brackets": "{{ " + "(" * 3900 + ")" * 3900 + " }}",
}
OF_LARGE_EVENTS = {
    "all of it": "{{ payload }}",
    "all of it as JSON": "{{ payload|tojson }}",
    "loops in loops": LOOPS,
    "splitting": "{% for a in payload.many %}{% set b = payload.text.split('a') %}{% endfor %}",
    "replacing": "{% for a in payload.many %}{% set b = payload.text|replace('a', 'b') %}{% endfor %}",
    "searching": "{% for a in payload.many %}{% if 'b' in payload.text %}{% endif %}{% endfor %}",
    "joining": "{{ payload.text|join(payload.text) }}",
}
TEMPLATE_BOMBS: Bombs = {
    "nothing: an admin page": (lambda victim: partial(victim.load, "/admin/webhooks/"),),
    **{f"previewed: {name}": (preview, text) for name, text in TEMPLATES.items()},
    **{f"previewed, 1 MB: {name}": (preview, text, PAYLOAD) for name, text in OF_LARGE_EVENTS.items()},
    **{f"outgoing: {name}": (outbound, text) for name, text in TEMPLATES.items()},
    **{f"inbound: {name}": (inbound, text, {"a": 1}) for name, text in TEMPLATES.items()},
    **{f"inbound, 1 MB: {name}": (inbound, text, PAYLOAD) for name, text in OF_LARGE_EVENTS.items()},
}
