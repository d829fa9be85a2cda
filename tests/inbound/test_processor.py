"""The pass works through the inbox: whole, once, and whatever comes in between."""

import json
import random
import signal
import threading
import time
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from guestbook.background import cron
from guestbook.inbound import processor, template_presets
from guestbook.inbound.processor import Processor
from guestbook.lib import clock
from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.storage.models import INBOUND, Comment, Delivery, Origin, Webhook
from tests.support import amount, inbound_factories
from tests.support.forks import Forks
from tests.support.processes import wait_for

ISSUE = {
    "action": "opened",
    "issue": {"number": 5, "title": "It rains in", "html_url": "https://example.org/5"},
    "repository": {"full_name": "ada/roof", "html_url": "https://example.org/roof"},
    "sender": {"login": "ada", "html_url": "https://example.org/ada"},
}
KILLS = amount.kills(5)
POSTED = 40  # before each kill


@pytest.fixture
def each_client(each_app: Flask) -> FlaskClient:
    return each_app.test_client()


def work(app: Flask) -> Processor:
    """Work through all that is due, in this process."""
    db.session.rollback()
    inbox = Processor(db.engine, app.config["GUESTBOOK"])
    while inbox.work():
        pass
    return inbox


# --- what becomes of an event


def test_an_event_of_github_becomes_a_comment_that_says_where_it_came_from(
    each_app: Flask, each_client: FlaskClient
) -> None:
    inbound_factories.source(
        name="GitHub",
        verify="github",
        secret=inbound_factories.SECRET,
        template=template_presets.PRESETS["github"],
    )
    assert inbound_factories.github(each_client, ISSUE, "d1").status_code == 202
    assert inbound_factories.row().status == "new"
    inbox = work(each_app)
    done = inbound_factories.row()
    assert (done.status, done.event, done.sender) == ("processed", "issues.opened", "ada")
    assert done.external_id == "d1"
    assert (done.error, done.attempts, done.claims, done.claimed_by) == (None, 1, 1, None)
    comment = db.session.scalars(select(Comment)).one()
    assert done.comment_id == comment.id
    assert comment.message == "ada opened issue #5 in ada/roof: It rains in\nhttps://example.org/5"
    assert comment.origin is not None
    assert (comment.origin.name, comment.origin.told_at) == ("GitHub", None)
    assert inbox.counts.processed == 1
    assert "via <bdi>GitHub</bdi>" in " ".join(each_client.get("/").text.split())


def test_a_logged_event_is_kept_and_nothing_else_happens(app: Flask, client: FlaskClient) -> None:
    inbound_factories.source(action="log", template=None)
    client.post("/hooks/tok", data=b"\xff\x00 no text")
    inbound_factories.post(client, {"type": "thing.made"})
    work(app)
    assert [one.status for one in inbound_factories.rows()] == ["processed", "processed"]
    assert [one.event for one in inbound_factories.rows()] == [None, "thing.made"]
    assert inbound_factories.messages() == []


def test_a_forwarded_event_goes_to_the_webhooks_that_want_it(
    each_app: Flask, each_client: FlaskClient
) -> None:
    source_id = inbound_factories.source(action="forward", template=None)
    with database.writing() as session:
        session.add(Webhook(name="w", url="http://127.0.0.1:9/", events="inbound.received", headers={}))
        session.add(Webhook(name="v", url="http://127.0.0.1:9/", events="comment.created", headers={}))
    inbound_factories.post(each_client, {"type": "thing.made", "n": 1})
    work(each_app)
    delivery = db.session.scalars(select(Delivery)).one()
    assert delivery.event == "inbound.received"
    data = json.loads(delivery.payload)["data"]
    assert data["source"] == {"id": source_id, "name": "Robot"}
    assert data["inbound"]["id"] == inbound_factories.row().id
    assert data["inbound"]["payload"] == {"type": "thing.made", "n": 1}
    assert inbound_factories.row().note == "Passed on to 1 webhook."


