"""A comment that is deleted for good leaves no words in any table or file, and none goes out any more."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import Connection, select, update

from guestbook.background import whole_pass
from guestbook.cli.queue import DELIVERY_KIND
from guestbook.inbound import request_bins, sender_presets
from guestbook.inbound.request_bins import CapturedRequest
from guestbook.lib import clock
from guestbook.outbound import delivery_dispatcher
from guestbook.outbound.formats import CHAT_FORMATS
from guestbook.queue import claims, deleted_comments
from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.storage.models import DELIVERIES, Comment
from tests.queue.comments.steps import ALL, ENDS, delete, move, reply
from tests.support import factories, inbound_factories as inbox_stock
from tests.support.processes import wait_for
from tests.support.receiver import Answer, Receiver, Request

WORD = "Xylokarpos"


def echo(request: Request) -> Answer:
    """A receiver that answers with what it was sent, in the body and in a header."""
    status = 500 if request.path == "/fails" else 200
    return Answer(status, body=request.body, headers={"X-Said": WORD})


def tables_with(word: str) -> set[str]:
    """The tables of which any row has the word in any column."""
    with db.engine.connect() as connection:
        # As tuples, for a row of SQLAlchemy's shows only the ends of what is long.
        tables = db.metadata.sorted_tables
        rows = {table: [*map(tuple, connection.execute(select(table)))] for table in tables}
    return {table.name for table, found in rows.items() if word.lower() in str(found).lower()}


def catch(request: Request) -> None:
    """Let a bin catch what a receiver got."""
    with database.writing() as session:
        bin_ = request_bins.add(session, {})
        headers = list(request.headers.items())
        request_bins.capture(
            session, bin_.id, CapturedRequest("POST", "", "", headers, request.body, clock.now())
        )


def events_for(webhook_id: str) -> list[str]:
    """The events that wait for a webhook or were sent to it, without those that were erased."""
    return [row.event for row in factories.deliveries() if row.webhook_id == webhook_id and not row.erased_at]


def test_no_table_and_no_file_holds_a_word_of_a_comment_that_was_deleted_for_good(
    each_app: Flask, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    disabled = {"disabled_at": clock.now(), "disabled_reason": "by_hand"}
    with Receiver(program=echo) as receiver:
        factories.webhook(receiver.url("/echo"), events=ALL)
        factories.webhook(receiver.url("/fails"), events=ALL)
        factories.webhook(receiver.url("/waits"), events=ALL, **disabled)
        factories.webhook(events=ALL, format="template")  # without a template, so its format fails
        comment_id = factories.sign(f"Words about {WORD} " * 40, name=WORD)
        reply(comment_id, f"Thank you, {WORD}")
        factories.run_pass()
        catch(receiver.requests[0])
        event_id = receiver.requests[0].event_id
        ours = factories.source(name="our own events")
        factories.inbound(ours, external_id=event_id, payload=WORD, status="processed", note=WORD)
    assert tables_with(WORD) == {
        *("comments", "replies", "deliveries", "attempts", "bin_requests", "inbound_events")
    }
    output = command(each_app, "comments", "delete", comment_id)
    assert tables_with(WORD) == set()
    output += command(each_app, "cron", "--verbose")
    for listed in ("comments", "deliveries", "inbox"):
        output += command(each_app, listed, "list", "--json")
    output += each_app.test_client().get("/").text
    assert WORD not in output + caplog.text
    assert tables_with(WORD) == set()
    files = {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert [name for name, content in files.items() if WORD.encode() in content] == []


def test_of_what_was_sent_the_row_and_its_attempts_stay_and_say_that_they_were_erased(app: Flask) -> None:
    with Receiver(program=echo) as receiver:
        factories.webhook(receiver.url("/echo"))
        comment_id = factories.sign(WORD)
        factories.run_pass()
        before = factories.one()
        delete(comment_id)
    row = factories.one()
    [attempt] = factories.attempts()
    assert (row.status, row.payload, row.event_id) == ("processed", "", before.event_id)
    assert row.erased_at
    assert (attempt.status_code, attempt.response_body, attempt.response_headers) == (200, None, None)
    assert attempt.request_headers["webhook-id"] == row.event_id
    shown = command(app, "deliveries", "show", row.id)
    assert f"Payload {deleted_comments.DELIVERY_ERASED}" in " ".join(shown.split())
    assert "delivered, erased" in command(app, "deliveries", "list")


@pytest.mark.usefixtures("app")
def test_what_waits_is_replaced_by_the_end_of_the_comment_without_its_words() -> None:
    with Receiver() as receiver:
        hook = factories.webhook(receiver.url("/hook"), events=ENDS)
        factories.webhook(receiver.url("/other"))  # which does not want to hear of the end
        comment_id = factories.sign(WORD, name=WORD)
        delete(comment_id)
        created = [row for row in factories.deliveries() if row.event == "comment.created"]
        assert {(row.status, row.last_error) for row in created} == {("failed", deleted_comments.NEVER_SENT)}
        assert events_for(hook) == ["comment.deleted"]
        factories.run_pass()
        [request] = receiver.requests
    comment = request.json["data"]["comment"]
    assert (comment["id"], comment["url"]) == (comment_id, f"https://book.example/comments/{comment_id}")
    assert (comment["name"], comment["message"], comment["website"]) == ("", "", None)


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("away", ["trash", "spam"])
def test_an_end_that_did_not_arrive_is_told_again_and_one_that_did_is_not(away: str) -> None:
    with Receiver() as receiver:
        receiver.answer("/fails", Answer(500))
        heard = factories.webhook(receiver.url("/hook"), events=ENDS)
        failing = factories.webhook(receiver.url("/fails"), events=ENDS)
        later = factories.webhook(events=ENDS, disabled_at=clock.now(), disabled_reason="by_hand")
        comment_id = factories.sign(WORD)
        move(comment_id, away)
        factories.run_pass()
        fresh = factories.webhook(events=ENDS)
        delete(comment_id)
    assert events_for(heard) == events_for(fresh) == []
    assert events_for(failing) == events_for(later) == ["comment.deleted"]


@pytest.mark.parametrize("name", [*CHAT_FORMATS, "json", "thin"])
@pytest.mark.usefixtures("app")
def test_the_end_of_a_comment_without_words_has_a_body_in_every_format(name: str) -> None:
    urls = {
        "ntfy": "https://ntfy.sh/topic",
        "telegram": "https://api.telegram.org/bot1:a/sendMessage?chat_id=1",
    }
    factories.webhook(urls.get(name, "https://receiver.example/hook"), events="comment.deleted", format=name)
    delete(factories.sign(WORD, name=WORD))
    assert (factories.one().status, factories.one().last_error) == ("new", None)
    assert WORD not in factories.one().payload


def test_what_a_pass_holds_is_dropped_and_what_is_under_way_is_recorded_nowhere(
    each_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[set[str]] = []

    def look(connection: Connection, since: datetime) -> set[str]:
        looks.append(lately(connection, since))
        return looks[-1]

    lately = deleted_comments.lately
    monkeypatch.setattr(deleted_comments, "lately", look)
    monkeypatch.setattr(delivery_dispatcher, "ERASURE_LOOK", 0.05)
    begun, go_on = threading.Event(), threading.Event()

    def slow(request: Request) -> Answer:
        begun.set()
        go_on.wait(20)
        return Answer(500, body=request.body)

    with Receiver(program=slow) as receiver:
        one_at_a_time = {"unreachable_in_a_row": 1}
        hook = factories.webhook(receiver.url("/hook"), events=ENDS, **one_at_a_time)
        comments = [factories.sign(f"{WORD} {number}") for number in range(4)]
        db.session.remove()
        work = threading.Thread(target=run_in(each_app), daemon=True)
        work.start()
        assert begun.wait(10)
        for comment_id in comments:
            delete(comment_id)
        # The pass has dropped them before it looks a second time.
        wait_for(lambda: [len(found) for found in looks[-2:]] == [4, 4])
        go_on.set()
        work.join(20)
        assert not work.is_alive()
        assert [request.json["type"] for request in receiver.requests].count("comment.created") == 1
    rows = factories.deliveries()
    assert {row.status for row in rows if row.erased_at} == {"failed"}
    assert factories.attempts(rows[0].id) == []
    assert tables_with(WORD) == set()
    under_way = [row.due_at for row in rows if row.webhook_id == hook and not row.erased_at and row.due_at]
    assert max(under_way) > clock.now() + timedelta(seconds=20)  # when no request can be under way any more


@pytest.mark.usefixtures("app")
def test_a_bin_keeps_nothing_of_a_request_that_was_under_way_when_the_comment_was_deleted() -> None:
    with Receiver() as receiver:
        factories.webhook(receiver.url("/hook"))
        comment_id = factories.sign(WORD)
        factories.run_pass()
        [request] = receiver.requests
    with database.writing() as session:
        session.execute(update(DELIVERIES).values(status="new", due_at=clock.now()))
    delete(comment_id)
    catch(request)
    assert tables_with(WORD) == set()


@pytest.mark.usefixtures("app")
def test_a_worker_that_takes_a_message_for_an_erased_delivery_sends_nothing() -> None:
    factories.webhook()
    comment_id = factories.sign(WORD)
    row_id = factories.one().id
    now = clock.now()
    with database.write(db.engine) as connection:
        until = now + timedelta(minutes=10)
        rows = connection.execute(DELIVERIES.select()).all()
        claims.lease(connection, DELIVERIES, rows, now=now, until=until, token="relay.1", counted=False)
    delete(comment_id)
    with database.write(db.engine) as connection:
        assert claims.owned(connection, DELIVERIES, {(row_id, "relay.1")}) == set()


def test_redelivery_of_what_was_erased_is_refused_with_the_reason(app: Flask) -> None:
    factories.webhook()
    comment_id, kept = factories.sign(WORD), factories.sign("stays")
    erased, other = (row.id for row in factories.deliveries())
    with database.write(db.engine) as connection:
        failed = {"status": "failed", "due_at": None, "finished_at": clock.now()}
        connection.execute(DELIVERIES.update().values(failed))
    delete(comment_id)
    runner = app.test_cli_runner()
    refused = runner.invoke(args=["deliveries", "redeliver", erased])
    assert refused.exit_code == 1
    assert "the comment was deleted" in refused.output
    said = command(app, "deliveries", "redeliver", "--failed")
    assert "Will redeliver 1 delivery with the next pass." in said
    assert f"Left alone, because {DELIVERY_KIND.erased}: 1 delivery." in said
    assert {row.id: row.status for row in factories.deliveries()} == {erased: "failed", other: "new"}
    assert factories.the(Comment, kept)


def test_an_inbound_event_is_emptied_with_its_comment_and_its_repeats_too(each_app: Flask) -> None:
    broken = {"verify": "github", "secret": inbox_stock.SECRET, "template": "{{ 1 / 0 }}"}
    source_id = inbox_stock.source(**broken)
    inbox_stock.github({"text": WORD}, "delivery 1")
    command(each_app, "inbox", "process")
    assert inbox_stock.row().status == "failed"
    inbox_stock.change(source_id, template=inbox_stock.PLAIN)
    for _ in range(2):
        inbox_stock.github({"text": WORD, "sender": {"login": WORD}}, "delivery 1")
    command(each_app, "inbox", "process")
    [comment_id] = {row.comment_id for row in inbox_stock.rows()}
    delete(comment_id)
    assert tables_with(WORD) == set()
    inbox_stock.github({"text": WORD}, "delivery 1")
    command(each_app, "inbox", "process")
    assert tables_with(WORD) == set()
    assert inbox_stock.messages() == []
    for row in inbox_stock.rows():
        assert (row.payload, row.note or row.error) == ("", deleted_comments.INBOUND_ERASED)
        assert row.erased_at
    refused = each_app.test_cli_runner().invoke(args=["inbox", "reprocess", inbox_stock.rows()[0].id])
    assert refused.exit_code == 1
    assert "the comment was deleted for good" in refused.output


@pytest.mark.parametrize("place", ["trash", "published"])
def test_what_another_book_tells_of_a_comment_goes_with_it_even_where_there_was_nothing_to_do(
    app: Flask, place: str
) -> None:
    ours = factories.sign("Hello")
    inbox_stock.source(template=sender_presets.PRESETS["guestbook"])
    at = "https://a.example/comments/1"
    for event in ("comment.created", "comment.replied"):
        inbox_stock.tell(event, at, message=WORD)
    inbox_stock.tell("comment.replied", f"https://book.example/comments/{ours}", message=WORD)
    command(app, "inbox", "process")
    comment_id = inbox_stock.rows()[0].comment_id
    assert comment_id
    move(comment_id, place)
    inbox_stock.tell("comment.deleted", at, message=WORD)
    command(app, "inbox", "process")
    assert [row.comment_id for row in inbox_stock.rows()] == [comment_id, comment_id, ours, comment_id]
    delete(comment_id)
    delete(ours)
    assert tables_with(WORD) == set()


def command(app: Flask, *arguments: str) -> str:
    db.session.rollback()
    done = app.test_cli_runner().invoke(args=arguments)
    assert done.exit_code == 0, done.output
    db.session.rollback()
    return done.output


def run_in(app: Flask) -> Callable[[], None]:
    """A pass in a thread of its own."""

    def run() -> None:
        with app.app_context():
            whole_pass.run(db.engine, factories.settings(), replace(factories.OPTIONS, max_seconds=15))

    return run
