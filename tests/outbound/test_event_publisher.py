"""The outbox: which webhooks get an event, which values are fixed at once, and redelivery."""

import json
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import Connection, select

from guestbook.comments import backfill, comment_actions
from guestbook.comments.comment_form import Draft
from guestbook.lib import clock
from guestbook.outbound import event_publisher, webhooks
from guestbook.outbound.event_catalogue import EVENTS
from guestbook.queue import redelivery
from guestbook.storage import database, preferences, row_changes
from guestbook.storage.database import db
from guestbook.storage.models import DELIVERIES, Comment, Delivery, Webhook
from guestbook.storage.models.delivery import Template
from tests.support import factories
from tests.support.receiver import Answer, Receiver

HOUR = timedelta(hours=1)
FAILING = Answer(500)


def publish(event: str = "comment.created", leave_out: tuple[str, ...] = ()) -> int:
    settings, data = factories.settings(), EVENTS[event].sample_data()
    return database.write_with_retry(
        db.engine,
        lambda connection: event_publisher.publish(connection, event, data, settings, leave_out=leave_out),
    )


def redeliver(*row_ids: str) -> list[str]:
    with database.writing() as session:
        return [row.id for row in redelivery.make_due(session, Delivery, row_ids, clock.now())]


@pytest.mark.usefixtures("each_app")
def test_those_get_an_event_whose_filter_names_it() -> None:
    wants = {factories.webhook(), factories.webhook(events="ping comment.created")}
    factories.webhook(events="comment.deleted")
    factories.webhook(events="comment.create")
    factories.webhook(events="")
    assert publish() == 2
    assert {row.webhook_id for row in factories.deliveries()} == wants
    [event_id] = {row.event_id for row in factories.deliveries()}
    assert len({row.id for row in factories.deliveries()} | {event_id}) == 3


@pytest.mark.usefixtures("app")
def test_disabled_webhooks_get_it_too_and_who_is_left_out_does_not() -> None:
    disabled = factories.webhook(disabled_at=clock.now(), disabled_reason="by_hand")
    publish(leave_out=(factories.webhook(),))
    assert [row.webhook_id for row in factories.deliveries()] == [disabled]


def test_a_new_delivery_is_due_at_the_first_step_of_the_schedule(app: Flask) -> None:
    factories.webhook()
    later = replace(factories.settings(), retry_schedule=(60.0, 5.0))
    app.config["GUESTBOOK"] = later
    publish()
    row = factories.one()
    assert row.due_at == row.created_at + timedelta(seconds=60)
    assert (row.status, row.attempts, row.claims) == ("new", 0, 0)
    assert (row.claimed_by, row.finished_at) == (None, None)


@pytest.mark.usefixtures("each_app")
def test_a_format_that_fails_costs_its_delivery_and_nothing_else() -> None:
    good, bad = factories.webhook(), factories.webhook(format="semaphore")
    comment_id = factories.sign()
    assert factories.the(Comment, comment_id).message == "Hello"
    rows = {row.webhook_id: row for row in factories.deliveries()}
    assert rows[good].status == "new"
    row = rows[bad]
    assert (row.status, row.due_at, row.attempts, row.comment_id) == ("failed", None, 0, comment_id)
    assert row.finished_at is not None
    assert row.last_error == "The format semaphore failed (KeyError), so nothing was sent; kept as json."
    assert row.payload == rows[good].payload


@pytest.mark.usefixtures("each_app")
def test_each_webhook_gets_its_format_and_equal_formats_give_equal_bodies() -> None:
    one, two = factories.webhook(format="slack"), factories.webhook(format="slack")
    here, there = (
        factories.webhook(f"https://ntfy.sh/?topic={topic}", format="ntfy") for topic in ("a", "b")
    )
    factories.sign("a < b")
    bodies = {row.webhook_id: json.loads(row.payload) for row in factories.deliveries()}
    assert bodies[one] == bodies[two]
    assert "a &lt; b" in bodies[one]["text"]
    assert (bodies[here]["topic"], bodies[there]["topic"]) == ("a", "b")
    assert {row.status for row in factories.deliveries()} == {"new"}


@pytest.mark.usefixtures("each_app")
def test_each_webhook_has_a_template_of_its_own_and_one_that_fails_says_why() -> None:
    hooks = [factories.webhook(format="template") for _ in range(4)]
    with database.writing() as session:
        for hook, text in zip(hooks, ('"{{ event }}"', "[1]", '"{{ comment.message }}"'), strict=False):
            session.add(Template(webhook_id=hook, text=text))
    factories.sign('say "hi"')
    rows = {row.webhook_id: row for row in factories.deliveries()}
    assert [rows[hook].payload for hook in hooks[:2]] == ['"comment.created"', "[1]"]
    assert [rows[hook].status for hook in hooks] == ["new", "new", "failed", "failed"]
    assert rows[hooks[2]].last_error.startswith("The template does not give JSON: Extra data in line 1")
    assert rows[hooks[3]].last_error == "The webhook has no template. Nothing was sent; kept as json."
    assert json.loads(rows[hooks[2]].payload)["type"] == "comment.created"


