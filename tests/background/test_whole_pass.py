"""The commands that crontab runs, as processes: their lock, their silence, their end."""

import re
import signal
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pymysql
import pytest
import requests
from flask import Flask
from sqlalchemy import event, insert
from sqlalchemy.exc import OperationalError

import guestbook
from guestbook.background import whole_pass
from guestbook.lib import clock
from guestbook.storage import database, engines, preferences
from guestbook.storage.database import db
from guestbook.storage.models import Limit
from tests.conftest import run
from tests.support import databases, factories
from tests.support.book import Book
from tests.support.forks import Forks
from tests.support.processes import free_port, quickest, wait_for
from tests.support.receiver import HANG, Answer, Receiver
from tests.transport.test_http_request_and_redirects import full_backlog

FLASK = [sys.executable, "-m", "flask", "--app", "guestbook"]
PATIENT = {"GUESTBOOK_TIMEOUT": "120"}  # A request that hangs outlasts its test.
NETWORKS, EACH, LIMIT, VISITORS = 50, 5, 4, 4  # of those who sign beside a pass
TEXT = "Grüße aus 東京 🎈"


# --- the lock


def test_a_second_pass_beside_a_running_one_ends_at_once_silently_and_sends_nothing(
    each_book: Book, each_environ: dict[str, str], forks: Forks, receiver: Receiver
) -> None:
    receiver.answer("/", HANG)
    each_book.webhook(receiver.url())
    each_book.publish()
    first = forks.start(each_environ | PATIENT, "cron")
    receiver.wait_for(1)
    each_book.publish()
    before = each_book.deliveries()
    second = forks.run(each_environ, "cron")
    assert receiver.in_flight("/") == len(receiver.requests)  # the first one still waits for its answers
    assert second.printed == ""
    assert each_book.deliveries()[0] == before[0]
    assert [row.finished_at for row in each_book.passes()] == [None]  # the second one has not begun
    first.kill()
    receiver.answer("/", Answer())
    each_book.expire()
    forks.run(each_environ, "cron")  # the kernel has let go of the lock
    assert each_book.statuses() == {"processed": 2}


# --- silence; that Python's start is silent too is seen below, with nothing but PATH and HOME


def test_an_empty_queue_a_success_and_an_ordinary_retry_print_nothing(
    book: Book, environ: dict[str, str], forks: Forks, receiver: Receiver
) -> None:
    assert forks.run(environ, "cron").printed == ""
    receiver.answer("/bad", Answer(500))
    book.webhook(receiver.url("/good"))
    book.webhook(receiver.url("/bad"))
    book.publish(3)
    assert forks.run({**environ, "GUESTBOOK_RETRY_SCHEDULE": "0,300,300"}, "cron").printed == ""
    assert book.statuses() == {"processed": 3, "new": 3}
    assert len(receiver.requests) == 6


def test_deliveries_that_were_given_up_print_one_line_a_webhook_and_no_secret(
    book: Book, environ: dict[str, str], forks: Forks, receiver: Receiver
) -> None:
    receiver.answer("/hook/s3cr3t", Answer(500))
    webhook_id = book.webhook(receiver.url("/hook/s3cr3t"), name="Zoë", headers={"X-Token": "t0ken"})
    book.publish(3)
    done = forks.run({**environ, "GUESTBOOK_RETRY_SCHEDULE": "0"}, "cron")
    assert (done.folder / "stdout").read_text() == ""
    assert done.printed.startswith("guestbook: 3 deliveries were given up for webhook Zoë. See: ")
    assert done.printed.count("\n") == 1
    for secret in ("s3cr3t", "t0ken", book.webhook_row(webhook_id).secret):
        assert secret not in done.printed
    assert book.statuses() == {"failed": 3}


