"""A batch of the inbox ends in time, for the outbox waits meanwhile."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from guestbook.database import db
from guestbook.inbox import worker
from guestbook.inbox.worker import Inbox
from tests.inbox import stock


def test_a_batch_that_takes_long_gives_back_what_it_has_not_begun(
    each_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    client: FlaskClient = each_app.test_client()
    stock.source()
    for word in ("a", "b", "c"):
        stock.post(client, {"text": word})
    due = [one.due_at for one in stock.rows()]
    monkeypatch.setattr(worker, "BATCH_TIME", 0)
    inbox = Inbox(db.engine, each_app.config["GUESTBOOK"])
    inbox.work()
    first, *others = stock.rows()
    assert first.status == "processed"
    assert [(one.status, one.claims, one.claimed_by) for one in others] == [("new", 0, None)] * 2
    assert [one.due_at for one in others] == due[1:]
    assert inbox.work()
    assert inbox.work()
    assert not inbox.work()
    assert stock.messages() == ["a", "b", "c"]
    stock.check()