def test_a_payload_that_is_too_long_to_be_passed_on_is_left_out_and_the_rest_goes(
    app: Flask, client: FlaskClient
) -> None:
    inbound_factories.source(action="forward", template=None)
    with database.writing() as session:
        session.add(Webhook(name="w", url="http://127.0.0.1:9/", events="inbound.received", headers={}))
    inbound_factories.post(client, {"text": "x" * 20_000})
    work(app)
    payload = db.session.scalars(select(Delivery.payload)).one()
    assert len(payload.encode()) < 20_000
    inbound = json.loads(payload)["data"]["inbound"]
    assert inbound["payload"] is None
    assert f"https://book.example/admin/inbox/{inbound_factories.row().id}" in inbound["left_out"]


def test_what_is_forwarded_in_a_circle_ends(app: Flask, client: FlaskClient) -> None:
    inbound_factories.source(action="forward", template=None)
    for hops in (4, 5, 6, -1, "many"):
        payload = {"type": "inbound.received", "data": {"inbound": {"hops": hops}}}
        inbound_factories.post(client, payload, **{"X-Guestbook-Event": "inbound.received"})
    work(app)
    assert [one.status for one in inbound_factories.rows()] == ["processed", *["failed"] * 4]
    assert "circle" in inbound_factories.rows()[1].error


# --- what is not genuine, not readable, or not ours to do


def test_what_is_not_signed_well_fails_with_a_reason_and_does_nothing(
    each_app: Flask, each_client: FlaskClient
) -> None:
    inbound_factories.source(
        verify="github", secret=inbound_factories.SECRET, template=template_presets.PRESETS["github"]
    )
    inbound_factories.github(each_client, ISSUE, "d1", secret="another")
    inbound_factories.post(each_client, ISSUE, **{"X-GitHub-Event": "issues"})
    inbox = work(each_app)
    assert [one.status for one in inbound_factories.rows()] == ["failed", "failed"]
    assert all("X-Hub-Signature-256" in one.error for one in inbound_factories.rows())
    assert (inbox.counts.refused, inbox.counts.failed.total()) == (2, 0)
    assert inbound_factories.messages() == []


def test_a_stranger_cannot_use_up_the_number_of_a_genuine_event(app: Flask, client: FlaskClient) -> None:
    inbound_factories.source(
        verify="github", secret=inbound_factories.SECRET, template=template_presets.PRESETS["github"]
    )
    inbound_factories.github(client, ISSUE, "d1", secret="another")
    work(app)
    inbound_factories.github(client, ISSUE, "d1")
    work(app)
    assert [one.status for one in inbound_factories.rows()] == ["failed", "processed"]
    assert len(inbound_factories.messages()) == 1


def test_it_is_checked_as_of_the_time_of_receipt_however_late_the_pass_comes(
    app: Flask, client: FlaskClient
) -> None:
    source_id = inbound_factories.source(
        verify="github", secret=inbound_factories.SECRET, template=template_presets.PRESETS["github"]
    )
    inbound_factories.github(client, ISSUE, "d1")
    received = inbound_factories.row().received_at
    inbound_factories.change(source_id, secret="a new one", previous_secret=inbound_factories.SECRET)
    inbound_factories.change(source_id, previous_secret_expires_at=received + timedelta(milliseconds=1))
    work(app)
    assert inbound_factories.row().status == "processed"
    inbound_factories.github(client, ISSUE, "d2")
    work(app)
    assert inbound_factories.rows()[1].status == "failed"


def test_replays_have_one_effect(each_app: Flask, each_client: FlaskClient) -> None:
    inbound_factories.source(
        verify="github", secret=inbound_factories.SECRET, template=template_presets.PRESETS["github"]
    )
    for _ in range(3):
        inbound_factories.github(each_client, ISSUE, "d1")
    work(each_app)
    inbound_factories.github(each_client, ISSUE, "d1")
    work(each_app)
    first, *others = inbound_factories.rows()
    assert len(inbound_factories.messages()) == 1
    assert {one.status for one in others} == {"processed"}
    assert {one.note for one in others} == {f"A repeat of {first.id}, so nothing was done."}