@pytest.mark.parametrize("driver", ["postgresql+psycopg", "mysql+pymysql"])
def test_a_server_from_which_nothing_comes_back_ends_a_pass_with_75_too(
    environ: dict[str, str], driver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a host that is cut off; `test_lost_connections` has the connections that it had before."""
    monkeypatch.setattr(engines, "CONNECT_WAIT", 2)
    monkeypatch.setattr(database, "RETRY_FOR", 0.1)
    with full_backlog(port := free_port()) as silent:
        url = f"{driver}://nobody:pa55word@{silent}:{port}/none"
        app = guestbook.create_app({**environ, "GUESTBOOK_DATABASE_URL": url})
        began = time.monotonic()
        done = app.test_cli_runner().invoke(args=["cron"])
    assert (done.exit_code, done.stderr.startswith("The database cannot be used now: ")) == (75, True)
    assert time.monotonic() - began < 9


def test_a_pass_that_cannot_record_stops_sending_and_the_next_one_mends_it(
    each_book: Book, each_environ: dict[str, str], forks: Forks, receiver: Receiver
) -> None:
    receiver.answer("/", Answer(delay=0.1))
    each_book.webhook(receiver.url())
    each_book.publish(200)
    running = forks.start(each_environ, "cron")
    receiver.wait_for(5)
    rename(each_book, "attempts", "elsewhere")
    assert running.wait(20) == 1  # as if schema.sql had not been run
    sent = len(receiver.requests)
    assert running.printed.count("\n") == 1, running.printed
    rename(each_book, "elsewhere", "attempts")
    receiver.answer("/", Answer())
    each_book.expire()
    forks.run(each_environ, "cron")
    assert sent < 100
    assert each_book.statuses() == {"processed": 200}
    each_book.check()


@pytest.mark.parametrize("each_environ", ["postgresql", "mariadb"], indirect=True)
def test_a_server_that_hangs_up_in_the_middle_loses_nothing(
    each_book: Book, each_environ: dict[str, str], forks: Forks, receiver: Receiver
) -> None:
    receiver.answer("/", Answer(delay=0.1))
    each_book.webhook(receiver.url())
    events = each_book.publish(100)
    running = forks.start(each_environ, "cron")
    receiver.wait_for(5)
    databases.end_connections(each_book.engine)
    code = running.wait(20)
    assert code in (0, 75)  # 75 if it was just reading what no later look repeats
    assert running.printed.count("\n") == (1 if code else 0), running.printed
    assert "Traceback" not in running.printed
    receiver.answer("/", Answer())
    each_book.expire()
    forks.run(each_environ, "cron")
    assert receiver.event_ids("/").keys() == set(events)
    assert each_book.statuses() == {"processed": 100}
    each_book.check()


def rename(book: Book, table: str, to: str) -> None:
    with book.engine.connect() as connection:
        connection.exec_driver_sql(f"ALTER TABLE {table} RENAME TO {to}")
        connection.commit()


def test_a_pass_works_with_nothing_but_path_and_home_from_another_folder(
    tmp_path: Path, app_folder: Book, receiver: Receiver
) -> None:
    app_folder.webhook(receiver.url(), name="Bücher")
    app_folder.sign(TEXT)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / ".env").write_text(f"GUESTBOOK_DATA_DIR={tmp_path}\nGUESTBOOK_ALLOW_NETWORKS=127.0.0.0/8\n")
    bare = ["/usr/bin/env", "-i", "PATH=/usr/bin:/bin", f"HOME={tmp_path}", *FLASK]
    done = run(*bare, "cron", cwd=elsewhere)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    (request,) = receiver.requests
    assert request.json["data"]["comment"]["message"] == TEXT
    app_folder.sign(TEXT)
    verbose = run(*bare, "cron", "-v", cwd=elsewhere)
    assert verbose.returncode == 0, verbose.stderr
    assert "Bücher: processed" in verbose.stdout


@pytest.fixture
def app_folder(tmp_path: Path) -> Iterator[Book]:
    """A book at the default place in its data folder, on SQLite, as a first user has it."""
    app = guestbook.create_app({"GUESTBOOK_DATA_DIR": str(tmp_path)})
    with app.app_context():
        database.create_tables(db.engine)
        yield Book(app)
        db.session.remove()
        db.engine.dispose()


# --- the end


def test_an_endless_backlog_with_a_slow_receiver_ends_in_time_and_leaves_nothing_leased(
    each_book: Book, each_environ: dict[str, str], forks: Forks, receiver: Receiver
) -> None:
    timeout, limit = 2.0, 1.0
    receiver.answer("/slow", Answer(delay=0.3))
    receiver.answer("/never", HANG)
    each_book.webhook(receiver.url("/slow"))
    each_book.webhook(receiver.url("/never"))

    def seconds_of_a_pass() -> float:
        began = time.monotonic()
        running = forks.start(
            {**each_environ, "GUESTBOOK_TIMEOUT": str(timeout)}, "cron", "--max-seconds", str(limit)
        )
        assert running.wait(40) == 0
        assert running.printed == ""
        return time.monotonic() - began

    of_nothing = seconds_of_a_pass()  # what this machine needs to start one
    each_book.publish(200)
    most = of_nothing + limit + timeout + 1
    assert quickest(seconds_of_a_pass, most) < most
    assert each_book.leased() == 0
    assert each_book.statuses()["new"] > 200
    waiting = [row for row in each_book.deliveries() if row.status == "new" and not row.attempts]
    assert {row.claimed_by for row in waiting} == {None}
    assert max(row.due_at for row in waiting) <= clock.now()  # given back as they were
    assert len(each_book.attempts()) == len(receiver.requests)
    each_book.check()


def test_sigterm_records_what_is_in_flight_gives_back_the_rest_and_ends_well(
    each_book: Book, each_environ: dict[str, str], forks: Forks, receiver: Receiver
) -> None:
    receiver.answer("/", HANG)
    each_book.webhook(receiver.url())
    each_book.publish(40)
    running = forks.start(each_environ | PATIENT, "cron")
    receiver.wait_for(2)
    wait_for(lambda: each_book.leased() > 2)
    running.terminate()
    wait_for(lambda: each_book.leased() == 2)  # at once, while the two still hang
    receiver.release()
    assert running.wait(10) == 0, running.printed
    assert running.printed == ""
    assert len(receiver.requests) == 2
    assert each_book.statuses() == {"processed": 2, "new": 38}
    assert each_book.leased() == 0
    (done,) = each_book.passes()
    assert (done.processed, bool(done.finished_at)) == (2, True)
    each_book.check()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_second_signal_ends_a_pass_within_half_a_second(
    book: Book, environ: dict[str, str], forks: Forks, receiver: Receiver, number: signal.Signals
) -> None:
    receiver.answer("/", HANG)
    book.webhook(receiver.url())
    book.publish(10)

    def seconds_until_its_end() -> float:
        book.expire()
        before = len(receiver.requests)
        running = forks.start(environ | PATIENT, "cron")
        receiver.wait_for(before + 2)
        wait_for(lambda: book.leased() > 2)
        running.signal(number)
        wait_for(lambda: book.leased() == 2)  # the first has been understood
        began = time.monotonic()
        running.signal(number)
        assert running.wait(10) == -number
        return time.monotonic() - began

    assert quickest(seconds_until_its_end, 0.5) < 0.5


def test_a_wish_to_end_may_be_set_by_a_signal_at_any_moment() -> None:
    """With threading.Event in place of StopFlag this locks up within a second."""
    done = run(sys.executable, "-c", RESTLESS, env={"PATH": "/usr/bin:/bin"})
    assert (done.returncode, done.stderr) == (0, "")


RESTLESS = """
import signal, time
from guestbook.lib.current_process import StopFlag
signal.signal(signal.SIGALRM, lambda *_: stop.set())
end = time.monotonic() + 1
while time.monotonic() < end:
    stop = StopFlag()
    signal.setitimer(signal.ITIMER_REAL, 0.0003)
    while not stop.wait(0.000001):
        pass
"""


# --- beside the web


def test_what_is_signed_while_a_pass_stays_is_sent_within_two_seconds(
    each_book: Book, each_environ: dict[str, str], forks: Forks, receiver: Receiver
) -> None:
    each_book.webhook(receiver.url())
    running = forks.start(each_environ, "cron", "--stay")
    running.is_at_work()
    seconds: list[float] = []
    for number in range(1, 6):
        signed = time.monotonic()
        each_book.sign(f"{TEXT} {number}")
        receiver.wait_for(number)
        seconds.append(receiver.requests[-1].at - signed)
        assert receiver.requests[-1].json["data"]["comment"]["message"] == f"{TEXT} {number}"
    assert statistics.median(seconds) < 2
    running.terminate()
    assert running.wait(5) == 0
    assert running.printed == ""


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_none_of_200_comments_at_two_servers_fails_beside_a_pass_at_full_speed_and_limits_are_exact(
    tmp_path: Path, forks: Forks, app_folder: Book, journal: str
) -> None:
    environ = {"GUESTBOOK_DATA_DIR": str(tmp_path), "GUESTBOOK_ALLOW_NETWORKS": "127.0.0.0/8"}
    environ["GUESTBOOK_DATABASE_URL"] = f"sqlite:///{tmp_path / 'guestbook.db'}?journal_mode={journal}"
    environ["GUESTBOOK_TRUSTED_PROXIES"] = "1"  # which names the networks
    with database.writing() as session:
        preferences.save(session, {"rate": str(LIMIT), "flood": "10000"})
    with Receiver() as receiver, forks.serving(environ) as (one, _), forks.serving(environ) as (other, _):
        for number in range(8):
            app_folder.stock(app_folder.webhook(receiver.url(f"/{number}")), 4000)
        running = forks.start(environ, "cron", "--stay")
        running.is_at_work()
        visits = [(network, number) for network in range(NETWORKS) for number in range(EACH)]
        with ThreadPoolExecutor(VISITORS) as visitors:
            answers = Counter(visitors.map(partial(sign_at, (one, other)), visits))
        left = app_folder.statuses()["new"]
        running.terminate()
        assert running.wait(10) == 0
    assert left > 0  # the pass was at it all the while
    expected = {303: LIMIT, 429: EACH - LIMIT}
    assert answers == {(network, code): expected[code] for network in range(NETWORKS) for code in expected}
    with app_folder.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM comments").scalar() == NETWORKS * LIMIT


def sign_at(sites: tuple[str, str], visit: tuple[int, int]) -> tuple[int, int]:
    """Sign at one of the sites; return the network and the status of the answer."""
    network, number = visit
    with requests.Session() as visitor:
        visitor.headers["X-Forwarded-For"] = f"198.51.100.{network}"
        site = sites[number % 2]
        token = re.search(r'name="token" value="([^"]+)"', visitor.get(site, timeout=20).text)
        assert token
        form = {"token": token[1], "name": "Ada", "message": f"{TEXT} {network} {number}"}
        answer = visitor.post(f"{site}/comments", form, timeout=40, allow_redirects=False)
        return network, answer.status_code


# --- others in its way


def test_a_deadlock_anywhere_in_a_pass_is_repeated(each_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole_pass, "PRUNE_TIME", 30.0)
    day_ago = clock.now() - timedelta(days=1)
    with each_app.app_context():
        factories.delivery(factories.webhook(), attempts=1, claims=1, due_at=clock.now() + timedelta(days=99))
        factories.source(unproven_bytes=7)
        for age in range(5):
            factories.past_pass(age * timedelta(days=1), ended=True)
        with database.write(db.engine) as connection:
            limit = {"who": "somebody", "hits": 1, "since": day_ago, "last_at": day_ago - timedelta(days=9)}
            connection.execute(insert(Limit).values(limit))
        met: set[str] = set()

        def meet(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            if re.match("INSERT|UPDATE|DELETE", statement) and statement not in met:
                met.add(statement)
                raise OperationalError(statement, None, pymysql.OperationalError(1213, "Deadlock found"))

        event.listen(db.engine, "before_cursor_execute", meet)
        assert whole_pass.run(db.engine, factories.settings(), whole_pass.Options())
        tables = set(re.findall(r"(?:INTO|UPDATE|FROM) (\w+)", " ".join(met)))
        assert tables >= {"deliveries", "passes", "limits", "sources", "days"}


IMPORTED = """
import gc, sys
from flask.cli import main
sys.argv = ["flask", "--app", "guestbook", "cron"]
try:
    main()
finally:
    print(gc.get_freeze_count() > len(gc.get_objects()), *sys.modules)
"""
RARE = {
    *("guestbook.web", "guestbook.comments.comment_actions"),
    *("guestbook.inbound.event_processor", "guestbook.inbound.verify_and_decide"),
    "guestbook.transport.email_by_smtp",
    *("alembic", "babel", "bs4", "celery", "jsonschema", "mf2py", "waitress", "wtforms"),
    *("email.policy", "smtplib"),
}


def test_a_pass_that_sends_imports_no_pages_and_nothing_of_inbound_events_or_mail(
    book: Book, environ: dict[str, str], receiver: Receiver
) -> None:
    book.webhook(receiver.url())
    book.publish()
    done = run(sys.executable, "-c", IMPORTED, env=environ)
    assert done.returncode == 0, done.stderr
    assert book.statuses() == {"processed": 1}
    is_frozen, *imported = done.stdout.split()
    assert "guestbook.outbound.delivery_dispatcher" in imported
    assert RARE.intersection(imported) == set()
    assert is_frozen == "True", "its searches for garbage pass by what its start has made"


# --- the settings


def test_a_pass_that_stays_ends_once_the_file_of_settings_was_changed(app: Flask, book: Book) -> None:
    read, options = app.config["GUESTBOOK"], whole_pass.Options(max_seconds=60, stay=True)
    with app.app_context(), ThreadPoolExecutor(1) as threads:
        passing = threads.submit(whole_pass.run, db.engine, read, options)
        wait_for(lambda: book.passes() != [])
        time.sleep(0.5)
        assert not passing.done()
        (read.data_dir / ".env").write_text("GUESTBOOK_BASE_URL=https://book.example\n")
        assert passing.result(timeout=40) is not None, "it stays for its 60 seconds"
    [row] = book.passes()
    assert row.finished_at is not None
