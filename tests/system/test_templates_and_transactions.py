"""Owners' templates are never read or run while a transaction keeps others from writing."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import Context
from types import FrameType
from typing import Any, TypeVar

import pytest
from flask import Flask
from sqlalchemy import Connection, event, select

from guestbook.comments import book
from guestbook.comments.spam.spam_rules import Classification
from guestbook.lib import clock, unit_of_work
from guestbook.lib.template_sandbox import Run, template_parser
from guestbook.lib.unit_of_work import StillChanging
from guestbook.outbound import event_catalogue, outbox
from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.storage.models import Comment, Webhook
from guestbook.storage.models.delivery import Template
from tests.cli.conftest import Shell
from tests.support import factories, webhook_pages
from tests.support.api_client import ApiClient, new_token
from tests.support.owner import Owner
from tests.support.receiver import Answer, Receiver
from tests.support.visitor import Visitor, let_write

EVENTS = "comment.created comment.published comment.deleted comment.replied webhook.disabled inbound.received"
TEMPLATE = '{"event": {{ event|tojson }}, "data": {{ data|tojson }}, "at": {{ timestamp|tojson }}}'
BOMB = "{% set a = [1] %}" + "{% set a = [a, a] %}" * 40 + "{{ a|tojson }}"
RUNS = (Run.template.__code__, template_parser.read.__code__)


T = TypeVar("T")


class Watch:
    """Sees each template that is read or run, and whether any transaction was open."""

    def __init__(self) -> None:
        self.seen: list[bool] = []
        self._open: set[int] = set()

    def begin(self, connection: Connection) -> None:
        self._open.add(id(connection))

    def end(self, connection: Connection) -> None:
        self._open.discard(id(connection))

    def look(self, frame: FrameType, what: str, _argument: object) -> None:
        if what == "call" and frame.f_code in RUNS:
            self.seen.append(bool(self._open))


@contextmanager
def watching() -> Iterator[Watch]:
    watch = Watch()
    seams = [("begin", watch.begin), ("commit", watch.end), ("rollback", watch.end)]
    for name, listener in seams:
        event.listen(db.engine, name, listener)
    sys.setprofile(watch.look)
    try:
        yield watch
    finally:
        sys.setprofile(None)
        for name, listener in seams:
            event.remove(db.engine, name, listener)


def listener(text: str = TEMPLATE, **columns: Any) -> str:
    """A webhook with a template, which is told everything."""
    webhook_id = factories.webhook(format="template", **{"events": EVENTS, **columns})
    with database.writing() as session:
        session.add(Template(webhook_id=webhook_id, text=text))
    return webhook_id


def apart(do: Callable[..., T], *arguments: Any) -> T:
    """Do it out of the app's context around the test, as another request does."""
    return Context().run(do, *arguments)


class Doors:
    """All that can be done in the book by which templates are run or read."""

    def __init__(self, app: Flask) -> None:
        self.app, self.owner, self.program = app, Owner(app), ApiClient(app, new_token(app))
        self.shell = Shell(app.test_cli_runner())
        assert apart(self.owner.log_in).status_code == 303
        let_write(app)

    def sign(self) -> None:
        assert Visitor(self.app).sign().status_code == 303

    def sign_by_api(self) -> None:
        ApiClient(self.app).post("/comments", {"name": "Ada", "message": "Hello"})

    def admin(self, action: str, status: str = "held", **form: Any) -> None:
        comment = factories.sign(verdict=Classification(status))
        answer = apart(self.owner.post, f"/admin/comments/{comment}/{action}", form)
        assert answer.status_code == 303, answer.text

    def bulk(self) -> None:
        chosen = [factories.sign(verdict=Classification("held")) for _ in range(3)]
        apart(self.owner.post, "/admin/comments/bulk", {"id": chosen, "action": "publish"})

    def api(self, method: str, body: object = None) -> None:
        self.program.ask(method, f"/comments/{factories.sign(verdict=Classification('held'))}", body)

    def command(self, *words: str) -> None:
        self.shell("comments", words[0], factories.sign(verdict=Classification("held")), *words[1:])

    def ping(self, how: str) -> None:
        webhook_id = listener()
        if how == "cli":
            self.shell("webhooks", "test", webhook_id)
        elif how == "api":
            self.program.post(f"/webhooks/{webhook_id}/test", status=202)
        else:
            assert apart(self.owner.post, f"/admin/webhooks/{webhook_id}/ping", {}).status_code == 303

    def save(self, how: str) -> None:
        url = "https://receiver.example/hook"
        if how == "cli":
            self.shell("webhooks", "add", url, "--template", TEMPLATE)
        elif how == "api":
            self.program.post("/webhooks", {"url": url, "format": "template", "template": TEMPLATE})
        else:
            apart(lambda: webhook_pages.added(self.owner, format="template", template=TEMPLATE))

    def add_source(self) -> None:
        self.shell(
            "sources",
            "add",
            "Robot",
            "--verify",
            "none",
            "--action",
            "comment",
            "--template",
            "{{ payload.x }}",
        )

    def inbound(self, action: str) -> None:
        source = factories.source(
            action=action,
            template="{{ payload.x }}",
            relayed_since=clock.now() if action == "comment" else None,
        )
        factories.inbound(source, payload=json.dumps({"x": "Hello"}))
        factories.run_pass()


