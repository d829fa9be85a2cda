"""The audit log: an entry in the transaction of what it is about, with names but no secrets."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.security import generate_password_hash

from guestbook.auth import api_tokens, login
from guestbook.background import whole_pass
from guestbook.comments import comment_actions
from guestbook.comments.spam import learned_words
from guestbook.inbound import request_bins, sources
from guestbook.lib import clock, ids
from guestbook.outbound import webhook_signatures, webhooks
from guestbook.queue import redelivery
from guestbook.storage import audit_log, cron_token, preferences, row_changes
from guestbook.storage.audit_log import Actor
from guestbook.storage.database import db, write, writing
from guestbook.storage.models import (
    AUDIT_LOG,
    AuditEntry,
    Bin,
    BookState,
    Delivery,
    InboundEvent,
    Source,
    Webhook,
)
from tests.support import factories
from tests.web.conftest import Later

ROBOT = Actor("token", "t" * 32, "Robot")


def entries() -> list[AuditEntry]:
    db.session.rollback()
    return list(db.session.scalars(select(AuditEntry).order_by(AuditEntry.id)))


def short() -> list[tuple[str, str, str | None, str | None]]:
    """What was done, and to what."""
    return [(row.action, row.object, row.object_name, row.detail) for row in entries()]


def test_an_entry_says_who_did_what_to_what(each_app: Flask) -> None:
    assert each_app
    audit_log.act_as(ROBOT)
    before = clock.now()
    with writing() as session:
        one = webhooks.add(session, {"url": "https://a.example/x", "name": "Chat"}, factories.settings()).id
    [entry] = entries()
    assert (entry.actor, entry.actor_id, entry.actor_name) == ("token", "t" * 32, "Robot")
    assert (entry.action, entry.object, entry.object_id) == ("added", "webhook", one)
    assert (entry.object_name, entry.detail, entry.number) == ("Chat", None, 1)
    assert before <= entry.at <= clock.now()


def test_without_the_change_there_is_no_entry(app: Flask) -> None:
    assert app
    with writing() as session:
        request_bins.add(session, {"name": "b"})
        session.rollback()
    assert entries() == []


def test_webhooks(each_app: Flask) -> None:
    assert each_app
    hook_id, secret = factories.written(change_a_webhook)
    assert row_changes.delete_with_rows(db.engine, Webhook, hook_id) == 0
    assert row_changes.delete_with_rows(db.engine, Webhook, hook_id) == 0  # as the second click
    assert short() == [
        ("added", "webhook", "Chat", None),
        ("changed", "webhook", "Room", "name, url (now at b.example)"),
        ("changed", "webhook", "Room", "headers, rate"),
        ("changed", "webhook", "Room", "format, template"),
        ("disabled", "webhook", "Room", None),
        ("enabled", "webhook", "Room", None),
        ("rotated", "webhook", "Room", "secret"),
        ("revealed", "webhook", "Room", "secret"),
        ("deleted", "webhook", "Room", None),
    ]
    assert not_in_the_log("secret-", secret)


def change_a_webhook(session: Session) -> tuple[str, str]:
    settings = factories.settings()
    hook = webhooks.add(session, {"url": "https://a.example/secret-1", "name": "Chat"}, settings)
    webhooks.update(session, hook, {"url": "https://b.example/secret-2", "name": "Room"}, settings)
    webhooks.update(session, hook, {"name": "Room"}, settings)  # changes nothing
    webhooks.update(session, hook, {"headers": ["X-Key: secret-3"], "rate": "5/s"}, settings)
    webhooks.update(session, hook, {"template": '"{{ type }}"'}, settings)
    row_changes.disable(session, hook)
    row_changes.disable(session, hook)
    row_changes.enable(session, hook)
    webhook_signatures.rotate_secret(session, hook)
    row_changes.note_reveal(session, hook)
    return hook.id, hook.secret


def test_sources_and_bins(app: Flask) -> None:
    assert app
    source_id = factories.written(change_a_source)
    with writing() as session:
        bin_ = request_bins.add(session, {"name": "b"})
        request_bins.update(session, bin_, {"status": "201", "body": "secret-4"})
        request_bins.clear(session, bin_.id)
        row_changes.delete_next(session.connection(), Bin, bin_.id)
    row_changes.delete_with_rows(db.engine, Source, source_id)
    assert short() == [
        ("added", "source", "Robot", None),
        ("changed", "source", "Robot", "action, template"),
        ("changed", "source", "Robot", "secret"),
        ("rotated", "source", "Robot", "secret"),
        ("disabled", "source", "Robot", None),
        ("enabled", "source", "Robot", None),
        ("added", "bin", "b", None),
        ("changed", "bin", "b", "answer_status, answer_body"),
        ("cleared", "bin", "b", "0 requests"),
        ("deleted", "bin", "b", None),
        ("deleted", "source", "Robot", None),
    ]
    assert not_in_the_log("secret-")


def change_a_source(session: Session) -> str:
    source = sources.add(session, {"name": "Robot", "verify": "github", "secret": "secret-" + "1" * 20})
    sources.update(session, source, {"action": "comment", "template": "github"})
    sources.update(session, source, {"secret": "secret-" + "2" * 20})
    sources.rotate(session, source, secret="secret-" + "3" * 20)
    row_changes.disable(session, source)
    row_changes.enable(session, source)
    return source.id


def not_in_the_log(*secrets: str) -> bool:
    kept = " ".join(str(value) for row in db.session.execute(select(AUDIT_LOG)) for value in row)
    return bool(kept) and not [one for one in secrets if one in kept]


def test_tokens_settings_and_the_address_of_cron(app: Flask) -> None:
    assert app
    with writing() as session:
        token, value = api_tokens.add(session, "Robot", scope="read")
        api_tokens.revoke(session, token)
        api_tokens.add(session, "A")
        api_tokens.add(session, "B")
        assert api_tokens.revoke_all(session) == 2
        preferences.save(session, {"title": "secret-5", "closed": "no", "per_page": "7"})
        preferences.save(session, {"title": "secret-5"})
        address = cron_token.make(session)
        assert cron_token.make(session) == address
        assert cron_token.make(session, rotate=True) != address
        cron_token.remove(session)
        cron_token.remove(session)
        learned_words.forget_all(session, "key")
    assert short() == [
        ("added", "token", "Robot", "scope read"),
        ("deleted", "token", "Robot", None),
        ("added", "token", "A", "scope manage"),
        ("added", "token", "B", "scope manage"),
        ("deleted", "token", "A", None),
        ("deleted", "token", "B", None),
        ("changed", "settings", None, "title, per_page"),
        ("added", "cron_address", None, None),
        ("revealed", "cron_address", None, None),
        ("rotated", "cron_address", None, None),
        ("deleted", "cron_address", None, None),
        ("cleared", "learned_words", None, None),
    ]
    assert not_in_the_log("secret-", value, address)


def test_passwords_and_logins(app: Flask) -> None:
    assert app
    factories.written(lambda session: login.set_password(session, "a long password"))
    value = login.log_in(
        "a long password", address="192.0.2.1", browser="Firefox", settings=factories.settings()
    )
    with writing() as session:
        one, two = login.find(session, value), login.open_for(session, "Safari")
        assert one
        login.log_out_one(session, one.id)
        login.log_out(session, two)  # one's own browser
        login.log_out_everywhere(session)
    assert [(row.actor, *found) for row, found in zip(entries(), short(), strict=True)] == [
        ("nobody", "changed", "password", None, None),
        ("admin", "logged_in", "login", None, None),
        ("admin", "logged_in", "login", None, None),
        ("nobody", "logged_out", "login", None, "Firefox"),
        ("nobody", "logged_out", "login", None, "everywhere"),
    ]
    assert not_in_the_log("a long password", value, "192.0.2")


def test_wrong_passwords_of_a_minute_share_an_entry(each_app: Flask, later: Later) -> None:
    assert each_app
    with writing() as session:
        quick = generate_password_hash("a long password", method="scrypt:128:1:1")
        session.merge(BookState(name="password", value=quick))
    for number in range(70):
        with pytest.raises(login.WrongPassword):
            login.log_in("wrong", address=f"10.0.0.{number}", browser="", settings=factories.settings())
        later(2)
    failed = [row.number for row in entries() if row.action == "failed"]
    assert sum(failed) == 70
    assert 2 <= len(failed) <= 4
    assert not_in_the_log("10.0.0")


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Later:
    found = Later(monkeypatch)
    found.stand_still()
    return found


def test_redelivering_and_reprocessing(each_app: Flask) -> None:
    assert each_app
    hook = factories.webhook()
    rows = [factories.delivery(hook, status="failed", attempts=1, claims=1) for _ in range(3)]
    event = factories.inbound(factories.source(), status="failed", error="x")
    with writing() as session:
        redelivery.make_due(session, Delivery, rows[:1], clock.now())
        redelivery.make_due(session, Delivery, [], clock.now())
        redelivery.make_due(session, InboundEvent, [event], clock.now())
    assert redelivery.run(Delivery, Delivery.status == "failed") == 2
    found = [(row.action, row.object, row.object_id, row.number) for row in entries()]
    assert found == [
        ("redelivered", "delivery", rows[0], 1),
        ("reprocessed", "inbound_event", event, 1),
        ("redelivered", "delivery", None, 2),
    ]


def test_deleting_a_comment_for_good_leaves_none_of_its_words(app: Flask) -> None:
    assert app
    comment_id = factories.sign("Very private words", "Ada")
    assert entries() == [], "moderation has its own trail, and visitors are not in the log"
    factories.change(comment_id, comment_actions.delete)
    [entry] = entries()
    assert (entry.action, entry.object, entry.object_id) == ("deleted", "comment", comment_id)
    assert not_in_the_log("Very private", "Ada")


def test_entries_go_after_a_year(each_app: Flask) -> None:
    assert each_app
    now = clock.now()
    shared: dict[str, Any] = {"actor": "command", "action": "added", "object": "bin", "number": 1}
    with write(db.engine) as connection:
        for days in (0, 364, 366, 800):
            then = now - timedelta(days=days)
            made = ids.first_of(then)[:12] + ids.new()[12:]
            connection.execute(AUDIT_LOG.insert().values(id=made, at=then, detail=str(days), **shared))
    whole_pass.prune(db.engine, factories.settings(), until=float("inf"))
    assert [row.detail for row in entries()] == ["364", "0"]
