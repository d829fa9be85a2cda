"""What the pass makes of inbound events, and why some fail."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete, select

from guestbook.inbound import event_processor, sender_presets, verify_and_decide
from guestbook.inbound.event_processor import Processor
from guestbook.lib import clock, verification
from guestbook.queries import filtered_lists
from guestbook.queue import redelivery
from guestbook.storage.database import db, writing
from guestbook.storage.models import INBOUND, Comment, Delivery, InboundEvent, Origin, Webhook
from tests.support import factories, inbound_factories

Sending = Callable[..., list[str]]
FAILED = filtered_lists.InboundEvents(status="failed").condition()
ISSUE = {
    "action": "opened",
    "issue": {"number": 5, "title": "It rains in", "html_url": "https://example.org/5"},
    "repository": {"full_name": "ada/roof", "html_url": "https://example.org/roof"},
    "sender": {"login": "ada", "html_url": "https://example.org/ada"},
}
pytestmark = pytest.mark.usefixtures("any_app")


def github_source(template: str = sender_presets.PRESETS["github"], **columns: Any) -> str:
    given = {"verify": "github", "secret": inbound_factories.SECRET, **columns}
    return inbound_factories.source(template=template, **given)


def forwarding_source(**columns: Any) -> str:
    """A source that forwards, and a webhook that wants it."""
    with writing() as session:
        session.add(Webhook(name="w", url="http://127.0.0.1:9/", events="inbound.received", headers={}))
    return inbound_factories.source(action="forward", template=None, **columns)


# --- what becomes of an event


@pytest.mark.usefixtures("each_app")
def test_an_event_of_github_becomes_a_comment_that_says_where_it_came_from(each_client: FlaskClient) -> None:
    github_source(name="GitHub")
    assert inbound_factories.github(ISSUE, "d1").status_code == 202
    assert inbound_factories.row().status == "new"
    inbox = inbound_factories.process()
    done = inbound_factories.row()
    assert (done.status, done.event, done.sender) == ("processed", "issues.opened", "ada")
    assert done.external_id == "d1"
    assert (done.error, done.attempts, done.claims, done.claimed_by) == (None, 1, 1, None)
    comment = db.session.scalars(select(Comment)).one()
    assert done.comment_id == comment.id
    assert comment.message == "ada opened issue #5 in ada/roof: It rains in\nhttps://example.org/5"
    assert (comment.origin.name, comment.origin.told_at) == ("GitHub", None)
    assert inbox.counts.processed == 1
    assert "via <bdi>GitHub</bdi>" in " ".join(each_client.get("/").text.split())


def test_a_logged_event_is_kept_and_nothing_else_happens(client: FlaskClient) -> None:
    inbound_factories.source(action="log", template=None)
    client.post("/hooks/tok", data=b"\xff\x00 no text")
    inbound_factories.arrive({"type": "thing.made"})
    assert [one.status for one in inbound_factories.rows()] == ["processed", "processed"]
    assert [one.event for one in inbound_factories.rows()] == [None, "thing.made"]
    assert inbound_factories.messages() == []


@pytest.mark.usefixtures("each_app")
def test_a_forwarded_event_goes_to_the_webhooks_that_want_it() -> None:
    source_id = forwarding_source()
    with writing() as session:
        session.add(Webhook(name="v", url="http://127.0.0.1:9/", events="comment.created", headers={}))
        wants_two = {"events": "inbound.received", "event_condition": "inbound.payload.n == 2"}
        session.add(Webhook(name="w", url="http://127.0.0.1:9/", headers={}, **wants_two))
    inbound_factories.arrive({"type": "thing.made", "n": 1})
    delivery = db.session.scalars(select(Delivery)).one()
    assert delivery.event == "inbound.received"
    data = json.loads(delivery.payload)["data"]
    assert data["source"] == {"id": source_id, "name": "Robot"}
    assert data["inbound"]["id"] == inbound_factories.row().id
    assert data["inbound"]["payload"] == {"type": "thing.made", "n": 1}
    assert inbound_factories.row().note == "Passed on to 1 webhook."


def test_a_payload_that_is_too_long_to_be_passed_on_is_left_out_and_the_rest_goes() -> None:
    forwarding_source()
    inbound_factories.arrive({"text": "x" * 20_000})
    payload = db.session.scalars(select(Delivery.payload)).one()
    assert len(payload.encode()) < 20_000
    inbound = json.loads(payload)["data"]["inbound"]
    assert inbound["payload"] is None
    place = f"https://book.example/api/v1/inbox/{inbound_factories.row().id}"
    assert inbound["payload_url"] == place
    assert inbound["left_out"] == f"The payload has 20,012 bytes. Read it with a token: {place}"


@pytest.mark.usefixtures("each_app")
def test_a_large_payload_is_passed_on_in_full_if_the_owner_wants_it() -> None:
    forwarding_source(forwarded_in_full_since=clock.now())
    for size in (verify_and_decide.FULL_FORWARD_LIMIT - 20, verify_and_decide.FULL_FORWARD_LIMIT):
        assert inbound_factories.post({"text": "x" * size}).status_code == 202
    inbound_factories.process()
    payloads = db.session.scalars(select(Delivery.payload).order_by(Delivery.id)).all()
    whole, cut = (json.loads(payload)["data"]["inbound"] for payload in payloads)
    assert whole["payload"] == {"text": "x" * (verify_and_decide.FULL_FORWARD_LIMIT - 20)}
    assert "left_out" not in whole
    assert cut["payload"] is None
    assert cut["payload_url"].endswith(inbound_factories.rows()[1].id)


def test_what_is_forwarded_in_a_circle_ends() -> None:
    inbound_factories.source(action="forward", template=None)
    for hops in (4, 5, 6, -1, "many"):
        payload = {"type": "inbound.received", "data": {"inbound": {"hops": hops}}}
        inbound_factories.arrive(payload, **{"X-Guestbook-Event": "inbound.received"})
    assert [one.status for one in inbound_factories.rows()] == ["processed", *["failed"] * 4]
    assert "circle" in inbound_factories.rows()[1].error


# --- what is not genuine, not readable, or not ours to do


@pytest.mark.usefixtures("each_app")
def test_what_is_not_signed_well_fails_with_a_reason_and_does_nothing() -> None:
    github_source()
    inbound_factories.github(ISSUE, "d1", secret="another")
    inbox = inbound_factories.arrive(ISSUE, **{"X-GitHub-Event": "issues"})
    assert [one.status for one in inbound_factories.rows()] == ["failed", "failed"]
    assert all("X-Hub-Signature-256" in one.error for one in inbound_factories.rows())
    assert (inbox.counts.refused, inbox.counts.failed.total()) == (2, 0)
    assert inbound_factories.messages() == []


def test_a_stranger_cannot_use_up_the_number_of_a_genuine_event() -> None:
    github_source()
    inbound_factories.github(ISSUE, "d1", secret="another")
    inbound_factories.process()
    inbound_factories.github(ISSUE, "d1")
    inbound_factories.process()
    assert [one.status for one in inbound_factories.rows()] == ["failed", "processed"]
    assert len(inbound_factories.messages()) == 1


def test_it_is_checked_as_of_the_time_of_receipt_however_late_the_pass_comes() -> None:
    source_id = github_source()
    inbound_factories.github(ISSUE, "d1")
    received = inbound_factories.row().received_at
    inbound_factories.change(source_id, secret="a new one", previous_secret=inbound_factories.SECRET)
    inbound_factories.change(source_id, previous_secret_expires_at=received + timedelta(milliseconds=1))
    inbound_factories.process()
    assert inbound_factories.row().status == "processed"
    inbound_factories.github(ISSUE, "d2")
    inbound_factories.process()
    assert inbound_factories.rows()[1].status == "failed"


@pytest.mark.usefixtures("each_app")
def test_replays_have_one_effect() -> None:
    github_source()
    for _ in range(3):
        inbound_factories.github(ISSUE, "d1")
    inbound_factories.process()
    inbound_factories.github(ISSUE, "d1")
    inbound_factories.process()
    first, *others = inbound_factories.rows()
    assert len(inbound_factories.messages()) == 1
    assert {one.status for one in others} == {"processed"}
    assert {one.note for one in others} == {f"A repeat of {first.id}, so nothing was done."}


@pytest.fixture
def at_the_book(each_client: FlaskClient) -> Sending:
    """Post what Slack has signed some seconds ago, process it, and return all messages."""
    inbound_factories.source(verify="slack", secret="shh", template="{{ payload.text }}")
    began = int(clock.now().timestamp())

    def send(text: str, ago: int, **headers: str) -> list[str]:
        body = json.dumps({"text": text}).encode()
        signed = verification.sign_request("slack", "shh", body, event_id="", seconds=began - ago)
        each_client.post("/hooks/tok", data=body, headers=signed | headers, content_type="application/json")
        inbound_factories.process()
        return inbound_factories.messages()

    return send


def test_a_replay_without_an_id_or_with_another_one_has_no_effect(at_the_book: Sending) -> None:
    for name in ("X-Any", "X-Any", "X-GitHub-Delivery"):
        assert at_the_book("Hello", 9, **{name: "new"}) == ["Hello"]
    first, *others = inbound_factories.rows()
    for one in others:
        assert (one.status, one.note) == ("processed", f"A repeat of {first.id}, so nothing was done.")
    assert {one.comment_id for one in others} == {first.comment_id}
    factories.execute(delete(INBOUND))
    assert at_the_book("Hello", 9) == ["Hello"]
    assert at_the_book("Hello", 99) == ["Hello", "Hello"]  # signed at another time


def test_what_failed_works_when_it_is_replayed_and_then_never_again(at_the_book: Sending) -> None:
    assert at_the_book("", 0) == []
    source_id = inbound_factories.row().source_id
    inbound_factories.change(source_id, template="{{ payload.nothing.here }}")
    assert at_the_book("Hello", 9) == []
    inbound_factories.change(source_id, template="{{ payload.text }}")
    for _ in range(2):
        assert at_the_book("Hello", 9) == ["Hello"]
    assert [one.status for one in inbound_factories.rows()[1:]] == ["failed", "processed", "processed"]


def test_what_failed_for_our_sake_works_when_it_is_sent_again_or_reprocessed() -> None:
    source_id = github_source("{{ payload.nothing.here }}")
    inbound_factories.github(ISSUE, "d1")
    inbox = inbound_factories.process()
    assert inbound_factories.row().status == "failed"
    assert "nothing" in inbound_factories.row().error
    assert inbox.counts.failed == {("Robot", source_id): 1}
    inbound_factories.change(source_id, template="{{ payload.issue.title }}")
    inbound_factories.github(ISSUE, "d1")
    inbound_factories.process()
    assert [one.status for one in inbound_factories.rows()] == ["failed", "processed"]
    assert inbound_factories.messages() == ["It rains in"]


def test_a_template_without_text_makes_no_comment() -> None:
    inbound_factories.source(template="{% if payload.text == 'x' %}X{% endif %}")
    inbound_factories.arrive({"text": "y"})
    assert (inbound_factories.row().status, inbound_factories.row().comment_id) == ("processed", None)
    assert "no text" in inbound_factories.row().note


def test_what_is_too_long_is_cut_and_a_website_that_cannot_be_linked_is_left_out() -> None:
    template = "{% set name = payload.name %}{% set website = payload.website %}{{ payload.text }}"
    inbound_factories.source(template=template)
    inbound_factories.arrive({"name": "n" * 200, "website": "javascript:alert(1)", "text": "é" * 5000})
    comment = db.session.scalars(select(Comment)).one()
    assert (len(comment.name), comment.website) == (80, None)
    assert len(comment.message) == 4000
    assert comment.message.endswith("é…")


def test_what_anybody_can_send_is_checked_like_a_visitor() -> None:
    links = " ".join(f"https://example.org/{number}" for number in range(5))
    inbound_factories.source("open", name="open", verify="none")
    inbound_factories.source("sure", name="sure", verify="token", secret="the sender's", header="X-Token")
    inbound_factories.post({"text": links}, "open")
    inbound_factories.arrive({"text": links}, "sure", **{"X-Token": "the sender's"})
    statuses = dict(db.session.execute(select(Origin.name, Comment.status).join(Comment)).all())
    assert statuses == {"open": "held", "sure": "published"}


def test_what_waits_for_a_disabled_source_goes_when_it_is_enabled() -> None:
    source_id = inbound_factories.source(disabled_at=clock.now())
    assert inbound_factories.post({"text": "late"}).status_code == 202
    inbound_factories.process()
    assert inbound_factories.row().status == "new"
    inbound_factories.change(source_id, disabled_at=None)
    inbound_factories.process()
    assert inbound_factories.messages() == ["late"]


# --- batches, and a second turn


def test_a_long_batch_gives_back_the_rest(each_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    inbound_factories.source()
    for word in ("a", "b", "c"):
        inbound_factories.post({"text": word})
    due = [one.due_at for one in inbound_factories.rows()]
    monkeypatch.setattr(event_processor, "BATCH_TIME", 0)
    inbox = Processor(db.engine, each_app.config["GUESTBOOK"])
    inbox.work()
    first, *others = inbound_factories.rows()
    assert first.status == "processed"
    assert [(one.status, one.claims, one.claimed_by) for one in others] == [("new", 0, None)] * 2
    assert [one.due_at for one in others] == due[1:]
    assert [inbox.work() for _ in range(3)] == [True, True, False]
    assert inbound_factories.messages() == ["a", "b", "c"]
    inbound_factories.check()


@pytest.mark.usefixtures("each_app")
def test_one_starts_afresh_with_its_bytes_untouched() -> None:
    columns = {"status": "failed", "attempts": 2, "claims": 12, "error": "12 passes", "payload": "a\r\nb"}
    key = factories.inbound(factories.source(), note="", **columns)
    with writing() as session:
        [row] = redelivery.make_due(session, InboundEvent, [key], clock.now())
        assert not {"headers", "payload"} & vars(row).keys()
    [row] = factories.inbound_events()
    assert (row.status, row.error, row.note, row.processed_at) == ("new", None, None, None)
    assert (row.attempts, row.claims, row.body) == (2, 2, b"a\r\nb")
    assert row.due_at <= clock.now()


def test_what_many_passes_died_over_gets_a_fresh_count() -> None:
    key = factories.inbound(factories.source(), claims=event_processor.MOST_LOST_PASSES)
    factories.run_pass()
    assert "passes ended in the middle of it" in (factories.the(InboundEvent, key).error or "")
    assert redelivery.run(InboundEvent, FAILED) == 1
    factories.run_pass()
    row = factories.the(InboundEvent, key)
    assert (row.status, row.error, row.note) == ("processed", None, "Logged.")


# --- conditions


@pytest.mark.parametrize(
    ("condition", "note"),
    [
        ('event == "issues" and payload.issue.number == 5', "It became a comment."),
        ('event == "push"', "Not wanted: the condition is false."),
        ("payload.nothing.deeper == 1", "It became a comment."),
    ],
)
def test_an_event_that_does_not_meet_the_condition_is_not_wanted(condition: str, note: str) -> None:
    github_source(event_condition=condition)
    inbound_factories.github(ISSUE, "1")
    inbound_factories.process()
    row = inbound_factories.row()
    assert (row.status, row.note, len(inbound_factories.messages())) == ("processed", note, "became" in note)