DOORS: dict[str, Callable[[Doors], None]] = {
    "a visitor signs": Doors.sign,
    "a program signs": Doors.sign_by_api,
    "the owner publishes": lambda doors: doors.admin("publish"),
    "the owner throws away": lambda doors: doors.admin("trash"),
    "the owner restores": lambda doors: doors.admin("restore", "spam"),
    "the owner deletes": lambda doors: doors.admin("delete"),
    "the owner answers": lambda doors: doors.admin("reply", reply="Thanks"),
    "the owner publishes many": Doors.bulk,
    "a program publishes": lambda doors: doors.api("PATCH", {"status": "published"}),
    "a program deletes": lambda doors: doors.api("DELETE"),
    "a command publishes": lambda doors: doors.command("approve"),
    "a command deletes": lambda doors: doors.command("delete"),
    "a command answers": lambda doors: doors.command("reply", "Thanks"),
    "a command pings": lambda doors: doors.ping("cli"),
    "a program pings": lambda doors: doors.ping("api"),
    "the owner pings": lambda doors: doors.ping("admin"),
    "a command adds a webhook": lambda doors: doors.save("cli"),
    "a program adds a webhook": lambda doors: doors.save("api"),
    "the owner adds a webhook": lambda doors: doors.save("admin"),
    "a command adds a source": Doors.add_source,
    "a source makes a comment": lambda doors: doors.inbound("comment"),
    "a source passes on": lambda doors: doors.inbound("forward"),
}


@pytest.mark.parametrize("name", DOORS)
def test_no_template_is_read_or_run_in_a_transaction(app: Flask, name: str) -> None:
    doors = Doors(app)
    factories.sign("An older one")
    listener()
    with watching() as watch:
        DOORS[name](doors)
    assert watch.seen, "no template was run"
    assert not any(watch.seen)


@pytest.mark.usefixtures("app")
def test_one_that_is_disabled_by_a_pass_is_told_of_outside_a_transaction(receiver: Receiver) -> None:
    receiver.answer("/", Answer(410))
    factories.webhook(receiver.url())
    factories.sign()
    listener(events="webhook.disabled", disabled_at=clock.now(), disabled_reason="by_hand")
    with watching() as watch:
        factories.run_pass()
    assert watch.seen
    assert not any(watch.seen)
    assert json.loads(factories.deliveries()[-1].payload)["event"] == "webhook.disabled"


@pytest.mark.usefixtures("each_app")
def test_a_comment_and_all_its_deliveries_are_there_with_what_the_template_says_of_them() -> None:
    hook, plain = listener(), factories.webhook()
    comment_id = factories.sign("Hello")
    rows = {(row.webhook_id, row.event): row for row in factories.deliveries()}
    assert set(rows) == {(hook, "comment.created"), (hook, "comment.published"), (plain, "comment.created")}
    sent = json.loads(rows[hook, "comment.created"].payload)
    same = json.loads(rows[plain, "comment.created"].payload)
    assert sent == {"event": "comment.created", "data": same["data"], "at": same["timestamp"]}
    assert sent["data"]["comment"]["id"] == comment_id
    with db.engine.connect() as connection:
        assert connection.scalars(select(Comment.id)).all() == [comment_id]


