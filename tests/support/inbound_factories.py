"""Sources, what is posted to them, and what became of it."""

import hashlib
import hmac
import json
from collections.abc import Sequence
from typing import Any

from flask import current_app
from sqlalchemy import Row, select, update
from werkzeug.test import TestResponse

from guestbook.inbound.event_processor import Processor
from guestbook.lib import clock
from guestbook.storage.database import db
from guestbook.storage.models import INBOUND, Source
from tests.support import factories
from tests.support.factories import in_book

SECRET = "It's a Secret to Everybody"
PLAIN = "{{ payload.text }}"


def source(token: str = "tok", **columns: Any) -> str:
    """Add a source that verifies nothing and makes comments of `{"text": …}`; return its id."""
    return factories.source(token=token, **{"action": "comment", "template": PLAIN, **columns})


def change(source_id: str, **columns: Any) -> None:
    """Change a source by hand."""
    factories.alter(Source, source_id, **columns)


@in_book
def post(payload: Any, token: str = "tok", **headers: str) -> TestResponse:
    """Post JSON, unsigned."""
    body = json.dumps(payload)
    client = current_app.test_client()
    return client.post(f"/hooks/{token}", data=body, headers=headers, content_type="application/json")


def tell(event: str, home: str, *, token: str = "tok", **more: object) -> None:
    """Post what another guestbook tells of the comment with that address."""
    comment = {"name": "Ada", "website": None, "message": "Hi!", "status": "published", "url": home, **more}
    data = {"comment": comment, "guestbook": {"title": "A", "url": "https://a.example"}}
    post({"type": event, "data": data}, token, **{"X-Guestbook-Event": event})


@in_book
def github(payload: Any, delivery: str, *, secret: str = SECRET, event: str = "issues") -> TestResponse:
    """Post as GitHub does."""
    given = signed(payload, delivery, secret=secret, event=event)
    return current_app.test_client().post("/hooks/tok", **given)


def signed(payload: Any, delivery: str, *, secret: str = SECRET, event: str = "issues") -> dict[str, Any]:
    """Return the body and the headers of a request of GitHub's."""
    body = json.dumps(payload).encode()
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {"Content-Type": "application/json", "X-GitHub-Event": event, "X-GitHub-Delivery": delivery}
    headers["X-Hub-Signature-256"] = f"sha256={digest}"
    return {"data": body, "headers": headers}


@in_book
def process() -> Processor:
    """Work through all that is due, in this process."""
    db.session.rollback()
    inbox = Processor(db.engine, factories.settings())
    while inbox.work():
        pass
    return inbox


def arrive(payload: Any, token: str = "tok", **headers: str) -> Processor:
    """Post JSON, unsigned, and work through it."""
    post(payload, token, **headers)
    return process()


@in_book
def rows() -> Sequence[Row[Any]]:
    """Return all inbound events, the oldest first."""
    with db.engine.connect() as connection:
        return connection.execute(select(INBOUND).order_by(INBOUND.c.id)).all()


def row() -> Row[Any]:
    """Return the only one."""
    (only,) = rows()
    return only


def messages() -> list[str]:
    """Return what stands in the book, the oldest first."""
    return [comment.message for comment in factories.comments() if comment.status == "published"]


@in_book
def expire(holder: str = "") -> None:
    """Let all leases run out, or those of one holder."""
    leased = INBOUND.c.claimed_by.startswith(holder)
    factories.execute(update(INBOUND).where(leased).values(due_at=clock.now()))


@in_book
def check() -> None:
    """Assert the invariants of all rows."""
    for one in rows():
        assert (one.status == "new") == (one.due_at is not None), one
        assert one.attempts <= one.claims, one
        assert one.status == "new" or (one.claimed_by is None and one.processed_at), one
