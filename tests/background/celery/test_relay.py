"""The command: silent when all is well, careful with the database, and it takes back what it gave away."""

import os
import time
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from guestbook.background.celery import relay
from guestbook.lib import clock
from guestbook.storage.models import DELIVERIES as DELIVERY_ROWS
from tests.background.celery.works import DELIVERIES, INBOX, ON_TWO, Works
from tests.cli.conftest import FLASK
from tests.conftest import run
from tests.repo import test_crontab
from tests.support import factories
from tests.support.book import Book
from tests.support.processes import wait_for
from tests.support.rabbitmq import Vhost
from tests.support.receiver import HANG, Receiver


def test_a_relay_is_silent_is_noted_as_a_pass_and_tells_when_asked(works: Works, receiver: Receiver) -> None:
    assert works.relay().printed == ""
    works.book.webhook(receiver.url(), name="Chat")
    works.book.publish(3)
    assert works.relay().printed == ""
    assert [bool(one.finished_at) for one in works.book.passes()] == [True, True]
    works.book.publish(2)
    assert "Published 2 deliveries and 0 inbound events." in works.relay("-v").printed
    works.book.publish()
    output = works.relay("-v").printed
    assert "Published 1 delivery and 0 inbound events." in output
    assert "Traceback" not in output


def test_a_second_relay_of_the_same_book_on_this_machine_ends_at_once(works: Works) -> None:
    staying = works.start_relay("--stay")
    wait_for(works.book.passes, 10, lambda: staying.printed)
    begun = time.monotonic()
    assert works.relay("--stay").printed == ""
    assert time.monotonic() - begun < 10
    staying.terminate()
    assert staying.wait() == 0
    assert staying.printed == ""


def test_an_idle_relay_writes_nothing_and_sees_new_work_at_once(works: Works, receiver: Receiver) -> None:
    works.book.webhook(receiver.url())
    staying = works.start_relay("--stay")
    wait_for(works.book.passes, 10, lambda: staying.printed)
    with works.book.engine.connect() as connection:
        works.rest(0.5)
        before = connection.scalar(text("PRAGMA data_version"))
        works.rest(1.5)
        assert connection.scalar(text("PRAGMA data_version")) == before
    works.book.publish()
    wait_for(lambda: works.vhost.depth(DELIVERIES), 10, lambda: staying.printed)
    staying.terminate()
    assert staying.wait() == 0


def test_a_relay_publishes_the_next_event_about_a_comment_once_the_one_before_it_is_done(
    works: Works, receiver: Receiver
) -> None:
    works.book.webhook(receiver.url(), events="comment.created comment.published")
    works.book.sign()
    with works.worker():
        relay.run(works.book.engine, works.book.settings, max_seconds=10, stay=False)
        works.wait_until_final(2)
    assert [request.json["data"]["sequence"] for request in receiver.requests] == [1, 2]


def test_a_relay_waits_for_nothing_after_a_delivery_of_others(works: Works, receiver: Receiver) -> None:
    works.book.webhook(receiver.url(), events="comment.created comment.published")
    works.book.sign()
    with works.book.engine.begin() as connection:
        first = DELIVERY_ROWS.c.sequence == 1
        leased = {"claimed_by": "another pass", "due_at": clock.now() + timedelta(minutes=10)}
        connection.execute(DELIVERY_ROWS.update().where(first).values(**leased))
    relay.run(works.book.engine, works.book.settings, max_seconds=10, stay=False)
    [done] = works.book.passes()
    assert (done.finished_at - done.started_at).total_seconds() < relay.FOLLOW_WAIT


def test_a_relay_ends_when_its_seconds_are_over(works: Works) -> None:
    begun = time.monotonic()
    works.relay("--stay", "--max-seconds", "1")
    assert 1 <= time.monotonic() - begun < 20


@ON_TWO
def test_what_is_taken_back_goes_out_with_a_pass_and_not_again(works: Works, receiver: Receiver) -> None:
    works.book.webhook(receiver.url())
    works.book.publish(5)
    factories.inbound(factories.source(action="log"))
    before = works.book.deliveries()
    works.relay()
    away = works.broker_that_is_away  # a reason to go back
    works.relay("--take-back", BROKER_URL=away)
    now = clock.now()
    assert [row.claimed_by for row in works.book.deliveries()] == [None] * 5
    assert all(row.due_at <= now for row in works.book.deliveries())
    works.forks.run(works.with_settings(BROKER_URL=away), "cron")
    assert works.book.statuses() == {"processed": len(before)}
    assert [event.status for event in factories.inbound_events()] == ["processed"]
    assert (works.vhost.depth(DELIVERIES), works.vhost.depth(INBOX)) == (5, 1)
    with works.worker():
        works.wait_until_empty()
    assert len(receiver.requests) == 5
    works.book.check()


def test_what_a_worker_has_begun_is_not_taken_back(works: Works, receiver: Receiver) -> None:
    receiver.answer("/", HANG)
    works.published(receiver)
    with works.worker(TIMEOUT="120"):  # The request that hangs outlasts the test.
        receiver.wait_for(1)
        begun = works.book.deliveries()
        works.relay("--take-back")
        assert works.book.deliveries() == begun
        receiver.release()
        works.wait_until_final(1)
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    ("change", "code", "why"),
    [
        (("", ""), 1, "GUESTBOOK_BROKER_URL is not set"),
        (("guest:guest", "guest:hunter2"), 75, "ACCESS_REFUSED"),
        (("/test", "/nowhere"), 75, "not found"),
        (("127.0.0.1", "broker.invalid"), 75, ""),
    ],
)
def test_a_broker_that_cannot_be_used_is_told_in_one_line(
    works: Works, change: tuple[str, str], code: int, why: str
) -> None:
    url = works.vhost.url.replace(*change) if change[0] else ""
    said = works.relay(code=code, BROKER_URL=url).printed
    assert why in said
    assert len(said.splitlines()) == 1
    assert "hunter2" not in said


def test_without_celery_or_with_a_strange_url_a_relay_says_so(works: Works, tmp_path: Path) -> None:
    (tmp_path / "celery.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'celery'\", name='celery')"
    )
    plain = {"PATH": os.environ["PATH"], **works.environ, "PYTHONPATH": str(tmp_path)}
    done = run(FLASK, "--app", "guestbook", "relay", env=plain)
    assert (done.returncode, done.stdout) == (1, "")
    strange = works.relay(code=1, BROKER_URL="http://guest:hunter2@127.0.0.1/").printed
    for said, named in ((done.stderr, "scripts/install celery"), (strange, "GUESTBOOK_BROKER_URL")):
        assert named in said
        assert "hunter2" not in said
        assert len(said.splitlines()) == 1


@pytest.mark.parametrize("command", test_crontab.relaying)
def test_the_line_publishes_what_is_due_and_prints_nothing(
    command: str, book: Book, environ: dict[str, str], vhost: Vhost, tmp_path: Path
) -> None:
    book.webhook("http://127.0.0.1:9/hook")
    book.sign()
    home = tmp_path / "home"
    home.mkdir()
    (home / ".env").write_text("".join(f"{name}='{value}'\n" for name, value in environ.items()))
    test_crontab.as_cron(command, home)
    assert vhost.depth(DELIVERIES) == 1
    assert book.delivery().claimed_by.startswith("relay.")
