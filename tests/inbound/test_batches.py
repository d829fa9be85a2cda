"""A batch of the inbox ends in time, for the outbox waits meanwhile."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from guestbook.inbound import processor
from guestbook.inbound.processor import Processor
from guestbook.storage.database import db
from tests.support import inbound_factories


def test_a_batch_that_takes_long_gives_back_what_it_has_not_begun(
    each_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    client: FlaskClient = each_app.test_client()
    inbound_factories.source()
    for word in ("a", "b", "c"):
        inbound_factories.post(client, {"text": word})
    due = [one.due_at for one in inbound_factories.rows()]
    monkeypatch.setattr(processor, "BATCH_TIME", 0)
    inbox = Processor(db.engine, each_app.config["GUESTBOOK"])
    inbox.work()
    first, *others = inbound_factories.rows()
    assert first.status == "processed"
    assert [(one.status, one.claims, one.claimed_by) for one in others] == [("new", 0, None)] * 2
    assert [one.due_at for one in others] == due[1:]
    assert inbox.work()
    assert inbox.work()
    assert not inbox.work()
    assert inbound_factories.messages() == ["a", "b", "c"]
    inbound_factories.check()