def test_what_failed_for_our_sake_works_when_it_is_sent_again_or_reprocessed(
    app: Flask, client: FlaskClient
) -> None:
    source_id = inbound_factories.source(
        verify="github", secret=inbound_factories.SECRET, template="{{ payload.nothing.here }}"
    )
    inbound_factories.github(client, ISSUE, "d1")
    inbox = work(app)
    assert inbound_factories.row().status == "failed"
    assert "nothing" in inbound_factories.row().error
    assert inbox.counts.failed == {("Robot", source_id): 1}
    inbound_factories.change(source_id, template="{{ payload.issue.title }}")
    inbound_factories.github(client, ISSUE, "d1")
    work(app)
    assert [one.status for one in inbound_factories.rows()] == ["failed", "processed"]
    assert inbound_factories.messages() == ["It rains in"]


def test_a_template_without_text_makes_no_comment(app: Flask, client: FlaskClient) -> None:
    inbound_factories.source(template="{% if payload.text == 'x' %}X{% endif %}")
    inbound_factories.post(client, {"text": "y"})
    work(app)
    assert (inbound_factories.row().status, inbound_factories.row().comment_id) == ("processed", None)
    assert "no text" in inbound_factories.row().note


def test_what_is_too_long_is_cut_and_a_website_that_cannot_be_linked_is_left_out(
    app: Flask, client: FlaskClient
) -> None:
    template = "{% set name = payload.name %}{% set website = payload.website %}{{ payload.text }}"
    inbound_factories.source(template=template)
    inbound_factories.post(client, {"name": "n" * 200, "website": "javascript:alert(1)", "text": "é" * 5000})
    work(app)
    comment = db.session.scalars(select(Comment)).one()
    assert (len(comment.name), comment.website) == (80, None)
    assert len(comment.message) == 4000
    assert comment.message.endswith("é…")


def test_what_anybody_can_send_is_checked_like_a_visitor(app: Flask, client: FlaskClient) -> None:
    links = " ".join(f"https://example.org/{number}" for number in range(5))
    inbound_factories.source("open", name="open", verify="none")
    inbound_factories.source(
        "sure", name="sure", verify="token", secret="a token of the sender", header="X-Token"
    )
    inbound_factories.post(client, {"text": links}, "open")
    inbound_factories.post(client, {"text": links}, "sure", **{"X-Token": "a token of the sender"})
    work(app)
    statuses = dict(db.session.execute(select(Origin.name, Comment.status).join(Comment)).all())
    assert statuses == {"open": "held", "sure": "published"}


def test_what_waits_for_a_disabled_source_goes_when_it_is_enabled(app: Flask, client: FlaskClient) -> None:
    source_id = inbound_factories.source(disabled_at=clock.now())
    assert inbound_factories.post(client, {"text": "late"}).status_code == 202
    work(app)
    assert inbound_factories.row().status == "new"
    inbound_factories.change(source_id, disabled_at=None)
    work(app)
    assert inbound_factories.messages() == ["late"]


# --- from guestbook to guestbook


def test_a_comment_of_another_book_appears_once_whatever_is_told_of_it(
    app: Flask, client: FlaskClient
) -> None:
    inbound_factories.source(template=template_presets.PRESETS["guestbook"])
    for event in ("comment.created", "comment.published", "comment.replied"):
        inbound_factories.tell(client, event, "https://a.example/comments/1")
    inbound_factories.tell(client, "comment.created", "https://a.example/comments/2", status="held")
    work(app)
    assert inbound_factories.messages() == ["Hi!"]
    assert {one.status for one in inbound_factories.rows()} == {"processed"}
    inbound_factories.tell(client, "comment.deleted", "https://a.example/comments/1")
    work(app)
    assert inbound_factories.messages() == []
    assert db.session.scalars(select(Comment.status)).all() == ["trash"]


def test_what_was_written_here_does_not_come_back(app: Flask, client: FlaskClient) -> None:
    inbound_factories.source(template=template_presets.PRESETS["guestbook"])
    origin = {"name": "B", "url": "https://book.example/comments/1"}
    inbound_factories.tell(client, "comment.published", "https://a.example/comments/7", origin=origin)
    work(app)
    assert inbound_factories.messages() == []
    assert inbound_factories.row().note == "It was written in this book."