@pytest.mark.usefixtures("app")
def test_the_bytes_the_id_and_the_time_of_an_event_stay_the_same_in_all_attempts(receiver: Receiver) -> None:
    hook = factories.webhook(receiver.url("/hook"))
    receiver.answer("/hook", FAILING, FAILING, Answer(200))
    factories.sign("Grüße 🎈")
    payload = factories.one().payload
    for _ in range(2):
        factories.run_pass()
        factories.all_due()
    with database.writing() as session:
        session.get_one(Webhook, hook).format = "other"
    factories.run_pass()
    redeliver(factories.one().id)
    factories.run_pass()
    requests = receiver.at("/hook")
    assert [request.headers["x-guestbook-attempt"] for request in requests] == ["1", "2", "3", "4"]
    assert {request.body for request in requests} == {payload.encode()}
    assert {request.event_id for request in requests} == {factories.one().event_id}


def made() -> list[tuple[int, str]]:
    """The number of each attempt, and its cause."""
    return [(row.number, row.triggered_by) for row in factories.attempts()]


@pytest.mark.usefixtures("app")
def test_a_redelivery_replaces_a_pending_retry_and_repeats_what_is_processed(receiver: Receiver) -> None:
    factories.webhook(receiver.url("/hook"))
    receiver.answer("/hook", FAILING, Answer(200))
    factories.sign()
    factories.run_pass()
    before = factories.one()
    assert before.status == "new"
    assert redeliver(before.id) == [before.id]
    for _ in range(2):
        factories.run_pass()
        factories.all_due()
    assert (factories.one().status, made()) == ("processed", [(1, "schedule"), (2, "redelivery")])
    redeliver(before.id)
    factories.run_pass()
    after = factories.one()
    assert made()[2:] == [(3, "redelivery")]
    assert (after.status, after.attempts, after.payload) == ("processed", 3, before.payload)


def test_a_failed_one_that_is_redelivered_gets_the_whole_schedule(app: Flask, receiver: Receiver) -> None:
    app.config["GUESTBOOK"] = replace(factories.settings(), retry_schedule=(0.0, 300.0))
    factories.webhook(receiver.url("/hook"))
    receiver.answer("/hook", FAILING)
    factories.sign()
    for _ in range(3):
        factories.run_pass()
        factories.all_due()
    assert (factories.one().status, len(receiver.requests)) == ("failed", 2)
    redeliver(factories.one().id)
    for _ in range(3):
        factories.run_pass()
        factories.all_due()
    assert (factories.one().status, len(receiver.requests)) == ("failed", 4)
    assert made() == [(1, "schedule"), (2, "schedule"), (3, "redelivery"), (4, "schedule")]


@pytest.mark.usefixtures("each_app")
@pytest.mark.parametrize("each_environ", ["postgresql", "mariadb"], indirect=True)
def test_what_a_pass_took_after_the_look_is_left_alone_too() -> None:
    row_id = factories.delivery(factories.webhook())
    with database.writing() as session:
        seen = session.get_one(Delivery, row_id)
        with database.write(db.engine) as connection:
            lease = {"claimed_by": "a pass", "claims": 1, "due_at": clock.now() + HOUR}
            connection.execute(DELIVERIES.update().values(**lease))
        assert redelivery.make_due(session, Delivery, [seen.id], clock.now()) == []
    assert factories.the(Delivery, row_id).claimed_by == "a pass"


@pytest.mark.usefixtures("app")
def test_deliveries_of_a_disabled_webhook_wait_and_go_when_it_is_enabled(receiver: Receiver) -> None:
    hook = factories.webhook(receiver.url("/hook"))
    factories.sign("before")
    factories.written(lambda session: session.get_one(Webhook, hook).disable(clock.now(), "by_hand"))
    factories.sign("after")
    redeliver(factories.deliveries()[0].id)
    factories.run_pass()
    assert receiver.requests == []
    assert [row.status for row in factories.deliveries()] == ["new", "new"]
    factories.written(lambda session: session.get_one(Webhook, hook).enable())
    factories.run_pass()
    assert len(receiver.requests) == 2
    assert [row.status for row in factories.deliveries()] == ["processed", "processed"]