def test_a_bomb_is_its_deliverys_failure_and_not_the_comments(app: Flask) -> None:
    bomb, plain = listener(BOMB, events="comment.created"), listener(events="comment.created")
    assert Visitor(app).sign().status_code == 303
    rows = {row.webhook_id: row for row in factories.deliveries()}
    assert (rows[bomb].status, rows[plain].status) == ("failed", "new")
    assert "The template does too much with this event" in (rows[bomb].last_error or "")


def test_an_old_template_that_is_no_template_any_more_fails_with_what_to_write_instead(app: Flask) -> None:
    hook = listener("{% macro who(x) %}{{ x|tojson }}{% endmacro %}{{ who(comment.name) }}")
    comment_id = factories.sign()
    row = factories.deliveries()[0]
    assert row.status == "failed"
    assert row.last_error == (
        "Line 1 of the template: templates here have no macro. Write what it gives where it is called, or "
        "set a name to a text. Nothing was sent; kept as json."
    )
    assert json.loads(row.payload)["data"]["comment"]["id"] == comment_id
    owner = Owner(app)
    apart(owner.log_in)
    assert "templates here have no macro" in owner.client.get(f"/admin/deliveries/{row.id}").text
    assert owner.client.get(f"/admin/webhooks/{hook}").status_code == 200


def test_a_template_that_changes_meanwhile_is_run_as_it_is_in_the_end(app: Flask) -> None:
    hook = listener('"old"', events="comment.created")
    rounds = 0

    def sign() -> None:
        nonlocal rounds
        rounds += 1
        with database.writing() as session:
            data = event_catalogue.EVENTS["comment.created"].sample_data()
            outbox.publish(session.connection(), "comment.created", data, factories.settings())
        assert rounds > 1, "it was committed without its body"

    def change() -> None:
        with app.app_context(), database.writing() as session:
            session.get_one(Template, hook).text = '"new"'

    def sign_after_a_change() -> None:
        with suppress(unit_of_work.NotYet):
            return sign()
        apart(change)
        raise unit_of_work.NotYet

    unit_of_work.complete(sign_after_a_change)
    assert rounds == 3
    assert [row.payload for row in factories.deliveries()] == ['"new"']


@pytest.mark.usefixtures("app")
def test_one_that_changes_for_ever_fails_its_delivery_and_keeps_the_comment() -> None:
    listener(events="comment.created")
    rounds: list[int] = []

    def publish() -> None:
        with database.writing() as session:
            rounds.append(len(rounds))
            comment = Comment(name=f"Ada {len(rounds)}", message="Hello", status="held")
            session.add(comment)
            session.flush()
            data = {"comment": comment.public(factories.settings().base_url)}
            outbox.publish(
                session.connection(), "comment.created", data, factories.settings(), comment_id=comment.id
            )

    unit_of_work.complete(publish)
    assert len(rounds) == unit_of_work.ROUNDS + 1
    row = factories.one()
    assert (row.status, row.last_error) == (
        "failed",
        f"{StillChanging()} Nothing was sent; kept as json.",
    )


@pytest.mark.usefixtures("app")
def test_an_answer_is_told_with_the_time_that_it_has_in_the_book() -> None:
    listener(events="comment.replied")
    comment_id = factories.sign()

    def reply() -> None:
        with database.writing() as session:
            book.reply(session, session.get_one(Comment, comment_id), "Thanks", factories.settings())

    unit_of_work.complete(reply)
    sent = json.loads(factories.one().payload)["data"]["reply"]
    kept = factories.the(Comment, comment_id).reply
    assert sent == kept.public()
    assert factories.the(Webhook, factories.one().webhook_id).format == "template"