def test_another_source_cannot_take_out_what_it_did_not_bring(app: Flask, client: FlaskClient) -> None:
    inbound_factories.source("one", name="One", template=template_presets.PRESETS["guestbook"])
    inbound_factories.source("two", name="Two", template=template_presets.PRESETS["guestbook"])
    inbound_factories.tell(client, "comment.published", "https://a.example/comments/1", token="one")
    work(app)
    inbound_factories.tell(client, "comment.deleted", "https://a.example/comments/1", token="two")
    work(app)
    assert inbound_factories.messages() == ["Hi!"]


def test_our_webhooks_hear_of_what_a_source_brought_only_if_it_is_relayed(
    app: Flask, client: FlaskClient
) -> None:
    inbound_factories.source("still")
    inbound_factories.source("loud", relayed_since=clock.now())
    with database.writing() as session:
        session.add(Webhook(name="w", url="http://127.0.0.1:9/", events="comment.published", headers={}))
    inbound_factories.post(client, {"text": "a"}, "still")
    inbound_factories.post(client, {"text": "b"}, "loud")
    work(app)
    payload = db.session.scalars(select(Delivery.payload)).one()
    comment = json.loads(payload)["data"]["comment"]
    assert comment["message"] == "b"
    assert comment["origin"] == {"name": "Robot", "url": None}
    assert db.session.scalars(select(Origin.told_at).where(Origin.told_at.is_not(None))).one()


# --- when something comes in between


@pytest.mark.parametrize("point", ["after_inbox_claim", "inside_inbox_action"])
def test_a_pass_killed_over_a_batch_costs_its_lease_and_leaves_nothing_half_done(
    each_client: FlaskClient, each_environ: dict[str, str], forks: Forks, point: str
) -> None:
    inbound_factories.source()
    inbound_factories.post(each_client, {"text": "one"})
    forks.run(each_environ, "cron", point=point)
    assert (
        inbound_factories.row().status,
        inbound_factories.row().claims,
        inbound_factories.row().attempts,
    ) == ("new", 1, 0)
    assert inbound_factories.messages() == []
    forks.run(each_environ, "cron")
    assert inbound_factories.row().status == "new"  # the lease is respected while it lasts
    inbound_factories.expire()
    forks.run(each_environ, "cron")
    assert (
        inbound_factories.row().status,
        inbound_factories.row().claims,
        inbound_factories.row().attempts,
    ) == ("processed", 2, 1)
    assert inbound_factories.messages() == ["one"]


def test_an_event_that_kills_each_pass_is_left_alone_in_the_end_and_keeps_nobody_waiting(
    client: FlaskClient, environ: dict[str, str], forks: Forks
) -> None:
    inbound_factories.source()
    for text in ("before", "poison", "after"):
        inbound_factories.post(client, {"text": text})
    for kill in range(processor.MOST_LOST_PASSES):
        forks.run(environ, "cron", point="over_poison")
        inbound_factories.expire()
        assert kill or inbound_factories.messages() == []  # in one batch with it, once
    done = forks.run(environ, "cron", point=None)
    assert "guestbook: 1 inbound event of source Robot failed" in done.printed
    by_text = {json.loads(one.payload)["text"]: one for one in inbound_factories.rows()}
    assert by_text["poison"].status == "failed"
    assert f"{processor.MOST_LOST_PASSES} passes ended in the middle of it" in by_text["poison"].error
    assert sorted(inbound_factories.messages()) == ["after", "before"]
    inbound_factories.check()