@pytest.mark.usefixtures("app")
def test_a_ping_is_marked_as_a_test(receiver: Receiver) -> None:
    hook = factories.webhook(receiver.url("/hook"), events="comment.deleted")
    with database.writing() as session:
        webhook = session.get_one(Webhook, hook)
        event_id = webhooks.store_sample(session, webhook, factories.settings()).event_id
    factories.run_pass()
    [request] = receiver.requests
    assert (request.headers["x-guestbook-event"], request.event_id) == ("ping", event_id)
    assert request.json["data"]["webhook"] == {"id": hook, "name": "one"}
    assert [row.triggered_by for row in factories.attempts()] == ["test"]


@pytest.mark.usefixtures("each_app")
def test_a_webhook_that_is_deleted_meanwhile_costs_nobody_the_event(monkeypatch: pytest.MonkeyPatch) -> None:
    row_id, engine = factories.webhook(), db.engine
    with ThreadPoolExecutor(1) as pool:
        deleting: list[Future[int]] = []
        read = preferences.title

        def read_slowly(source: Connection) -> str:
            """Change the template between the query for the webhooks and the insert of their deliveries."""
            deleting.append(pool.submit(row_changes.delete_with_rows, engine, Webhook, row_id))
            wait(deleting, timeout=0.5)
            return read(source)

        monkeypatch.setattr(preferences, "title", read_slowly)
        publish()
        assert [one.result(timeout=20) for one in deleting]
    assert db.session.scalars(select(Delivery)).all() == []


@pytest.mark.usefixtures("app")
def test_a_template_says_of_an_answer_what_is_kept_of_it() -> None:
    text = '{"event": {{ event|tojson }}, "reply": {{ reply|tojson }}}'
    hook = factories.webhook(format="template", events="comment.replied")
    factories.written(lambda session: session.add(Template(webhook_id=hook, text=text)))
    comment_id = factories.sign()
    factories.change(comment_id, comment_actions.reply, "Thanks")
    kept = factories.the(Comment, comment_id).reply.public()
    assert json.loads(factories.one().payload) == {"event": "comment.replied", "reply": kept}


# --- conditions


@pytest.mark.usefixtures("each_app")
def test_a_webhook_gets_only_events_that_meet_its_condition() -> None:
    every = "comment.created comment.published comment.replied comment.deleted comments.waiting"
    berlin = factories.webhook(events=every, event_condition='comment.place == "Berlin"')
    replied = factories.webhook(events=every, event_condition='"Welcome" in reply.message')
    there = factories.sign_draft(Draft("Ada", None, "Hello", {}, place="Berlin"))
    elsewhere = factories.sign_draft(Draft("Bob", None, "Hello", {}, place="Bonn"))
    rows = [(row.webhook_id, row.comment_id, row.event, row.sequence) for row in factories.deliveries()]
    # A comment that has no reply cannot be judged by one, so the second webhook gets it.
    both = ("comment.created", "comment.published")
    assert {row for row in rows if row[0] == berlin} == {
        (berlin, there, one, both.index(one) + 1) for one in both
    }
    assert len([row for row in rows if row[0] == replied]) == 4
    factories.change(elsewhere, comment_actions.reply, "Bye")
    assert [row.event for row in factories.deliveries()].count("comment.replied") == 0
    factories.change(elsewhere, comment_actions.reply, "Welcome")
    # When the words are gone, whoever may have had them hears of it.
    factories.change(elsewhere, comment_actions.delete)
    after = [(row.webhook_id, row.event) for row in factories.deliveries()][len(rows) :]
    ended = "comment.deleted"
    assert sorted(after) == sorted([(replied, "comment.replied"), (berlin, ended), (replied, ended)])


@pytest.mark.usefixtures("app")
def test_a_test_ignores_the_condition_and_past_events_follow_it() -> None:
    hook = factories.webhook(events="comment.created", event_condition='comment.name == "Ada"')
    factories.written(
        lambda session: webhooks.store_sample(session, session.get_one(Webhook, hook), factories.settings())
    )
    assert [row.event for row in factories.deliveries()] == ["ping"]
    factories.sql("UPDATE webhooks SET event_condition = NULL, disabled_at = NULL, events = 'ping'")
    for name in ("Ada", "Bob", "Ada"):
        factories.sign(name=name)
    factories.sql(
        "UPDATE webhooks SET event_condition = 'comment.name == \"Ada\"', events = 'comment.created'"
    )
    done = backfill.run(hook, backfill.BackfillRules(clock.now() - timedelta(days=1), factories.settings()))
    assert (done.deliveries, len(factories.deliveries())) == (2, 3)