@pytest.mark.timeout(200)
def test_random_kills_of_overlapping_passes_make_one_comment_of_each_event(
    each_client: FlaskClient,
    each_environ: dict[str, str],
    forks: Forks,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    luck, posted, killed = random.Random(20261125), 0, 0
    inbound_factories.source()
    while killed < KILLS and posted < 4 * KILLS * POSTED:
        for _ in range(POSTED):
            posted += 1
            assert inbound_factories.post(each_client, {"text": f"n{posted}", "type": "x"}).status_code == 202
        hosts = [tmp_path_factory.mktemp("host") for _ in range(2)]
        alive = [forks.start({**each_environ, "GUESTBOOK_DATA_DIR": str(host)}, "cron") for host in hosts]
        alive[0].is_at_work()
        time.sleep(luck.uniform(0, 0.05))
        alive[0].signal(signal.SIGKILL)
        killed += alive[0].wait() == -signal.SIGKILL
        assert alive[1].wait() == 0
        inbound_factories.expire()
    forks.run(each_environ, "cron")
    assert killed == KILLS  # else most passes are over before they are killed
    assert {one.status for one in inbound_factories.rows()} == {"processed"}
    assert sorted(inbound_factories.messages()) == sorted(f"n{number}" for number in range(1, posted + 1))
    inbound_factories.check()


def test_two_that_work_at_once_share_the_events_and_repeats_have_one_effect(
    each_app: Flask, each_client: FlaskClient
) -> None:
    inbound_factories.source(verify="github", secret=inbound_factories.SECRET, template="{{ payload.n }}")
    for number in range(40):
        for _ in range(2):
            inbound_factories.github(each_client, {"n": str(number)}, f"d{number}")
    faults: list[BaseException] = []

    def drain() -> None:
        try:
            with each_app.app_context():
                work(each_app)
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=drain) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert faults == []
    assert {one.status for one in inbound_factories.rows()} == {"processed"}
    assert sorted(inbound_factories.messages(), key=int) == [str(number) for number in range(40)]
    inbound_factories.check()


def test_an_acknowledgement_after_the_lease_changes_nothing(app: Flask, client: FlaskClient) -> None:
    inbound_factories.source()
    inbound_factories.post(client, {"text": "once"})
    slow = Processor(db.engine, app.config["GUESTBOOK"])
    evaluate = slow.evaluate

    def overtaken(event, source):  # type: ignore[no-untyped-def]  # as `evaluate`
        inbound_factories.expire()
        work(app)
        return evaluate(event, source)

    slow.evaluate = overtaken  # type: ignore[method-assign]
    slow.work()
    assert slow.counts.processed == 0
    assert inbound_factories.messages() == ["once"]
    assert (inbound_factories.row().attempts, inbound_factories.row().claims) == (1, 2)


def test_a_clock_that_ran_ahead_leaves_nothing_behind(app: Flask, client: FlaskClient) -> None:
    inbound_factories.source()
    inbound_factories.post(client, {"text": "early"})
    with database.write(db.engine) as connection:
        connection.execute(update(INBOUND).values(due_at=clock.now() + timedelta(days=3)))
    report = cron.run(db.engine, app.config["GUESTBOOK"], cron.Options())
    assert report
    assert report.inbox.processed == 1


def test_a_pass_that_stays_takes_over_what_another_has_left_when_its_lease_ends(
    client: FlaskClient, environ: dict[str, str], forks: Forks
) -> None:
    inbound_factories.source()
    inbound_factories.post(client, {"text": "left"})
    with database.write(db.engine) as connection:
        ends = clock.now() + timedelta(seconds=3)
        connection.execute(update(INBOUND).values(due_at=ends, claimed_by="the dead", claims=1))
    staying = forks.start(environ, "cron", "--stay")
    _wait_until_processed()
    assert inbound_factories.row().processed_at - ends < timedelta(seconds=2)
    staying.terminate()
    assert staying.wait() == 0


def test_a_pass_that_stays_takes_what_comes_while_it_waits(
    each_client: FlaskClient, each_environ: dict[str, str], forks: Forks
) -> None:
    inbound_factories.source()
    staying = forks.start(each_environ, "cron", "--stay")
    staying.is_at_work()
    inbound_factories.post(each_client, {"text": "now"})
    _wait_until_processed()
    assert clock.now() - inbound_factories.row().received_at < timedelta(seconds=2)
    staying.terminate()
    assert staying.wait() == 0
    assert staying.printed == ""


def _wait_until_processed() -> None:
    wait_for(lambda: inbound_factories.row().status != "new")
